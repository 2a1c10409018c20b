//! See `daemoneye_tests::fuzz::proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| daemoneye_tests::fuzz::proof(bytes));
