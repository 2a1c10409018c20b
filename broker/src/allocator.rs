//! What the system's allocator is told.

use std::hint::black_box;
use std::sync::Once;

/// Bytes of the piece that is freed; twice as much may be kept from then on.
const PIECE_LEN: usize = 4 << 20;

/// Lets the allocator keep a few megabytes that were freed. glibc gives memory at the end of its heap back as soon as
/// there is a little of it, and takes it anew page by page: with queues that fill and empty that cost a quarter of all
/// time. It stops once a larger piece was freed, see `M_MMAP_THRESHOLD` in mallopt(3). For other allocators this is
/// nothing.
pub(crate) fn keep_what_is_freed() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| drop(black_box(Vec::<u8>::with_capacity(PIECE_LEN))));
}
