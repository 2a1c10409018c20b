-- @id: 56044a64-c994-4dd9-9152-dec4395d2d4f
-- @title: {user_name} encrypted with {name} {distinct_commands} times within 5 minutes
-- @level: high
-- @status: experimental
-- @description:
--   One parent started an encryption tool with twenty or more different arguments within five minutes: file after
--   file is being locked. Each start lives for milliseconds, so the true number is far higher than what snapshots
--   count. Ransomware with encryption of its own is one long process and not seen here.
-- @tags: attack.impact, attack.t1486
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Backups that encrypt file by file
-- @references:
--   - https://attack.mitre.org/techniques/T1486/
-- @dedup: parent_id for 1h
SELECT
    s.parent_id,
    s.name,
    s.user_name,
    count(DISTINCT s.command_line) AS distinct_commands,
    min(s.start_time)              AS first_seen,
    max(s.start_time)              AS last_seen
FROM process_starts AS s
WHERE s.start_time >= now() - INTERVAL '5 minutes'
  AND (   s.name = 'openssl'
            AND s.argv REGEXP '^\["[^"]*","(enc|aes-|des|camellia|chacha|smime|cms)'
            AND s.argv NOT REGEXP ',"-(d|decrypt)"'
       OR s.name IN ('gpg', 'gpg2') AND s.argv REGEXP ',"(-[a-zA-Z]*[ce]|--symmetric|--encrypt)'
       OR s.name IN ('zip', '7z', '7za', 'rar')
            AND s.argv REGEXP ',"(-[a-zA-Z]*P|-e|--encrypt|--password|-hp|-p[^"]+)'
       OR s.name IN ('ccrypt', 'ccencrypt', 'mcrypt', 'aescrypt', 'age')
            AND s.argv NOT REGEXP ',"(-d|--decrypt)"')
GROUP BY s.parent_id, s.name, s.user_name
HAVING count(DISTINCT s.command_line) >= 20
