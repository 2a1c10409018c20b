//! Lines of shell as the processes that they become.
//!
//! A line is run by a shell that is told the whole of it, and by each of its simple commands; a command that starts
//! another (`sudo`, `xargs`, `find -exec`) stands for both. This is no shell: it knows quotes, the operators between
//! commands and redirections, expands nothing and leaves substitutions in the words. It shows rules what they would see.

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
    let mut pieces = pieces(line).into_iter();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Word(word) => commands.last_mut().expect("there is always one").push(word),
            Piece::End => commands.push(vec![]),
            Piece::Redirection => drop(pieces.next()),
        }
    }
    let mut all = Vec::new();
    for command in commands.into_iter().filter(|command| !command.is_empty()) {
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

fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
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
    pieces
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
        assert_eq!(joined("'open"), ["open"]);
        assert_eq!(joined(" ; "), Vec::<String>::new());
    }
}
