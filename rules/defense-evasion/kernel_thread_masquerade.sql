-- @id: 96350d94-4cd2-432c-beff-5c8eec5c206b
-- @title: pid {pid} of {user_name} calls itself {name} as a kernel thread would
-- @level: high
-- @status: test
-- @description:
--   A process with a program of its own shows a command line in brackets, or has the name of a kernel thread.
--   Process lists print kernel threads in brackets, so it is passed over by eye.
-- @tags: attack.defense-evasion, attack.t1036.004
-- @author: DaemonEye
-- @platform: linux
-- @references:
--   - https://attack.mitre.org/techniques/T1036/004/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE NOT kernel_thread
  AND (   command_line GLOB '[[][a-z]*]*'
       OR name GLOB 'kworker/*'
       OR name IN ('kthreadd', 'kswapd0', 'ksoftirqd/0', 'migration/0', 'rcu_sched', 'khugepaged'))
