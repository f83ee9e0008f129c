//! The table: one file per provider, one for what all have in common, one for the gateway's own rows.

pub mod accuauth;
pub mod calls;
pub mod everyone;
pub mod own;
pub mod verifik;
pub mod verifik_dni;
pub mod verifik_persons;
pub mod youverify;

use crate::it::table::Row;

/// A title of the error document, what stands below it, and its rows.
pub type Section = (&'static str, &'static str, Vec<Row>);

/// Every row, as docs/errors.md has them: a row that is in no section is in no test either.
pub fn sections() -> Vec<Section> {
    vec![
        (
            "The request itself",
            "The provider is not called. A `BadRequest` names every invalid field, not only the first.",
            own::rows(),
        ),
        (
            "Any provider",
            "Shown for a lookup; the same for all providers.",
            everyone::rows(),
        ),
        (
            "Verifik: `VerifyPeForeignerId`",
            "The same HTTP status has several meanings: `code` and `message` decide, ignoring surrounding \
             white space, a leading `NNN:` and case.",
            verifik::rows(),
        ),
        (
            "Verifik: `VerifyPeDni`",
            "As for the foreigner's card.",
            verifik_dni::rows(),
        ),
        (
            "Verifik: `PersonService`",
            "A missing person is an error here: a record is a resource, unlike a verification.",
            verifik_persons::rows(),
        ),
        (
            "YouVerify: `ScrubKenyaId`",
            "Only `data.status` decides the outcome. The documentation does not say which results are charged.",
            youverify::rows(),
        ),
        (
            "AccuAuth: `CheckCurp`",
            "Result codes 0 to 3 are billed; 5 and error responses are not.",
            accuauth::rows(),
        ),
    ]
}

/// Every row.
pub fn all() -> Vec<Row> {
    sections()
        .into_iter()
        .flat_map(|(_, _, rows)| rows)
        .collect()
}

mod tests {
    use identity_gateway::domain::verification::Provider;

    use super::*;
    use crate::it::{
        cases::{self, Raised},
        run::run,
        table::Expect,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn the_gateways_own_refusals_reach_no_provider() {
        run(own::rows()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_answer_of_verifik_about_a_foreigner_means_what_its_document_says() {
        run(verifik::rows()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_answer_of_verifik_about_a_dni_means_what_its_document_says() {
        run(verifik_dni::rows()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_answer_of_verifik_about_persons_means_what_its_document_says() {
        run(verifik_persons::rows()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_answer_of_youverify_means_what_its_document_says() {
        run(youverify::rows()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_answer_of_accuauth_means_what_its_document_says() {
        run(accuauth::rows()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_break_on_the_way_says_what_it_may_have_cost() {
        run(everyone::rows()).await;
    }

    #[test]
    fn every_line_of_the_error_table_has_a_row_for_every_provider_that_can_raise_it() {
        let rows = all();
        for case in cases::ALL {
            let raised_by = |provider: &str| {
                rows.iter().any(|row| {
                    matches!(&row.expect, Expect::Fails(fails) if std::ptr::eq(fails.case, *case))
                        && (provider.is_empty() || row.provider == provider)
                })
            };
            match case.raised {
                Raised::Elsewhere => {
                    assert!(!raised_by(""), "{} is raised", case.reason)
                }
                Raised::Somewhere => assert!(raised_by(""), "{} has no row", case.reason),
                Raised::Everywhere => {
                    for provider in Provider::ALL.map(Provider::as_str) {
                        assert!(
                            raised_by(provider),
                            "{} has no row of {provider}",
                            case.reason
                        );
                    }
                }
            }
        }
    }
}
