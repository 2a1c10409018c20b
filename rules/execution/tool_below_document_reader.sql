-- @id: dedc5b45-dcda-4cf2-89fd-8dcc96171e9b
-- @title: {name} (pid {pid}) descends from {ancestor_name}, {depth} generations up
-- @level: medium
-- @status: experimental
-- @description:
--   A network or scripting tool runs somewhere below a program that opens documents from strangers: a browser, a
--   mail reader, an office suite or a viewer. The whole lineage counts, so a shell in between does not hide it.
-- @tags: attack.execution, attack.t1203, attack.t1204.002
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Browser extensions with helpers of their own
-- @references:
--   - https://attack.mitre.org/techniques/T1203/
-- @dedup: proc_id for 1h
SELECT
    p.proc_id,
    p.pid,
    p.name,
    p.command_line,
    p.user_name,
    a.proc_id AS ancestor_id,
    a.name    AS ancestor_name,
    a.depth
FROM processes AS p
JOIN ancestors(p.proc_id) AS a
  ON a.depth <= 6
 AND a.name IN ('soffice.bin', 'libreoffice', 'evince', 'okular', 'atril', 'thunderbird',
                'evolution', 'firefox', 'firefox-esr', 'chrome', 'chromium')
WHERE p.name IN ('nc', 'ncat', 'netcat', 'socat', 'curl', 'wget', 'python3', 'perl', 'ruby',
                 'base64', 'ssh')
