-- @id: 9a0ce6b3-9fce-4d8f-94dd-b0e0dc339473
-- @title: {name} (pid {pid}) sends a file away: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A download tool is used the other way round with a file from a private or temporary place, something is sent to
--   a service for passing on files, pastes or chat messages, or a sync tool copies such a place to a cloud. That is
--   how data leaves without special tools. Small files are gone in a second; large ones are seen.
-- @tags: attack.exfiltration, attack.t1567, attack.t1567.002, attack.t1048
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Uploads of build results and reports
--   - Alerts that scripts send to chat services
--   - Backups with rclone
-- @references:
--   - https://attack.mitre.org/techniques/T1567/
--   - https://attack.mitre.org/techniques/T1048/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name = 'curl'
        AND argv REGEXP ',"(-[aBfgGiIjJklLnNOpqsSvZ0-9#]*T|--upload-file)(",")?=?(/tmp|/var/(tmp|www|lib|backups)|/dev/shm|/etc|/root|/home)/|"[^"]*@(/tmp|/var/(tmp|www|lib|backups)|/dev/shm|/etc|/root|/home)/'
        AND argv NOT REGEXP '"(https?://)?(localhost|127\.0\.0\.1|\[::1\])[:/"]'
   OR name = 'wget' AND argv REGEXP ',"--(post|body)-file'
   OR name IN ('curl', 'wget', 'http', 'nc', 'ncat', 'netcat')
        AND argv REGEXP '(?i)\b(transfer\.sh|file\.io|0x0\.st|bashupload\.com|temp\.sh|oshi\.at|gofile\.io|anonfiles?\.com|catbox\.moe|termbin\.com|ix\.io|api\.telegram\.org|discord(app)?\.com/api/webhooks|pastebin\.com/api)\b'
        AND (   name IN ('nc', 'ncat', 'netcat')
             OR argv REGEXP ',"(-[a-zA-Z#]*[dFT]|--(data|form|json|upload-file|post|body))')
   OR name IN ('rclone', 'mega-put', 'megaput', 'gdrive', 's3cmd', 'aws', 'gsutil', 'azcopy')
        AND argv REGEXP ',"(copy|copyto|sync|move|put|upload|cp|rsync)"'
        AND argv REGEXP ',"(/|/etc|/root|/home|/var/(www|lib|backups)|/tmp|/dev/shm)(/[^"]*)?","[^"]*:'
   OR name = 'rclone' AND argv REGEXP ',"--config(",")?=?(/tmp|/var/tmp|/dev/shm)/'
