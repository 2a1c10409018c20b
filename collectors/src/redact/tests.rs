//! What is found and what is left alone.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

fn redactor() -> &'static Redactor {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::with_host_id(b"a host"));
    &REDACTOR
}

fn area(arguments: &[&str]) -> Vec<u8> {
    arguments.iter().flat_map(|argument| [argument.as_bytes(), b"\0"].concat()).collect()
}

/// The text with `‹secret›` for each token.
fn masked(redacted: &[u8]) -> String {
    let text = String::from_utf8(redacted.to_vec()).unwrap();
    let mut parts = text.split("[redacted:");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push('#');
        out.push_str(&part[9..]);
    }
    out.trim_end_matches('\0').replace('\0', "\u{1f}")
}

/// Arguments are parted by `␟` here, so that a blank is one within an argument.
fn arguments(text: &str) -> String {
    let arguments: Vec<_> = text.split('\u{1f}').collect();
    masked(&redactor().arguments(&area(&arguments)))
}

/// As typed at a prompt without quotes.
fn typed(text: &str) -> String {
    arguments(&text.replace(' ', "\u{1f}")).replace('\u{1f}', " ")
}

fn environment(text: &str) -> String {
    masked(&redactor().environment(&area(&[text])))
}

#[test]
fn secrets_of_flags_and_programs() {
    for (given, expected) in [
        ("x --password hunter2 y", "x --password # y"),
        ("x --password=hunter2,&=b y", "x --password=# y"),
        ("x --db-password hunter2 -password hunter2", "x --db-password # -password #"),
        ("x --pass a --pwd b --passwd c --token d", "x --pass # --pwd # --passwd # --token #"),
        ("x --Api-Key=a --apikey b --clientSecret c", "x --Api-Key=# --apikey # --clientSecret #"),
        ("java -Djavax.net.ssl.keyStorePassword=p -jar a.jar", "java -Djavax.net.ssl.keyStorePassword=# -jar a.jar"),
        ("mysql -u root -phunter2 db", "mysql -u root -p# db"),
        ("sudo /usr/bin/mysqldump -phunter2 db", "sudo /usr/bin/mysqldump -p# db"),
        ("sshpass -p hunter2 ssh -p 22 host", "sshpass -p # ssh -p 22 host"),
        ("sshpass -phunter2 mysql -px", "sshpass -p# mysql -p#"),
        ("redis-cli -a hunter2 ping", "redis-cli -a # ping"),
        ("curl -u me:hunter2 https://x/", "curl -u me:# https://x/"),
        ("curl -sSu me:hunter2 --proxy-user a:b x", "curl -sSu me:# --proxy-user a:# x"),
        ("mongosh -u me -p hunter2 x", "mongosh -u me -p # x"),
        ("docker login -u me -p hunter2 r.io", "docker login -u me -p # r.io"),
        ("ldapsearch -D cn=x -w hunter2 -b y", "ldapsearch -D cn=x -w # -b y"),
        ("smbclient //h/s -U me%hunter2", "smbclient //h/s -U me%#"),
        ("openssl rsa -passin pass:hunter2 -in k", "openssl rsa -passin pass:# -in k"),
        ("zip -P hunter2 a.zip b", "zip -P # a.zip b"),
        ("7z a -phunter2 x.7z y", "7z a -p# x.7z y"),
        ("env PGPASSWORD=hunter2 psql -p 5432", "env PGPASSWORD=# psql -p 5432"),
        ("docker run -e DB_PASSWORD=x -p 80:80 mysql", "docker run -e DB_PASSWORD=# -p 80:80 mysql"),
        ("docker run --env=DB_PASSWORD=x y", "docker run --env=DB_PASSWORD=# y"),
        ("kubectl exec db -- mysql -uroot -ppw", "kubectl exec db -- mysql -uroot -p#"),
        (
            "mount -t cifs -o username=me,password=mine,uid=1 //h/s",
            "mount -t cifs -o username=me,password=#,uid=1 //h/s",
        ),
        ("git clone https://me:hunter2@h/r.git", "git clone https://me:#@h/r.git"),
        ("x redis://:p@ss@h:6379/0", "x redis://:#@h:6379/0"),
        ("curl https://h/?user=a&access_token=b&c=d", "curl https://h/?user=a&access_token=#&c=d"),
    ] {
        assert_eq!(typed(given), expected);
    }
}

