//! The target `decode_client`; see `../src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::decode_client(data));
