//! Bytes from a peer or the disk are rows of the layout asked for, or an error.
#![no_main]

use daemoneye_dsl::ipc::decode;
use daemoneye_dsl::tables::schema_of;
use daemoneye_dsl::tables::Process;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _rows_or_error = decode(bytes, &schema_of(&Process::columns()));
});
