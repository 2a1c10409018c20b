-- @id: 53252eb0-c87a-4eb7-808d-49801088a905
-- @title: {user_name} ran {distinct_tools} different discovery tools within 5 minutes
-- @level: medium
-- @status: experimental
-- @description:
--   Five or more different tools that tell who, where and with whom one is were started by the same parent within
--   five minutes: a person or a script looks around. These tools live for milliseconds, so snapshots see few of
--   them; the rule is worth more with a short interval.
-- @tags: attack.discovery, attack.t1033, attack.t1082, attack.t1057, attack.t1049
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Fact gathering of configuration management
--   - Administrators at work
-- @references:
--   - https://attack.mitre.org/tactics/TA0007/
-- @dedup: parent_id for 30m
SELECT
    s.parent_id,
    s.user_name,
    count(DISTINCT s.name) AS distinct_tools,
    min(s.start_time)      AS first_seen,
    max(s.start_time)      AS last_seen
FROM process_starts AS s
WHERE s.start_time >= now() - INTERVAL '5 minutes'
  AND s.name IN ('whoami', 'id', 'uname', 'hostname', 'hostnamectl', 'ip', 'ifconfig', 'ss',
                 'netstat', 'ps', 'w', 'who', 'last', 'lastlog', 'arp', 'route', 'lscpu', 'lsblk',
                 'getent', 'nmap')
GROUP BY s.parent_id, s.user_name
HAVING count(DISTINCT s.name) >= 5
