#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| identity_gateway_fuzz::answers::verifik_dni(data));
