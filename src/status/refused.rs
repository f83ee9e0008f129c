//! What the status of a refusal says beside its reason: the spent budget, the fields that the caller may not see, the
//! scope that it needs, or why Redis could not be used.

use tonic_types::{ErrorDetails, FieldViolation, QuotaViolation};

use crate::domain::refusal::{Budget, Hidden, Refusal};

/// The details that any standard client reads.
pub(super) fn explain(details: &mut ErrorDetails, refusal: &Refusal) {
    match refusal {
        Refusal::Budget(Budget { quota, limit, .. }) => {
            let (budget, unit) = (quota.as_str(), quota.unit());
            details.set_quota_failure(vec![QuotaViolation::new(
                format!("caller:{budget}"),
                format!("the caller's budget {budget} of {limit} {unit} is spent"),
            )]);
        }
        Refusal::Fields(fields) => {
            let needs = fields.iter().map(Hidden::needs);
            let violations = needs.map(|needs| FieldViolation::new("read_mask", needs));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        Refusal::Scope(_) | Refusal::Store(_) => {}
    }
}

/// The same for programs, in the metadata of the `ErrorInfo`.
pub(super) fn metadata(refusal: &Refusal) -> Vec<(String, String)> {
    let pairs = match refusal {
        Refusal::Budget(budget) => vec![
            ("budget", budget.quota.as_str().to_owned()),
            ("unit", budget.quota.unit().to_owned()),
            ("limit", budget.limit.to_string()),
            ("remaining", budget.remaining.to_string()),
        ],
        Refusal::Fields(fields) => {
            let paths: Vec<_> = fields.iter().map(|hidden| hidden.path.as_str()).collect();
            let mut classes: Vec<_> = fields.iter().filter_map(|hidden| hidden.class).collect();
            classes.sort_unstable();
            classes.dedup();
            let classes = (!classes.is_empty()).then(|| ("data_class", classes.join(",")));
            let fields = [("field", paths.join(","))];
            fields.into_iter().chain(classes).collect()
        }
        Refusal::Scope(scope) => vec![("scope", scope.to_string())],
        Refusal::Store(cause) => vec![("cause", (*cause).to_owned())],
    };
    let pairs = pairs.into_iter();
    pairs.map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use crate::{
        domain::{
            failure::{Failure, Kind},
            refusal::{Budget, Hidden, MOST_FIELDS, Quota, Refusal},
        },
        status,
    };

    fn refused(kind: Kind, refusal: Refusal) -> tonic::Status {
        status::of(&Failure {
            refusal: Some(Box::new(refusal)),
            ..Failure::new(kind)
        })
    }

    #[test]
    fn a_spent_budget_is_named_with_its_limit_and_what_is_left() {
        let status = refused(
            Kind::BudgetExhausted,
            Refusal::Budget(Budget {
                quota: Quota::ChargedCallsPerDay,
                limit: 20_000,
                remaining: 0,
            }),
        );
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "BUDGET_EXHAUSTED");
        for (key, value) in [
            ("budget", "charged_calls_per_day"),
            ("unit", "calls"),
            ("limit", "20000"),
            ("remaining", "0"),
        ] {
            assert_eq!(info.metadata[key], value, "{key}");
        }
        let quota = status.get_details_quota_failure().unwrap();
        assert_eq!(quota.violations[0].subject, "caller:charged_calls_per_day");
    }

    #[test]
    fn hidden_fields_are_named_with_what_they_need_in_less_than_four_kilobytes() {
        let hidden = |number: usize| Hidden {
            path: format!("record.{}_{number}", "long_".repeat(12)),
            class: [Some("contacts"), Some("bureau"), None][number % 3],
        };
        let fields = (0..MOST_FIELDS).map(hidden).collect();
        let status = refused(Kind::FieldNotAllowed, Refusal::Fields(fields));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["data_class"], "bureau,contacts");
        assert!(info.metadata["field"].starts_with("record.long_"));
        let said = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(said.len(), MOST_FIELDS);
        assert!(
            said[0]
                .description
                .ends_with("needs the data class contacts")
        );
        assert!(status.details().len() < 4096, "{}", status.details().len());
    }
}
