-- @id: f69492ce-12d9-4450-8f21-b6d8292d66d7
-- @title: {name} (pid {pid}) makes or forges a privileged account: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A command gives an account the user id 0, or writes to the account files past the tools that are meant for it. A
--   second root is a back door that survives a changed root password. useradd and usermod live for milliseconds and
--   are often missed between snapshots.
-- @tags: attack.persistence, attack.t1136.001, attack.t1098, attack.privilege-escalation
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Rescue work on a system whose account files are broken
--   - Image builders that write account files of a new root
-- @references:
--   - https://attack.mitre.org/techniques/T1136/001/
--   - https://attack.mitre.org/techniques/T1098/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('useradd', 'adduser', 'usermod') AND argv REGEXP ',"(-[a-zA-Z]*u|--uid)(",")?=?0+"'
   OR name IN ('tee', 'dd') AND argv REGEXP ',"(of=)?/etc/(passwd|shadow)"'
   OR name IN ('cp', 'mv', 'install') AND argv REGEXP ',"/etc/(passwd|shadow)"\]$'
   OR name IN ('sed', 'perl')
        AND argv REGEXP ',"(-[a-zA-Z]*i|--in-place)'
        AND argv REGEXP ',"/etc/(passwd|shadow)"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?/etc/(passwd|shadow)\b'
