use super::*;
use crate::lints::{EXAMPLE_HEADER, find};

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
    let lint = find("DE009").unwrap();
    assert!(format(&lint.silent.source(), &Catalog::builtin()).is_ok());
    let refused = format(&lint.fires.source(), &Catalog::builtin()).unwrap_err();
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

#[test]
fn what_is_joined_is_seen_and_what_is_long_is_broken() {
    let sql = "with t as materialized (select proc_id, name from processes where pid between 1 and 2 and name like 'a very long name %'), \
               u as (select 1 as x) select t.proc_id, count(*) filter (where t.name > 'x') as n, \
               case when t.name is null then 'a long text that takes room' when t.name = 'x' then 'another long text' else 'b' end as what \
               from t left join u on u.x = 1 and t.name like '%a%' and t.name not like '%something that is long%' and t.name <> 'y' \
               where t.name = 'a' and t.name in ('a long name of a program', 'another long name of it', 'and one more') \
               or exists (select 1 from ancestors(t.proc_id) as a where a.name = 'cron' and a.pid between 1 and 3 or a.pid = 7) \
               and (t.name = 'some name of a program that is long' or t.name = 'some other name of a program')";
    let expected = "\
with t as materialized (
    select proc_id, name
    from processes
    where pid between 1 and 2
      and name like 'a very long name %'
),
u as (select 1 as x)
select
    t.proc_id,
    count(*) filter (where t.name > 'x') as n,
    case
        when t.name is null then 'a long text that takes room'
        when t.name = 'x' then 'another long text'
        else 'b'
    end as what
from t
left join u
  on u.x = 1
 and t.name like '%a%'
 and t.name not like '%something that is long%'
 and t.name <> 'y'
where t.name = 'a'
        and t.name in ('a long name of a program', 'another long name of it', 'and one more')
   or exists (
       select 1
       from ancestors(t.proc_id) as a
       where a.name = 'cron' and a.pid between 1 and 3
          or a.pid = 7
   )
        and (   t.name = 'some name of a program that is long'
             or t.name = 'some other name of a program')
";
    assert_eq!(formatted(sql), expected);
}
