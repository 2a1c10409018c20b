-- @id: e5c349fd-3be7-4f9f-b65f-b0f907f41e9a
-- @title: {name} (pid {pid}) takes a store of credentials: {command_line}
-- @level: medium
-- @status: test
-- @description:
--   A copying, packing or sending tool was given a place where programs keep passwords: a browser's logins, a
--   keyring, a password database, cloud and registry credentials, Kerberos tickets or a cluster's service token. The
--   programs that own them open them without naming them to another tool. Copies are short; large ones and transfers
--   are seen.
-- @tags: attack.credential-access, attack.t1555, attack.t1555.003, attack.t1552.001, attack.t1558.005
-- @author: DaemonEye
-- @platform: linux
-- @falsepositives:
--   - Backups that name such a file
--   - People who copy their own settings to a new machine
-- @references:
--   - https://attack.mitre.org/techniques/T1555/
--   - https://attack.mitre.org/techniques/T1552/001/
--   - https://attack.mitre.org/techniques/T1558/005/
SELECT
    proc_id,
    pid,
    name,
    command_line,
    user_name,
    parent_id
FROM processes
WHERE name IN ('cat', 'base64', 'base32', 'xxd', 'od', 'strings', 'tar', 'zip', '7z', 'curl', 'nc',
               'ncat', 'netcat', 'sqlite3', 'dd', 'gpg2john', 'keepass2john', 'keyring2john')
        AND argv REGEXP '(logins\.json|key[34]\.db|cookies\.sqlite|/(Login Data|Cookies|Local State|Web Data)|/keyrings/[^"]*|/kwalletd?/[^"]*|\.kdbx|/\.aws/credentials|/\.docker/config\.json|/\.kube/config|/\.git-credentials|/\.netrc|/\.pgpass|/\.config/gcloud/[^"]*|/\.azure/[^"]*\.json|/krb5cc_[^"]*|\.keytab|/\.gnupg/(private-keys[^"]*|secring\.gpg)|/serviceaccount/token|/system-connections/[^"]*)"'
   OR name IN ('cp', 'mv', 'scp', 'rsync')
        AND argv REGEXP '(logins\.json|key[34]\.db|cookies\.sqlite|/(Login Data|Cookies|Local State|Web Data)|/keyrings/[^"]*|/kwalletd?/[^"]*|\.kdbx|/\.aws/credentials|/\.docker/config\.json|/\.kube/config|/\.git-credentials|/\.netrc|/\.pgpass|/\.config/gcloud/[^"]*|/\.azure/[^"]*\.json|/krb5cc_[^"]*|\.keytab|/\.gnupg/(private-keys[^"]*|secring\.gpg)|/serviceaccount/token|/system-connections/[^"]*)",'
   OR name IN ('sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'busybox')
        AND command_line REGEXP '(<|\$\(cat)\s*["'']?\S*(/\.aws/credentials|/\.git-credentials|/serviceaccount/token|/\.pgpass|krb5cc_)'
