-- @id: 81e577cb-b012-4068-b9b5-535d90901c6c
-- @title: {user_name} started {distinct_targets} different SSH connections within 5 minutes
-- @level: medium
-- @status: experimental
-- @description:
--   One parent started SSH, or a copy over it, with ten or more different arguments in five minutes: something goes
--   from host to host. Worms that use found keys spread this way. Connections that fail at once are short and partly
--   missed; the counts are of what was seen.
-- @tags: attack.lateral-movement, attack.t1021.004, attack.t1570
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Configuration management and loops of administrators over many hosts
-- @references:
--   - https://attack.mitre.org/techniques/T1021/004/
--   - https://attack.mitre.org/techniques/T1570/
-- @dedup: parent_id for 1h
SELECT
    s.parent_id,
    s.user_name,
    count(DISTINCT s.command_line) AS distinct_targets,
    min(s.start_time)              AS first_seen,
    max(s.start_time)              AS last_seen
FROM process_starts AS s
WHERE s.start_time >= now() - INTERVAL '5 minutes'
  AND s.name IN ('ssh', 'scp', 'sftp', 'sshpass', 'rsync')
GROUP BY s.parent_id, s.user_name
HAVING count(DISTINCT s.command_line) >= 10
