-- @id: 62d77229-10ad-4bd3-ab57-0ab49fe43a5d
-- @title: {name} (pid {pid}) writes authorised SSH keys: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A command writes to an authorized_keys file. Whoever adds a key there comes back without a password, and
--   changing passwords does not throw them out. These commands are short: a redirect is seen while its shell runs,
--   an editor while it is open.
-- @tags: attack.persistence, attack.t1098.004, attack.privilege-escalation
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - ssh-copy-id, whose remote half appends with cat
--   - Administrators and provisioning tools that add a key
-- @references:
--   - https://attack.mitre.org/techniques/T1098/004/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('tee', 'dd', 'sed', 'ed', 'ex', 'vi', 'vim', 'nvim', 'nano', 'emacs')
        AND argv REGEXP '/authorized_keys2?"|"authorized_keys2?"'
   OR name IN ('cp', 'mv', 'install', 'ln', 'rsync') AND argv REGEXP 'authorized_keys2?"\]$'
   OR name IN ('curl', 'wget')
        AND argv REGEXP '"(-[a-zA-Z]*[oO]|--output(-document)?)(",")?=?[^"]*authorized_keys2?"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?\S*authorized_keys'
