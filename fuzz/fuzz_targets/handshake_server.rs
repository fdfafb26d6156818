//! The fuzz target `handshake_server`; what it compares stands in `src/`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::handshake_server(data));
