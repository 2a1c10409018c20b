-- @id: ce3a71a1-7b0a-44d7-8c01-8a656f4b4ea8
-- @title: {name} (pid {pid}) changes what shells do at start: {command_line}
-- @level: low
-- @status: test
-- @description:
--   A command writes to a file that shells read when they start, a user's or the system's. What is put there runs
--   with every login of that user. A user's editor on files of their own is left out; root editing a file in
--   somebody's home is not.
-- @tags: attack.persistence, attack.t1546.004, attack.privilege-escalation
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Installers of language tools, which append to PATH
--   - Dotfile managers and provisioning
-- @references:
--   - https://attack.mitre.org/techniques/T1546/004/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('tee', 'dd')
        AND argv REGEXP '/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc)"|"(of=)?/etc/(profile|bash\.bashrc|bashrc|zsh)'
   OR name IN ('cp', 'mv', 'install', 'ln')
        AND argv REGEXP '(/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc)|,"/etc/(profile|bash\.bashrc|bashrc|zsh)[^"]*)"\]$'
   OR name IN ('sed', 'perl')
        AND argv REGEXP ',"(-[a-zA-Z]*i|--in-place)'
        AND argv REGEXP '/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc)"|"/etc/(profile|bash\.bashrc|bashrc|zsh)'
   OR user_id = 0
        AND name IN ('vi', 'vim', 'nvim', 'nano', 'emacs')
        AND argv REGEXP '"/home/[^"]*/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc)"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?(\S*/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc)\b|/etc/(profile|bash\.bashrc|bashrc|zsh))'
