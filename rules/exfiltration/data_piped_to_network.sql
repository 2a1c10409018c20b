-- @id: 6e8f0497-d4ed-44db-bd5a-c5ba58bdbd74
-- @title: {source_name} feeds {name} (pid {pid}): {command_line}
-- @level: high
-- @status: test
-- @description:
--   A program that packs, dumps or reads data and a bare network tool that connects were started by the same parent
--   within two seconds and run side by side: the two ends of a pipe that leads out of the host. The whole transfer
--   is the window in which it can be seen. Receiving ends, which listen, are left out.
-- @tags: attack.exfiltration, attack.t1048.003
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Administrators who copy a disk or a directory to another machine with netcat
-- @references:
--   - https://attack.mitre.org/techniques/T1048/003/
-- @dedup: proc_id for 1h
SELECT
    net.proc_id,
    net.pid,
    net.name,
    net.command_line,
    net.user_name,
    net.parent_id,
    source.proc_id      AS source_id,
    source.name         AS source_name,
    source.command_line AS source_command_line
FROM processes AS net
JOIN processes AS source ON source.parent_id = net.parent_id AND source.session_id = net.session_id
WHERE net.name IN ('nc', 'ncat', 'netcat', 'socat', 'telnet')
  AND net.argv NOT REGEXP '(?i),"-[a-z]*l|-listen:|,"--listen"|,"-[a-z]*z'
  AND source.name IN ('tar', 'cat', 'gzip', 'bzip2', 'xz', 'zstd', 'zip', 'cpio', 'dd',
                      'mysqldump', 'mariadb-dump', 'pg_dump', 'pg_dumpall', 'base64', 'openssl',
                      'gpg', 'find')
  AND source.start_time >= net.start_time - INTERVAL '2 seconds'
  AND source.start_time <= net.start_time + INTERVAL '2 seconds'
