-- @id: d728636c-7571-45ee-af00-94ecd223bdad
-- @title: {name} (pid {pid}) switches off a defence: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A command stops, masks or kills what watches or guards the host: audit rules, SELinux or AppArmor, logging, the
--   packet filter, a security agent. What follows is meant not to be seen. The commands are short; systemctl waits
--   for the service to stop and is seen best.
-- @tags: attack.defense-evasion, attack.t1562.001, attack.t1562.012, attack.t1562.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Upgrades that stop and start the service
--   - Scripts that flush the packet filter before they fill it again
-- @references:
--   - https://attack.mitre.org/techniques/T1562/001/
--   - https://attack.mitre.org/techniques/T1562/012/
--   - https://attack.mitre.org/techniques/T1562/004/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name = 'auditctl' AND argv REGEXP ',"-D"|,"-e(",")?0"'
   OR name = 'setenforce' AND argv REGEXP '(?i),"(0|permissive)"'
   OR name IN ('sed', 'perl') AND argv REGEXP '(?i)SELINUX=(disabled|permissive)'
   OR name IN ('systemctl', 'service', 'initctl')
        AND argv REGEXP ',"(stop|disable|mask|kill)"'
        AND argv REGEXP ',"((auditd|apparmor|rsyslogd?|syslog-ng|systemd-journald|fail2ban(-server)?|crowdsec|falco[^"]*|falcon-sensor|osqueryd|wazuh-agent|ossec[^"]*|clamav-daemon|clamd|sysmon|mdatp|cbagentd|elastic-agent|auditbeat|filebeat|splunkd?|SplunkForwarder|ds_agent|sentinelone|daemoneye[^"]*|procmond)(\.service)?|(firewalld|ufw|nftables|iptables)(\.service)?)"'
   OR name IN ('pkill', 'killall')
        AND argv REGEXP ',"(auditd|apparmor|rsyslogd?|syslog-ng|systemd-journald|fail2ban(-server)?|crowdsec|falco[^"]*|falcon-sensor|osqueryd|wazuh-agent|ossec[^"]*|clamav-daemon|clamd|sysmon|mdatp|cbagentd|elastic-agent|auditbeat|filebeat|splunkd?|SplunkForwarder|ds_agent|sentinelone|daemoneye[^"]*|procmond)(\.service)?"'
   OR name IN ('aa-teardown', 'aa-disable')
   OR name = 'ufw' AND argv REGEXP ',"(disable|reset)"'
   OR name IN ('iptables', 'ip6tables')
        AND argv REGEXP '^\["[^"]*"(,"-[wv]+")*(,"(-t|--table)","filter")?,"(-F|--flush)"(,"(INPUT|OUTPUT|FORWARD)")?\]$|,"(-P|--policy)","INPUT","ACCEPT"'
   OR name = 'nft' AND argv REGEXP ',"flush","ruleset"|,"flush ruleset"'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '\bsetenforce\s+(0|[Pp]ermissive)|\bauditctl\s+-D|>\s*/sys/fs/selinux/enforce'
