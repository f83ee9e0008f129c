use super::*;
use crate::auth::identity::Identity;

const CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";
const KENYA: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";
const PERU: &str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";
const GET: &str = "idgw.person.v1.PersonService/GetPerson";
const LIST: &str = "idgw.person.v1.PersonService/ListPersons";

fn policies() -> Policies {
    Policies::from_descriptors(proto::descriptors()).unwrap()
}

fn rules(text: &str) -> Vec<Rule> {
    parse(text, &policies()).unwrap()
}

/// The one rule, with these lines in it.
fn one(lines: &str) -> Rule {
    let text = format!("[[allow]]\nname = 'r'\nidentities = ['*']\n{lines}");
    rules(&text).remove(0)
}

pub(super) fn refusal(text: &str) -> String {
    parse(text, &policies()).unwrap_err().to_string()
}

fn has(fields: &Fields, rpc: &str, path: &str) -> bool {
    let mut message = answer(rpc).unwrap();
    let mut numbers = Vec::new();
    for name in path.split('.') {
        let field = message.get_field_by_name(name).unwrap();
        numbers.push(field.number());
        if let prost_reflect::Kind::Message(inner) = field.kind() {
            message = inner;
        }
    }
    fields.has(&numbers)
}

#[test]
fn contacts_bureau_and_images_are_off_unless_granted() {
    let classified = [
        ("contacts", KENYA, "record.email"),
        ("contacts", KENYA, "record.home_phone_number"),
        ("contacts", KENYA, "record.mobile_phone_number"),
        ("contacts", KENYA, "record.work_phone_number"),
        ("contacts", KENYA, "record.main_address"),
        ("contacts", KENYA, "record.secondary_address.town"),
        ("bureau", KENYA, "record.contract_summary"),
        ("bureau", KENYA, "record.inquiries.last1_month"),
        ("envelope", KENYA, "record.envelope"),
        ("envelope", KENYA, "record.envelope.requested_by.given_name"),
        ("images", CURP, "record.document"),
        ("contacts", GET, "person.email"),
        ("contacts", GET, "person.phone_number"),
        ("images", GET, "person.biometric_data"),
        ("images", LIST, "persons.biometric_data.face_image"),
        ("contacts", LIST, "persons.email"),
    ];
    for granted in ["", "contacts", "bureau", "images", "envelope"] {
        let classes = match granted {
            "" => String::new(),
            word => format!("classes = ['{word}']"),
        };
        let rule = one(&format!("persons = 'all'\nrpcs = ['*']\n{classes}"));
        for (class, rpc, path) in classified {
            let seen = has(&rule.rpcs[rpc], rpc, path);
            assert_eq!(seen, class == granted, "{path} with {granted:?}");
        }
        for (rpc, path) in [
            (KENYA, "record.given_name"),
            (KENYA, "verification.id"),
            (KENYA, "metadata"),
            (CURP, "record.curp"),
            (GET, "person.id"),
            (LIST, "next_page_token"),
        ] {
            assert!(has(&rule.rpcs[rpc], rpc, path), "{path} with {granted:?}");
        }
    }
    let all = one(
        "persons = 'all'\nrpcs = ['*']\nclasses = ['contacts', 'bureau', 'images', 'envelope']",
    );
    assert!(all.rpcs.values().all(|fields| *fields == Fields::All));
    assert_eq!(one("persons = 'all'\nrpcs = ['*']").rpcs[PERU], Fields::All);
}

#[test]
fn every_field_of_bytes_has_a_class() {
    // An image that a later version adds must not be seen by everybody.
    fn walk(message: &MessageDescriptor, within: bool, found: &mut usize) {
        for field in message.fields() {
            let has_class = within || classes::of(&field) != DataClass::Unspecified;
            match field.kind() {
                prost_reflect::Kind::Bytes => {
                    assert!(has_class, "{} has no data_class", field.full_name());
                    *found += 1;
                }
                prost_reflect::Kind::Message(inner)
                    if !inner.package_name().starts_with("google.") =>
                {
                    walk(&inner, has_class, found);
                }
                _ => {}
            }
        }
    }
    let mut found = 0;
    for (rpc, _) in policies().iter() {
        walk(&answer(rpc).unwrap(), false, &mut found);
    }
    assert!(found > 8, "{found}");
}

