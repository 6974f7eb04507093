#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ferro_idem_fuzz::replay::check(input));
