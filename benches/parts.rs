//! What can be measured alone: each adapter's request and answer, the CURP, read masks, a status.
//!
//! `just bench` runs it. Times depend on the machine: compare two runs on one, never two machines.
#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use identity_gateway::{
    domain::{
        consent::SubjectConsent,
        curp::{Curp, CurpRule},
        date::{self, Birthdate},
        failure::{Failure, Kind},
        foreigner_id::ForeignerId,
        kenya_id::{KenyaId, KenyaIdKind},
        lookup::{CurpLookup, Document, ForeignerLookup, KenyaLookup},
        verification::Provider,
        violation::Violation,
    },
    proto::identity::v1::CheckCurpResponse,
    provider::{
        Company as _, Supplies as _, accuauth::Accuauth, verifik::Verifik, youverify::Youverify,
    },
    service::mask::ReadMask,
    status,
    transport::Answer,
};
use prost_types::FieldMask;

const CURP: &str = "RAZR811011HVZXPB01";

fn answer(body: impl Into<String>) -> Answer {
    Answer {
        status: 200,
        retry_after: None,
        body: body.into().into(),
        is_sampled: false,
    }
}

fn kenya(criterion: &mut Criterion) {
    let adapter = Youverify::new(&Default::default());
    let lookup = KenyaLookup {
        id: KenyaId::parse(KenyaIdKind::NationalId, "1234567").unwrap(),
        consent: SubjectConsent::given(true).unwrap(),
        metadata: None,
    };
    let found = answer(include_str!("../samples/youverify/kenya_found.json"));
    criterion.bench_function("ke/request", |b| {
        b.iter(|| adapter.request(black_box(&lookup)))
    });
    criterion.bench_function("ke/read", |b| {
        b.iter(|| adapter.read(&lookup, black_box(&found)).unwrap())
    });
}

fn peru(criterion: &mut Criterion) {
    let adapter = Verifik::new(&Default::default());
    let lookup = ForeignerLookup {
        document_number: ForeignerId::parse("005015372").unwrap(),
        birthdate: Birthdate::parse("1993-08-16", date::today()).unwrap(),
    };
    let found = answer(include_str!("../samples/verifik/foreigner_found.json"));
    criterion.bench_function("pe/request", |b| {
        b.iter(|| adapter.request(black_box(&lookup)));
    });
    criterion.bench_function("pe/read", |b| {
        b.iter(|| adapter.read(&lookup, black_box(&found)).unwrap());
    });
}

fn mexico(criterion: &mut Criterion) {
    let adapter = Accuauth::new(&Default::default());
    let curp = Curp::parse(CURP, CurpRule::Strict, date::today()).unwrap();
    let lookup = |document| CurpLookup {
        curp: curp.clone(),
        document,
    };
    let sample = include_str!("../samples/accuauth/curp_found.json");
    let found = |document: &str| {
        let mut found: serde_json::Value = serde_json::from_str(sample).unwrap();
        found["result"]["documento"] = document.into();
        answer(found.to_string())
    };
    let (plain, with) = (found(""), found(&"JVBERi0x".repeat(7680)));
    let omit = lookup(Document::Omit);
    criterion.bench_function("mx/request", |b| {
        b.iter(|| adapter.request(black_box(&omit)))
    });
    for (name, wish, answer) in [
        ("mx/read", Document::Omit, &plain),
        ("mx/read, document not asked for", Document::Omit, &with),
        ("mx/read, document asked for", Document::Include, &with),
    ] {
        let lookup = lookup(wish);
        criterion.bench_function(name, |b| {
            b.iter(|| adapter.read(&lookup, black_box(answer)).unwrap());
        });
    }
    criterion.bench_function("mx/curp", |b| {
        let today = date::today();
        b.iter(|| Curp::parse(black_box(CURP), CurpRule::Strict, today));
    });
}

fn masks(criterion: &mut Criterion) {
    let paths = ["verification.outcome", "record.status", "record.active"];
    let mask = FieldMask {
        paths: paths.map(str::to_owned).to_vec(),
    };
    let read = || ReadMask::of::<CheckCurpResponse>(Some(black_box(&mask))).unwrap();
    criterion.bench_function("mask/read", |b| b.iter(read));
    let mask = read();
    criterion.bench_function("mask/apply", |b| {
        let reply = CheckCurpResponse::default;
        b.iter_batched(reply, |reply| mask.apply(reply), BatchSize::SmallInput);
    });
}

fn statuses(criterion: &mut Criterion) {
    let failures = [
        (
            "status/provider down",
            Failure::after_sending(Kind::ProviderDown, Provider::Verifik),
        ),
        (
            "status/refused field",
            Failure::invalid(vec![Violation {
                field: "curp",
                rule: "is required".into(),
            }]),
        ),
    ];
    for (name, failure) in failures {
        criterion.bench_function(name, |b| {
            b.iter(|| status::of(black_box(&failure)));
        });
    }
}

criterion_group!(parts, kenya, peru, mexico, masks, statuses);
criterion_main!(parts);
