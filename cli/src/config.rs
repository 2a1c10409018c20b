//! `config`: what is set, where it is said, and what is wrong with it.

use std::path::PathBuf;

use daemoneye_settings::list::{ALL, Setting};
use daemoneye_settings::{Effective, Files, Flags, Place, Places, Problems, Sources, reference, shown};
use serde_json::{Map, Value, json};

use crate::output::{Format, print, write_json};
use crate::render::{Align, Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, with_exit_codes};

/// Look at the settings: what is in force, what is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(Show),
    Check(Check),
    Path(Paths),
    Schema(Schema),
}

/// Show every setting with its value.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct Show {
    /// Show where each value comes from, too
    #[arg(long)]
    origin: bool,
}

/// Check files of settings and the environment; every finding is shown in one run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct Check {
    /// Check this file alone [default: all that would be read here, and the environment]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Show which files of settings are looked for, the weakest first, and which are there.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct Paths {}

/// Print a JSON Schema of files of settings, for editors.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct Schema {}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli config show --origin
  daemoneye-cli config check /etc/daemoneye/daemoneye.toml
  daemoneye-cli config path -o table
  daemoneye-cli config schema > daemoneye.schema.json";

const NOTHING_FOUND: Ending = Ending::Done { found: false, degraded: false };

pub(crate) fn run(config: &Config, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    match &config.command {
        Command::Show(show) => show.run(globals, screen),
        Command::Check(check) => check.run(globals, screen),
        Command::Path(_) => list_places(globals, screen),
        Command::Schema(_) => print_schema(screen),
    }
}

impl Show {
    fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let effective = match globals.sources().load() {
            Ok(effective) => effective,
            Err(problems) => {
                screen.draw_problems(&problems);
                return Ok(Ending::Refused);
            }
        };
        effective.remarks.iter().for_each(|remark| screen.say(Mark::Warning, remark));
        let form = Format::of_data(globals.output);
        if let Some(form) = form.json() {
            print(screen, |out| write_json(out, form, ALL.iter().map(|setting| to_json(setting, &effective))))?;
            return Ok(NOTHING_FOUND);
        }
        let mut columns = vec![Column::new("setting", Align::Left), Column::new("value", Align::Text)];
        columns.extend(self.origin.then(|| Column::new("origin", Align::Text)));
        let row = |setting: &Setting| {
            let mut cells = vec![Cell::new(setting.name), Cell::new(shown(&effective.value(setting)))];
            cells.extend(self.origin.then(|| Cell::new(effective.origin(setting).to_string())));
            cells
        };
        let table = Table { columns, rows: ALL.iter().map(row).collect(), header: true, indent: 0 };
        let extent = print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole);
        let cut = if extent == Extent::Cut { " · values cut to fit (--full shows them)" } else { "" };
        let settings = count(ALL.len(), "setting", "settings");
        screen.say(Mark::Note, &format!("{settings} · {}{cut}", read_files(&effective)));
        Ok(NOTHING_FOUND)
    }
}

fn to_json(setting: &Setting, effective: &Effective) -> Map<String, Value> {
    let object = json!({
        "setting": setting.name,
        "value": effective.value(setting),
        "origin": effective.origin(setting).to_string(),
        "effect": setting.effect.word(),
        "variable": setting.variable(),
    });
    object.as_object().cloned().unwrap_or_default()
}

fn read_files(effective: &Effective) -> String {
    let files: Vec<_> = effective.files.iter().map(|path| path.display().to_string()).collect();
    if files.is_empty() { "no file of settings".to_owned() } else { files.join(", ") }
}

impl Check {
    fn run(&self, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let sources = match &self.file {
            Some(file) => Sources { files: Files::Named(file.clone()), variables: vec![], flags: Flags::default() },
            None => globals.sources(),
        };
        let form = Format::of_text(globals.output)?;
        let problems = match sources.load() {
            Ok(effective) => {
                effective.remarks.iter().for_each(|remark| screen.say(Mark::Warning, remark));
                if let Some(form) = form {
                    print(screen, |out| write_json(out, form, std::iter::empty()))?;
                }
                screen.say(Mark::Note, &format!("checked {}: no error", read_files(&effective)));
                return Ok(NOTHING_FOUND);
            }
            Err(Problems(problems)) => problems,
        };
        match form {
            Some(form) => {
                print(screen, |out| write_json(out, form, problems.iter().map(daemoneye_settings::Error::to_json)))?;
            }
            None => {
                print(screen, |out| problems.iter().try_for_each(|it| writeln!(out, "{}\n", it.render(screen.out))))?;
            }
        }
        let errors = count(problems.len(), "error", "errors");
        screen.say(Mark::Note, &format!("{errors}; nothing of these settings is used until they are mended"));
        let unreadable = problems.iter().any(daemoneye_settings::Error::is_unreadable);
        if unreadable { Ok(Ending::Refused) } else { Ok(Ending::Done { found: true, degraded: false }) }
    }
}

fn list_places(globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let places = match &globals.config {
        Some(path) => vec![Place::named(path)],
        None => Places::usual().look(),
    };
    let state = |place: &Place| match &place.found {
        Ok(true) => "there".to_owned(),
        Ok(false) => "absent".to_owned(),
        Err(error) => format!("cannot be seen: {error}"),
    };
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let object = |place: &Place| {
            let object = json!({
                "layer": place.layer.word(), "path": place.path.display().to_string(), "state": state(place),
            });
            object.as_object().cloned().unwrap_or_default()
        };
        print(screen, |out| write_json(out, form, places.iter().map(object)))?;
        return Ok(NOTHING_FOUND);
    }
    let columns =
        vec![Column::new("layer", Align::Left), Column::new("path", Align::Left), Column::new("state", Align::Text)];
    let row = |place: &Place| {
        vec![Cell::new(place.layer.word()), Cell::new(place.path.display().to_string()), Cell::new(state(place))]
    };
    let table = Table { columns, rows: places.iter().map(row).collect(), header: true, indent: 0 };
    print(screen, |out| table.write(out, form, screen, globals))?;
    Ok(NOTHING_FOUND)
}

fn print_schema(screen: &Screen) -> anyhow::Result<Ending> {
    let schema = serde_json::to_string_pretty(&reference::schema())?;
    print(screen, |out| writeln!(out, "{schema}"))?;
    Ok(NOTHING_FOUND)
}
