//! The target `v1_command`; see `../src`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::v1_command(data));
