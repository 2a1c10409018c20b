-- @id: 47132f06-faba-40a9-8717-b7993bde6ba0
-- @title: {name} (pid {pid}) runs from a file that was deleted: {executable_path}
-- @level: medium
-- @status: test
-- @description:
--   The program's file is gone while it runs, and it did not lie where packages install. Malware deletes itself so
--   that nothing is left to examine; an upgraded package leaves the same trace only below the system's directories.
-- @tags: attack.defense-evasion, attack.t1070.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Programs that were rebuilt or upgraded in a home directory while running
-- @references:
--   - https://attack.mitre.org/techniques/T1070/004/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name
FROM processes
WHERE NOT file_exists
  AND NOT (   executable_path GLOB '/usr/*'
           OR executable_path GLOB '/bin/*'
           OR executable_path GLOB '/sbin/*'
           OR executable_path GLOB '/lib/*'
           OR executable_path GLOB '/opt/*'
           OR executable_path GLOB '/snap/*'
           OR executable_path GLOB '/memfd:*')
