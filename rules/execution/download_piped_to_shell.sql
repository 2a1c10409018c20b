-- @id: 5bcad85b-a81c-44bf-9478-e1a7ae342190
-- @title: a shell was told to run what it downloads: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A shell's command downloads something and feeds it to an interpreter without keeping it. What ran is gone
--   afterwards, which is why intruders like it.
-- @tags: attack.execution, attack.t1059.004, attack.command-and-control, attack.t1105
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Installers that are documented as "curl … | sh"
-- @references:
--   - https://attack.mitre.org/techniques/T1105/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('sh', 'bash', 'dash', 'zsh', 'ksh')
  AND command_line REGEXP '\b(curl|wget)\b[^|;]*\|\s*(sudo\s+)?(/(usr/)?bin/)?(ba|da|z|k)?sh\b'
