#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ferro_idem_fuzz::sender_delivery::check("slack", input);
    ferro_idem_fuzz::slack_handshake::check(input);
});
