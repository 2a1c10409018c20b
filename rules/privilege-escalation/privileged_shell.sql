-- @id: c18d7007-d936-4ef4-bbe5-bf9a045516d0
-- @title: {user_name} has a shell that keeps somebody else's rights (pid {pid}): {command_line}
-- @level: high
-- @status: test
-- @description:
--   A shell was started with -p by an ordinary user. The option keeps an effective user that differs from the real
--   one, which is of use only with a setuid program: a setuid copy of a shell, or a setuid tool that was made to
--   start one. Scripts that say -p in their first line are left out. Without -p most shells give such rights up by
--   themselves.
-- @tags: attack.privilege-escalation, attack.t1548.001, attack.execution, attack.t1059.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Tests of shells themselves
-- @references:
--   - https://attack.mitre.org/techniques/T1548/001/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE user_id <> 0
  AND (   name IN ('sh', 'dash', 'zsh', 'ksh', 'ash')
       OR name GLOB '*bash*'
       OR basename(executable_path) IN ('bash', 'dash', 'zsh'))
  AND argv REGEXP '^\["[^"]*"(,"-[a-zA-Z]+")*,("-[a-zA-Z]*p[a-zA-Z]*"|"-o","privileged")(,"-[a-zA-Z]+")*(\]$|,"-[a-zA-Z]*c"|(,"")+\]$)|^\["[^"]*"(,"-[a-zA-Z]+")*,"-[a-zA-Z]*(pc|cp)[a-zA-Z]*",'
