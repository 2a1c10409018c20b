//! Random SELECTs around random expressions.

use daemoneye_dsl::types::Type;

use super::generator::{Generator, Sql, sql};
use super::random::Random;
use super::world::World;

/// A statement for both engines.
pub(super) struct Statement {
    pub(super) ours: String,
    pub(super) theirs: String,
    /// The order of the result is total.
    pub(super) ordered: bool,
    pub(super) forms: Vec<&'static str>,
}

/// Every form that statements have here; each must come up.
pub(super) const FORMS: &[&str] = &[
    "no from",
    "one table",
    "inner join",
    "left join",
    "cross join",
    "comma join",
    "three tables",
    "self join",
    "where",
    "star",
    "table star",
    "plain",
    "alias",
    "group by",
    "group by alias",
    "group by number",
    "having",
    "aggregate only",
    "distinct",
    "count *",
    "count",
    "count distinct",
    "sum",
    "avg",
    "min",
    "max",
    "aggregate distinct",
    "filter",
    "order by",
    "order desc",
    "nulls first",
    "nulls last",
    "order expression",
    "limit",
    "offset",
    "limit comma",
];

/// A statement over the tables of `world`; `timed` ones only we understand.
pub(super) fn statement(world: &World, random: &mut Random, timed: bool) -> Statement {
    let mut generator = Generator { random, columns: vec![], forms: vec![], timed, grouped: None };
    let from = from(world, &mut generator);
    let filter = generator.random.percent(60).then(|| {
        generator.forms.push("where");
        generator.boolean(3)
    });
    let mut body = match generator.random.below(10) {
        0..=5 => plain(&mut generator, from.ours.is_empty()),
        _ => grouped(&mut generator),
    };
    body.distinct = body.distinct || generator.random.percent(12);
    if body.distinct {
        generator.forms.push("distinct");
    }
    let tail = tail(&mut generator, &body);
    let select: Sql = if body.distinct { "SELECT DISTINCT " } else { "SELECT " }.into();
    let mut text = sql!("{}{}{}", select, body.items, from);
    if let Some(filter) = filter.filter(|_| !from.ours.is_empty()) {
        text = sql!("{} WHERE {}", text, filter);
    }
    text = sql!("{}{}{}", text, body.group, tail.0);
    Statement { ours: text.ours, theirs: text.theirs, ordered: tail.1, forms: generator.forms }
}

fn from(world: &World, generator: &mut Generator<'_>) -> Sql {
    if generator.random.percent(3) {
        generator.forms.push("no from");
        return "".into();
    }
    let count = [1, 1, 1, 2, 2, 2, 3][generator.random.below(7)];
    let mut from: Sql = " FROM ".into();
    let mut met = Vec::new();
    for at in 0..count {
        let (table, _) = generator.random.pick(&world.tables).clone();
        let alias = if count == 1 { &*table.name } else { ["x", "y", "z"][at] };
        let name = |column: &str| if count == 1 { column.to_owned() } else { format!("{alias}.{column}") };
        generator.columns.extend(table.columns.iter().map(|column| (name(&column.name), column.ty)));
        let named: Sql = if count == 1 { table.name.to_string() } else { format!("{} AS {alias}", table.name) }.into();
        if met.contains(&table.name) {
            generator.forms.push("self join");
        }
        met.push(table.name.clone());
        from = match (at, generator.random.below(10)) {
            (0, _) => sql!("{}{}", from, named),
            (_, 0) => {
                generator.forms.push("comma join");
                sql!("{}, {}", from, named)
            }
            (_, 1) => {
                generator.forms.push("cross join");
                sql!("{} CROSS JOIN {}", from, named)
            }
            (_, 2..=5) => {
                generator.forms.push("left join");
                let on = on(generator);
                sql!("{} LEFT JOIN {} ON {}", from, named, on)
            }
            _ => {
                generator.forms.push("inner join");
                let on = on(generator);
                sql!("{} JOIN {} ON {}", from, named, on)
            }
        };
    }
    generator.forms.push(["one table", "inner join", "three tables"][count - 1]);
    if count == 2 {
        generator.forms.pop();
    }
    from
}

