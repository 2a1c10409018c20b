//! The statements that write: the harness carries them out, asking the engine for every value.

use std::any::TypeId;

use daemoneye_dsl::types::Value;
use sqlparser::ast::{
    Assignment, AssignmentTarget, ColumnOption, CreateTable, CreateView, Delete, Expr, FromTable, IndexColumn, Insert,
    ObjectName, ObjectType, SetExpr, SqliteOnConflict, Statement, TableConstraint, TableFactor, TableObject,
    UnaryOperator, Update, Value as Literal, ValueWithSpan,
};
use sqlparser::dialect::{Dialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::database::{Database, ROW_NUMBER, Row, Stored, StoredColumn, View};
use super::report::Verdict;
use super::value::Affinity;

/// The parser's SQLite with the shifts that it forgot.
#[derive(Debug)]
struct Writing;

impl Dialect for Writing {
    fn dialect(&self) -> TypeId {
        TypeId::of::<SQLiteDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        SQLiteDialect {}.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        SQLiteDialect {}.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        SQLiteDialect {}.is_identifier_part(ch)
    }

    fn supports_in_empty_list(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        SQLiteDialect {}.parse_statement(parser)
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        SQLiteDialect {}.parse_infix(parser, expr, precedence)
    }
}

impl Database {
    /// Carries out a statement that writes. Where that does not succeed, its table is not asked any more.
    pub(super) fn write(&mut self, sql: &str) -> Result<(), String> {
        let done = self.carry_out(sql);
        if let Err(reason) = &done
            && let Some(name) = target(sql)
        {
            self.spoiled.insert(name, reason.clone());
        }
        done
    }

    fn carry_out(&mut self, sql: &str) -> Result<(), String> {
        let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if matches!(first.as_str(), "PRAGMA" | "ANALYZE" | "VACUUM" | "REINDEX" | "") {
            return Ok(());
        }
        let is_trigger = sql.split_whitespace().take(3).any(|word| word.eq_ignore_ascii_case("TRIGGER"));
        if is_trigger {
            return if first == "DROP" { Ok(()) } else { Err("CREATE TRIGGER".to_owned()) };
        }
        let parsed =
            Parser::parse_sql(&Writing, sql).map_err(|_| format!("{first} of a form that it does not read"))?;
        for statement in parsed {
            self.statement(statement, &first)?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: Statement, first: &str) -> Result<(), String> {
        match statement {
            Statement::CreateTable(create) => self.create_table(&create),
            Statement::CreateView(create) => self.create_view(&create),
            Statement::CreateIndex(create) if create.unique && create.predicate.is_none() => {
                let name = plain_name(&create.table_name);
                let table = self.table(&name)?;
                let columns = create.columns.iter().map(|column| indexed(column, table)).collect();
                table.unique.extend::<Option<Vec<usize>>>(columns);
                Ok(())
            }
            Statement::CreateIndex(_) => Ok(()),
            Statement::Drop { object_type, names, .. } => {
                for name in &names {
                    self.drop_object(object_type, &plain_name(name));
                }
                Ok(())
            }
            Statement::Insert(insert) => self.insert(&insert),
            Statement::Update(update) => self.update(&update),
            Statement::Delete(delete) => self.delete(&delete),
            Statement::StartTransaction { .. } => {
                self.begun = Some((self.tables.clone(), self.views.clone()));
                Ok(())
            }
            Statement::Commit { .. } => {
                self.begun = None;
                Ok(())
            }
            Statement::Rollback { .. } => {
                if let Some((tables, views)) = self.begun.take() {
                    (self.tables, self.views) = (tables, views);
                    self.catalog.replace(None);
                }
                Ok(())
            }
            _ => Err(format!("{first} of this kind")),
        }
    }

    fn create_table(&mut self, create: &CreateTable) -> Result<(), String> {
        let name = plain_name(&create.name);
        if self.table(&name).is_ok() {
            return if create.if_not_exists { Ok(()) } else { Err("a table of that name exists".to_owned()) };
        }
        self.spoiled.remove(&name.to_ascii_lowercase());
        let mut table = Stored::new(&name, vec![]);
        for (at, column) in create.columns.iter().enumerate() {
            let affinity = Affinity::of(&column.data_type.to_string());
            let mut default = None;
            for option in &column.options {
                match &option.option {
                    ColumnOption::Default(value) => default = Some(text_of(value)?),
                    ColumnOption::PrimaryKey(_) => {
                        let is_rowid = column.data_type.to_string().eq_ignore_ascii_case("INTEGER");
                        table.rowid = is_rowid.then_some(at);
                        table.unique.push(vec![at]);
                    }
                    ColumnOption::Unique(_) => table.unique.push(vec![at]),
                    ColumnOption::Collation(name) if !plain_name(name).eq_ignore_ascii_case("BINARY") => {
                        return Err("a column with a collation of its own".to_owned());
                    }
                    ColumnOption::Generated { .. } => return Err("a generated column".to_owned()),
                    _ => {}
                }
            }
            table.columns.push(StoredColumn { name: column.name.value.clone(), affinity, default });
        }
        for constraint in &create.constraints {
            let columns = match constraint {
                TableConstraint::PrimaryKey(key) => &key.columns,
                TableConstraint::Unique(unique) => &unique.columns,
                _ => continue,
            };
            let columns: Option<Vec<_>> = columns.iter().map(|column| indexed(column, &table)).collect();
            if let (TableConstraint::PrimaryKey(_), Some([one])) = (constraint, columns.as_deref()) {
                let declared = create.columns[*one].data_type.to_string();
                table.rowid = declared.eq_ignore_ascii_case("INTEGER").then_some(*one);
            }
            table.unique.extend(columns);
        }
        if let Some(query) = &create.query {
            let rows = self.rows(&query.to_string()).map_err(reason)?;
            return self.create_table_as(table, query, rows);
        }
        self.tables.push(table);
        self.changed(&name);
        Ok(())
    }

    fn create_table_as(
        &mut self,
        mut table: Stored,
        query: &sqlparser::ast::Query,
        rows: Vec<Row>,
    ) -> Result<(), String> {
        let SetExpr::Select(select) = &*query.body else { return Err("CREATE TABLE AS of this form".to_owned()) };
        for item in &select.projection {
            let name = match item {
                sqlparser::ast::SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                sqlparser::ast::SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value.clone(),
                _ => return Err("CREATE TABLE AS of this form".to_owned()),
            };
            table.columns.push(StoredColumn { name, affinity: Affinity::Blob, default: None });
        }
        table.rows = rows;
        let name = table.name.clone();
        self.tables.push(table);
        self.changed(&name);
        Ok(())
    }

    fn create_view(&mut self, create: &CreateView) -> Result<(), String> {
        let name = plain_name(&create.name);
        if self.views.iter().any(|view| view.name.eq_ignore_ascii_case(&name)) {
            return if create.if_not_exists { Ok(()) } else { Err("a view of that name exists".to_owned()) };
        }
        let columns: Vec<_> = create.columns.iter().map(|column| column.name.to_string()).collect();
        let head = if columns.is_empty() { name.clone() } else { format!("{name}({})", columns.join(", ")) };
        let sql = safe(create.query.to_string())?;
        self.views.push(View { name, head, sql });
        Ok(())
    }

    fn drop_object(&mut self, kind: ObjectType, name: &str) {
        let other = |known: &str| !known.eq_ignore_ascii_case(name);
        match kind {
            ObjectType::Table => {
                self.tables.retain(|table| other(&table.name));
                self.spoiled.remove(&name.to_ascii_lowercase());
            }
            ObjectType::View => self.views.retain(|view| other(&view.name)),
            _ => {}
        }
        self.catalog.replace(None);
    }

    fn insert(&mut self, insert: &Insert) -> Result<(), String> {
        let TableObject::TableName(name) = &insert.table else { return Err("INSERT of this form".to_owned()) };
        let name = plain_name(name);
        if insert.on.is_some() {
            return Err("INSERT ON CONFLICT".to_owned());
        }
        let source = match &insert.source {
            None => vec![vec![]],
            Some(source) => match &*source.body {
                SetExpr::Values(values) => {
                    values.rows.iter().map(|row| self.values(&row.content)).collect::<Result<_, _>>()?
                }
                _ => self.rows(&safe(source.to_string())?).map_err(reason)?,
            },
        };
        let table = self.table(&name)?;
        let places: Vec<usize> = if insert.columns.is_empty() {
            (0..table.columns.len()).take(source.first().map_or(0, Vec::len)).collect()
        } else {
            let place = |column: &ObjectName| table.column(&plain_name(column));
            insert.columns.iter().map(place).collect::<Option<_>>().ok_or("INSERT into an unknown column")?
        };
        let defaults: Vec<_> = table.columns.iter().map(|column| column.default.clone()).collect();
        let defaults = defaults.into_iter().map(|default| match default {
            Some(text) => self.value(&text),
            None => Ok(Value::Null),
        });
        let defaults = defaults.collect::<Result<Row, _>>()?;
        let conflict = if insert.replace_into { Some(SqliteOnConflict::Replace) } else { insert.or };
        let table = self.table(&name)?;
        for values in source {
            if values.len() != places.len() {
                return Err("INSERT of another number of values".to_owned());
            }
            let mut row = defaults.clone();
            for (place, value) in places.iter().zip(values) {
                row[*place] = value;
            }
            table.put(row, conflict)?;
        }
        table.sort();
        self.changed(&name);
        Ok(())
    }

    fn values(&self, row: &[Expr]) -> Result<Row, String> {
        row.iter().map(|value| constant(value).map_or_else(|| self.value(&text_of(value)?), Ok)).collect()
    }

    /// The value of an expression without a table.
    fn value(&self, expr: &str) -> Result<Value, String> {
        let mut rows = self.rows(&format!("SELECT ({expr})")).map_err(reason)?;
        Ok(rows.swap_remove(0).swap_remove(0))
    }

    fn update(&mut self, update: &Update) -> Result<(), String> {
        let TableFactor::Table { name, alias: None, .. } = &update.table.relation else {
            return Err("UPDATE of this form".to_owned());
        };
        let plain =
            update.from.is_none() && update.or.is_none() && update.limit.is_none() && update.returning.is_none();
        if !plain || !update.table.joins.is_empty() {
            return Err("UPDATE of this form".to_owned());
        }
        let name = plain_name(name);
        let (mut places, mut values) = (Vec::new(), vec![ROW_NUMBER.to_owned()]);
        for Assignment { target, value } in &update.assignments {
            let AssignmentTarget::ColumnName(column) = target else { return Err("UPDATE of this form".to_owned()) };
            let column = plain_name(column);
            places.push(self.table(&name)?.column(&column).ok_or("UPDATE of an unknown column")?);
            values.push(format!("({}) AS value_{}", text_of(value)?, values.len()));
        }
        let sql = format!("SELECT {} FROM {name}{}", values.join(", "), condition(update.selection.as_ref())?);
        let new = self.numbered_rows(&sql, &name).map_err(reason)?;
        let table = self.table(&name)?;
        for values in new {
            let mut values = values.into_iter();
            let row = row_number(values.next());
            // Of two assignments to one column, SQLite carries out the last.
            for (place, value) in places.iter().zip(values) {
                table.rows[row][*place] = table.columns[*place].affinity.store(value);
            }
        }
        table.sort();
        self.changed(&name);
        Ok(())
    }

    fn delete(&mut self, delete: &Delete) -> Result<(), String> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [sqlparser::ast::TableWithJoins { relation: TableFactor::Table { name, alias: None, .. }, joins }] =
            &**from
        else {
            return Err("DELETE of this form".to_owned());
        };
        if !joins.is_empty() || delete.limit.is_some() || delete.using.is_some() || delete.returning.is_some() {
            return Err("DELETE of this form".to_owned());
        }
        let name = plain_name(name);
        let sql = format!("SELECT {ROW_NUMBER} FROM {name}{}", condition(delete.selection.as_ref())?);
        let gone = self.numbered_rows(&sql, &name).map_err(reason)?;
        let gone: std::collections::BTreeSet<usize> =
            gone.into_iter().map(|row| row_number(row.into_iter().next())).collect();
        let table = self.table(&name)?;
        let mut at = 0..;
        table.rows.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
        self.changed(&name);
        Ok(())
    }
}

impl Stored {
    /// One more row, unless a key stands in the way.
    fn put(&mut self, row: Row, conflict: Option<SqliteOnConflict>) -> Result<(), String> {
        let mut row: Row =
            row.into_iter().zip(&self.columns).map(|(value, column)| column.affinity.store(value)).collect();
        if let Some(rowid) = self.rowid
            && row[rowid].is_null()
        {
            let last = self.rows.iter().filter_map(|row| row[rowid].as_integer()).max().unwrap_or(0);
            row[rowid] = Value::Integer(last + 1);
        }
        let same = |other: &Row| {
            self.unique.iter().any(|key| key.iter().all(|at| !row[*at].is_null() && row[*at] == other[*at]))
        };
        match conflict {
            Some(SqliteOnConflict::Replace) => {
                let kept: Vec<bool> = self.rows.iter().map(|other| !same(other)).collect();
                let mut kept = kept.into_iter();
                self.rows.retain(|_| kept.next().unwrap_or(true));
            }
            Some(SqliteOnConflict::Ignore) if self.rows.iter().any(same) => return Ok(()),
            _ if self.rows.iter().any(same) => return Err("INSERT of a key that is there".to_owned()),
            _ => {}
        }
        self.rows.push(row);
        Ok(())
    }

    fn sort(&mut self) {
        if let Some(rowid) = self.rowid {
            self.rows.sort_by_key(|row| row[rowid].as_integer());
        }
    }
}

fn row_number(value: Option<Value>) -> usize {
    let number = value.and_then(|value| value.as_integer()).and_then(|number| usize::try_from(number).ok());
    number.expect("the harness's own column")
}

fn condition(selection: Option<&Expr>) -> Result<String, String> {
    Ok(match selection {
        Some(expr) => format!(" WHERE {}", text_of(expr)?),
        None => String::new(),
    })
}

/// A constant that needs no evaluation.
fn constant(expr: &Expr) -> Option<Value> {
    let literal = |literal: &Literal| match literal {
        Literal::Null => Some(Value::Null),
        Literal::SingleQuotedString(text) => Some(Value::Text(text.clone())),
        Literal::Number(digits, _) => match digits.parse() {
            Ok(integer) => Some(Value::Integer(integer)),
            Err(_) => digits.parse().ok().map(Value::Real),
        },
        Literal::Boolean(value) => Some(Value::Integer(i64::from(*value))),
        _ => None,
    };
    match expr {
        Expr::Value(ValueWithSpan { value, .. }) => literal(value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(expr)? {
            Value::Integer(integer) => integer.checked_neg().map(Value::Integer),
            Value::Real(real) => Some(Value::Real(-real)),
            _ => None,
        },
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Result<String, String> {
    safe(expr.to_string())
}

/// The parser prints `- -1` as a comment.
fn safe(text: String) -> Result<String, String> {
    if text.contains("--") { Err("an expression that cannot be printed".to_owned()) } else { Ok(text) }
}

fn plain_name(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()).unwrap_or_default()
}

fn indexed(column: &IndexColumn, table: &Stored) -> Option<usize> {
    match &column.column.expr {
        Expr::Identifier(name) => table.column(&name.value),
        _ => None,
    }
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Refused(reason) | Verdict::Failed(reason) | Verdict::NotApplicable(reason) => reason,
        Verdict::Passed => "no reason".to_owned(),
    }
}

/// The table or view that a statement writes to.
fn target(sql: &str) -> Option<String> {
    let tokens = Tokenizer::new(&SQLiteDialect {}, sql).tokenize().ok()?;
    let mut words = tokens.into_iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.value.to_ascii_lowercase()),
        _ => None,
    });
    let first = words.next()?;
    let mut words = words.peekable();
    let before: &[&str] = match first.as_str() {
        "create" if words.peek().is_some_and(|word| word == "trigger") => &["on"],
        "create" | "drop" | "alter" => &["table", "view", "on"],
        "insert" | "replace" => &["into"],
        "delete" => &["from"],
        _ => &[],
    };
    if !before.is_empty() {
        words.find(|word| before.contains(&word.as_str()))?;
    }
    words.find(|word| !matches!(word.as_str(), "if" | "not" | "exists" | "or" | "replace" | "ignore" | "abort"))
}
