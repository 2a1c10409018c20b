-- @id: 94b74d49-7673-4d93-ad88-e5af294f3d56
-- @title: {name} (pid {pid}) changes the list of preloaded libraries: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A command writes to, edits or links /etc/ld.so.preload. Every program that starts afterwards loads the libraries
--   named there, which is how user-space rootkits hide files and processes. Hardly anything legitimate uses the
--   file. A program that opens it by itself, without naming it in its arguments, is not seen.
-- @tags: attack.persistence, attack.t1574.006, attack.privilege-escalation, attack.defense-evasion
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Memory allocators or sandboxes that are installed for the whole system
-- @references:
--   - https://attack.mitre.org/techniques/T1574/006/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE (   name IN ('tee', 'dd', 'cp', 'mv', 'install', 'ln', 'rsync', 'sed', 'ed', 'ex', 'vi',
                   'vim', 'nvim', 'nano', 'emacs', 'curl', 'wget', 'chattr', 'perl', 'ruby')
       OR name GLOB 'python*')
        AND argv LIKE '%ld.so.preload%'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?\S*ld\.so\.preload'
