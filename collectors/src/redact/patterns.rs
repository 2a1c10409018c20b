//! Secrets that are told by their surroundings or by their own shape, wherever they stand.
//!
//! Group 1 of each expression is the secret. Shapes are those that the issuers document for scanners; an AWS access
//! key id (`AKIA…`) is a name, not a secret.

use regex::bytes::Regex;

/// Each expression; a comment says what it finds.
const ALL: &[&str] = &[
    // The password of `scheme://user:password@host`. It may hold an `@`; the last one counts.
    r#"(?i-u)[a-z][a-z0-9+.-]*://[^\s/?#:@'"]*:([^\s/?#'"]+)@"#,
    // Headers: credentials up to the quote or the end of the line, after the scheme.
    r#"(?i-u)authorization\s*:\s*(?:(?:bearer|basic|token|digest|negotiate|apikey|bot)\s+)?([^\s'"][^'"\r\n]*)"#,
    r#"(?i-u)(?:cookie|private-token|job-token|x-[a-z0-9-]*(?:token|api-?key|secret|password))\s*:\s*([^\s'"][^'"\r\n]*)"#,
    r"(?i-u)\bbearer\s+([a-z0-9._~+/=-]{16,})",
    // JSON, and JSON within a JSON or shell string.
    r#"(?is-u)(?:password|passwd|passphrase|secret|token|api[_-]?key|private_?key|access_?key)"\s*:\s*"((?:[^"\\]|\\.)+)"#,
    r#"(?i-u)(?:password|passwd|passphrase|secret|token|api[_-]?key|private_?key|access_?key)\\"\s*:\s*\\"((?:[^"\\]|\\[^"])+)"#,
    // Private keys; one that was cut has no end.
    r"(?s-u)-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(.+?)(?:-----END|\z)",
    // JSON web tokens.
    r"(?-u)(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)",
    // GitHub, GitLab, Slack, npm, PyPI, Google, Vault, Stripe, SendGrid; OpenAI and those who copied it.
    r"(?-u)\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_-]{32,}|AIza[A-Za-z0-9_-]{35}|hv[sb]\.[A-Za-z0-9_-]{24,}|[sr]k_live_[A-Za-z0-9]{16,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
    r"(?-u)(?:^|[^A-Za-z0-9_-])(sk-(?:[a-z0-9]{1,8}-){0,3}[A-Za-z0-9_]{20}[A-Za-z0-9_-]*)",
];

/// What every match of these has in it; the words of names are looked for besides.
pub(super) const HINTS: &[&str] = &[
    "://",
    "authorization",
    "cookie",
    "-token",
    "api-key",
    "apikey",
    "bearer",
    "PRIVATE KEY",
    "eyJ",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "npm_",
    "pypi-",
    "AIza",
    "hvs.",
    "hvb.",
    "k_live_",
    "SG.",
    "sk-",
];

/// The expressions, ready.
pub(super) fn compiled() -> Vec<Regex> {
    ALL.iter().map(|pattern| Regex::new(pattern).expect("our own expressions are right")).collect()
}
