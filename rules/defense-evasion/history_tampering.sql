-- @id: 1f776bff-d340-44b6-8fb0-6ecb4dd2418f
-- @title: {name} (pid {pid}) of {user_name} keeps the shell's history from being written
-- @level: medium
-- @status: test
-- @description:
--   A shell's history is deleted, linked to nothing or switched off. It is the first thing that a person who does
--   not want to be followed does. The environment shows it too: once a session has exported HISTFILE as /dev/null,
--   everything started from it carries that. `history -c` and `unset` at a prompt happen inside the shell and cannot
--   be seen.
-- @tags: attack.defense-evasion, attack.t1070.003, attack.t1562.003
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Accounts whose history is switched off by policy
--   - Images that set HISTFILE for every shell
-- @references:
--   - https://attack.mitre.org/techniques/T1070/003/
--   - https://attack.mitre.org/techniques/T1562/003/
-- @dedup: session_id, user_name for 1h
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id,
    session_id
FROM processes
WHERE name IN ('rm', 'unlink', 'shred', 'srm', 'wipe', 'truncate', 'ln', 'cp', 'tee', 'dd', 'sed')
        AND argv REGEXP '(^|/|"|=)\.((ba|z|k|a)?sh|fish|mysql|psql|python|node_repl|sqlite)_history"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '\bunset\s+HIST(FILE|SIZE)|\bHISTFILE=(/dev/null|["'']{2}|\s|;|$)|\bHIST(FILE)?SIZE=0|\bset\s+\+o\s+history|(^|[\s;&|(])history\s+-[a-z]?c(\s|;|&|$)|>\|?\s*["'']?\S*\.(ba|z|k|a)?sh_history'
   OR (terminal IS NOT NULL OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox'))
        AND environment_vars REGEXP '"HISTFILE":"(/dev/null)?"|"HIST(FILE)?SIZE":"0"'
