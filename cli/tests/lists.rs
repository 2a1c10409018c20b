//! `list('name')`: files beside the rules, as every command knows them.

mod common;

use std::fs;

use common::{code, err, lines, out, path, rule, run};
use tempfile::TempDir;

const SQL: &str = "SELECT proc_id, name FROM processes WHERE name IN (SELECT value FROM list('web_servers'))";

/// A folder of rules with one list, and records that stand in for the processes.
fn folder() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("rules/lists")).unwrap();
    fs::create_dir_all(dir.path().join("rules/execution")).unwrap();
    fs::write(dir.path().join("rules/execution/web.sql"), rule(1, "{name}", "high", SQL)).unwrap();
    fs::write(dir.path().join("rules/lists/web_servers.txt"), "# those of this site\nnginx\n\nhttpd\n").unwrap();
    let records = "{\"pid\":1,\"name\":\"nginx\"}\n{\"pid\":2,\"name\":\"sh\"}\n{\"pid\":3,\"name\":\"httpd\"}\n";
    fs::write(dir.path().join("p.jsonl"), records).unwrap();
    let table = format!("processes={}/p.jsonl", path(&dir));
    (dir, table)
}

fn revision(dir: &TempDir) -> String {
    let rules = format!("{}/rules", path(dir));
    let shown = run(&["rules", "show", "-o", "ndjson", "--rules", &rules, "web"]);
    lines(&shown)[0]["revision"].as_str().unwrap().to_owned()
}

#[test]
fn a_rule_looks_names_up_in_a_list() {
    let (dir, table) = folder();
    for rules in ["rules", "rules/execution", "rules/execution/web.sql"] {
        let rules = format!("{}/{rules}", path(&dir));
        let hunt = run(&["hunt", "-o", "ndjson", "--rules", &rules, "--table", &table]);
        let titles: Vec<_> = lines(&hunt).iter().map(|it| it["title"].clone()).collect();
        assert_eq!(titles, ["nginx", "httpd"], "{}", err(&hunt));
        assert_eq!(code(&run(&["lint", &rules])), 0);
    }
    let rules = format!("{}/rules", path(&dir));
    let explain = run(&["explain", "-o", "ndjson", "--rules", &rules, "web"]);
    assert_eq!(lines(&explain)[0]["tables"], serde_json::json!(["processes", "list('web_servers')"]));
    assert_eq!(lines(&explain)[0]["incremental"], true, "{}", out(&explain));
}

#[test]
fn a_statement_knows_the_lists_beside_the_rules() {
    let (dir, table) = folder();
    let ask = |sql: &str| {
        let mut program = common::program();
        program.current_dir(dir.path()).args(["query", "-o", "ndjson", "--table", &table, sql]).output().unwrap()
    };
    let values = ask("SELECT l.value FROM list('web_servers') AS l WHERE l.value LIKE 'N%'");
    assert_eq!(out(&values), "{\"value\":\"nginx\"}\n", "{}", err(&values));
    let upper =
        ask("SELECT pid FROM processes WHERE upper(name) COLLATE NOCASE IN (SELECT value FROM list('web_servers'))");
    assert_eq!(out(&upper), "{\"pid\":1}\n{\"pid\":3}\n", "{}", err(&upper));
    let others = ask("SELECT name FROM processes EXCEPT SELECT value FROM LIST('web_servers')");
    assert_eq!(out(&others), "{\"name\":\"sh\"}\n", "{}", err(&others));
}

#[test]
fn the_revision_changes_with_the_values_alone() {
    let (dir, _) = folder();
    let list = dir.path().join("rules/lists/web_servers.txt");
    let before = revision(&dir);
    fs::write(&list, "httpd\nnginx\n# another comment\n").unwrap();
    assert_eq!(revision(&dir), before, "the same values");
    fs::write(&list, "httpd\nnginx\ncaddy\n").unwrap();
    assert_ne!(revision(&dir), before);
}

#[test]
fn what_is_wrong_with_a_list_is_said_where_it_is_asked_for() {
    let (dir, table) = folder();
    let rules = format!("{}/rules", path(&dir));
    let file = dir.path().join("rules/execution/web.sql");
    let write = |sql: &str| fs::write(&file, rule(1, "{name}", "high", sql)).unwrap();
    let lint = || run(&["lint", &rules]);

    write(&SQL.replace("web_servers", "web_server"));
    assert!(out(&lint()).contains("error[DE219]: unknown list `web_server`"), "{}", out(&lint()));
    assert!(out(&lint()).contains("did you mean `web_servers`?"), "{}", out(&lint()));
    write(&SQL.replace("web_servers", "databases"));
    assert!(out(&lint()).contains("to lists/databases.txt beside the rules"), "{}", out(&lint()));
    write(&SQL.replace("'web_servers'", "name"));
    assert!(out(&lint()).contains("error[DE205]: `list` takes one name in quotes"), "{}", out(&lint()));

    write(SQL);
    fs::write(dir.path().join("rules/lists/web_servers.txt"), b"\xff").unwrap();
    let refused = lint();
    assert!(out(&refused).contains("the list `web_servers` cannot be used: no UTF-8 text"), "{}", out(&refused));
    assert!(err(&refused).contains("web_servers.txt") && code(&refused) == 2, "{}", err(&refused));
    let hunt = run(&["hunt", "--rules", &rules, "--table", &table]);
    assert!(code(&hunt) == 2 && err(&hunt).contains("DE219"), "{}", err(&hunt));
}
