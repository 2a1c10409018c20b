//! Lines of shell as the processes that they become.
//!
//! A line falls into simple commands; one that starts another (`sudo`, `xargs`, `find -exec`) stands for both, and so
//! does one with a substitution. This is no shell: it knows quotes, the operators between commands and redirections,
//! and expands nothing: a substitution stays in its word. It shows rules what they would see.

/// Programs that start what their first operand names.
const STARTERS: [&str; 10] = ["sudo", "xargs", "nohup", "env", "time", "nice", "exec", "command", "watch", "doas"];

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    /// Between two commands.
    End,
    /// Before the file of a redirection.
    Redirection,
}

/// The arguments of every program that `line` starts, in order.
pub fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![]];
    let (pieces, substituted) = pieces(line);
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Word(word) => commands.last_mut().expect("there is always one").push(word),
            Piece::End => commands.push(vec![]),
            Piece::Redirection => drop(pieces.next()),
        }
    }
    let mut all: Vec<_> = substituted.iter().flat_map(|line| simple_commands(line)).collect();
    // Nothing but signs is no program: `.` and `...` in notes and scripts.
    let is_program = |word: &String| word.contains(|c: char| c.is_alphanumeric());
    for command in commands.into_iter().filter(|command| command.first().is_some_and(is_program)) {
        all.extend(started_by(&command));
        all.push(command);
    }
    all
}

/// The commands that a command is told to start.
fn started_by(command: &[String]) -> Vec<Vec<String>> {
    let is_option = |word: &&String| word.starts_with('-') || word.contains('=');
    let program = command[0].rsplit('/').next().unwrap_or_default();
    let inner = if STARTERS.contains(&program) {
        let options = command[1..].iter().take_while(is_option).count();
        command[1 + options..].to_vec()
    } else {
        let told = command.iter().position(|word| matches!(word.as_str(), "-exec" | "-execdir" | "-ok"));
        let rest = told.map_or(&[][..], |at| &command[at + 1..]);
        rest.iter().take_while(|word| !matches!(word.as_str(), ";" | "+")).cloned().collect()
    };
    if inner.is_empty() {
        return vec![];
    }
    let mut all = started_by(&inner);
    all.push(inner);
    all
}

/// The pieces of a line, and the lines within its substitutions.
fn pieces(line: &str) -> (Vec<Piece>, Vec<String>) {
    let mut pieces = Vec::new();
    let mut substituted = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    let escaped = (c == '\\').then(|| chars.next_if(|c| matches!(c, '"' | '\\' | '$' | '`'))).flatten();
                    word.push(escaped.unwrap_or(c));
                }
            }
            // `$(…)`, `<(…)`, and `!(…)` of a pattern: to the end of it, in one word.
            '$' | '<' | '>' | '!' | '@' | '?' | '*' | '+' if chars.next_if_eq(&'(').is_some() => {
                let inner = to_closing(&mut chars);
                word.get_or_insert_default().extend([&c.to_string(), "(", &inner, ")"]);
                if matches!(c, '$' | '<' | '>') {
                    substituted.push(inner);
                }
            }
            '|' | ';' | '&' | '\n' | '(' | ')' | '<' | '>' | ' ' | '\t' => {
                let ended = word.take();
                let is_redirection = matches!(c, '<' | '>');
                // The number before a redirection names a stream.
                let is_stream = is_redirection && ended.as_ref().is_some_and(|w| w.chars().all(|c| c.is_ascii_digit()));
                pieces.extend(ended.filter(|_| !is_stream).map(Piece::Word));
                if is_redirection {
                    while chars.next_if(|c| matches!(c, '<' | '>' | '&' | '|')).is_some() {}
                    pieces.push(Piece::Redirection);
                } else if !c.is_whitespace() || c == '\n' {
                    pieces.push(Piece::End);
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    pieces.extend(word.map(Piece::Word));
    (pieces, substituted)
}

/// What stands before the parenthesis that closes one already read.
fn to_closing(chars: &mut impl Iterator<Item = char>) -> String {
    let mut open = 1;
    let inner = chars.take_while(|c| {
        open += i32::from(*c == '(') - i32::from(*c == ')');
        open > 0
    });
    inner.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(line: &str) -> Vec<String> {
        simple_commands(line).into_iter().map(|words| words.join("·")).collect()
    }

    #[test]
    fn lines_fall_into_commands() {
        assert_eq!(joined("ls -l|sort >a 2>&1 && echo 'a | b' \"c \\\" d\""), ["ls·-l", "sort", "echo·a | b·c \" d"]);
        assert_eq!(joined("find . -exec rm -f {} \\; -print"), ["rm·-f·{}", "find·.·-exec·rm·-f·{}·;·-print"]);
        assert_eq!(joined("sudo -u a env X=1 id"), ["a·env·X=1·id", "sudo·-u·a·env·X=1·id"]);
        assert_eq!(
            joined("x | xargs -0 sudo chmod 755"),
            ["x", "chmod·755", "sudo·chmod·755", "xargs·-0·sudo·chmod·755"]
        );
        assert_eq!(joined("ls $(id -u; w).c !(a|b)"), ["id·-u", "w", "ls·$(id -u; w).c·!(a|b)"]);
        assert_eq!(joined("cat <(ls) | . x"), ["ls", "cat·<(ls)"]);
        assert_eq!(joined("'open"), ["open"]);
        assert_eq!(joined(" ; "), Vec::<String>::new());
    }
}
