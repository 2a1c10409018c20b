//! See `daemoneye_tests::fuzz::note`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| daemoneye_tests::fuzz::note(bytes));
