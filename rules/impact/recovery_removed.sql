-- @id: ec00ed15-945b-4eea-9af4-ee4117f0f325
-- @title: {name} (pid {pid}) removes what one could recover from: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   Snapshots, backups or restore points are deleted in a sweep. Extortionists do it just before they encrypt, so
--   that paying remains the only way. Single old snapshots, as rotation removes them, are left out where they can be
--   told apart.
-- @tags: attack.impact, attack.t1490, attack.t1485
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Clearing a pool or a host that is given up
--   - Rotation that deletes recursively
-- @references:
--   - https://attack.mitre.org/techniques/T1490/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('lvremove', 'lvm')
        AND argv REGEXP '"(-[a-z]*[fy]|--force|--yes)"'
        AND argv REGEXP '(?i)snap|backup'
   OR name = 'zfs' AND argv REGEXP ',"destroy"' AND argv REGEXP ',"-[a-z]*[rR]|@[^"]*%'
   OR name = 'btrfs' AND argv REGEXP ',"sub[a-z]*","del[a-z]*"' AND argv REGEXP '(?i)snap[^"]*",'
   OR name = 'timeshift' AND argv REGEXP ',"--delete-all"'
   OR name IN ('virsh', 'vim-cmd') AND argv REGEXP '"snapshot-delete"|"vmsvc/snapshot\.removeall"'
   OR name IN ('borg', 'restic')
        AND argv REGEXP ',"delete"|,"--keep-last(=|",")0"|,"--unsafe-allow-remove-all"'
   OR name IN ('rm', 'shred', 'srm', 'wipe')
        AND argv REGEXP ',"/(var/|mnt/|srv/|opt/|media/)?backups?/?"|,"/(timeshift|\.snapshots)'
        AND (name <> 'rm' OR argv REGEXP ',"(-[a-zA-Z]*[rR]|--recursive)')
