-- @id: e1cfb64f-007c-4385-a0e2-f6a039db72fe
-- @title: {name} (pid {pid}) reaches out of its container: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A command joins the namespaces of the host's first process, writes one of the kernel's call-back files
--   (release_agent, uevent_helper, core_pattern), or, inside a container, mounts the host's disk, changes root to it
--   or makes namespaces of its own. These are the usual ways out of a container with too many rights. nsenter and
--   chroot become the program they start unless they fork, so a short look may miss them.
-- @tags: attack.privilege-escalation, attack.t1611
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Debugging a cluster's node from a privileged pod
--   - Storage drivers that mount disks in a container
--   - Build tools that make containers inside containers
-- @references:
--   - https://attack.mitre.org/techniques/T1611/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id,
    container_id
FROM processes
WHERE name = 'nsenter' AND argv REGEXP ',"(-[a-zA-Z]*t|--target)(",")?=?1"|/proc/1/ns/'
   OR name IN ('tee', 'dd') AND argv REGEXP '/(release_agent|uevent_helper)"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '>\|?\s*["'']?\S*/(release_agent|uevent_helper)\b'
   OR container_id IS NOT NULL
        AND (   name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
                  AND command_line REGEXP '>\|?\s*["'']?\S*/proc/sys/kernel/(core_pattern|modprobe)'
             OR name IN ('tee', 'sysctl') AND argv REGEXP 'kernel[./](core_pattern|modprobe)'
             OR name IN ('mount', 'debugfs')
                  AND argv REGEXP ',"/dev/(sd|vd|xvd|nvme|dm-|mapper/|mmcblk)'
             OR name = 'mount' AND argv REGEXP '"-t(",")?cgroup"'
             OR name = 'unshare'
                  AND argv REGEXP ',"(-[a-zA-Z]*[UrCm]|--(user|map-root-user|cgroup|mount))'
             OR name = 'chroot' AND argv REGEXP ',"/(host|hostfs|rootfs|mnt)(/[^"]*)?"')
