//! How rarely something is true of a row. Guesses: answers never depend on them, only time.

use std::sync::LazyLock;

use daemoneye_dsl::pattern::{Literal, rarity};
use daemoneye_dsl::types::Value;
use hashbrown::HashSet;

/// What paths and command lines are full of.
const COMMON: &str = "\
    /usr/bin/ /usr/sbin/ /usr/local/bin/ /usr/local/lib/ /usr/lib/ /usr/libexec/ /usr/share/ /bin/bash /bin/sh -c /sbin/ \
    /lib/ /lib64/ /var/log/ /var/lib/ /var/run/ /var/www/ /var/cache/ /etc/ /opt/ /srv/ /tmp/ /home/ /root/ /proc/ /sys/ \
    /dev/null /run/user/ https:// http:// .com/ .org/ .net/ .exe .dll .conf .json .yaml .toml .log .sock .service .sh .py \
    .txt .bat .ps1 .vbs \"c:\\windows\\system32\\ c:\\windows\\syswow64\\ c:\\program files (x86)\\ c:\\users\\ \
    c:\\programdata\\ \\appdata\\local\\temp\\ \\appdata\\roaming\\ \\microsoft\\ windowspowershell\\v1.0\\powershell.exe \
    cmd.exe /c rundll32.exe svchost.exe -k explorer.exe conhost.exe --config --server --port --type= --user= --daemon \
    python3 systemd kworker/ root admin default version service local host server";

static COMMON_RUNS: LazyLock<HashSet<[u8; 4]>> =
    LazyLock::new(|| COMMON.as_bytes().array_windows::<4>().copied().collect());

fn is_common(run: &[u8]) -> bool {
    run.try_into().is_ok_and(|run: [u8; 4]| COMMON_RUNS.contains(&run))
}

/// About how many bits it says that a run is there.
pub(super) fn bits_of_run(run: &[u8]) -> u32 {
    let bits: u32 = run.iter().map(|byte| rarity(*byte)).sum();
    if is_common(run) { bits / 3 } else { bits }
}

/// Of how many rows a text contains the literal, between 0 and 1.
pub(super) fn of_literal(literal: &Literal) -> f64 {
    let bytes = &literal.bytes;
    // What follows a common run says little, and letters are not independent.
    let bits =
        |at: usize| if at >= 3 && is_common(&bytes[at - 3..=at]) { 0.5 } else { f64::from(rarity(bytes[at])) / 2.0 };
    let bits: f64 = (0..bytes.len()).map(bits).sum();
    let places = if literal.at_start || literal.at_end { 4.0 } else { 64.0 };
    (places * (-bits).exp2()).clamp(1e-5, 1.0)
}

/// Of how many rows a value is this one.
pub(super) fn of_equality(value: &Value) -> f64 {
    match value {
        Value::Text(text) if text.len() >= 16 => 1e-4,
        Value::Text(_) => 0.03,
        Value::Boolean(_) => 0.5,
        Value::Integer(-1..=1) => 0.2,
        Value::Integer(-999..=999) => 0.02,
        _ => 1e-3,
    }
}

/// Of how many rows a number lies on one side of a bound.
pub(super) const OF_BOUND: f64 = 0.3;
/// Of how many rows a value is NULL.
pub(super) const OF_NULL: f64 = 0.2;
