//! `man`: the manual, from the same source as `--help`.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::output::print;
use crate::screen::{Mark, Screen, count};
use crate::{Arguments, Ending, failed, with_exit_codes};

/// Print the manual page, or write one for each command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Manual {
    /// Write `daemoneye-cli.1` and a page for each command into this folder, which is made if need be
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli man | man -l -
  daemoneye-cli man ~/.local/share/man/man1 && man daemoneye-cli-hunt";

pub(crate) fn run(manual: &Manual, screen: &Screen) -> anyhow::Result<Ending> {
    // `help` would be named as a page that there is not.
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &manual.dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        print(screen, |out| out.write_all(&page))?;
        return Ok(Ending::Done { found: false, degraded: false });
    };
    let shown = dir.display();
    fs::create_dir_all(dir)
        .map_err(|error| failed(format!("cannot make the folder {shown}"), error, "name another"))?;
    let mut written = 0;
    let mut rest = vec![command];
    while let Some(command) = rest.pop() {
        rest.extend(command.get_subcommands().cloned());
        let page = Man::new(command);
        let path = dir.join(page.get_filename());
        let mut text = Vec::new();
        page.render(&mut text)?;
        fs::write(&path, text)
            .map_err(|error| failed(format!("cannot write {}", path.display()), error, "name a folder of yours"))?;
        written += 1;
    }
    screen.say(Mark::Note, &format!("{} in {shown}", count(written, "page", "pages")));
    Ok(Ending::Done { found: false, degraded: false })
}
