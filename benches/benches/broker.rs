//! How fast is the broker, how late are its messages, what does it take, beside servers that do the same?
//!
//! The broker, each publisher and each subscriber are processes of their own: this program, started again. Peers are
//! `nats-server` (plain text over TCP on the loopback, written in large pieces) and `redis-server` (over a Unix socket,
//! each message by itself), started where they are installed; they take turns with ours in the same run. Every message
//! carries its number, and a round in which one is missing or out of order is an error, as is memory beyond what the
//! broker's limits say; a goal that is missed is said. Figures are medians of the rounds; of several subscribers the
//! slowest counts. Where others use the machine, latencies are theirs too; ratios of one run hold better.
//!
//! ```text
//! cargo bench --bench broker               all parts
//! cargo bench --bench broker -- 1 3        two of them
//! cargo bench --bench broker -- --quick    fewer rounds and messages
//! ```
//!
//! 1 messages a second, to one and to four subscribers, 128 B and 1 KiB; 2 ten thousand messages a second of 1 KiB to
//! four: how late, and what of one core; 3 a request of 128 B and its reply, beside bare Unix sockets between as many
//! processes; 4 memory with a hundred connections of which one is stopped, and then all; 5 messages a second where the
//! connections are encrypted, beside the same in the clear.
//!
//! What the hardware allows: part 3 has the bare round trip beside it. In part 1 each message crosses two sockets, four
//! copies by the system; at 10 GB/s that is 2.4 million messages of 1 KiB a second to one subscriber. In part 2 a frame
//! costs the broker one wake-up, one read and four writes that each wake somebody, some 40 µs of the system's.

#![cfg_attr(target_os = "linux", expect(clippy::print_stdout, reason = "printing is what this does"))]

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::main()
}

/// Only Linux has `/proc` to read the figures from.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use anyhow::bail;
    use daemoneye_benches::bus::parts::{self, Sizes};
    use daemoneye_benches::bus::{child, roles};
    use daemoneye_benches::measure::Verdict;

    type Part = fn(Sizes, &mut Verdict) -> anyhow::Result<Vec<String>>;

    const PARTS: [(&str, Part); 5] = [
        ("messages a second to each subscriber", parts::rates),
        ("10,000 messages a second of 1 KiB to four", parts::paced),
        ("request and reply of 128 B", parts::round_trips),
        ("memory", |sizes, _| parts::stalled(sizes)),
        ("messages a second, encrypted", |sizes, _| parts::encrypted(sizes)),
    ];

    pub(super) fn main() -> anyhow::Result<()> {
        // Cargo adds `--bench`.
        let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        if let Some((child::ROLE, role)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
            return roles::play(role);
        }
        let (chosen, sizes) = chosen(&arguments)?;
        let mut goals = Verdict::default();
        for number in chosen {
            let (title, part) = PARTS[number - 1];
            println!("{number} {title}, median of {} rounds", sizes.rounds);
            for line in part(sizes, &mut goals)? {
                println!("  {line}");
            }
        }
        if let Err(missed) = goals.finish() {
            println!("\nnot reached: {missed}");
        }
        Ok(())
    }

    fn chosen(arguments: &[String]) -> anyhow::Result<(Vec<usize>, Sizes)> {
        let mut chosen = Vec::new();
        let mut sizes = Sizes { rounds: 5, divisor: 1 };
        for argument in arguments {
            match argument.parse() {
                Ok(part) if (1..=PARTS.len()).contains(&part) => chosen.push(part),
                Err(_) if argument == "--quick" => sizes = Sizes { rounds: 3, divisor: 4 },
                _ => bail!("`{argument}` is no part: name some of 1 to {}, or --quick", PARTS.len()),
            }
        }
        if chosen.is_empty() {
            chosen.extend(1..=PARTS.len());
        }
        Ok((chosen, sizes))
    }
}
