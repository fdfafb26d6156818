//! The target `engineio_payload`; see `../src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::engineio_payload(data));
