-- @id: 06b59931-b0dd-4218-a437-83e23aac8a77
-- @title: {name} (pid {pid}) looks for ways to become root: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A script or program that is published for one purpose, to list a host's weak spots, was fetched or started. Such
--   scripts run for minutes, so snapshots see them. A renamed copy is not recognised by its name: the bursts of
--   small tools that it starts are what discovery_burst looks for.
-- @tags: attack.discovery, attack.t1082, attack.t1083, attack.t1057
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Penetration tests and audits
-- @references:
--   - https://attack.mitre.org/techniques/T1082/
--   - https://attack.mitre.org/techniques/T1083/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE (   name IN ('curl', 'wget', 'chmod', 'perl', 'sh', 'bash', 'dash', 'zsh', 'ksh', 'ash',
                   'busybox')
       OR name GLOB 'python*')
        AND argv REGEXP '(?i)(^|["/ ])(lin(peas|enum|privchecker)(_\w+)?|linux-(smart-enumeration|exploit-suggester(-2)?)|lse|unix-privesc-check|deepce|cdk_linux_\w+|beroot|mimipenguin|suid3num)(\.(sh|py|pl))?(["; |]|$)'
   OR name IN ('linpeas.sh', 'linpeas', 'LinEnum.sh', 'lse.sh', 'linux-exploit-s', 'les.sh',
               'unix-privesc-ch', 'deepce.sh', 'amicontained', 'traitor', 'kube-hunter')
   OR name GLOB 'pspy*'
   OR name GLOB 'linpeas_*'
