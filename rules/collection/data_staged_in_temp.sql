-- @id: f8dea6e9-add6-49c8-8ed0-9a0712e3b3d4
-- @title: {name} (pid {pid}) packs data into a temporary directory: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   An archive of homes, settings, keys or a web root is made in a temporary directory, a database is dumped there,
--   or an archive there is locked with a password. That is how data is made ready to be taken away. Large archives
--   take long enough to be seen.
-- @tags: attack.collection, attack.t1074.001, attack.t1560.001
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Backup scripts that work in /tmp
--   - Bundles of diagnostics for support
-- @references:
--   - https://attack.mitre.org/techniques/T1074/001/
--   - https://attack.mitre.org/techniques/T1560/001/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('tar', 'zip', '7z', '7za', '7zr', 'rar', 'cpio')
        AND argv REGEXP '(,"|=)(/tmp|/var/tmp|/dev/shm)/[^"]*"'
        AND argv REGEXP '"(/etc|/root|/home|/home/[^/"]+|/var/www[^"]*|/var/lib/(mysql|postgresql)[^"]*|[^"]*/\.(ssh|aws|gnupg|kube|mozilla))/?"'
        AND argv NOT REGEXP '^\["[^"]*","-?[a-zA-Z]*x|,"(-x|--extract)"'
   OR name IN ('zip', '7z', '7za', '7zr', 'rar')
        AND argv REGEXP ',"(/tmp|/var/tmp|/dev/shm)/[^"]*"'
        AND argv REGEXP ',"(-[a-z]*P|--password|-e|--encrypt|-hp|-p[^"]+)'
   OR name IN ('mysqldump', 'mariadb-dump', 'pg_dump', 'pg_dumpall', 'mongodump')
        AND argv REGEXP '(,"|=|"-[fro])(/tmp|/var/tmp|/dev/shm)/'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '\b(mysqldump|mariadb-dump|pg_dump|pg_dumpall)\b.*>\s*["'']?(/tmp|/var/tmp|/dev/shm)/'
