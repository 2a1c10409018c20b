-- @id: 39a2355d-3900-472c-982c-e8d19dd368ae
-- @title: {name} (pid {pid}) runs with a library from a writable place
-- @level: high
-- @status: test
-- @description:
--   The environment of a process makes the loader add a library from a directory that anybody may write to or from a
--   hidden one, or the loader itself was called on a program there. Such a library can hide files, take passwords or
--   run anything under a trusted name. Only root sees the environment of everybody.
-- @tags: attack.defense-evasion, attack.t1574.006, attack.persistence, attack.privilege-escalation
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Portable applications that unpack to /tmp
--   - Profilers and tests that preload what they have just built
-- @references:
--   - https://attack.mitre.org/techniques/T1574/006/
-- @dedup: session_id, user_name for 1h
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id,
    session_id
FROM processes
WHERE environment_vars REGEXP '"LD_(PRELOAD|AUDIT)":"([^"]*[: ])?(/tmp/|/var/tmp/|/dev/shm/|/run/user/|/[^": ]*/\.[^./])'
   OR (   basename(executable_path) GLOB 'ld-linux*'
       OR basename(executable_path) GLOB 'ld-musl*'
       OR name GLOB 'ld-linux*')
        AND argv REGEXP '"(/tmp/|/var/tmp/|/dev/shm/)'