/// Mostly an equality of two columns, with something else beside it.
fn on(generator: &mut Generator<'_>) -> Sql {
    if generator.random.percent(30) {
        return generator.boolean(2);
    }
    let ty = *generator.random.pick(&[Type::Integer, Type::Text, Type::Real, Type::Boolean]);
    let (Some(a), Some(b)) = (generator.column(ty), generator.column(ty)) else { return generator.boolean(1) };
    if generator.random.percent(60) {
        return sql!("{} = {}", a, b);
    }
    let rest = generator.boolean(2);
    sql!("{} = {} AND {}", a, b, rest)
}

struct Body {
    items: Sql,
    /// How many columns, and for each its text where it can be ordered by.
    columns: Vec<Sql>,
    group: Sql,
    distinct: bool,
}

fn plain(generator: &mut Generator<'_>, bare: bool) -> Body {
    let nothing: Sql = "".into();
    if !bare && generator.random.percent(12) {
        let qualified =
            generator.columns.iter().find_map(|(name, _)| name.split_once('.').map(|(alias, _)| alias.to_owned()));
        let whole = generator.columns.iter().map(|(name, _)| Sql::from(name.clone())).collect::<Vec<_>>();
        return match qualified.filter(|_| generator.random.percent(40)) {
            Some(alias) => {
                generator.forms.push("table star");
                let prefix = format!("{alias}.");
                let columns = whole.into_iter().filter(|name| name.ours.starts_with(&prefix)).collect();
                Body { items: format!("{alias}.*").into(), columns, group: nothing, distinct: false }
            }
            None => {
                generator.forms.push("star");
                Body { items: "*".into(), columns: whole, group: nothing, distinct: false }
            }
        };
    }
    generator.forms.push("plain");
    let count = 1 + generator.random.below(3);
    let exprs: Vec<Sql> = (0..count)
        .map(|_| {
            let ty = generator.any_type();
            generator.of(ty, 3)
        })
        .collect();
    Body { items: listed(generator, &exprs), columns: exprs, group: nothing, distinct: false }
}

/// The SELECT list; each column may have an alias.
fn listed(generator: &mut Generator<'_>, exprs: &[Sql]) -> Sql {
    let mut list: Sql = "".into();
    for (at, expr) in exprs.iter().enumerate() {
        let comma: Sql = if at > 0 { ", " } else { "" }.into();
        list = sql!("{}{}{}", list, comma, expr);
        if generator.random.percent(30) {
            generator.forms.push("alias");
            let alias: Sql = format!(" AS c{at}").into();
            list = sql!("{}{}", list, alias);
        }
    }
    list
}

fn grouped(generator: &mut Generator<'_>) -> Body {
    let keys: Vec<(Sql, Type)> = (0..generator.random.below(3))
        .map(|_| {
            let ty = generator.any_type();
            let depth = if generator.random.percent(70) { 0 } else { 2 };
            let plain = if depth == 0 { generator.column(ty) } else { None };
            (plain.unwrap_or_else(|| generator.of(ty, depth)), ty)
        })
        // A constant in GROUP BY is the number of a column, or nothing that tells rows apart.
        .filter(|(key, _)| {
            key.ours.contains(|c: char| c.is_ascii_lowercase()) && !key.ours.starts_with(|c| "'0".contains(c))
        })
        .collect();
    generator.forms.push(if keys.is_empty() { "aggregate only" } else { "group by" });
    let aggregates: Vec<(Sql, Type)> = (0..=generator.random.below(3)).map(|_| aggregate(generator)).collect();
    let mut exprs: Vec<Sql> = keys.iter().map(|(key, _)| key.clone()).collect();
    exprs.extend(aggregates.iter().map(|(aggregate, _)| aggregate.clone()));
    // Sums of REAL differ in the last digit from SQLite's: they are shown, not computed with.
    let exact = aggregates.iter().filter(|(text, ty)| *ty != Type::Real || text.ours.starts_with('m'));
    let values: Vec<_> = keys.iter().chain(exact).cloned().collect();
    generator.grouped = Some(values);
    if generator.random.percent(30) {
        generator.forms.push("aggregate");
        let ty = generator.any_type();
        exprs.push(generator.of(ty, 2));
    }
    let mut items: Sql = "".into();
    let mut group: Sql = "".into();
    for (at, expr) in exprs.iter().enumerate() {
        let comma: Sql = if at > 0 { ", " } else { "" }.into();
        items = sql!("{}{}{}", items, comma, expr);
        if at >= keys.len() {
            continue;
        }
        let word: Sql = if at > 0 { ", " } else { " GROUP BY " }.into();
        let key = match generator.random.below(10) {
            0 | 1 => {
                generator.forms.push("group by alias");
                let alias: Sql = format!("g{at}").into();
                items = sql!("{} AS {}", items, alias);
                alias
            }
            2 | 3 => {
                generator.forms.push("group by number");
                (at + 1).to_string().into()
            }
            _ => expr.clone(),
        };
        group = sql!("{}{}{}", group, word, key);
    }
    if generator.random.percent(30) {
        generator.forms.push("having");
        let having = generator.boolean(2);
        group = sql!("{} HAVING {}", group, having);
    }
    Body { items, columns: exprs, group, distinct: false }
}