#[test]
fn secrets_inside_of_arguments() {
    for (given, expected) in [
        ("sh\u{1f}-c\u{1f}mysql -u root -p'a b' db", "sh\u{1f}-c\u{1f}mysql -u root -p'#' db"),
        (
            "sh\u{1f}-c\u{1f}cd x; A_TOKEN=\"a b\" y --password z|w",
            "sh\u{1f}-c\u{1f}cd x; A_TOKEN=\"#\" y --password #|w",
        ),
        ("sh\u{1f}-c\u{1f}ssh h \"curl -u a:b c\"", "sh\u{1f}-c\u{1f}ssh h \"curl -u a:# c\""),
        ("curl\u{1f}-H\u{1f}Authorization: Bearer abc", "curl\u{1f}-H\u{1f}Authorization: Bearer #"),
        ("curl\u{1f}-HX-Api-Key: abc\u{1f}x", "curl\u{1f}-HX-Api-Key: #\u{1f}x"),
        ("x\u{1f}{\"user\":\"a\",\"password\": \"b\\\"c\"}", "x\u{1f}{\"user\":\"a\",\"password\": \"#\"}"),
        ("x\u{1f}{\\\"token\\\": \\\"a b\\\"}", "x\u{1f}{\\\"token\\\": \\\"#\\\"}"),
        (r#"x {\"token\": \"a b\"}"#, r##"x {\"token\": \"#\"}"##),
        ("x\u{1f}ghp_0123456789abcdefghijABCDEFGHIJ012345", "x\u{1f}#"),
        ("x\u{1f}xoxb-1234567890-abc", "x\u{1f}#"),
        ("x\u{1f}sk-proj-abcdefghij0123456789ABCD", "x\u{1f}#"),
        ("x\u{1f}eyJhbGciOiJI.eyJzdWIi.c2ln", "x\u{1f}#"),
        (
            "x\u{1f}-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
            "x\u{1f}-----BEGIN RSA PRIVATE KEY-----#-----END RSA PRIVATE KEY-----",
        ),
        ("a title --password hunter2", "a title --password #"),
    ] {
        assert_eq!(arguments(given), expected);
    }
}

#[test]
fn near_misses_stay() {
    for given in [
        "ssh -p 2222 host",
        "mysql -p db",
        "mysql --password db",
        "psql --password db",
        "mkdir -p a/token/b",
        "find / -name passwd",
        "cat /etc/passwd",
        "cp -p secret.txt token",
        "gpg --export-secret-keys me",
        "chromium --password-store=basic",
        "x --password-file /run/p",
        "x --token-ttl=5m --max-tokens 100",
        "x --no-password host",
        "x --password",
        "x --password --user a",
        "x --password=",
        "docker run -p 80:80 login",
        "ansible --private-key ~/.ssh/id",
        "docker build --secret id=npm,src=.npmrc .",
        "x AKIAIOSFODNN7EXAMPLE",
        "curl -u me https://h:8080/a@b",
        "openssl rsa -passin file:/p",
        "x --with-token=true",
        "git -c credential.helper=store",
        "kubectl get secret x",
        "curl http://h/tokens?page=2",
        "ssh://git@h:22/x",
        "sk-learn-some-long-hyphen-name",
        "curl -urllib",
        "passwd root",
        "PWD=/root",
        "docker pull r/api-token:1.2.3",
        "sudo find / -name mysql -print",
        "sshpass -f /p rsync -p a",
    ] {
        assert_eq!(typed(given), given);
    }
    for given in ["sh\u{1f}-c\u{1f}x --password $PW --token=\"${T}\" -H \"$(cat t)\"", "read\u{1f}-p\u{1f}Password: "] {
        assert_eq!(arguments(given), given);
    }
}

#[test]
fn variables() {
    for (given, expected) in [
        ("AWS_SECRET_ACCESS_KEY=a/b", "AWS_SECRET_ACCESS_KEY=#"),
        ("aws_session_token=x", "aws_session_token=#"),
        ("MYSQL_PWD=x", "MYSQL_PWD=#"),
        ("SSHPASS=x", "SSHPASS=#"),
        ("OPENAI_API_KEY=x", "OPENAI_API_KEY=#"),
        ("DATABASE_URL=postgres://u:p@h/d", "DATABASE_URL=postgres://u:#@h/d"),
        ("JAVA_OPTS=-Xmx1g -Ddb.password=x -Da=b", "JAVA_OPTS=-Xmx1g -Ddb.password=# -Da=b"),
        ("SECRET_JSON={\"a\":1}", "SECRET_JSON=#"),
        ("a title --password x", "a title --password #"),
    ] {
        assert_eq!(environment(given), expected);
    }
    for given in [
        "PWD=/root",
        "OLDPWD=/",
        "SSH_AUTH_SOCK=/tmp/ssh-x/agent.1",
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "API_TOKEN=",
        "AWS_WEB_IDENTITY_TOKEN_FILE=/v/t",
        "DB_PASSWORD_FILE=/run/secrets/db",
        "GOOGLE_APPLICATION_CREDENTIALS=/k.json",
        "CREDENTIALS_DIRECTORY=/run/x",
        "XDG_SESSION_ID=1",
        "GIT_ASKPASS=/usr/bin/x",
        "TOKENIZERS_PARALLELISM=false",
        "ALLOW_EMPTY_PASSWORD=yes",
        "PASSWORD_STORE_DIR=/p",
        "KEYTIMEOUT=1",
        "TOKEN",
    ] {
        assert_eq!(environment(given), given);
    }
}

#[test]
fn tokens_are_equal_for_equal_secrets_of_one_host() {
    let token = |redactor: &Redactor, area: &[u8]| redactor.arguments(area).into_owned();
    let (one, other) = (redactor(), Redactor::with_host_id(b"another host"));
    let first = token(one, b"x\0--password\0hunter2\0");
    assert_eq!(first[13..], *b"[redacted:acc7cbaa]\0", "the derivation is part of what is stored");
    assert_eq!(first[13..], token(one, b"y\0--token=hunter2\0")[10..]);
    assert_eq!(first[13..], one.environment(b"A_SECRET=hunter2\0")[9..]);
    assert_ne!(first, token(one, b"x\0--password\0hunter3\0"));
    assert_ne!(first, token(&other, b"x\0--password\0hunter2\0"));
    assert_eq!(first, token(&Redactor::with_host_id(b"a host\n"), b"x\0--password\0hunter2\0"));
}

#[test]
fn more_names_and_none() {
    let more = redactor().clone().also(&["--Door_Code".to_owned()]).unwrap();
    let given = area(&["x", "--door-code", "7", "DOOR.CODE=8"]);
    assert_eq!(masked(&more.arguments(&given)), "x\u{1f}--door-code\u{1f}#\u{1f}DOOR.CODE=#");
    assert_eq!(masked(&more.environment(b"door_code=7\0")), "door_code=#");
    assert_eq!(redactor().arguments(&given), given);
    let given = area(&["x", "--password", "1"]);
    assert_eq!(Redactor::off().also(&["x".to_owned()]).unwrap().arguments(&given), given);
    for wrong in ["", "--", "a b", "a=b", &"x".repeat(65)] {
        assert!(redactor().clone().also(&[wrong.to_owned()]).is_err(), "{wrong}");
    }
    assert!(redactor().clone().also(&vec!["x".to_owned(); 65]).is_err());
}

#[test]
fn hostile_repetition_is_read_in_time() {
    for piece in
        ["token=", "a=", "--password ", "\"", "'", "\\\"", "x://a:", "\"'", "-p\0", "$(", "mysql -p'", "Bearer "]
    {
        let long = piece.repeat((256 << 10) / piece.len());
        let start = std::time::Instant::now();
        for area in [long.clone(), format!("sh\0-c\0 {long}"), format!("mysql password {long}")] {
            let _either = (redactor().arguments(area.as_bytes()), redactor().environment(area.as_bytes()));
        }
        assert!(start.elapsed().as_secs() < 20, "{piece}: {:?}", start.elapsed());
    }
}

fn tricky() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "--password",
        "=",
        " ",
        "\0",
        "'",
        "\"",
        "token",
        "mysql",
        "-p",
        "://",
        ":",
        "@",
        "u",
        "x",
        "$",
        "(",
        ";",
        "&",
        "\\",
        "Authorization: ",
        "Bearer ",
        "curl",
        "-u",
        "[redacted:0123abcd]",
        "[",
        "]",
        "PGPASSWORD=",
        ",",
        "{\"secret\":\"",
        "sk-",
        "abcdefghij0123456789",
        "-----BEGIN PRIVATE KEY-----",
        "-----END",
        "\n",
        "eyJabcdefgh.",
        "é",
    ];
    let piece = prop_oneof![
        9 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn borders_stay_and_growth_is_bounded(area in tricky()) {
        let nuls = |bytes: &[u8]| bytes.split(|byte| *byte == 0).count();
        for redacted in [redactor().arguments(&area), redactor().environment(&area)] {
            prop_assert_eq!(nuls(&redacted), nuls(&area));
            prop_assert!(redacted.len() <= area.len() * TOKEN_LEN);
        }
    }

    #[test]
    fn twice_changes_nothing(area in tricky()) {
        let once = redactor().arguments(&area).into_owned();
        prop_assert_eq!(redactor().arguments(&once).into_owned(), once, "{}", String::from_utf8_lossy(&area));
        let once = redactor().environment(&area).into_owned();
        prop_assert_eq!(redactor().environment(&once).into_owned(), once, "{}", String::from_utf8_lossy(&area));
    }
}
