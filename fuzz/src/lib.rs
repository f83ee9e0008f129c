//! What is fuzzed, and what must hold for every input.
//!
//! Each target is a function of any bytes, which panics if something does not hold: more than "it does
//! not panic". The programs in `fuzz_targets/` feed them from libFuzzer; `tests/fuzz_corpus.rs` feeds them the
//! inputs that are kept in `corpus/` and `crashes/`, in every `cargo test`.

pub mod adapters;
pub mod answers;
pub mod callers;
pub mod failures;
pub mod numbers;
pub mod records;
pub mod requests;
pub mod settings;
pub mod words;

/// A target.
pub type Target = fn(&[u8]);

/// Every target, by the name of its program and of its folders.
pub const ALL: [(&str, Target); 18] = [
    ("accuauth", answers::accuauth),
    ("config_file", settings::config_file),
    ("config_values", settings::config_values),
    ("curp", numbers::curp),
    ("dates", numbers::dates),
    ("error_bodies", answers::error_bodies),
    ("field_masks", requests::field_masks),
    ("ids", numbers::ids),
    ("key_file", callers::key_file),
    ("key_set", callers::key_set),
    ("mesh_header", callers::mesh_header),
    ("page_tokens", requests::page_tokens),
    ("policy_file", callers::policy_file),
    ("token", callers::token),
    ("verifik_dni", answers::verifik_dni),
    ("verifik_foreigner", answers::verifik_foreigner),
    ("verifik_persons", answers::verifik_persons),
    ("youverify", answers::youverify),
];