fn aggregate(generator: &mut Generator<'_>) -> (Sql, Type) {
    let kind = *generator.random.pick(&["count *", "count", "count distinct", "sum", "avg", "min", "max"]);
    generator.forms.push(kind);
    let ty = match kind {
        "sum" | "avg" => *generator.random.pick(&[Type::Integer, Type::Real, Type::Boolean]),
        _ => generator.any_type(),
    };
    let arg = generator.column(ty).filter(|_| generator.random.percent(80)).unwrap_or_else(|| generator.of(ty, 1));
    let distinct: Sql = if kind == "count distinct" || generator.random.percent(15) && kind != "count *" {
        generator.forms.push("aggregate distinct");
        "DISTINCT ".into()
    } else {
        "".into()
    };
    let name: Sql = kind.split(' ').next().expect("a word").into();
    let call = if kind == "count *" { "count(*)".into() } else { sql!("{}({}{})", name, distinct, arg) };
    let result = match kind {
        "avg" => Type::Real,
        "sum" if ty == Type::Boolean => Type::Integer,
        "sum" | "min" | "max" => ty,
        _ => Type::Integer,
    };
    if generator.random.percent(20) {
        generator.forms.push("filter");
        let filter = generator.boolean(1);
        return (sql!("{} FILTER (WHERE {})", call, filter), result);
    }
    (call, result)
}

/// ORDER BY, always ended by all columns so that the order is total, LIMIT and OFFSET; and whether there is an order.
fn tail(generator: &mut Generator<'_>, body: &Body) -> (Sql, bool) {
    if generator.random.percent(60) {
        return ("".into(), false);
    }
    generator.forms.push("order by");
    let mut order: Sql = " ORDER BY ".into();
    if !body.distinct && generator.random.percent(50) {
        let term = if generator.grouped.is_some() || generator.random.percent(50) {
            generator.random.pick(&body.columns).clone()
        } else {
            let ty = generator.any_type();
            generator.of(ty, 2)
        };
        // A bare number would be the number of a column.
        if term.ours.contains(|c: char| c.is_ascii_lowercase()) && !term.ours.starts_with('0') {
            generator.forms.push("order expression");
            let direction = direction(generator);
            order = sql!("{}{}{}, ", order, term, direction);
        }
    }
    for at in 0..body.columns.len() {
        let (number, comma): (Sql, Sql) = ((at + 1).to_string().into(), if at > 0 { ", " } else { "" }.into());
        let direction = direction(generator);
        order = sql!("{}{}{}{}", order, comma, number, direction);
    }
    if generator.random.percent(50) {
        generator.forms.push("limit");
        let (limit, offset) = (generator.random.below(6), generator.random.below(4));
        let limit: Sql = match generator.random.below(4) {
            0 => {
                generator.forms.push("offset");
                format!(" LIMIT {limit} OFFSET {offset}")
            }
            1 => {
                generator.forms.push("limit comma");
                format!(" LIMIT {offset}, {limit}")
            }
            2 => " LIMIT -1 OFFSET 1".to_owned(),
            _ => format!(" LIMIT {limit}"),
        }
        .into();
        order = sql!("{}{}", order, limit);
    }
    (order, true)
}

fn direction(generator: &mut Generator<'_>) -> Sql {
    let mut text = (*generator.random.pick(&["", " ASC", " DESC"])).to_owned();
    if text == " DESC" {
        generator.forms.push("order desc");
    }
    match generator.random.below(5) {
        0 => {
            generator.forms.push("nulls first");
            text.push_str(" NULLS FIRST");
        }
        1 => {
            generator.forms.push("nulls last");
            text.push_str(" NULLS LAST");
        }
        _ => {}
    }
    text.into()
}
