use super::*;
use crate::lints::EXAMPLE_HEADER;

fn source(text: String) -> Source {
    Source { path: "x.sql".to_owned(), text }
}

fn formatted(sql: &str) -> String {
    let text = format(&source(format!("{EXAMPLE_HEADER}{sql}")), &Catalog::builtin()).unwrap();
    text.strip_prefix(EXAMPLE_HEADER).unwrap().to_owned()
}

#[test]
fn short_statements_stay_on_a_line() {
    assert_eq!(formatted("select  proc_id ,pid\nfrom processes ;"), "select proc_id, pid from processes;\n");
}

#[test]
fn signs_calls_and_literals_keep_their_meaning() {
    let sql = "SELECT - -pid, -1 - -2, count (*), 0x1F, x'00', .5, 'a\\', p.*, NOT(a), left (name,1), a->>'$.x', b||'c'\
               ,pid BETWEEN 1 AND 2 FROM processes p WHERE name IN('a') AND name LIKE 'x\\%' ESCAPE '\\'";
    let expected = "\
SELECT
    - -pid,
    -1 - -2,
    count(*),
    0x1F,
    x'00',
    .5,
    'a\\',
    p.*,
    NOT (a),
    left(name, 1),
    a ->> '$.x',
    b || 'c',
    pid BETWEEN 1 AND 2
FROM processes p
WHERE name IN ('a')
  AND name LIKE 'x\\%' ESCAPE '\\'
";
    assert_eq!(formatted(sql), expected);
}

#[test]
fn comments_keep_their_place_and_what_they_allow() {
    let sql = "SELECT c.proc_id, -- the id\n  -- of the parent\n  p.name\nFROM processes c\n\
               JOIN processes p ON p.pid=c.ppid -- lint: allow(DE220) an example\n/* a */ WHERE /* b */ c.pid=1 -- c\n-- d\n";
    let expected = "\
SELECT
    c.proc_id,  -- the id
    -- of the parent
    p.name
FROM processes c
JOIN processes p ON p.pid = c.ppid  -- lint: allow(DE220) an example
/* a */
WHERE /* b */ c.pid = 1  -- c
-- d
";
    assert_eq!(formatted(sql), expected);
}

#[test]
fn annotations_go_into_order_with_the_comments_above_them() {
    let text = "\
-- About the file.
-- @title: t
--@author: nobody
-- Why this id:
-- @id:   00000000-0000-4000-8000-000000000000
-- @status: test
-- @level: low
-- @tags:
--  - attack.execution
--     - attack.t1059
-- @platform:linux
-- @description: A.
--      B
-- The end.

-- of the header
SELECT proc_id FROM processes
";
    let expected = "\
-- About the file.
--@author: nobody
-- Why this id:
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: t
-- @level: low
-- @status: test
-- @description: A.
--   B
-- @tags:
--   - attack.execution
--      - attack.t1059
-- @platform: linux
-- The end.

-- of the header
SELECT proc_id FROM processes
";
    assert_eq!(format(&source(text.to_owned()), &Catalog::builtin()).unwrap(), expected);
}

#[test]
fn an_allowance_that_would_lose_its_line_is_not_moved() {
    // Behind the one line it allows both; broken, it would allow the second alone.
    let sql = "SELECT c.proc_id FROM processes c JOIN processes p ON p.pid = c.ppid \
               JOIN processes q ON q.pid = p.ppid -- lint: allow(DE220) both\n";
    let refused = format(&source(format!("{EXAMPLE_HEADER}{sql}")), &Catalog::builtin()).unwrap_err();
    assert_eq!((refused[0].code, refused.len()), ("DE009", 1));
    assert!(refused[0].message.ends_with("its findings would not be the same"), "{}", refused[0].message);
}

#[test]
fn what_does_not_parse_has_its_error() {
    let refused = |sql: &str| format(&Source::query(sql), &Catalog::builtin()).unwrap_err()[0].code;
    assert_eq!(refused("SELECT pid FROM (processes"), "DE001");
    assert_eq!(refused("SELECT 'a"), "DE001");
    assert_eq!(refused("DELETE FROM processes"), "DE003");
    assert_eq!(refused("-- nothing"), "DE003");
}
