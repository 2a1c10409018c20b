-- @id: 9f01005b-7efa-48d5-8062-ba26be219878
-- @title: {user_name} started {kills} commands that stop other programs within 2 minutes
-- @level: medium
-- @status: experimental
-- @description:
--   One parent started ten or more different commands that kill programs or stop services within two minutes. Miners
--   clear their rivals this way, and ransomware stops databases to get at their files. The commands are short and
--   many are missed, so ten seen are a great many; kill itself is mostly built into the shell and not counted.
-- @tags: attack.impact, attack.t1489, attack.defense-evasion, attack.t1562.001
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Shut-down scripts of larger installations
--   - Test suites
-- @references:
--   - https://attack.mitre.org/techniques/T1489/
-- @dedup: parent_id for 1h
SELECT
    s.parent_id,
    s.user_name,
    count(DISTINCT s.command_line) AS kills,
    min(s.start_time)              AS first_seen,
    max(s.start_time)              AS last_seen
FROM process_starts AS s
WHERE s.start_time >= now() - INTERVAL '2 minutes'
  AND (   s.name IN ('kill', 'pkill', 'killall', 'killall5', 'skill')
       OR s.name IN ('systemctl', 'service') AND s.argv REGEXP ',"(stop|kill|mask|disable)"')
GROUP BY s.parent_id, s.user_name
HAVING count(DISTINCT s.command_line) >= 10
