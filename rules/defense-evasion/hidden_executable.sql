-- @id: dfc3852a-7c53-4f39-bca0-51c1e3530685
-- @title: {name} (pid {pid}) runs from the hidden path {executable_path}
-- @level: medium
-- @status: test
-- @description:
--   The program's file name begins with a dot, or lies in a hidden directory of a place that anybody may write to:
--   out of sight of a plain listing.
-- @tags: attack.defense-evasion, attack.t1564.001
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Tools that keep helpers under dotted names in temporary directories
-- @references:
--   - https://attack.mitre.org/techniques/T1564/001/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name
FROM processes
WHERE basename(executable_path) GLOB '.*'
   OR executable_path GLOB '/tmp/.*'
   OR executable_path GLOB '/var/tmp/.*'
   OR executable_path GLOB '/dev/shm/.*'
