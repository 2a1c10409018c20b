-- @id: c2225a37-5b1a-4ca3-a845-6d2a76c8da95
-- @title: {name} (pid {pid}) opens a way back in: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   SSH forwards a port of the other side to this network, serves as a proxy, or carries a network device. From a
--   server this lets the other side in past the firewall for as long as it runs, which is why snapshots see it.
--   Forwarding of a port of this side (-L) is left out.
-- @tags: attack.command-and-control, attack.t1572, attack.t1090.001
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Administrators and developers who reach an inner network this way
--   - Tunnels that autossh keeps for a purpose
-- @references:
--   - https://attack.mitre.org/techniques/T1572/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('ssh', 'autossh', 'sshpass', 'plink')
  AND (   argv REGEXP ',"-[46AaCfGgKkMNnqsTtVvXxYy]*(R(",")?([^":]*:)?[0-9]+(:[^"]*)?|D(",")?([^":]*:)?[0-9]+|w(",")?(any|[0-9]+)(:(any|[0-9]+))?)"'
       OR argv REGEXP '(?i),"(-o)?(",")?(RemoteForward|DynamicForward|Tunnel=(yes|ethernet|point))')
