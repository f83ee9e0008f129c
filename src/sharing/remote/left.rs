//! What waits for callers in Redis: a list of the same sealed answer, one for each call that is to have it, and beside
//! it a mark while the answer is on its way.
//!
//! The mark has an owner (`o`), who asks for the answer, and says how many of the caller's calls want it at replicas that
//! did not ask: those that wait there (`w`), and those that have gone from there (`g`). A call that comes again takes the
//! place of one that has gone. Who takes an answer holds the mark as well (`t`) until it is sure to have it: should it have
//! gone meanwhile the answer comes back, and a repeat that is faster than that waits for it. For the same reason a mark stays
//! for a moment after its answer was handed over (`l`); at the replica that has it a repeat knows better. Nobody touches another
//! owner's mark, and each step is one script.

use std::{sync::Arc, time::Duration};

use super::{NoAnswer, PATIENT_BUDGET, Remote, left_of, millis, script};

/// What waits for a caller.
pub enum Left {
    /// An answer, sealed, and for how long it would have waited yet.
    Answer(Vec<u8>, Duration),
    /// It is on its way to this owner, for so long at most; or it was, and may come back.
    OnItsWay(String, Duration, bool),
    /// Nothing: whoever looked has marked it as its own, and is to ask for it.
    Nothing,
}

const ENTER: &str = "local left=redis.call('PTTL',KEYS[1]) \
    local v=redis.call('LPOP',KEYS[1]) \
    local there=redis.call('EXISTS',KEYS[2])==1 \
    if there and string.sub(redis.call('HGET',KEYS[2],'l') or '-',1,16)==string.sub(ARGV[2],1,16) then \
      redis.call('DEL',KEYS[2]) there=false end \
    if not there then \
      redis.call('HSET',KEYS[2],'w',0,'g',0) \
      redis.call('PEXPIRE',KEYS[2],ARGV[1]) end \
    if v then redis.call('HINCRBY',KEYS[2],'t',1) return {v,left,'',0} end \
    if not there then redis.call('HSET',KEYS[2],'o',ARGV[2]) return {false,0,'',0} end \
    local o=redis.call('HGET',KEYS[2],'o') or '' \
    if ARGV[3]~=o then \
      if tonumber(redis.call('HGET',KEYS[2],'g'))>0 then redis.call('HINCRBY',KEYS[2],'g',-1) end \
      redis.call('HINCRBY',KEYS[2],'w',1) end \
    return {false,redis.call('PTTL',KEYS[2]),o,redis.call('HEXISTS',KEYS[2],'l')}";

const GO: &str = "if redis.call('EXISTS',KEYS[1])==1 and (redis.call('HGET',KEYS[1],'o') or '')==ARGV[1] then \
    redis.call('HINCRBY',KEYS[1],'w',-1) redis.call('HINCRBY',KEYS[1],'g',ARGV[2]) end";

const TAKEN: &str = "if redis.call('EXISTS',KEYS[1])==1 and redis.call('HINCRBY',KEYS[1],'t',-1)<=0 \
    and not redis.call('HGET',KEYS[1],'o') then redis.call('DEL',KEYS[1]) end";

const MARK: &str = "if redis.call('HEXISTS',KEYS[1],'l')==1 then redis.call('DEL',KEYS[1]) end \
    if redis.call('EXISTS',KEYS[1])==0 then redis.call('HSET',KEYS[1],'w',0,'g',0) end \
    redis.call('HSETNX',KEYS[1],'o',ARGV[1]) \
    if redis.call('HGET',KEYS[1],'o')==ARGV[1] then redis.call('PEXPIRE',KEYS[1],ARGV[2]) end";

const WANTED: &str = "if redis.call('HGET',KEYS[1],'o')~=ARGV[1] then return 0 end \
    local n=redis.call('HGET',KEYS[1],'w')+redis.call('HGET',KEYS[1],'g') \
    if n<=0 and ARGV[2]=='0' then \
      redis.call('HSET',KEYS[1],'l',ARGV[1]) redis.call('PEXPIRE',KEYS[1],ARGV[3]) end \
    return n";

const RELEASE: &str =
    "if redis.call('HGET',KEYS[1],'o')==ARGV[1] then redis.call('DEL',KEYS[1]) end";

const PUSH: &str = "if not redis.call('SET',KEYS[3],1,'NX','PX',ARGV[3]) then return -1 end \
    local n=tonumber(ARGV[2]) \
    local o=redis.call('HGET',KEYS[2],'o') \
    if o==ARGV[4] then \
      local m=redis.call('HGET',KEYS[2],'w')+redis.call('HGET',KEYS[2],'g') \
      if m>n then n=m end end \
    if not o or o==ARGV[4] then redis.call('DEL',KEYS[2]) end \
    for _=1,n do redis.call('RPUSH',KEYS[1],ARGV[1]) end \
    redis.call('PEXPIRE',KEYS[1],ARGV[3]) \
    return n";

const FORGET: &str = "local left=redis.call('PTTL',KEYS[1]) \
    if left<0 or left>tonumber(ARGV[1]) then return 0 end \
    local n=redis.call('LLEN',KEYS[1]) redis.call('DEL',KEYS[1]) return n";

/// A batch of the same answer: pushed once, however often it is tried.
pub struct Batch<'a> {
    /// What tells it from every other.
    pub nonce: u64,
    /// The answer.
    pub sealed: &'a [u8],
    /// How many of it, or as many as the owner's mark says if that is more.
    pub calls: u32,
    /// For how long.
    pub lifetime: Duration,
    /// Whose mark ends with it.
    pub owner: &'a str,
}

