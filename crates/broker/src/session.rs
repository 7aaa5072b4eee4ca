//! Sessions of the key protocol, in bounded memory.
//!
//! A session is a *challenge* until evidence arrives for it. The first evidence takes the challenge out, whatever becomes of it: a nonce is good
//! for one attempt, and of any number of attempts at once exactly one has it. A success makes a new session under a new name, which holds
//! what the token says; the challenge's name means nothing any more.

use aws_lc_rs::rand;
use sealwright_wire::{Tee, kbs::NONCE_LEN, time::UnixTime};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

const ID_LEN: usize = 32;

/// The name of a session. Whoever knows it is in the session, so it is never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId([u8; ID_LEN]);

impl SessionId {
    fn random() -> Option<Self> {
        let mut id = [0; ID_LEN];
        rand::fill(&mut id).ok()?;
        Some(Self(id))
    }

    /// Reads what [`SessionId::cookie_value`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; ID_LEN];
        hex::decode_to_slice(text, &mut id).ok()?;
        Some(Self(id))
    }

    /// The name as the cookie carries it: 64 hex digits.
    pub(crate) fn cookie_value(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId")
    }
}

/// What was asked of a client that has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// The kind of environment that it says it is.
    pub(crate) tee: Tee,
    /// What its evidence must bind.
    pub(crate) nonce: [u8; NONCE_LEN],
}

enum State<T> {
    Challenged(Challenge),
    Attested(T),
}

#[derive(Clone, Copy)]
enum Kind {
    Challenged,
    Attested,
}

impl<T> State<T> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Challenged(_) => Kind::Challenged,
            Self::Attested(_) => Kind::Attested,
        }
    }
}

struct Session<T> {
    state: State<T>,
    weight: usize,
    expires: UnixTime,
    /// Its place in the order of creation.
    order: u64,
}

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most sessions of one state. One more, and the oldest of that state goes.
    pub(crate) sessions: usize,
    /// The most bytes that attested sessions hold together.
    pub(crate) bytes: usize,
    /// For how many seconds a challenge can be answered, and an attested session be used.
    pub(crate) seconds: u64,
}

/// The sessions. A flood of challenges pushes out challenges, never a session that has attested.
pub(crate) struct Sessions<T> {
    bounds: Bounds,
    table: Mutex<Table<T>>,
}

struct Table<T> {
    by_id: HashMap<SessionId, Session<T>>,
    /// The sessions of each kind in the order of their creation, which is the order in which they expire: all of them live equally long.
    ordered: [BTreeMap<u64, SessionId>; 2],
    bytes: usize,
    created: u64,
}

impl<T> Table<T> {
    fn remove(&mut self, id: SessionId) -> Option<Session<T>> {
        let session = self.by_id.remove(&id)?;
        self.ordered[session.state.kind() as usize].remove(&session.order);
        self.bytes -= session.weight;
        Some(session)
    }

    fn insert(&mut self, state: State<T>, weight: usize, expires: UnixTime) -> Option<SessionId> {
        let id = SessionId::random()?;
        self.created += 1;
        let order = self.created;
        self.ordered[state.kind() as usize].insert(order, id);
        self.bytes += weight;
        self.by_id.insert(id, Session { state, weight, expires, order });
        Some(id)
    }

    fn count(&self, kind: Kind) -> usize {
        self.ordered[kind as usize].len()
    }

    fn oldest(&self, kind: Kind) -> Option<SessionId> {
        self.ordered[kind as usize].first_key_value().map(|(_, id)| *id)
    }

    fn drop_expired(&mut self, now: UnixTime) {
        for kind in [Kind::Challenged, Kind::Attested] {
            while let Some(id) = self.oldest(kind) {
                if self.by_id.get(&id).is_some_and(|session| session.expires > now) {
                    break;
                }
                self.remove(id);
            }
        }
    }
}

