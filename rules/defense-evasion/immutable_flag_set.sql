-- @id: b8bcc58d-9008-4102-8ade-04dbd89bc3da
-- @title: {name} (pid {pid}) changes the immutable flag: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   chattr makes files unchangeable, or changeable again, where intruders keep their ways back: jobs, keys,
--   accounts, preloaded libraries, programs, temporary directories. Even root then fails to remove them and wonders
--   why. chattr lives for a millisecond, so mostly the shell that was told to call it is seen.
-- @tags: attack.defense-evasion, attack.t1222.002
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Hardening guides that protect account files this way
-- @references:
--   - https://attack.mitre.org/techniques/T1222/002/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('chattr', 'sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
  AND command_line REGEXP '(^|[\s;&|(/])chattr\s+(-[RVf]+\s+)*[+=-][a-zA-Z]*[iau][a-zA-Z]*\s[^;&|]*(/etc/(cron|ld\.so|passwd|shadow|group|sudoers|ssh|pam|profile|rc|init|systemd|hosts)|/var/spool/cron|\.ssh\b|authorized_keys|/tmp\b|/dev/shm|/s?bin/|/lib)'
