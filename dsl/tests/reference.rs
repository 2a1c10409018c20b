//! The pages in `docs/` say what the declarations are; `UPDATE_GOLDENFILES=1` writes them anew.

use daemoneye_dsl::reference::PAGES;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads the pages and may write them")]
fn the_pages_are_current() {
    for page in PAGES {
        let path = format!("{}/../docs/{}", env!("CARGO_MANIFEST_DIR"), page.file);
        let text = (page.text)();
        if std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1") {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{path} is not what the declarations say: run `just reference`");
    }
}
