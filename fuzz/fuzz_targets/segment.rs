//! See `daemoneye_tests::fuzz::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| daemoneye_tests::fuzz::segment(bytes));
