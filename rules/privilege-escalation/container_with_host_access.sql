-- @id: 7190ead2-93d5-46f5-81f6-fd19dc59516c
-- @title: {name} (pid {pid}) starts a container with the host's rights: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A container is started with all privileges, the host's processes or the host's root directory to write to; or a
--   general tool speaks to a container engine's socket, where the same can be asked for. Either is root on the host
--   for whoever may do it. Read-only mounts of the root directory, as monitoring uses them, are left out.
-- @tags: attack.privilege-escalation, attack.t1611, attack.execution, attack.t1610, attack.defense-evasion
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Continuous integration that runs privileged containers
--   - Storage and network plug-ins started by hand
-- @references:
--   - https://attack.mitre.org/techniques/T1611/
--   - https://attack.mitre.org/techniques/T1610/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('docker', 'podman', 'nerdctl', 'ctr', 'lxc', 'incus')
        AND argv REGEXP ',"--privileged(=true)?"|,"--pid(",")?=?host"|,"--cap-add(",")?=?(?i:(cap_)?(all|sys_admin|sys_ptrace|sys_module|dac_read_search))"|,"(-[a-z]*v|--volume)(",")?=?/:[^",:]+(:rw[^"]*)?"|,"--mount(",")?=?([^"]*,)?(source|src)=/(,[^"]*)?"|"source=/"'
        AND argv NOT REGEXP ',"--mount(",")?=?[^"]*\b(readonly|ro)\b[^"]*"'
   OR name IN ('curl', 'wget', 'socat', 'nc', 'ncat', 'netcat')
        AND argv REGEXP '/(docker|containerd|crio|podman)(/\w+)?\.sock\b'
   OR name GLOB 'python*' AND argv REGEXP ',"-[a-zA-Z]*c' AND command_line REGEXP '/docker\.sock\b'
