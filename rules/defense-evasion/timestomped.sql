-- @id: 7bac7da8-86fe-49a4-8849-76ccbe6638a4
-- @title: {name} (pid {pid}) sets back a file's times: {command_line}
-- @level: low
-- @status: test
-- @description:
--   touch gives a file the times of a system file, or a chosen date to a file among programs, libraries or settings.
--   New files then look as old as their neighbours. touch lives for a millisecond: snapshots see it only by luck, or
--   see the shell that was told to call it.
-- @tags: attack.defense-evasion, attack.t1070.006
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Builds that make packages reproducible
-- @references:
--   - https://attack.mitre.org/techniques/T1070/006/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('touch', 'sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
  AND (   command_line REGEXP '(^|[\s;&|(/])touch\s+([^;&|]*\s)?(-[acmh]*r\s*|--reference[=\s])["'']?/(usr|bin|sbin|lib|lib64|etc|boot)/'
       OR command_line REGEXP '(^|[\s;&|(/])touch\s+([^;&|]*\s)?(-[acmh]*[td]|--date)[=\s][^;&|]*\s["'']?(/(usr/(local/)?)?(s?bin|lib|lib64)/|/etc/|/dev/shm/|/var/www/|/root/|\S*/\.ssh/)')
