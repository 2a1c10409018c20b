-- @id: 2f9d4d46-bd86-4e9d-9222-3e9b823f5201
-- @title: {attempts} starts of {name} by one parent within 5 minutes
-- @level: medium
-- @status: experimental
-- @description:
--   One parent started many logins in five minutes: su or a tool that types passwords, or the SSH server, which
--   starts one process per connection. So many in so short a time is guessing. Failed logins last a second or two
--   because the system delays them, so short intervals see most; the counts are of what was seen.
-- @tags: attack.credential-access, attack.t1110.001, attack.t1110
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Monitoring and configuration management that log in anew for every step
-- @references:
--   - https://attack.mitre.org/techniques/T1110/
--   - https://attack.mitre.org/techniques/T1110/001/
-- @dedup: parent_id, name for 1h
SELECT
    s.parent_id,
    s.name,
    count(*)          AS attempts,
    min(s.start_time) AS first_seen,
    max(s.start_time) AS last_seen
FROM process_starts AS s
WHERE s.start_time >= now() - INTERVAL '5 minutes'
  AND (   s.name IN ('su', 'sshpass', 'kinit', 'hydra', 'medusa', 'ncrack', 'patator', 'crowbar')
       OR s.name IN ('sshd', 'sshd-session') AND s.command_line REGEXP '\[(priv|accepted)\]')
GROUP BY s.parent_id, s.name
HAVING count(*) >= 30
    OR s.name NOT IN ('sshd', 'sshd-session') AND count(*) >= 10
