//! Runs a scenario once for every sequence of choices that it can make: an exhaustive test of small
//! worlds. A scenario that makes the same choices must do the same.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// The choices of one run: what was chosen, of how many.
#[derive(Clone, Default)]
pub struct Chooser(Arc<Mutex<Path>>);

#[derive(Default)]
struct Path {
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Chooser {
    /// One of so many.
    pub fn choose(&self, of: usize) -> usize {
        let mut path = self.0.lock().unwrap();
        let at = path.next;
        path.next += 1;
        if at == path.made.len() {
            path.made.push((0, of));
        }
        assert_eq!(path.made[at].1, of, "the scenario is not deterministic");
        path.made[at].0
    }

    /// Goes to the next sequence; none if this was the last.
    fn next(&self) -> Option<()> {
        let mut path = self.0.lock().unwrap();
        path.next = 0;
        while let Some((chosen, of)) = path.made.pop() {
            if chosen + 1 < of {
                path.made.push((chosen + 1, of));
                return Some(());
            }
        }
        None
    }
}

/// Runs the scenario with every sequence of choices; how many there are.
pub fn explore(mut scenario: impl FnMut(&Chooser)) -> usize {
    let chooser = Chooser::default();
    let mut runs = 0;
    loop {
        runs += 1;
        scenario(&chooser);
        if chooser.next().is_none() {
            return runs;
        }
    }
}

/// Whether a future asks to be polled.
#[derive(Default)]
struct Flag {
    woken: AtomicBool,
    driver: AtomicWaker,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.driver.wake();
    }
}

type Process<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Polls the processes one at a time in an order that is chosen. Before each poll `kills` may choose to
/// drop the process instead, which then has no result.
pub async fn interleave<'a, T>(
    chooser: &Chooser,
    processes: Vec<Process<'a, T>>,
    mut kills: impl FnMut(usize) -> bool,
) -> Vec<Option<T>> {
    let mut running: Vec<_> = processes.into_iter().map(Some).collect();
    let mut results: Vec<_> = running.iter().map(|_| None).collect();
    let flags: Vec<Arc<Flag>> = running.iter().map(|_| Arc::default()).collect();
    for flag in &flags {
        flag.woken.store(true, Ordering::SeqCst);
    }
    poll_fn(|context| {
        for flag in &flags {
            flag.driver.register(context.waker());
        }
        loop {
            if running.iter().all(Option::is_none) {
                return Poll::Ready(());
            }
            let woken =
                |at: &usize| running[*at].is_some() && flags[*at].woken.load(Ordering::SeqCst);
            let ready: Vec<_> = (0..running.len()).filter(woken).collect();
            if ready.is_empty() {
                return Poll::Pending;
            }
            let at = ready[chooser.choose(ready.len())];
            if kills(at) {
                running[at] = None;
                continue;
            }
            flags[at].woken.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&flags[at]));
            let process = running[at].as_mut().unwrap();
            if let Poll::Ready(result) = process.as_mut().poll(&mut Context::from_waker(&waker)) {
                results[at] = Some(result);
                running[at] = None;
            }
        }
    })
    .await;
    results
}
