//! Work that is given up with its last caller, until something was sent that may be charged.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};

use super::{Left, register::Wanted};
use crate::{
    domain::{
        failure::{Failure, Kind},
        verification::Provider,
    },
    sharing::once::{Ended, Outcome},
};

/// The work, or the failure that says that it was given up before anything was sent. It is looked before each
/// poll whether anybody waits, and nobody goes during one, so nothing leaves for nobody: a repeat of what was free
/// included.
pub async fn work<T: Outcome>(
    wanted: Wanted<T>,
    work: impl Future<Output = Ended<T>>,
    provider: Provider,
    left: Left,
) -> Ended<T> {
    let mut work = pin!(work);
    let mut unattended = None;
    poll_fn(|context: &mut Context<'_>| {
        wanted.callers().work.register(context.waker());
        let _nobody_goes = wanted.callers().stay();
        match (
            wanted.callers().are_gone(),
            wanted.progress().may_be_charged(),
        ) {
            (true, false) if wanted.is_given_up() => {
                let given_up = Failure::before_sending(Kind::DeadlineExceeded, provider);
                return Poll::Ready(Err(given_up));
            }
            (true, true) if unattended.is_none() => {
                unattended = Some(left(wanted.progress().innermost()));
            }
            (true, true) => {}
            _ => unattended = None,
        }
        work.as_mut().poll(context)
    })
    .await
}
