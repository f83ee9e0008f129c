//! The task of one HTTP/2 stream, from its headers to the last byte of the reply that HTTP/2 has taken.
//!
//! While the reply waits for the client to take it, nothing of ours is asked any more: neither a deadline in the
//! call nor one in the reply's body would ever be looked at. So the call says here when its stream ends, and what
//! has not been taken by then is dropped, which resets the stream.

use std::{
    cell::Cell,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};

use super::delivery::Delivery;

tokio::task_local! {
    static END: Cell<Option<(Instant, Option<Delivery>)>>;
}

/// Says when the stream of this call ends at the latest, and what is to hear of it. Outside of a stream, as in a test, it
/// says nothing.
pub fn ends(at: Instant, delivery: Option<Delivery>) {
    let _outside = END.try_with(|end| end.set(Some((at, delivery))));
}

/// Where hyper puts the streams of its connections.
#[derive(Debug, Clone, Copy)]
pub struct Streams;

impl<S: Future<Output = ()> + Send + 'static> hyper::rt::Executor<S> for Streams {
    fn execute(&self, stream: S) {
        let timed = Timed {
            stream,
            timer: None,
        };
        tokio::spawn(END.scope(Cell::new(None), timed));
    }
}

pin_project_lite::pin_project! {
    /// A stream that ends.
    struct Timed<S> {
        #[pin]
        stream: S,
        // Most streams are done before they wait for their client, and need none.
        timer: Option<(Pin<Box<Sleep>>, Option<Delivery>)>,
    }
}

impl<S: Future<Output = ()>> Future for Timed<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(context).is_ready() {
            return Poll::Ready(());
        }
        if this.timer.is_none()
            && let Some((end, delivery)) = END.with(Cell::take)
        {
            *this.timer = Some((Box::pin(tokio::time::sleep_until(end)), delivery));
        }
        let Some((timer, delivery)) = this.timer else {
            return Poll::Pending;
        };
        std::task::ready!(timer.as_mut().poll(context));
        if let Some(delivery) = delivery.take() {
            delivery.ends();
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use hyper::rt::Executor as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_call_said_and_not_before() {
        for said in [Some(Duration::from_secs(3)), None] {
            let begun = Instant::now();
            let (held, dropped) = oneshot::channel::<()>();
            Streams.execute(async move {
                let _held = held;
                // The call runs, and then the reply waits.
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Some(said) = said {
                    ends(begun + said, None);
                }
                pending::<()>().await;
            });
            let hour = Duration::from_secs(3600);
            let ended = tokio::time::timeout(hour, dropped).await.is_ok();
            assert_eq!(ended, said.is_some());
            assert_eq!(begun.elapsed().as_secs(), said.unwrap_or(hour).as_secs());
        }
    }
}
