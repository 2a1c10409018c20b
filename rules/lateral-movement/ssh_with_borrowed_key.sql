-- @id: 3c366a24-b3f0-4af6-a6da-61f030db6220
-- @title: {name} (pid {pid}) connects in an unusual way: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   SSH uses a key from a temporary directory, a password from its arguments while it trusts any host, or root uses
--   the agent of somebody else's session. Each is a way to go on to another host with what was found on this one.
--   Keys that lie in a normal place look normal and are not seen.
-- @tags: attack.lateral-movement, attack.t1021.004, attack.t1563.001, attack.credential-access, attack.t1552.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Tools that make virtual machines and keep their keys in /tmp
-- @references:
--   - https://attack.mitre.org/techniques/T1021/004/
--   - https://attack.mitre.org/techniques/T1563/001/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('ssh', 'scp', 'sftp', 'rsync', 'sshfs', 'ssh-add', 'autossh')
        AND argv REGEXP '["\s](-[a-zA-Z0-9]*i(",")?\s*|-o(",")?\s*(?i:IdentityFile)[= ])(/tmp|/var/tmp|/dev/shm)/|"ssh-add",.*"(/tmp|/var/tmp|/dev/shm)/'
   OR name = 'sshpass'
        AND argv REGEXP '(?i)StrictHostKeyChecking[= ](no|off)'
        AND argv REGEXP '"-[pe]'
   OR user_id = 0
        AND name IN ('ssh', 'scp', 'sftp', 'ssh-add', 'rsync')
        AND terminal IS NULL
        AND environment_vars REGEXP '"SSH_AUTH_SOCK":"/tmp/ssh-'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '\bSSH_AUTH_SOCK=/(tmp|run/user)/\S+\s+(\S*/)?(ssh|scp|sftp|ssh-add|rsync)\b'
