-- @id: f3ad3753-1c96-49e4-9b3d-556c75647716
-- @title: {name} (pid {pid}) removes or empties system logs: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A command deletes, empties, edits or replaces the logs that say who came in and what ran, or tells the journal
--   to forget nearly all. Rotated and compressed logs are left out, because tidying those is ordinary. The commands
--   are short; shred and sed on a large log live long enough to be seen.
-- @tags: attack.defense-evasion, attack.t1070.002
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Preparing an image, which must start with empty logs
--   - Emergency tidying of a full disk
-- @references:
--   - https://attack.mitre.org/techniques/T1070/002/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('rm', 'unlink', 'shred', 'srm', 'wipe', 'truncate')
        AND argv REGEXP '"/(var/(log(/(auth\.log|secure|wtmp|btmp|lastlog|faillog|tallylog|messages|syslog|kern\.log|maillog|cron|audit(/audit\.log)?|journal))?|run/utmp)|run/utmp)/?"'
   OR name IN ('cp', 'mv', 'ln', 'tee', 'dd')
        AND argv REGEXP '"(of=)?/(var/(log(/(auth\.log|secure|wtmp|btmp|lastlog|faillog|tallylog|messages|syslog|kern\.log|maillog|cron|audit(/audit\.log)?|journal))?|run/utmp)|run/utmp)/?"(\]$|,"(bs|count)=)|"of=/(var/(log(/(auth\.log|secure|wtmp|btmp|lastlog|faillog|tallylog|messages|syslog|kern\.log|maillog|cron|audit(/audit\.log)?|journal))?|run/utmp)|run/utmp)/?"'
        AND (name IN ('tee', 'dd') OR argv LIKE '%"/dev/null"%' OR argv LIKE '%"/tmp/%')
        AND argv NOT REGEXP '"(-a|--append)"'
   OR name = 'sed'
        AND argv REGEXP ',"(-[a-zA-Z]*i|--in-place)'
        AND argv REGEXP '"/(var/(log(/(auth\.log|secure|wtmp|btmp|lastlog|faillog|tallylog|messages|syslog|kern\.log|maillog|cron|audit(/audit\.log)?|journal))?|run/utmp)|run/utmp)/?"'
   OR name = 'journalctl'
        AND argv REGEXP '"--vacuum-(time(=|",")[0-9]+(us|ms|s|sec|seconds?|m|min|minutes?)?|size(=|",")[0-9]+[BK]?)"'
   OR name = 'utmpdump' AND argv REGEXP ',"(-[a-z]*r|--reverse)'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '(^|[^>0-9&-])>\|?\s*["'']?/(var/(log(/(auth\.log|secure|wtmp|btmp|lastlog|faillog|tallylog|messages|syslog|kern\.log|maillog|cron|audit(/audit\.log)?|journal))?|run/utmp)|run/utmp)/?["'']?(\s|;|&|\)|$)'
