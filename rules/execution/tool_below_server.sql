-- @id: 2b3bd433-e5ff-4860-9161-5969c8904475
-- @title: {name} (pid {pid}) runs below the server {server_name}: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A program for looking around, fetching files or running scripts has a web, application or database server among
--   its ancestors. This is what a web shell, an exploited Java service or SQL that runs programs looks like, and
--   shells in between do not hide it. Most of these tools live for milliseconds: snapshots see those that wait for
--   the network or for input, so one that is seen stands for several.
-- @tags: attack.initial-access, attack.t1190, attack.execution, attack.t1059, attack.persistence, attack.t1505.003
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Health checks and archive hooks that a database server runs as scripts
--   - Web applications that call curl or Python instead of using a library
-- @references:
--   - https://attack.mitre.org/techniques/T1190/
--   - https://attack.mitre.org/techniques/T1505/003/
-- @dedup: server_name, user_name for 1h
SELECT
    p.proc_id,
    p.pid,
    p.name,
    p.command_line,
    p.user_name,
    a.proc_id AS server_id,
    a.name    AS server_name,
    a.depth
FROM processes AS p
JOIN ancestors(p.proc_id) AS a
  ON a.depth <= 8
 AND (   a.name IN ('nginx', 'httpd', 'apache2', 'lighttpd', 'caddy', 'uwsgi', 'gunicorn',
                    'tomcat', 'mysqld', 'mariadbd', 'postgres', 'redis-server', 'mongod', 'oracle',
                    'clickhouse-serv')
      OR a.name GLOB 'php-fpm*'
      OR a.name = 'java'
           AND a.command_line REGEXP '(?i)catalina|tomcat|jboss|wildfly|jetty|weblogic|websphere|glassfish|confluence|solr|activemq|coldfusion')
WHERE p.name IN ('whoami', 'id', 'uname', 'hostname', 'ifconfig', 'netstat', 'ss', 'curl', 'wget',
                 'nc', 'ncat', 'netcat', 'socat', 'telnet', 'base64', 'xxd', 'perl', 'ruby', 'ssh',
                 'scp', 'nmap', 'crontab', 'gcc', 'cc', 'script')
   OR p.name GLOB 'python*'
