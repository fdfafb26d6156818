//! The target `socketio_packet`; see `../src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::socketio_packet(data));
