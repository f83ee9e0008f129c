use super::*;
use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    asked: Completions,
}

fn told(shell: &str, line: &str, more: &[&str]) -> String {
    let words = ["completions", shell, "--line", line]
        .into_iter()
        .chain(more.iter().copied());
    let asked = Cli::parse_from(words).asked;
    String::from_utf8(answer(&asked, line, super::super::args::command("1"))).unwrap()
}

fn bash(line: &str, word: &str) -> Vec<String> {
    let told = told("bash", line, &["--word", word]);
    told.lines().map(str::to_owned).collect()
}

#[test]
fn commands_options_and_their_values_come_from_the_command_line_itself() {
    assert_eq!(bash("identity-gateway che", "che"), ["check-config "]);
    assert_eq!(
        bash("identity-gateway call --tls-n", "--tls-n"),
        ["--tls-name "]
    );
    assert_eq!(bash("identity-gateway call --format j", "j"), ["json "]);
    assert_eq!(
        bash("identity-gateway audit find --kind mx", "mx"),
        ["mx_curp "]
    );
    // What the script itself says is nobody else's.
    assert!(
        !bash("identity-gateway completions bash --", "--")
            .iter()
            .any(|one| one.starts_with("--line"))
    );
}

#[test]
fn bash_breaks_words_at_colons_and_equals_signs_and_replaces_the_last_piece() {
    assert_eq!(bash("identity-gateway call --format=j", "j"), ["json "]);
    assert_eq!(
        bash(
            "identity-gateway call --address 127.0.0.1:50051 CheckC",
            "CheckC"
        ),
        ["CheckCurp "]
    );
    assert_eq!(
        bash(
            "identity-gateway call -H 'x: y' idgw.identity.v1.IdentityService/Ch",
            "idgw.identity.v1.IdentityService/Ch"
        ),
        ["idgw.identity.v1.IdentityService/CheckCurp "]
    );
}

#[test]
fn services_are_listed_and_everything_is_described() {
    assert_eq!(
        bash("identity-gateway call --list idgw.p", "idgw.p"),
        ["idgw.person.v1.PersonService "]
    );
    for line in [
        "identity-gateway call --describe idgw.identity.v1.Outc",
        "identity-gateway call describe idgw.identity.v1.Outc",
    ] {
        assert_eq!(
            bash(line, "idgw.identity.v1.Outc"),
            ["idgw.identity.v1.Outcome "],
            "{line}"
        );
    }
}

#[test]
fn a_request_is_completed_between_single_quotes() {
    let line = r#"identity-gateway call CheckCurp '{"cu"#;
    // Two that differ: bash would end the quote behind a single one.
    assert_eq!(bash(line, r#"{"cu"#), [r#"{"curp": ""#, r#"{"curp": "…"#]);
    let line = r#"identity-gateway call CheckCurp '{"curp": "X""#;
    let [end, other, ..] = &bash(line, r#"{"curp": "X""#)[..] else {
        panic!()
    };
    assert_eq!(
        [end.as_str(), other.as_str()],
        [r#"{"curp": "X"}"#, r#"{"curp": "X", "include_document": "#]
    );
    // Only the end of them is new, and that is what a list shows.
    let listed = told("bash", line, &["--listing"]);
    assert!(
        listed.contains("\n\"include_document\": \n")
            || listed.contains("\n\"curp\": \"X\", \"include_document\": \n"),
        "{listed}"
    );

    assert_eq!(
        bash(r#"identity-gateway call CheckCurp {"cu"#, "cu"),
        Vec::<String>::new()
    );
    assert_eq!(
        bash(r#"identity-gateway call CheckCurp "{\"cu"#, r#"{\"cu"#),
        Vec::<String>::new()
    );
}

#[test]
fn an_empty_request_comes_with_its_quotes_where_the_shell_adds_none() {
    let empty = r#"{"curp": "", "include_document": false, "request_id": ""}"#;
    let line = "identity-gateway call CheckCurp ";
    // And nothing beside it: options are for who begins one.
    assert_eq!(bash(line, ""), [format!("'{empty}' ")]);
    assert!(told("zsh", line, &[]).contains(&format!("request\t'{empty}'\t")));
    assert!(told("fish", line, &[]).contains(&format!("{empty}\t")));
    for shell in ["bash", "fish"] {
        assert!(told(shell, &format!("{line}'"), &[]).contains(empty));
    }
}

#[test]
fn fish_is_given_only_what_a_quote_can_stay_open_behind() {
    let told = |typed: &str| {
        told(
            "fish",
            &format!("identity-gateway call ScrubKenyaId '{typed}"),
            &[],
        )
    };
    assert!(told(r#"{"id_t"#).starts_with("{\"id_type\":\t"));
    assert!(
        told(r#"{"id_type": "KENYA_ID_TYPE_P"#)
            .starts_with("{\"id_type\": \"KENYA_ID_TYPE_PASSPORT\",\t")
    );
    assert!(told(r#"{"id": "1""#).starts_with("{\"id\": \"1\"}\n"));
    assert_eq!(told(r#"{"id":"#), "");
}

#[test]
fn no_line_is_too_odd() {
    for line in [
        "",
        " ",
        "identity-gateway",
        "identity-gateway call '",
        "x \\",
        "x \"a 'b",
        "x # y",
        "x call CheckCurp \u{1f600} '{\"é",
    ] {
        for shell in ["bash", "zsh", "fish"] {
            told(shell, line, &[]);
        }
    }
}
