-- @id: 107259d6-4a40-464e-8352-bb0499252e02
-- @title: {name} (pid {pid}) reads password hashes: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A general tool was given the file of password hashes, or a cracker runs. Logins and password changes read the
--   file through their own programs and never name it in an argument. Copies below another root count as well. Short
--   reads are missed between snapshots; pagers, crackers and transfers are not.
-- @tags: attack.credential-access, attack.t1003.008
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Compliance scanners that grep the file
--   - Backups that name /etc/shadow by itself
-- @references:
--   - https://attack.mitre.org/techniques/T1003/008/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('cat', 'less', 'more', 'head', 'tail', 'tac', 'cp', 'mv', 'scp', 'rsync', 'tar',
               'zip', '7z', 'gzip', 'base64', 'base32', 'xxd', 'od', 'hexdump', 'strings', 'dd',
               'curl', 'nc', 'ncat', 'netcat', 'socat', 'grep', 'egrep', 'awk', 'gawk', 'mawk',
               'sed', 'cut', 'sort', 'vi', 'vim', 'nvim', 'nano', 'openssl', 'gpg', 'diff', 'perl',
               'python', 'python3', 'ruby', 'php')
        AND argv REGEXP '/etc/[./]*(g?shadow|security/opasswd)-?("|[ '',;)\\])'
   OR name IN ('john', 'hashcat', 'hashcat.bin', 'unshadow')
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '<\s*["'']?/etc/[./]*g?shadow\b|\$\(<\s*/etc/shadow'