#[test]
fn fields_narrow_what_is_seen_and_grant_what_they_name() {
    let rule = one(
        "rpcs = ['identity.kenya_id.scrub']\nfields = ['verification', 'record.given_name', \
                    'record.main_address.town', 'record.inquiries']",
    );
    let fields = &rule.rpcs[KENYA];
    for (path, seen) in [
        ("verification.outcome", true),
        ("record.given_name", true),
        ("record.main_address.town", true),
        ("record.inquiries.last24_months", true),
        ("record.main_address.postal_code", false),
        ("record.family_name", false),
        ("record.contract_summary", false),
        ("metadata", false),
    ] {
        assert_eq!(has(fields, KENYA, path), seen, "{path}");
    }
    // A message that is named whole is granted without what has a class.
    let rule = one("rpcs = ['identity.kenya_id.scrub']\nfields = ['record']\nclasses = ['bureau']");
    let fields = &rule.rpcs[KENYA];
    assert!(has(fields, KENYA, "record.inquiries") && has(fields, KENYA, "record.name"));
    assert!(!has(fields, KENYA, "record.email") && !has(fields, KENYA, "verification"));
    let rule = one("rpcs = ['identity.kenya_id.scrub']\nfields = []");
    assert_eq!(rule.rpcs[KENYA], Fields::none());
}

