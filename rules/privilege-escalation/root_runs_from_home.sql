-- @id: 5b154e7d-5b8b-4f02-aa75-b5bbf8ba3fb6
-- @title: root runs {executable_path} from a home directory (pid {pid})
-- @level: medium
-- @status: test
-- @description:
--   A program in a user's home runs as root without a terminal: started by a service, a timer or a job. Whoever owns
--   the file decides what root does. Programs that somebody runs with sudo at a terminal, and those in containers,
--   are left out.
-- @tags: attack.privilege-escalation, attack.t1574, attack.persistence, attack.defense-evasion
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Services that were set up from a checkout in a home directory
--   - Agents that update themselves in /home
-- @references:
--   - https://attack.mitre.org/techniques/T1574/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE user_id = 0
  AND executable_path GLOB '/home/*'
  AND terminal IS NULL
  AND container_id IS NULL
