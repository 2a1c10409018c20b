-- @id: 19f26385-5dd8-4366-a912-cf18191590c8
-- @title: {name} (pid {pid}) joins a connection to a shell: {command_line}
-- @level: critical
-- @status: test
-- @description:
--   An interpreter other than a shell is told to open a connection and to run commands, or a pipeline joins a shell
--   to telnet, OpenSSL or a named pipe. The same as reverse_shell, by the ways that are taken where bash and netcat
--   are missing. The connection lives as long as the intruder stays, so snapshots see it; code that is read from a
--   file is not in the arguments and not seen.
-- @tags: attack.command-and-control, attack.t1095, attack.execution, attack.t1059.004, attack.t1059.006
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - One-liners that test a connection and start a program
-- @references:
--   - https://attack.mitre.org/techniques/T1095/
--   - https://attack.mitre.org/techniques/T1059/006/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name GLOB 'python*'
        AND argv REGEXP ',"-[a-zA-Z]*c'
        AND command_line REGEXP '\bsocket\b|\bpwn\b'
        AND command_line REGEXP 'dup2|pty\.spawn|subprocess|os\.(system|popen|exec)|Popen'
   OR name GLOB 'ruby*'
        AND command_line REGEXP 'TCPSocket|rsocket|Socket\.tcp'
        AND command_line REGEXP '\b(exec|system|spawn|popen)\b|\bsh\b'
   OR name GLOB 'php*'
        AND command_line REGEXP '(?i)fsockopen|socket_create|stream_socket_client'
        AND command_line REGEXP '(?i)\b(exec|shell_exec|system|passthru|proc_open|popen)\b|`'
   OR name GLOB 'perl*'
        AND command_line REGEXP 'IO::Socket|use\s+Socket|-MSocket|-MIO'
        AND command_line REGEXP '\b(exec|system|open|fdopen)\b|`'
   OR name GLOB 'lua*'
        AND command_line REGEXP '\bsocket\b'
        AND command_line REGEXP 'os\.execute|io\.popen'
   OR name IN ('node', 'nodejs', 'MainThread', 'deno', 'bun')
        AND command_line REGEXP '\bnet\b|\btls\b|Deno\.connect'
        AND command_line REGEXP 'child_process|Deno\.(run|Command)'
        AND command_line REGEXP 'connect|Socket'
   OR name IN ('awk', 'gawk') AND command_line REGEXP '/inet[46]?/(tcp|udp)/'
   OR name GLOB 'tclsh*' AND command_line REGEXP '\bsocket\b.*\bexec\b'
   OR name IN ('xterm', 'Xnest') AND argv REGEXP ',"-display(",")?=?[^":]+:[0-9]'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND (   command_line REGEXP '\b(openssl\s+s_client|telnet|ncat|nc|netcat)\b[^;]*\|\s*(\S*/)?(ba|da|z|k|a)?sh\b[^;]*\|\s*(\S*/)?(openssl\s+s_client|telnet|ncat|nc|netcat)\b'
             OR command_line REGEXP '\b(mkfifo|mknod)\s.*\b(ba|da|z|k|a)?sh(\s+-\w+)*\s.*\|\s*(\S*/)?(openssl\s+s_client|telnet|ncat|nc|netcat|socat)\b'
             OR command_line REGEXP '\bzmodload\s+zsh/net/tcp|\bztcp\s')
