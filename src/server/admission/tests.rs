//! Fair shares and memory, in paused time.

use super::*;

type Places = Vec<Place<&'static str>>;

fn admission(places: usize) -> Arc<Admission<&'static str>> {
    Arc::new(Admission::new(places, Arc::default()))
}

/// As many places as the caller gets.
fn all(admission: &Arc<Admission<&'static str>>, caller: &'static str) -> Places {
    std::iter::from_fn(|| admission.enter(caller).ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_caller_alone_may_use_everything() {
    let admission = admission(10);
    let places = all(&admission, "a");
    assert_eq!(places.len(), 10);
    drop(places);
    assert_eq!(all(&admission, "a").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn while_it_is_crowded_nobody_gets_more_than_its_share() {
    let admission = admission(12);
    let first = all(&admission, "a");
    assert_eq!(first.len(), 12);
    // Turned away, b and c are still seen.
    assert!(admission.enter("b").is_err());
    assert!(admission.enter("c").is_err());
    let mut first = first;
    first.truncate(8);
    assert!(admission.enter("a").is_err(), "a holds more than a third");
    let (second, third) = (all(&admission, "b"), all(&admission, "c"));
    assert_eq!((second.len(), third.len()), (4, 0));
    first.truncate(4);
    assert_eq!(all(&admission, "a").len(), 0);
    assert_eq!(all(&admission, "c").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn while_there_is_room_nobody_is_counted() {
    let admission = admission(12);
    let _other = admission.enter("b").unwrap();
    let most = all(&admission, "a");
    assert_eq!(most.len(), 6, "up to half full, then its share of two");
}

#[tokio::test(start_paused = true)]
async fn every_caller_gets_a_place_however_many_there_are() {
    let admission: Arc<Admission<usize>> = Arc::new(Admission::new(10, Arc::default()));
    let places: Vec<_> = (0..10)
        .filter_map(|caller| admission.enter(caller).ok())
        .collect();
    assert_eq!(places.len(), 10);
    assert_eq!(admission.enter(10).unwrap_err(), Full);
}

#[tokio::test(start_paused = true)]
async fn callers_that_are_gone_are_forgotten() {
    let admission = admission(2);
    let places = all(&admission, "a");
    assert!(admission.enter("b").is_err());
    assert!(admission.enter("b").is_err());
    assert_eq!(admission.lock().wishes.len(), 2, "each once");
    drop(places);
    tokio::time::advance(WANTS).await;
    assert_eq!(all(&admission, "a").len(), 2);
    let state = admission.lock();
    // The last attempt of `all` was turned away: a wants a place.
    assert_eq!(
        (state.callers.len(), state.wishes.len(), state.taken),
        (1, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn with_memory_short_one_call_at_a_time_is_taken() {
    let short = Arc::new(AtomicBool::new(true));
    let admission = Arc::new(Admission::new(10, Arc::clone(&short)));
    let place = admission.enter("a").unwrap();
    assert!(admission.enter("a").is_err() && admission.enter("b").is_err());
    drop(place);
    assert!(admission.enter("b").is_ok());
    short.store(false, Ordering::Relaxed);
    let _places = (admission.enter("a").unwrap(), admission.enter("b").unwrap());
}
