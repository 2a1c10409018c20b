//! `completions` and `man`: what packages ship beside the program.

mod common;

use std::fs;

use common::{code, err, out, path, run};

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert_eq!(code(&script), 0, "{}", err(&script));
        for word in ["daemoneye-cli", "explain", "alerts", "allow-degraded"] {
            assert!(out(&script).contains(word), "{shell}: {word}");
        }
    }
    let unknown = run(&["completions", "tcsh"]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("bash"), "{}", err(&unknown));
}

#[test]
fn the_manual_is_printed_or_written_one_page_a_command() {
    let page = run(&["man"]);
    assert_eq!(code(&page), 0, "{}", err(&page));
    assert!(out(&page).contains(".TH daemoneye") && out(&page).contains("Exit codes"), "{}", out(&page));
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("man1");
    let written = run(&["man", into.to_str().unwrap()]);
    assert_eq!((code(&written), out(&written)), (0, ""), "{}", err(&written));
    let files = fs::read_dir(&into).unwrap().count();
    assert!(err(&written).starts_with(&format!("{files} pages in ")), "{}", err(&written));
    let show = fs::read_to_string(into.join("daemoneye-cli-alerts-show.1")).unwrap();
    assert!(show.contains("Show one alert") && show.contains("daemoneye\\-cli alerts show"), "{show}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = run(&["man", file.to_str().unwrap()]);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains(path(&dir)) && err(&refused).contains("name another"), "{}", err(&refused));
}
