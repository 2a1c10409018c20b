-- @id: bbaaf96d-5d14-4074-b1ea-e48575fba6eb
-- @title: {parent_name} started a shell: {command_line}
-- @level: high
-- @status: test
-- @author: DaemonEye
-- @tags: attack.initial-access, attack.t1190, attack.execution, attack.t1059.004
-- @platform: linux
-- @description:
--   A server that answers requests from the network started a command shell. Web shells and exploited services do
--   this; almost no healthy service does.
-- @falsepositives:
--   - CGI scripts and deployment hooks written in shell
--   - Log rotation hooks that the server runs itself
-- @references:
--   - https://attack.mitre.org/techniques/T1190/
-- @dedup: parent_id for 1h
SELECT
    child.proc_id,
    child.pid,
    child.name,
    child.command_line,
    child.user_name,
    parent.proc_id      AS parent_id,
    parent.name         AS parent_name,
    parent.command_line AS parent_command_line
FROM processes AS child
JOIN processes AS parent ON parent.proc_id = child.parent_id
WHERE child.name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
  AND parent.name IN ('nginx', 'httpd', 'apache2', 'lighttpd', 'caddy', 'php-fpm', 'tomcat', 'mysqld', 'mariadbd',
                      'postgres', 'redis-server', 'mongod', 'named', 'exim4', 'vsftpd')
