#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| filmlab_fuzz::media::fuzzing::pass(bytes));
