-- @id: 4b85dafc-e066-4fa1-8a82-eb40c1a4c998
-- @title: {name} (pid {pid}) schedules a job: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A job for later was set up by a command and not in an editor: a crontab from a file or a pipe, a file written to
--   cron's directories, an at job, or a systemd timer made on the fly. Intruders return this way, and loaders of
--   miners nearly always do. crontab and at live for milliseconds, so snapshots miss many; a shell's own script file
--   is not seen.
-- @tags: attack.persistence, attack.t1053.003, attack.t1053.002, attack.t1053.006, attack.execution, attack.privilege-escalation
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Configuration management that installs crontabs
--   - Maintenance that is put off with at or systemd-run
-- @references:
--   - https://attack.mitre.org/techniques/T1053/003/
--   - https://attack.mitre.org/techniques/T1053/002/
--   - https://attack.mitre.org/techniques/T1053/006/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name = 'crontab'
        AND argv REGEXP '^\["[^"]*"(,"-u","[^"]*"|,"-u[^"]+")*(,"(-|[^-"][^"]*)"|\]$)'
   OR name IN ('at', 'batch') AND argv NOT REGEXP ',"-[a-zA-Z]*[lcdrV]'
   OR name = 'systemd-run' AND argv REGEXP ',"--(on-|timer-property)'
   OR name IN ('tee', 'dd') AND argv REGEXP ',"(of=)?(/etc/cron|/var/spool/(cron|at))'
   OR name IN ('cp', 'mv', 'install', 'ln', 'rsync', 'curl', 'wget')
        AND argv REGEXP '"(-o|-O|-[a-zA-Z]*o)","(/etc/cron|/var/spool/cron)|,"(/etc/cron|/var/spool/cron)[^"]*"\]$'
   OR name IN ('sed', 'perl')
        AND argv REGEXP ',"(-[a-zA-Z]*i|--in-place)'
        AND argv REGEXP ',"(/etc/cron|/var/spool/cron)'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?(/etc/cron|/var/spool/cron)|\|\s*(sudo\s+)?(\S*/)?crontab\s+(-u\s*\S+\s+)?-(\s|$|[;&)])'
