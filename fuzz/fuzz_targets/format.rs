//! See `daemoneye_tests::fuzz::formatted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| daemoneye_tests::fuzz::formatted(bytes));
