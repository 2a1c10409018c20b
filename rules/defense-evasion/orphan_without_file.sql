-- @id: ecbb0bd2-e77d-4188-99b0-9ccdacd89855
-- @title: {name} (pid {pid}) outlived its parent and its file {executable_path}
-- @level: high
-- @status: test
-- @description:
--   A process has lost the parent that started it and belongs to the first process now, has no terminal, and its
--   program was deleted from a place where packages do not install. Detaching and deleting together leave an analyst
--   with neither a history nor a file. Services keep the first process as their parent from the start and are left
--   out.
-- @tags: attack.defense-evasion, attack.t1036.009, attack.t1070.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Programs that update themselves in a home directory after they were started with nohup
-- @references:
--   - https://attack.mitre.org/techniques/T1036/009/
--   - https://attack.mitre.org/techniques/T1070/004/
SELECT
    p.proc_id,
    p.pid,
    p.name,
    p.executable_path,
    p.command_line,
    p.user_name,
    p.start_time
FROM processes AS p
LEFT JOIN processes AS parent ON parent.proc_id = p.parent_id
WHERE p.ppid = 1
  AND (parent.proc_id IS NULL OR parent.pid <> 1 OR p.session_id <> p.pid)
  AND p.terminal IS NULL
  AND NOT p.file_exists
  AND NOT (   p.executable_path GLOB '/usr/*'
           OR p.executable_path GLOB '/bin/*'
           OR p.executable_path GLOB '/sbin/*'
           OR p.executable_path GLOB '/lib/*'
           OR p.executable_path GLOB '/opt/*'
           OR p.executable_path GLOB '/snap/*'
           OR p.executable_path GLOB '/memfd:*')
