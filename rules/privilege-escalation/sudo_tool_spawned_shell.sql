-- @id: 734c467b-39ff-4a46-b8ea-9e0cbb18bf5d
-- @title: {tool_name} under {broker_name} opened a root shell (pid {pid})
-- @level: high
-- @status: test
-- @description:
--   A bare root shell descends from a tool that was itself started by sudo, doas or pkexec: an editor, a pager,
--   find, an interpreter. Whoever may run only that tool as root has left it this way. Shells that are told a
--   command with -c, as editors and pagers use them, are left out.
-- @tags: attack.privilege-escalation, attack.t1548.003, attack.execution, attack.t1059.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Administrators who open a shell from an editor that they started with sudo
-- @references:
--   - https://attack.mitre.org/techniques/T1548/003/
-- @dedup: proc_id for 1h
SELECT
    p.proc_id,
    p.pid,
    p.name,
    p.command_line,
    p.user_name,
    tool.proc_id        AS tool_id,
    tool.name           AS tool_name,
    tool.command_line   AS tool_command_line,
    broker.name         AS broker_name,
    broker.command_line AS broker_command_line
FROM processes AS p
JOIN ancestors(p.proc_id) AS tool
  ON tool.depth <= 2
 AND (   tool.name IN ('vi', 'vim', 'nvim', 'vim.basic', 'vim.tiny', 'ex', 'ed', 'nano', 'emacs',
                       'less', 'more', 'man', 'find', 'awk', 'gawk', 'mawk', 'sed', 'tar', 'zip',
                       'git', 'nmap', 'ftp', 'gdb', 'perl', 'ruby', 'lua', 'php', 'node', 'expect',
                       'strace', 'watch', 'xargs', 'tcpdump', 'journalctl', 'systemctl', 'apt',
                       'apt-get', 'pip', 'rsync', 'ssh', 'mysql', 'psql', 'sqlite3')
      OR tool.name GLOB 'python*')
JOIN ancestors(p.proc_id) AS broker
  ON broker.depth = tool.depth + 1
 AND broker.name IN ('sudo', 'doas', 'pkexec')
WHERE p.user_id = 0
  AND p.name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
  AND p.argv REGEXP '^\["[^"]*"(,"-[ilp]+"|,"sh")*\]$'
