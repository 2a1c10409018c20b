-- @id: 75253377-3c75-4f9a-afae-c8c0a4e32175
-- @title: {name} (pid {pid}) reads another program's memory: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A debugger or a plain tool copies the memory of a running program, or a known memory thief runs. Login services,
--   password stores and agents keep secrets there that are encrypted everywhere else. Interactive debugging is left
--   out; what attaches with ptrace by itself is not seen here.
-- @tags: attack.credential-access, attack.t1003.007
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Developers who dump a program that hangs
--   - Forensic collection
-- @references:
--   - https://attack.mitre.org/techniques/T1003/007/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('gcore', 'procdump', 'avml', 'mimipenguin', 'mimipenguin.sh', 'linikatz',
               'linikatz.sh', '3snake')
   OR name = 'gdb'
        AND argv REGEXP ',"(-p|--?pid)(",")?=?[0-9]+"'
        AND argv REGEXP '\b(gcore|generate-core-file|dump\s+(binary\s+)?(memory|value)|find\s+0x|x/[0-9]*s)\b'
   OR name IN ('dd', 'cat', 'cp', 'strings', 'grep', 'xxd', 'od', 'head', 'tail', 'tar', 'perl',
               'ruby')
        AND argv REGEXP '/proc/([0-9]+|self)/mem\b|/dev/k?mem"|/proc/kcore'
   OR name GLOB 'python*' AND argv REGEXP '/proc/[^"]{0,40}/mem\b'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '/proc/["'']?(\$\{?\w+\}?|[0-9]+|\*)["'']?/mem\b|\bgcore\s'