#[test]
fn an_rpc_is_named_by_itself_or_by_its_scope() {
    let named = |words: &str| {
        one(&format!("persons = 'all'\nrpcs = [{words}]"))
            .rpcs
            .into_keys()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(named("'identity.curp.check'"), [CURP]);
    assert_eq!(
        named("'idgw.identity.v1.IdentityService/CheckCurp'"),
        [CURP]
    );
    assert_eq!(named("'person.list', 'person.read'"), [GET, LIST]);
    assert_eq!(named("'*'").len(), 10);
}

#[test]
fn a_rule_is_about_those_it_names() {
    let caller = |mode, name: &str, scopes: &[&str]| {
        let mut caller = Caller::new(Identity::new(mode, name).unwrap());
        caller.token_scopes = scopes.iter().map(|scope| Box::from(*scope)).collect();
        caller
    };
    let api = "spiffe://bank.example/ns/payments/sa/api";
    for (who, mode, name, scopes, expected) in [
        (
            "identities = ['payments']",
            AuthMode::Keys,
            "payments",
            &[][..],
            true,
        ),
        (
            "identities = ['payments']",
            AuthMode::Keys,
            "payments2",
            &[],
            false,
        ),
        (
            "identities = ['payments']",
            AuthMode::Keys,
            "Payments",
            &[],
            false,
        ),
        (
            "identities = ['spiffe://bank.example/ns/payments/*']",
            AuthMode::Mtls,
            api,
            &[],
            true,
        ),
        (
            "identities = ['spiffe://bank.example/ns/payments/*']",
            AuthMode::Mtls,
            "spiffe://bank.example/ns/payments-test/sa/api",
            &[],
            false,
        ),
        (
            "identities = ['spiffe://bank.example/ns/payments/*']",
            AuthMode::Mtls,
            "spiffe://bank.example/ns/payments/",
            &[],
            false,
        ),
        (
            "identities = ['*.payments.example']",
            AuthMode::Mtls,
            "api.payments.example",
            &[],
            true,
        ),
        ("identities = ['a*a']", AuthMode::Keys, "a", &[], false),
        ("identities = ['*']", AuthMode::Keys, "anybody", &[], true),
        // The same name by another mode is another caller where the rule says so.
        (
            "identities = ['*']\nmodes = ['mtls']",
            AuthMode::Jwt,
            api,
            &[],
            false,
        ),
        (
            "identities = ['*']\nmodes = ['mtls', 'mesh']",
            AuthMode::Mesh,
            api,
            &[],
            true,
        ),
        (
            "token_scopes = ['kyc']",
            AuthMode::Jwt,
            "anybody",
            &["kyc", "more"],
            true,
        ),
        (
            "token_scopes = ['kyc', 'read']",
            AuthMode::Jwt,
            "anybody",
            &["kyc"],
            false,
        ),
        ("token_scopes = ['kyc']", AuthMode::Keys, "kyc", &[], false),
        (
            "identities = ['a']\ntoken_scopes = ['kyc']",
            AuthMode::Jwt,
            "b",
            &["kyc"],
            false,
        ),
        (
            "identities = ['a']\ntoken_scopes = ['kyc']",
            AuthMode::Jwt,
            "a",
            &[],
            false,
        ),
        (
            "identities = ['a']\ntoken_scopes = ['kyc']",
            AuthMode::Jwt,
            "a",
            &["kyc"],
            true,
        ),
    ] {
        let rule = rules(&format!(
            "[[allow]]\nname = 'r'\n{who}\npersons = 'all'\nrpcs = ['*']"
        ))
        .remove(0);
        let about = rule.is_about(&caller(mode, name, scopes));
        assert_eq!(about, expected, "{who}: {name} {scopes:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let with = |lines: &str| format!("[[allow]]\nname = 'r'\nidentities = ['a']\n{lines}");
    for (text, problem) in [
        (
            with("rpcs = ['identity.curp.chek']"),
            "rule r: rpcs: \"identity.curp.chek\" is unknown; did you mean \"identity.curp.check\"?",
        ),
        (
            with("rpcs = ['Nothing']"),
            "rule r: rpcs: \"Nothing\" is unknown",
        ),
        (with("rpcs = []"), "rule r: rpcs: is empty"),
        (
            with("persons = 'all'\nrpcs = ['*']\nclasses = ['image']"),
            "rule r: classes: \"image\" is unknown; did you mean \"images\"?",
        ),
        (
            with("rpcs = ['identity.curp.check']\nfields = ['record.nothing']"),
            "rule r: fields: the response of idgw.identity.v1.IdentityService/CheckCurp has no field \"record.nothing\"",
        ),
        (
            with("rpcs = ['identity.curp.check', 'person.read']\nfields = ['record.curp']"),
            "rule r: fields: the response of idgw.person.v1.PersonService/GetPerson has no field \"record.curp\"",
        ),
        (
            with("persons = 'all'\nrpcs = ['*']\nbudget = 1"),
            "line 6: unknown field `budget`",
        ),
        (
            with("persons = 'all'\nrpcs = ['*']\ncalls_per_minute = -1"),
            "line 6: invalid value: integer `-1`",
        ),
        (
            with("modes = ['tls']\npersons = 'all'\nrpcs = ['*']"),
            "line 4: unknown variant `tls`",
        ),
        (
            "[[allow]]\nname = 'r'\npersons = 'all'\nrpcs = ['*']".to_owned(),
            "rule r: identities: is required unless token_scopes is set",
        ),
        (
            "[[allow]]\nname = 'r'\nidentities = ['a**']\npersons = 'all'\nrpcs = ['*']".to_owned(),
            "rule r: identities: \"a**\" has more than one *",
        ),
        (
            "[[allow]]\nname = 'r'\nidentities = ['']\npersons = 'all'\nrpcs = ['*']".to_owned(),
            "rule r: identities: \"\" is empty",
        ),
        (
            "[[allow]]\nname = 'a b'\nidentities = ['a']\npersons = 'all'\nrpcs = ['*']".to_owned(),
            "rule 1: name: expected 1 to 64",
        ),
        (
            "[[allow]]\nidentities = ['a']\npersons = 'all'\nrpcs = ['*']".to_owned(),
            "line 1: missing field `name`",
        ),
        (
            "[[deny]]\nname = 'r'".to_owned(),
            "line 1: unknown field `deny`",
        ),
        ("allow".to_owned(), "line 1: "),
        (
            "[[allow]]\nname='r'\nidentities=['a']\npersons='all'\nrpcs=['*']\n".repeat(2),
            "rule r: name: is already used by another rule",
        ),
    ] {
        let said = refusal(&text);
        assert!(said.starts_with(problem), "{said}\ninstead of\n{problem}");
    }
    assert!(rules("").is_empty());
}

#[test]
fn who_lists_persons_must_be_granted_all_of_them() {
    let refused = |lines: &str| {
        refusal(&format!(
            "[[allow]]\nname = 'r'\nidentities = ['*']\n{lines}"
        ))
    };
    let sentence = "rule r: persons: must be \"all\": rpcs grants person.list, and the provider's list \
                    cannot be filtered by owner";
    for lines in [
        "rpcs = ['*']",
        "rpcs = ['person.list']",
        "rpcs = ['idgw.person.v1.PersonService/ListPersons']\npersons = 'own'",
        "rpcs = ['person.list']\nowner = 'payments'",
    ] {
        assert_eq!(refused(lines), sentence, "{lines}");
    }
    for (lines, key) in [
        (
            "rpcs = ['person.list']\npersons = 'all'\nowner = 'payments'",
            "owner: has no effect",
        ),
        (
            "rpcs = ['person.read']\nowner = 'a b'",
            "owner: expected 1 to 64",
        ),
        (
            "rpcs = ['person.read']\nowner = ''",
            "owner: expected 1 to 64",
        ),
        (
            "rpcs = ['person.read']\npersons = 'some'",
            "line 5: unknown variant",
        ),
    ] {
        assert!(refused(lines).contains(key), "{lines}: {}", refused(lines));
    }
    one("rpcs = ['person.read', 'person.create']");
    one("rpcs = ['person.list']\npersons = 'all'");
}
