-- @id: 95822c92-3c00-4ce8-96f5-9086dca54ce5
-- @title: {name} (pid {pid}) gives a file the power of its owner: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A command sets the setuid bit or a capability that amounts to root. A shell with that bit gives root to whoever
--   starts it, and stays after the way in is closed. chmod and setcap live for milliseconds: snapshots see the shell
--   that called them more often than them.
-- @tags: attack.privilege-escalation, attack.t1548.001, attack.defense-evasion
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Installers of programs that need it, such as sandboxes and packet capture tools
-- @references:
--   - https://attack.mitre.org/techniques/T1548/001/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('chmod', 'sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '(^|[\s;&|(/])chmod\s+(-\S+\s+|--\S+\s+)*(["'']?(\S+,)?([go]*[ua][ugoa]*)?[+=][rwxXt]*s\S*|["'']?0*[4567][0-7]{3}\b)'
   OR name = 'install' AND argv REGEXP ',"(-[a-zA-Z]*m|--mode)(",")?=?0*[4567][0-7]{3}"'
   OR name IN ('setcap', 'sh', 'bash', 'dash', 'zsh', 'ksh', 'ash')
        AND command_line REGEXP '(^|[\s;&|(/])setcap\s+(-\S+\s+)*\S*\b(cap_(setuid|setgid|setfcap|sys_admin|sys_ptrace|sys_module|dac_override|dac_read_search|chown|fowner)|all[+=])'
