-- @id: bb7c927a-5dad-43b0-a442-3d622aa78fb2
-- @title: {name} (pid {pid}) is not the daemon that it claims to be: {executable_path}
-- @level: high
-- @status: test
-- @description:
--   A process has the name of a system daemon and its program lies where no package puts one; or a script
--   interpreter shows a daemon's command line. Both are made to be passed over in a list of processes. Bots in Perl
--   have done the second for decades.
-- @tags: attack.defense-evasion, attack.t1036.005, attack.t1036.011
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Daemons built and run from a home directory by their developers
-- @references:
--   - https://attack.mitre.org/techniques/T1036/005/
--   - https://attack.mitre.org/techniques/T1036/011/
SELECT
    proc_id,
    pid,
    name,
    executable_path,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('sshd', 'systemd', 'systemd-journal', 'systemd-logind', 'systemd-udevd',
               'systemd-resolve', 'cron', 'crond', 'dbus-daemon', 'rsyslogd', 'syslogd', 'auditd',
               'polkitd', 'agetty', 'httpd', 'apache2', 'chronyd', 'ntpd', 'NetworkManager', 'atd',
               'irqbalance', 'acpid', 'avahi-daemon', 'cupsd', 'udevd')
        AND executable_path GLOB '/*'
        AND NOT (   executable_path GLOB '/usr/*'
                 OR executable_path GLOB '/bin/*'
                 OR executable_path GLOB '/sbin/*'
                 OR executable_path GLOB '/lib/*'
                 OR executable_path GLOB '/opt/*'
                 OR executable_path GLOB '/snap/*'
                 OR executable_path GLOB '/nix/store/*'
                 OR executable_path GLOB '/gnu/store/*')
   OR basename(executable_path) REGEXP '^(perl|python|ruby|php|lua|node)[0-9.]*$'
        AND argv REGEXP '^\["\[?(/usr/s?bin/|/usr/local/s?bin/|/s?bin/|/lib/systemd/|/usr/lib/systemd/)?(sshd|httpd|apache2|nginx|crond|cron|rsyslogd|syslogd|klogd|dbus-daemon|systemd|systemd-[a-z]+|udevd|agetty|init|kthreadd|kworker)[\] :"/]'