impl<T: Clone> Sessions<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let table = Table { by_id: HashMap::new(), ordered: Default::default(), bytes: 0, created: 0 };
        Self { bounds, table: Mutex::new(table) }
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new challenge, or `None` when the system has no random bytes.
    pub(crate) fn challenge(&self, tee: Tee, now: UnixTime) -> Option<(SessionId, Challenge)> {
        let mut challenge = Challenge { tee, nonce: [0; NONCE_LEN] };
        rand::fill(&mut challenge.nonce).ok()?;
        let mut table = self.table();
        table.drop_expired(now);
        while table.count(Kind::Challenged) >= self.bounds.sessions {
            let oldest = table.oldest(Kind::Challenged)?;
            table.remove(oldest);
        }
        let id = table.insert(State::Challenged(challenge), 0, now.plus(self.bounds.seconds))?;
        Some((id, challenge))
    }

    /// Whether this session has a challenge that can be answered. Asking takes nothing away.
    pub(crate) fn is_challenged(&self, id: SessionId, now: UnixTime) -> bool {
        let table = self.table();
        let session = table.by_id.get(&id);
        session.is_some_and(|session| matches!(session.state, State::Challenged(_)) && session.expires > now)
    }

    /// Takes the challenge of this session out, so that nobody answers it again.
    pub(crate) fn take_challenge(&self, id: SessionId, now: UnixTime) -> Option<Challenge> {
        let mut table = self.table();
        if !matches!(table.by_id.get(&id)?.state, State::Challenged(_)) {
            return None;
        }
        let session = table.remove(id)?;
        match session.state {
            State::Challenged(challenge) if session.expires > now => Some(challenge),
            State::Challenged(_) | State::Attested(_) => None,
        }
    }

    /// A new session that has attested, of `weight` bytes. `None` when that is more than all sessions may hold, or when the system has no
    /// random bytes.
    pub(crate) fn attested(&self, what: T, weight: usize, now: UnixTime) -> Option<SessionId> {
        if weight > self.bounds.bytes {
            return None;
        }
        let mut table = self.table();
        table.drop_expired(now);
        while table.count(Kind::Attested) >= self.bounds.sessions || table.bytes + weight > self.bounds.bytes {
            let oldest = table.oldest(Kind::Attested)?;
            table.remove(oldest);
        }
        table.insert(State::Attested(what), weight, now.plus(self.bounds.seconds))
    }

    /// What this session attested.
    pub(crate) fn get(&self, id: SessionId, now: UnixTime) -> Option<T> {
        let table = self.table();
        match table.by_id.get(&id) {
            Some(Session { state: State::Attested(what), expires, .. }) if *expires > now => Some(what.clone()),
            _ => None,
        }
    }

    /// How many challenges are open, and how many sessions have attested.
    pub(crate) fn counts(&self, now: UnixTime) -> (usize, usize) {
        let mut table = self.table();
        table.drop_expired(now);
        (table.count(Kind::Challenged), table.count(Kind::Attested))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const NOW: UnixTime = UnixTime(1_000);

    fn sessions() -> Sessions<&'static str> {
        Sessions::new(Bounds { sessions: 4, bytes: 100, seconds: 300 })
    }

    #[test]
    fn a_challenge_is_taken_once() {
        let sessions = sessions();
        let (id, challenge) = sessions.challenge(Tee::Tdx, NOW).unwrap();
        assert!(sessions.is_challenged(id, NOW.plus(299)) && !sessions.is_challenged(id, NOW.plus(300)));
        assert_eq!(sessions.take_challenge(id, NOW), Some(challenge));
        assert_eq!(sessions.take_challenge(id, NOW), None);
        assert!(!sessions.is_challenged(id, NOW));
    }

    #[test]
    fn of_many_attempts_at_once_exactly_one_has_the_challenge() {
        let sessions = Arc::new(sessions());
        let (id, _) = sessions.challenge(Tee::Tdx, NOW).unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let sessions = Arc::clone(&sessions);
                std::thread::spawn(move || usize::from(sessions.take_challenge(id, NOW).is_some()))
            })
            .collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 1);
    }

    #[test]
    fn an_attested_session_has_another_name_and_no_challenge() {
        let sessions = sessions();
        let (challenged, _) = sessions.challenge(Tee::Tdx, NOW).unwrap();
        assert!(sessions.get(challenged, NOW).is_none());
        let attested = sessions.attested("claims", 10, NOW).unwrap();
        assert!(challenged != attested);
        assert_eq!(sessions.get(attested, NOW), Some("claims"));
        assert!(!sessions.is_challenged(attested, NOW));
        assert_eq!(sessions.take_challenge(attested, NOW), None);
        assert_eq!(sessions.get(attested, NOW), Some("claims"));
    }

    #[test]
    fn sessions_expire() {
        let sessions = sessions();
        let (challenged, _) = sessions.challenge(Tee::Tdx, NOW).unwrap();
        let attested = sessions.attested("claims", 10, NOW).unwrap();
        assert_eq!(sessions.get(attested, NOW.plus(299)), Some("claims"));
        assert_eq!(sessions.get(attested, NOW.plus(300)), None);
        assert_eq!(sessions.take_challenge(challenged, NOW.plus(300)), None);
        assert_eq!(sessions.counts(NOW.plus(300)), (0, 0));
    }

    #[test]
    fn a_flood_of_challenges_is_bounded_and_pushes_out_no_attested_session() {
        let sessions = sessions();
        let attested = sessions.attested("claims", 10, NOW).unwrap();
        let (first, _) = sessions.challenge(Tee::Tdx, NOW).unwrap();
        let last = (0..1_000).map(|_| sessions.challenge(Tee::Sgx, NOW).unwrap().0).last().unwrap();
        assert_eq!(sessions.counts(NOW), (4, 1));
        assert_eq!(sessions.take_challenge(first, NOW), None);
        assert!(sessions.take_challenge(last, NOW).is_some());
        assert_eq!(sessions.get(attested, NOW), Some("claims"));
    }

    #[test]
    fn attested_sessions_hold_bounded_bytes() {
        let sessions = sessions();
        assert!(sessions.attested("too much", 101, NOW).is_none());
        let first = sessions.attested("a", 60, NOW).unwrap();
        let second = sessions.attested("b", 60, NOW).unwrap();
        assert_eq!((sessions.get(first, NOW), sessions.get(second, NOW)), (None, Some("b")));
        assert_eq!(sessions.table().bytes, 60);
    }
}
