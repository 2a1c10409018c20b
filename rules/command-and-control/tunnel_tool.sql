-- @id: 6dde0991-d83b-44f5-a87d-73bd4725180e
-- @title: {name} (pid {pid}) tunnels traffic: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A program whose purpose is to carry other traffic through a firewall or to publish an inner port runs, or socat
--   relays between two network addresses, or DNS names are looked up that are long enough to carry data. Tunnels
--   stay up and are seen; single look-ups are short and mostly missed. A renamed tool is found only where its
--   arguments give it away.
-- @tags: attack.command-and-control, attack.t1572, attack.t1090, attack.t1071.004
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Developers who publish a local port
--   - Tunnels that are the official way in
-- @references:
--   - https://attack.mitre.org/techniques/T1572/
--   - https://attack.mitre.org/techniques/T1090/
--   - https://attack.mitre.org/techniques/T1071/004/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('chisel', 'ngrok', 'frpc', 'gost', 'cloudflared', 'bore', 'rathole', 'pinggy',
               'loclx', 'playit', 'zrok', 'inlets', 'revsocks', 'rpivot', 'microsocks', '3proxy',
               'npc', 'gs-netcat', 'ligolo-agent', 'iodine', 'iodined', 'dnscat', 'dnscat2',
               'dns2tcpc', 'ptunnel', 'ptunnel-ng', 'hans', 'icmptunnel')
   OR argv REGEXP ',"client",.*"R:([^":]*:)?(socks|[0-9]+)'
   OR argv REGEXP ',"tunnel",(.*,)?"--(url|token)'
   OR name GLOB 'socat*'
        AND argv REGEXP '(?i),"(tcp[46]?|udp[46]?|openssl|ssl|sctp)-l(isten)?:'
        AND argv REGEXP '(?i),"(tcp[46]?|udp[46]?|openssl|ssl|socks[45]?[a-z]?|proxy|sctp)(-connect)?:'
   OR name IN ('dig', 'nslookup', 'host', 'drill', 'kdig', 'resolvectl')
        AND argv REGEXP ',"@?[A-Za-z0-9+/=_-]{45,63}\.'
