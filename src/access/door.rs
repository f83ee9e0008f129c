//! The door: every call is identified, tested against the policy file, and counted, before it takes a
//! place. Nothing a caller sends is read before that, apart from its headers.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;

use super::{
    budget::{Budgets, Counted, Shared},
    grants::{Access, Grants},
    left::Left,
    persons::Records,
    share::Share,
};
use crate::{
    auth::{self, Authenticator, StartError, Unidentified, identity::Caller},
    domain::{
        cause::Cause,
        failure::{Failure, Kind},
        refusal::{Budget, Quota, Refusal},
    },
    policy::Policies,
    proto::fields::Fields,
    reload::{Content, Watch},
};

/// What all calls share.
#[derive(Debug)]
pub struct Door {
    authenticator: Authenticator,
    /// None: whoever is let in may do everything.
    access: Option<Arc<ArcSwap<Access>>>,
    budgets: Arc<Budgets>,
}

/// What the caller of one call may do.
#[derive(Debug)]
pub struct Rights {
    grants: Arc<Grants>,
    fields: Arc<Fields>,
    records: Arc<Records>,
    budgets: Arc<Budgets>,
}

/// What is known of a caller's rights at one RPC.
#[derive(Debug)]
pub struct Authorized {
    /// The name of the policy file's rule that the caller falls under.
    pub rule: Option<Arc<str>>,
    /// What it may do; none if that is everything.
    pub rights: Result<Option<Rights>, NotAllowed>,
}

/// No rule grants the RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAllowed(Cause);

impl NotAllowed {
    /// What the caller gets, who would need this scope.
    #[must_use]
    pub fn needs(self, scope: &str) -> Failure {
        Failure {
            cause: Some(self.0),
            refusal: Some(Box::new(Refusal::Scope(scope.into()))),
            ..Failure::new(Kind::MethodNotAllowed)
        }
    }
}

impl Door {
    /// The configured modes and the policy file. A key set is fetched in a task of the current runtime; what
    /// is to be done when another file changes is added to `watches`.
    ///
    /// # Errors
    ///
    /// The setting that cannot be used.
    pub fn start(
        settings: &auth::Settings,
        policies: &Policies,
        shared: Option<Shared>,
        watches: &mut Vec<Watch>,
    ) -> Result<Self, StartError> {
        let authenticator = Authenticator::start(settings, watches)?;
        let access = match &settings.policy_file {
            Some(path) => Some(policy_file(path, policies, watches)?),
            None if authenticator.is_on() => {
                let problem = "is required: without it every call would be denied".to_owned();
                return Err(StartError::Setting("auth.policy_file".into(), problem));
            }
            None => None,
        };
        Ok(Self {
            authenticator,
            access,
            budgets: Arc::new(Budgets::new(shared)),
        })
    }

    /// Whether a rule gives person records owners, who are identified.
    #[must_use]
    pub fn has_owners(&self) -> bool {
        let access = self.access.as_ref();
        self.authenticator.is_on() && access.is_some_and(|access| access.load().has_owners())
    }

    /// What is left of the callers' budgets, by rule, at any time.
    #[must_use]
    pub fn left(&self) -> Left {
        Left {
            access: self.access.clone(),
            budgets: Arc::clone(&self.budgets),
        }
    }

    /// Who sends this request; its credentials are taken out of it.
    ///
    /// # Errors
    ///
    /// If that is not known.
    pub async fn identify<B>(&self, request: &mut Request<B>) -> Result<Arc<Caller>, Unidentified> {
        let mut headers = std::mem::take(request.headers_mut());
        let extensions = request.extensions();
        let identified = self.authenticator.identify(&mut headers, extensions).await;
        *request.headers_mut() = headers;
        identified
    }

    /// What a caller may do at an RPC, by its path, as in `/package.Service/Method`.
    #[must_use]
    pub fn authorize(&self, caller: &Arc<Caller>, path: &str) -> Authorized {
        let Some(access) = &self.access else {
            return Authorized {
                rule: None,
                rights: Ok(None),
            };
        };
        let Some(grants) = access.load().of(caller) else {
            return Authorized {
                rule: None,
                rights: Err(NotAllowed(Cause::NoRule)),
            };
        };
        let rule = Some(Arc::clone(&grants.name));
        let (fields, records) = (grants.rpcs.get(path), grants.records.get(path));
        let rights = match fields.zip(records) {
            Some((fields, records)) => Ok(Some(Rights {
                fields: Arc::clone(fields),
                records: Arc::clone(records),
                budgets: Arc::clone(&self.budgets),
                grants,
            })),
            None => Err(NotAllowed(Cause::NotGranted)),
        };
        Authorized { rule, rights }
    }
}

impl Rights {
    /// The fields that the caller may see of the answer.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whose person records the caller may use.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// With whom the caller shares answers.
    #[must_use]
    pub fn share(&self) -> &Share {
        &self.grants.share
    }

    /// Counts a call of the caller's, if its calls are limited.
    ///
    /// # Errors
    ///
    /// [`Kind::BudgetExhausted`] if its calls of this minute are spent.
    pub async fn enter(&self, caller: &Caller) -> Result<(), Failure> {
        let Some(limit) = self.grants.calls_per_minute else {
            return Ok(());
        };
        let counted = self
            .budgets
            .take(&caller.identity, Quota::CallsPerMinute, limit);
        // Boxed, here and below, so that callers without a budget have no room for it in each call.
        let _stays_counted = Box::pin(counted).await?;
        Ok(())
    }

    /// Counts a call that a provider may charge for; none if the caller has no such budget.
    ///
    /// # Errors
    ///
    /// [`Kind::BudgetExhausted`] if the budget is spent.
    pub async fn charge(&self, caller: &Caller) -> Result<Option<Counted>, Failure> {
        let Some(limit) = self.grants.charged_calls_per_day else {
            return Ok(None);
        };
        let counted = self
            .budgets
            .take(&caller.identity, Quota::ChargedCallsPerDay, limit);
        Box::pin(counted).await.map(Some)
    }

    /// What is left of each of the caller's budgets, where that is known.
    pub fn left(&self, caller: &Caller) -> impl Iterator<Item = Budget> {
        let budgets = self.grants.budgets();
        budgets.filter_map(|(quota, limit)| self.budgets.left(&caller.identity, quota, limit))
    }
}

fn policy_file(
    path: &std::path::Path,
    policies: &Policies,
    watches: &mut Vec<Watch>,
) -> Result<Arc<ArcSwap<Access>>, StartError> {
    let wrong = |problem| StartError::Setting("auth.policy_file".into(), problem);
    let text = auth::text(path).map_err(wrong)?;
    let access = Access::parse(&text, policies).map_err(|error| wrong(error.to_string()))?;
    let access = Arc::new(ArcSwap::from_pointee(access));
    let (into, policies) = (Arc::clone(&access), policies.clone());
    let take = move |contents: &[Content]| {
        let access = Access::parse(auth::utf8(contents)?, &policies);
        into.store(Arc::new(access.map_err(|error| error.to_string())?));
        Ok(())
    };
    watches.push(Watch::new("auth.policy_file", vec![path.to_owned()], take));
    Ok(access)
}
