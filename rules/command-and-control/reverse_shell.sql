-- @id: 5272320a-34b2-4ac5-8b53-6932e84bfd86
-- @title: {name} (pid {pid}) looks like a reverse shell: {command_line}
-- @level: critical
-- @status: test
-- @description:
--   A command line ties a shell to a network connection: a shell that opens /dev/tcp, a netcat that executes, a
--   socat or an interpreter that joins a socket and a shell.
-- @tags: attack.execution, attack.t1059.004, attack.command-and-control, attack.t1095
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Port checks in scripts that write to /dev/tcp without a shell at the other end
-- @references:
--   - https://attack.mitre.org/techniques/T1059/004/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE command_line REGEXP '(ba|z|k|da)?sh\b.*-i\b.*[<>]&?\s*/dev/(tcp|udp)/'
   OR name IN ('nc', 'ncat', 'netcat')
        AND command_line REGEXP '\s(-[a-z]*[ec]|--exec|--sh-exec)\s+\S*sh\b'
   OR name = 'socat' AND command_line REGEXP '(?i)\b(exec|system):\S*sh\b'
   OR name GLOB 'python*' AND command_line REGEXP 'socket.*(dup2|pty\.spawn|subprocess)'
   OR name = 'perl' AND command_line REGEXP '(?i)socket.*exec.*sh\b'