impl Remote {
    /// Takes what waits for a caller under this key, once. If nothing does, and nothing is on its way, it is marked as
    /// on its way to this `owner`, for so long; and one that sees another's mark for the first time is counted as one
    /// that waits: it says whose it has `seen`. A mark that lingers is none to owners of the same replica: they begin with
    /// the same 16 letters.
    ///
    /// Nobody waits for this longer than it likes: it is asked in a task, which undoes what comes too late.
    ///
    /// # Errors
    ///
    /// If there was no answer in time: it may be done.
    pub async fn enter_left(
        &self,
        key: &str,
        lease: Duration,
        owner: &str,
        seen: Option<&str>,
    ) -> Result<Left, NoAnswer> {
        let mut command = script(ENTER, &[key, &on_its_way(key)]);
        command
            .arg(millis(lease))
            .arg(owner)
            .arg(seen.unwrap_or("nobody's"));
        let found = self
            .0
            .run::<(Option<Vec<u8>>, i64, String, bool)>(PATIENT_BUDGET, command);
        let (sealed, left, owner, lingers) = found.await?;
        Ok(match sealed {
            Some(sealed) => Left::Answer(sealed, left_of(left)),
            // An owner is there to its last millisecond.
            None if left > 0 || !owner.is_empty() => Left::OnItsWay(owner, left_of(left), lingers),
            None => Left::Nothing,
        })
    }

    /// What was taken has reached who took it.
    pub fn taken_left(&self, key: &str) -> impl Future<Output = ()> + Send + use<> {
        self.on_mark(TAKEN, key, Vec::new())
    }

    /// One that waited for this owner does so no longer: it has gone, or found what it waits for nearer.
    pub fn waits_no_longer_for_left(
        &self,
        key: &str,
        owner: &str,
        has_gone: bool,
    ) -> impl Future<Output = ()> + Send + use<> {
        let has_gone = u8::from(has_gone).to_string();
        self.on_mark(GO, key, vec![owner.to_owned(), has_gone])
    }

    /// Marks what a caller may come for as on its way to this owner, for so long from now, unless it is another's.
    pub fn mark_left(
        &self,
        key: &str,
        owner: &str,
        lease: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.on_mark(MARK, key, vec![owner.to_owned(), millis(lease).to_string()])
    }

    /// Nothing is on its way to this owner any more.
    pub fn release_left(&self, key: &str, owner: &str) -> impl Future<Output = ()> + Send + use<> {
        self.on_mark(RELEASE, key, vec![owner.to_owned()])
    }

    /// Does something to a mark. Should it not be done the mark ends by itself: a repeat waits for that, or asks again,
    /// and that is all that is lost.
    fn on_mark(
        &self,
        step: &'static str,
        key: &str,
        arguments: Vec<String>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (inner, key) = (Arc::clone(&self.0), on_its_way(key));
        async move {
            let mut command = script(step, &[&key]);
            command.arg(arguments);
            let _done = inner.run::<redis::Value>(PATIENT_BUDGET, command).await;
        }
    }

    /// How many want elsewhere what has arrived for this owner. If nobody does, and it is not owed here, the mark
    /// lingers for a moment: should the answer come back, a repeat elsewhere shall find it.
    ///
    /// # Errors
    ///
    /// If there was no answer in time.
    pub async fn wanted_left(
        &self,
        key: &str,
        owner: &str,
        is_owed: bool,
        lingers: Duration,
    ) -> Result<u32, NoAnswer> {
        let mut command = script(WANTED, &[&on_its_way(key)]);
        command
            .arg(owner)
            .arg(u8::from(is_owed))
            .arg(millis(lingers));
        let wanted = self.0.run::<i64>(PATIENT_BUDGET, command).await?;
        Ok(u32::try_from(wanted).unwrap_or_default())
    }

    /// Keeps a batch for a caller: how many of it, none if that was done before.
    ///
    /// # Errors
    ///
    /// If there was no answer in time: it may be kept.
    pub async fn push_left(&self, key: &str, batch: &Batch<'_>) -> Result<u32, NoAnswer> {
        let number = format!("{key}:{:x}", batch.nonce);
        let mut command = script(PUSH, &[key, &on_its_way(key), &number]);
        command
            .arg(batch.sealed)
            .arg(batch.calls)
            .arg(millis(batch.lifetime))
            .arg(batch.owner);
        let pushed = self.0.run::<i64>(PATIENT_BUDGET, command).await?;
        Ok(u32::try_from(pushed).unwrap_or_default())
    }

    /// Takes what waits under this key, once; whether anything did.
    ///
    /// # Errors
    ///
    /// If there was no answer in time: it may be taken.
    pub async fn pop_left(&self, key: &str) -> Result<bool, NoAnswer> {
        let mut command = redis::cmd("LPOP");
        command.arg(key);
        let popped = self.0.run::<Option<Vec<u8>>>(PATIENT_BUDGET, command);
        Ok(popped.await?.is_some())
    }

    /// Forgets what waits under this key if its time is over but for so much: how many times it waited.
    ///
    /// # Errors
    ///
    /// If there was no answer in time.
    pub async fn forget_left(&self, key: &str, at_most: Duration) -> Result<u32, NoAnswer> {
        let mut command = script(FORGET, &[key]);
        command.arg(millis(at_most));
        let waited = self.0.run::<i64>(PATIENT_BUDGET, command).await?;
        Ok(u32::try_from(waited).unwrap_or_default())
    }
}

fn on_its_way(key: &str) -> String {
    format!("{key}:on_its_way")
}
