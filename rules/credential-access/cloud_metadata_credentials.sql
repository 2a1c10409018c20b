-- @id: f590bada-7fb8-4cfb-b16c-0e1185781f7a
-- @title: {name} (pid {pid}) asks the cloud for credentials: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A general download tool asks the cloud's metadata service for credentials, tokens or start-up data. Agents and
--   libraries do this by themselves, without a command; a person or a script that does has found a way to act as the
--   machine. Harmless questions, such as for the region or the instance's id, are left out.
-- @tags: attack.credential-access, attack.t1552.005
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Start-up scripts that fetch a token with curl
-- @references:
--   - https://attack.mitre.org/techniques/T1552/005/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE (   name IN ('curl', 'wget', 'nc', 'ncat', 'socat', 'http', 'aria2c', 'perl', 'ruby', 'php',
                   'lynx', 'GET')
       OR name GLOB 'python*'
       OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox'))
  AND command_line REGEXP '(?i)169\.254\.169\.254|169\.254\.170\.2|\[?fd00:ec2::254|metadata\.google\.internal|metadata\.goog\b|100\.100\.100\.200|0xa9fea9fe|\b2852039166\b'
  AND command_line REGEXP '(?i)security-credentials|api/token|identity/oauth2|service-accounts|user-data|ram/security|/v2/credentials|/opc/v[12]/identity|custom_?data'
