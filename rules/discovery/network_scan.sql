-- @id: c02409c4-e12e-4d12-8522-0d04835a4945
-- @title: {name} (pid {pid}) scans the network: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A scanner runs, or netcat walks through a range of ports. From a server this is how an intruder finds where to
--   go next. Scans run for seconds to hours, so snapshots see them; scanners that are built into other tools go by
--   other names.
-- @tags: attack.discovery, attack.t1046, attack.t1018
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Monitoring with nmap, and administrators who look for an open port
-- @references:
--   - https://attack.mitre.org/techniques/T1046/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('nmap', 'masscan', 'zmap', 'rustscan', 'naabu', 'fscan', 'unicornscan', 'arp-scan',
               'netdiscover', 'nbtscan', 'pnscan')
        AND argv NOT REGEXP ',"(-h|--help|-V|--version)"'
   OR name IN ('nc', 'ncat', 'netcat')
        AND argv REGEXP ',"-[a-zA-Z]*z'
        AND argv REGEXP ',"[0-9]+-[0-9]+"'
   OR name = 'fping' AND argv REGEXP ',"(-[a-zA-Z]*g|--generate)"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '\bfor\b.*\bin\b.*/dev/tcp/'
