-- @id: 803f054d-cdc9-4b4b-b354-b0a7e544050b
-- @title: {name} (pid {pid}) looks like a cryptocurrency miner
-- @level: high
-- @status: test
-- @description:
--   The name of a known miner, or a command line that speaks of mining pools.
-- @tags: attack.impact, attack.t1496.001
-- @author: DaemonEye
-- @platform: linux
-- @references:
--   - https://attack.mitre.org/techniques/T1496/001/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name
FROM processes
WHERE name IN ('xmrig', 'xmr-stak', 'minerd', 'cpuminer', 'ccminer', 'ethminer', 't-rex',
               'nbminer', 'kinsing', 'kdevtmpfsi')
   OR command_line REGEXP '(?i)stratum\+(tcp|ssl|tls)://'
   OR command_line LIKE '%--donate-level%'
