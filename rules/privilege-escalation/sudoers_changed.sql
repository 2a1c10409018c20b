-- @id: 8b33ad19-b51c-4c49-a618-8eb8db555d55
-- @title: {name} (pid {pid}) extends who may become root: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A command writes sudo's rules other than through visudo, or puts an account into a group that amounts to root.
--   Either lets an ordinary account become root later, without an exploit and without a trace in between.
-- @tags: attack.privilege-escalation, attack.t1548.003, attack.t1098.007, attack.persistence, attack.defense-evasion
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Provisioning that sets up administrators
--   - Developers who add themselves to the docker group
-- @references:
--   - https://attack.mitre.org/techniques/T1548/003/
--   - https://attack.mitre.org/techniques/T1098/007/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('tee', 'dd') AND argv REGEXP ',"(of=)?/etc/(sudoers|doas\.conf)'
   OR name IN ('cp', 'mv', 'install') AND argv REGEXP ',"/etc/(sudoers|doas\.conf)[^"]*"\]$'
   OR name IN ('sed', 'perl', 'vi', 'vim', 'nvim', 'nano', 'emacs')
        AND argv REGEXP ',"/etc/(sudoers"|sudoers\.d/[^"]*"|doas\.conf")'
   OR name IN ('usermod', 'useradd', 'adduser', 'gpasswd')
        AND argv REGEXP '"([^",]*,)*(sudo|wheel|root|docker|lxd|disk|shadow)(,[^"]*)?"'
        AND (name <> 'useradd' OR argv REGEXP ',"(-[a-zA-Z]*G|--groups)')
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?/etc/(sudoers|doas\.conf)'
