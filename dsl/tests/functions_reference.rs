//! `docs/functions.md` says what the functions are; `UPDATE_GOLDENFILES=1` writes it anew.

use daemoneye_dsl::functions::reference;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads the page and may write it")]
fn the_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/functions.md");
    if std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1") {
        std::fs::write(path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "{path} is not what the functions say: run this test with UPDATE_GOLDENFILES=1");
}
