-- @id: ed5ad9a2-c419-4b34-9cc2-3dbc45c678bc
-- @title: {name} (pid {pid}) decodes what it runs: {command_line}
-- @level: high
-- @status: test
-- @description:
--   A command decodes text and hands the result straight to an interpreter: base64 piped into a shell, or a
--   one-liner that evaluates what it has just decoded. The encoding keeps the real command out of logs. What is seen
--   is the outer command while it runs; an encoded script that was stored in a file first is not.
-- @tags: attack.execution, attack.t1059.004, attack.t1059.006, attack.defense-evasion, attack.t1140, attack.t1027.010
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Provisioning tools that pass scripts to a machine in base64
--   - Self-extracting installers
-- @references:
--   - https://attack.mitre.org/techniques/T1140/
--   - https://attack.mitre.org/techniques/T1027/010/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND (   command_line REGEXP '\b(base(64|32)\s([^|;]*\s)?(-\w*[dD]|--d)|openssl\s(enc|base64)\s([^|;]*\s)?-d|xxd\s([^|;]*\s)?-\w*r|uudecode\b)[^;]*\|\s*((sudo|env|nohup|exec)\s+)*(\S*/)?((ba|da|z|k|a)?sh|python[0-9.]*|perl|ruby|php|node)\b'
             OR command_line REGEXP '\b(eval|source|(ba|da|z|k|a)?sh(\s+-\w+)*)\s+["'']?(\$\(|`|<\()[^)`]*\b(base(64|32)\s([^|;)`]*\s)?(-\w*[dD]|--d)|xxd\s+-\w*r|openssl\s(enc|base64)\s)')
   OR name GLOB 'python*'
        AND argv REGEXP ',"-[a-zA-Z]*c'
        AND command_line REGEXP '\b(exec|eval)\s*\('
        AND command_line REGEXP 'b64decode|b32decode|a85decode|fromhex|unhexlify|decompress|marshal\.loads|codecs\.decode'
   OR name = 'perl'
        AND argv REGEXP ',"-[a-zA-Z]*[eE]'
        AND command_line REGEXP '\beval\b'
        AND command_line REGEXP 'decode_base64|\b(un)?pack\b'
   OR name GLOB 'php*'
        AND argv REGEXP ',"-r'
        AND command_line REGEXP '(?i)\b(eval|assert)\s*\('
        AND command_line REGEXP '(?i)base64_decode|gzinflate|gzuncompress|hex2bin|str_rot13'
   OR name = 'ruby'
        AND argv REGEXP ',"-[a-zA-Z]*e'
        AND command_line REGEXP '\beval\b'
        AND command_line REGEXP '\bunpack1?\b|decode64'
   OR name IN ('node', 'nodejs', 'MainThread')
        AND argv REGEXP ',"(-e|-p|-pe|--eval|--print)'
        AND command_line REGEXP '\b(eval|Function)\s*\('
        AND command_line REGEXP 'base64|hex|\batob\b'
