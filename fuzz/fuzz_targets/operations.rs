//! The fuzz target `operations`; what it compares stands in `src/`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vaiven_fuzz::operations(data));
