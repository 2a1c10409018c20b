# What people type. CI runs `.ci/run`, which needs no `just`; the two say the same commands.

# List the recipes.
default:
    @just --list

# Format everything.
fmt *ARGS:
    cargo fmt --all {{ARGS}}

# Formatting, clippy and docs, warnings denied.
lint *ARGS:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked {{ARGS}} -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --document-private-items

# Every test.
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# Release binaries in target/release.
build *ARGS:
    cargo build --release --bins --locked {{ARGS}}

# Tests inside the crates.
test-unit *ARGS:
    cargo test --workspace --exclude daemoneye-tests --locked {{ARGS}}

# Tests that start the real programs.
test-integration *ARGS:
    cargo test --package daemoneye-tests --locked {{ARGS}}

# Each fuzz target for SECONDS (needs `cargo install cargo-fuzz`).
test-fuzz SECONDS="60" *ARGS:
    for target in $(cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz list); do \
        RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz "$target" {{ARGS}} -- -max_total_time={{SECONDS}} -rss_limit_mb=4096; \
    done

# Which lines the tests reach, those of the programs that they start too (needs `cargo install cargo-llvm-cov`).
coverage *ARGS:
    cargo llvm-cov --workspace --exclude daemoneye-benches --locked --html --output-dir target/coverage {{ARGS}}

# Every benchmark; each checks its result before it times.
bench *ARGS:
    cargo bench --package daemoneye-benches {{ARGS}}

# Write the golden scripts and the table of the rules anew; then read the difference like code.
golden *ARGS:
    UPDATE_GOLDENFILES=1 cargo test --package daemoneye-planner --test golden {{ARGS}}
    UPDATE_GOLDENFILES=1 cargo test --package daemoneye-tests --test benign_commands {{ARGS}}

# Write the references in docs/ anew.
reference *ARGS:
    UPDATE_GOLDENFILES=1 cargo test --package daemoneye-settings --test settings {{ARGS}}
    UPDATE_GOLDENFILES=1 cargo test --package daemoneye-dsl --test reference {{ARGS}}

run-procmond *ARGS:
    cargo run --release --package daemoneye-collectors --bin procmond -- {{ARGS}}

run-daemoneye-cli *ARGS:
    cargo run --release --package daemoneye-cli --bin daemoneye-cli -- {{ARGS}}

# Builds procmond too: the agent starts it.
run-daemoneye-agent *ARGS:
    cargo build --release --bins
    target/release/daemoneye-agent {{ARGS}}
