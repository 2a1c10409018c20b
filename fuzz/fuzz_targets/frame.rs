//! Whatever a peer sends: frames are cut, messages decoded and given to the broker's core without a panic.
#![no_main]

use bytes::BytesMut;
use daemoneye_broker::core::Core;
use daemoneye_broker::frame::{self, FRAME_LEN_MAX};
use daemoneye_broker::message::Message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut core = Core::default();
    let peer = core.connect();
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(frame)) = frame::decode(&mut buffer, FRAME_LEN_MAX) {
        let Ok(message) = Message::decode(frame) else { break };
        if core.receive(peer, message).is_err() {
            break;
        }
        while core.take(peer).is_some() {}
    }
});
