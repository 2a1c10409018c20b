-- @id: 897cfa78-1f88-45cd-b3c5-ef7171c6d9ee
-- @title: {name} runs from {executable_path} (pid {pid})
-- @level: medium
-- @status: test
-- @description:
--   A program runs from a directory that anybody may write to. Droppers unpack there, because every user can;
--   installed software does not live there.
-- @tags: attack.execution, attack.t1204.002
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Test suites and build tools that run what they just compiled
--   - Self-extracting installers while they run
-- @references:
--   - https://attack.mitre.org/techniques/T1204/002/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE executable_path GLOB '/tmp/*'
   OR executable_path GLOB '/var/tmp/*'
   OR executable_path GLOB '/dev/shm/*'
