#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| identity_gateway_fuzz::requests::page_tokens(data));
