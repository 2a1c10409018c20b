-- @id: dc192ae3-cdc9-4769-9f8c-80b287fb5002
-- @title: {name} (pid {pid}) goes on in the deleted directory {cwd}
-- @level: medium
-- @status: test
-- @description:
--   A shell or script interpreter without a terminal works in a temporary or hidden directory that no longer exists.
--   Droppers unpack there, start and remove everything, so that nothing is left to look at. Directories of deployed
--   applications are left out: replacing those under a running program is common.
-- @tags: attack.defense-evasion, attack.t1070.004, attack.execution, attack.t1059
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Test runs whose temporary directory was removed before they ended
-- @references:
--   - https://attack.mitre.org/techniques/T1070/004/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    cwd,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE cwd GLOB '* (deleted)'
  AND (   cwd GLOB '/tmp/*'
       OR cwd GLOB '/var/tmp/*'
       OR cwd GLOB '/dev/shm/*'
       OR cwd GLOB '/run/*'
       OR cwd GLOB '*/.[^.]*')
  AND terminal IS NULL
  AND (   name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox', 'perl', 'ruby', 'php',
                   'node', 'lua')
       OR basename(executable_path) REGEXP '^(bash|dash|zsh|perl|python|ruby|php|lua|node)[0-9.]*$')
