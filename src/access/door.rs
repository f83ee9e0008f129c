//! The door: every call is identified, tested against the policy file, and counted, before it takes a
//! place. Nothing a caller sends is read before that, apart from its headers.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;

use super::{
    budget::{Budgets, Counted, Shared},
    fields::Fields,
    grants::{Access, Grants},
    persons::Records,
    share::Share,
};
use crate::{
    auth::{self, Authenticator, StartError, identity::Caller},
    domain::failure::{Failure, Kind, Quota},
    policy::Policies,
    reload::{Content, Watch},
    telemetry::call_facts::CallFacts,
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
                let problem = "is missing: nobody could do anything".to_owned();
                return Err(StartError::Setting("auth.policy_file", problem));
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

    /// Who sends this request; its credentials are taken out of it.
    ///
    /// # Errors
    ///
    /// [`Kind::Unauthenticated`], or [`Kind::AuthUnavailable`] if that cannot be told.
    pub async fn identify<B>(&self, request: &mut Request<B>) -> Result<Arc<Caller>, Failure> {
        let mut headers = std::mem::take(request.headers_mut());
        let extensions = request.extensions();
        let identified = self.authenticator.identify(&mut headers, extensions).await;
        *request.headers_mut() = headers;
        identified.map_err(Failure::from)
    }

    /// Lets a call of the contract in, and notes in its facts who calls and with which rights.
    ///
    /// # Errors
    ///
    /// As of [`identify`](Self::identify); [`Kind::MethodNotAllowed`] if no rule grants the RPC;
    /// [`Kind::RateLimited`] if the caller's calls of this minute are spent.
    pub async fn enter<B>(
        &self,
        request: &mut Request<B>,
        facts: &CallFacts,
    ) -> Result<(), Failure> {
        let caller = self.identify(request).await?;
        facts.called_by(Arc::clone(&caller));
        let Some(access) = &self.access else {
            return Ok(());
        };
        let not_allowed = || Failure::new(Kind::MethodNotAllowed);
        let grants = access.load().of(&caller).ok_or_else(not_allowed)?;
        facts.falls_under(Arc::clone(&grants.name));
        let fields = grants.rpcs.get(request.uri().path());
        let fields = fields.map(Arc::clone).ok_or_else(not_allowed)?;
        let records = grants.records.get(request.uri().path());
        let records = records.map(Arc::clone).ok_or_else(not_allowed)?;
        if let Some(limit) = grants.calls_per_minute {
            let identity = &caller.identity;
            let counted = self.budgets.take(identity, Quota::CallsPerMinute, limit);
            // Boxed, here and below, so that callers without a budget have no room for it in each call.
            let _stays_counted = Box::pin(counted).await?;
        }
        facts.may(Rights {
            grants,
            fields,
            records,
            budgets: Arc::clone(&self.budgets),
        });
        Ok(())
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

    /// Counts a call that a provider may charge for; none if the caller has no such budget.
    ///
    /// # Errors
    ///
    /// [`Kind::RateLimited`] if the budget is spent.
    pub async fn charge(&self, caller: &Caller) -> Result<Option<Counted>, Failure> {
        let Some(limit) = self.grants.charged_calls_per_day else {
            return Ok(None);
        };
        let counted = self
            .budgets
            .take(&caller.identity, Quota::ChargedCallsPerDay, limit);
        Box::pin(counted).await.map(Some)
    }
}

fn policy_file(
    path: &std::path::Path,
    policies: &Policies,
    watches: &mut Vec<Watch>,
) -> Result<Arc<ArcSwap<Access>>, StartError> {
    let wrong = |problem| StartError::Setting("auth.policy_file", problem);
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
