-- @id: 04055680-7889-4606-9c69-216247107e3c
-- @title: {name} (pid {pid}) destroys data: {command_line}
-- @level: critical
-- @status: test
-- @description:
--   A disk is overwritten or its signatures are removed, or the system's own directories are deleted. Wipers and
--   departing intruders do this, and it takes minutes on a real disk: an alert may come in time to pull the plug.
--   Images written to a stick and new file systems are left out.
-- @tags: attack.impact, attack.t1561.001, attack.t1561.002, attack.t1485
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Disposal of disks
-- @references:
--   - https://attack.mitre.org/techniques/T1561/001/
--   - https://attack.mitre.org/techniques/T1485/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name = 'dd'
        AND argv REGEXP ',"of=/dev/(sd|hd|vd|xvd|nvme|mmcblk|mapper/|dm-|md|disk/)'
        AND argv REGEXP ',"if=/dev/(zero|u?random|null)"'
   OR name IN ('shred', 'wipe', 'srm', 'scrub', 'wipefs', 'blkdiscard')
        AND argv REGEXP ',"/dev/(sd|hd|vd|xvd|nvme|mmcblk|mapper/|dm-|md|disk/)'
        AND (name <> 'wipefs' OR argv REGEXP ',"(-[a-z]*a|--all)')
   OR name = 'hdparm' AND argv LIKE '%"--security-erase%'
   OR name = 'nvme' AND argv REGEXP ',"(format|sanitize)"'
   OR name = 'rm'
        AND argv REGEXP '"--no-preserve-root"|,"/(|bin|boot|etc|home|lib|lib64|opt|sbin|srv|usr|var|root)/?"'
        AND argv REGEXP ',"(-[a-zA-Z]*[rR]|--recursive)'
   OR name IN ('cat', 'cp')
        AND argv REGEXP '"/dev/(zero|u?random)"(,"/dev/(sd|hd|vd|xvd|nvme|mmcblk|mapper/|dm-|md|disk/))'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '(/dev/(zero|u?random)|\byes\b)[^;]*>\s*["'']?/dev/(sd|hd|vd|xvd|nvme|mmcblk|mapper/|dm-|md|disk/)|\brm\s+([^;&|]*\s)?--no-preserve-root'
