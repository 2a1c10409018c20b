//! `completions`: the script by which a shell completes this program's arguments.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::output::print;
use crate::screen::Screen;
use crate::{Arguments, Ending, with_exit_codes};

/// Print what makes a shell complete arguments.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  source <(daemoneye-cli completions bash)
  daemoneye-cli completions zsh > ~/.zfunc/_daemoneye-cli
  daemoneye-cli completions fish > ~/.config/fish/completions/daemoneye-cli.fish";

pub(crate) fn run(completions: &Completions, screen: &Screen) -> anyhow::Result<Ending> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    // Into memory first: the generator panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, name, &mut script);
    print(screen, |out| out.write_all(&script))?;
    Ok(Ending::Done { found: false, degraded: false })
}
