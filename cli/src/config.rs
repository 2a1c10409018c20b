//! `config`: what is set, where it is said, and what is wrong with it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use daemoneye_broker::payload::Knowledge;
use daemoneye_settings::list::ALL;
use daemoneye_settings::{Effective, Files, Flags, Place, Places, Problems, Sources, reference, shown};
use serde_json::{Map, Value, json};

use crate::agent::{Door, Reached, knowledge};
use crate::output::{Format, print, write_json};
use crate::render::{Align, Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, store, with_exit_codes};

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
    /// Ask the running agent what is in force in it
    #[arg(long)]
    agent: bool,
    /// With --agent: its data directory
    #[arg(long, value_name = "DIR", requires = "agent")]
    data: Option<PathBuf>,
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
  sudo daemoneye-cli config show --agent --origin
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
        if self.agent {
            return self.ask(&effective, globals, screen);
        }
        let settings: Vec<_> = ALL.iter().map(|setting| effective.describe(setting)).collect();
        self.write(&settings, &read_files(&effective), globals, screen)
    }

    /// What the agent says is in force in it.
    fn ask(&self, effective: &Effective, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
        let settings = &effective.settings;
        let door = Door::find(settings, &store::data_dir(self.data.as_ref(), settings));
        match knowledge(&door, Knowledge::Settings) {
            Ok(told) => {
                let told: Vec<_> = serde_json::from_slice(&told).context("the agent does not say its settings")?;
                self.write(&told, &format!("agent at {}", door.socket.display()), globals, screen)
            }
            Err(Reached::Declined(why)) => bail!("the agent does not say its settings: {why}"),
            Err(reached) => {
                screen.say(Mark::Error, &reached.why(&door));
                Ok(Ending::Unreachable)
            }
        }
    }

    fn write(
        &self,
        settings: &[Map<String, Value>],
        from: &str,
        globals: &Globals,
        screen: &Screen,
    ) -> anyhow::Result<Ending> {
        let form = Format::of_data(globals.output);
        if let Some(form) = form.json() {
            print(screen, |out| write_json(out, form, settings.iter().cloned()))?;
            return Ok(NOTHING_FOUND);
        }
        let mut columns = vec![Column::new("setting", Align::Left), Column::new("value", Align::Text)];
        columns.extend(self.origin.then(|| Column::new("origin", Align::Text)));
        let row = |setting: &Map<String, Value>| {
            let told = |part: &str| Cell::new(setting.get(part).map(shown).unwrap_or_default());
            let mut cells = vec![told("setting"), told("value")];
            cells.extend(self.origin.then(|| told("origin")));
            cells
        };
        let table = Table { columns, rows: settings.iter().map(row).collect(), header: true, indent: 0 };
        let extent = print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole);
        let cut = if extent == Extent::Cut { " · values cut to fit (--full shows them)" } else { "" };
        let settings = count(settings.len(), "setting", "settings");
        screen.say(Mark::Note, &format!("{settings} · {from}{cut}"));
        Ok(NOTHING_FOUND)
    }
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
