//! The forms in which findings are written, one file each, and where each goes.

mod github;
mod gitlab;
mod human;
mod json;
mod junit;
mod markdown;
mod sarif;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

use daemoneye_dsl::diagnostic::{Style, nearest};

use crate::lint::linted::Linted;
use crate::output::{Format, Json, print};
use crate::replace;
use crate::screen::Screen;

/// A form and where it goes: without a file to standard output.
#[derive(Clone, Debug)]
pub(super) struct Report {
    form: Form,
    file: Option<PathBuf>,
}

/// A form of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Drawn over the text.
    Human,
    /// One array.
    Json,
    /// An object a line.
    Ndjson,
    /// What GitHub and editors read.
    Sarif,
    /// What build servers read.
    Junit,
    /// Annotations in GitHub Actions.
    Github,
    /// GitLab's Code Quality.
    Gitlab,
    /// A table for a comment.
    Markdown,
}

const FORMS: [(&str, Form); 8] = [
    ("human", Form::Human),
    ("json", Form::Json),
    ("ndjson", Form::Ndjson),
    ("sarif", Form::Sarif),
    ("junit", Form::Junit),
    ("github", Form::Github),
    ("gitlab", Form::Gitlab),
    ("md", Form::Markdown),
];

impl Form {
    pub(super) fn name(self) -> &'static str {
        FORMS.iter().find(|(_, form)| *form == self).expect("every form is listed").0
    }

    fn write(self, linted: &Linted, style: Style, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Human => human::write(linted, style, out),
            Self::Json => json::write(linted, Json::Array, out),
            Self::Ndjson => json::write(linted, Json::Lines, out),
            Self::Sarif => sarif::write(linted, out),
            Self::Junit => junit::write(linted, out),
            Self::Github => github::write(linted, out),
            Self::Gitlab => gitlab::write(linted, out),
            Self::Markdown => markdown::write(linted, out),
        }
    }
}

/// `FORM` or `FORM=FILE`.
pub(super) fn parse(text: &str) -> Result<Report, String> {
    let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
    let Some((_, form)) = FORMS.iter().find(|(known, _)| *known == name) else {
        let known = FORMS.map(|(known, _)| known);
        let meant = nearest(name, known).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        return Err(format!("there is no such form; {meant}there are {}", known.join(", ")));
    };
    match file {
        Some("") => Err(format!("the file has no name; write `{name}=FILE`, or `{name}` for standard output")),
        _ => Ok(Report { form: *form, file: file.map(PathBuf::from) }),
    }
}

/// What is to be written: what was asked for, and something on standard output in any case.
pub(super) fn wanted(reports: &[Report], output: Option<Format>) -> anyhow::Result<Vec<Report>> {
    let asked = Format::without_tables(output)?.map(|output| match output.json() {
        None => Form::Human,
        Some(Json::Array) => Form::Json,
        Some(Json::Lines) => Form::Ndjson,
    });
    let (to_files, to_output): (Vec<_>, Vec<_>) = reports.iter().cloned().partition(|report| report.file.is_some());
    let mut forms: Vec<_> = to_output.iter().map(|report| report.form).chain(asked).collect();
    let in_actions = env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
    let both = forms.contains(&Form::Human) && forms.contains(&Form::Github) && forms.len() == 2;
    match forms.as_slice() {
        [] if in_actions => forms = vec![Form::Human, Form::Github],
        [] => forms = vec![Form::Human],
        _ if in_actions && both => {}
        _ => super::refuse_two_on_standard_output(&forms)?,
    }
    Ok(forms.into_iter().map(|form| Report { form, file: None }).chain(to_files).collect())
}

impl Report {
    pub(super) fn write(&self, linted: &Linted, screen: &Screen) -> anyhow::Result<()> {
        match &self.file {
            Some(file) => {
                let mut text = Vec::new();
                self.form.write(linted, Style::default(), &mut text)?;
                replace::create(file, &text)?;
            }
            None => {
                print(screen, |out| self.form.write(linted, screen.out, out))?;
            }
        }
        if self.form == Form::Github {
            github::write_summary(linted)?;
        }
        Ok(())
    }
}

/// Whether a variable of the environment says something.
pub(super) fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}
