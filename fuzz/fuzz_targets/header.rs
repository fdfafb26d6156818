//! The target `header`; see `../src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::header(data));
