-- @id: 967ecca2-587d-4199-8df1-94ab59a4042d
-- @title: {name} (pid {pid}) looks for private keys: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A search for private keys, or a copy of somebody's SSH key or key directory. One key that opens other hosts is
--   worth more to an intruder than root on this one. A search through a whole disk runs for seconds and is seen; a
--   single copy often is not. Public keys are left out.
-- @tags: attack.credential-access, attack.t1552.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Inventories of certificates that search for *.pem
--   - People who move their own keys to a new machine
-- @references:
--   - https://attack.mitre.org/techniques/T1552/004/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('find', 'locate', 'plocate', 'mlocate', 'fd', 'fdfind')
        AND argv REGEXP '\bid_(rsa|dsa|ecdsa|ed25519)\*?"|"\*id_rsa|\*\.(ppk|kdbx|jks|pfx)"'
   OR name IN ('grep', 'egrep', 'rg', 'ag', 'ack') AND argv REGEXP 'PRIVATE.KEY'
   OR name IN ('cat', 'cp', 'tar', 'zip', '7z', 'base64', 'base32', 'xxd', 'od', 'strings', 'curl',
               'nc', 'ncat', 'netcat', 'dd', 'rsync')
        AND (   argv REGEXP '/\.ssh/(id_(rsa|dsa|ecdsa|ed25519)|identity)"'
             OR argv REGEXP '/etc/ssh/ssh_host_\w+_key"'
             OR name IN ('tar', 'zip', '7z', 'cp')
                  AND argv REGEXP '/(home/[^/"]+|root)/\.ssh/?"[,\]]'
                  AND argv NOT REGEXP '^\["[^"]*(cp)".*/\.ssh/?"\]$')
