-- @id: d3977c19-2eed-4657-a3cb-914ac4564e56
-- @title: {name} (pid {pid}) runs from memory: {executable_path}
-- @level: high
-- @status: test
-- @description:
--   The program was started from an anonymous file in memory (memfd_create) and never touched the disk.
-- @tags: attack.defense-evasion, attack.t1620
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Container runtimes, which start their own helper this way: runc
-- @references:
--   - https://attack.mitre.org/techniques/T1620/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE executable_path GLOB '/memfd:*'
  AND executable_path NOT GLOB '/memfd:runc*'
