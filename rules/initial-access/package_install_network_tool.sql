-- @id: 4209fec5-72f9-470b-a26a-e3bcbd8f9e7c
-- @title: {name} (pid {pid}) runs below the package manager {installer}: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A tool that opens connections or sends data runs somewhere below a package manager that is installing. Install
--   scripts of packages that were taken over do this to fetch a second stage or to send away what they found. Plain
--   downloads with curl or wget are left out, because many honest packages make them.
-- @tags: attack.initial-access, attack.t1195.002, attack.execution, attack.t1059.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Packages whose install script looks up names or sends statistics
-- @references:
--   - https://attack.mitre.org/techniques/T1195/002/
-- @dedup: proc_id for 1h
SELECT
    p.proc_id,
    p.pid,
    p.name,
    p.command_line,
    p.user_name,
    a.proc_id      AS installer_id,
    a.name         AS installer,
    a.command_line AS installer_command_line,
    a.depth
FROM processes AS p
JOIN ancestors(p.proc_id) AS a
  ON a.depth <= 8
 AND (   a.name IN ('pip', 'pip3', 'pipx', 'gem', 'bundle', 'composer', 'cpan', 'cpanm', 'dpkg',
                    'rpm', 'apk', 'pacman')
      OR a.name GLOB 'python*' AND a.argv REGEXP '"-m","pip3?","(install|download|wheel)"'
      OR (a.name IN ('npm', 'yarn', 'pnpm', 'bun', 'node', 'MainThread') OR a.name GLOB 'npm *')
           AND a.command_line REGEXP '\b(npm|yarn|pnpm|bun)\S*\s(.*\s)?(install|i|ci|add|update|exec)\b')
WHERE p.name IN ('nc', 'ncat', 'netcat', 'socat', 'telnet', 'dig', 'nslookup')
   OR p.name = 'curl'
        AND p.argv REGEXP ',"(-[aBfgGiIjJklLnNOpqsSvZ0-9#]*[dFT]|--(data|form|json|upload-file))'
   OR p.name = 'wget' AND p.argv REGEXP ',"--(post|body)-'
   OR p.name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND p.command_line REGEXP '/dev/(tcp|udp)/'
