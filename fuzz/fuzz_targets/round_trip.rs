//! The fuzz target `round_trip`; what it compares stands in `src/`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::round_trip(data));
