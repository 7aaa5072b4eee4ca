//! How often a peer may ask for a challenge: a token bucket per address, in bounded memory.

use sealwright_channel::peers::Peer;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most peers that are remembered. A peer that is not remembered has a full bucket.
const MAX_PEERS: usize = 16_384;

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// A limit of so many per second, with a burst on top, for each peer.
pub(crate) struct RateLimit {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<Peer, Bucket>>,
}

impl RateLimit {
    /// `per_second` of 0 means no limit.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.into(), burst: burst.max(1).into(), buckets: Mutex::default() }
    }

    /// Takes one token of `peer`, or says after how long there will be one.
    pub(crate) fn take(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        if self.per_second == 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_PEERS && !buckets.contains_key(&peer) {
            self.forget_some(&mut buckets, now);
        }
        let bucket = buckets.entry(peer).or_insert(Bucket { tokens: self.burst, at: now });
        bucket.tokens = self.refilled(bucket, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
    }

    fn refilled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        since.mul_add(self.per_second, bucket.tokens).min(self.burst)
    }

    /// Full buckets say nothing. Where none is full, half of all are dropped: whoever brings so many addresses together gains at most a
    /// burst for each, and the sessions are bounded elsewhere.
    fn forget_some(&self, buckets: &mut HashMap<Peer, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.refilled(bucket, now) < self.burst);
        if buckets.len() >= MAX_PEERS {
            let mut keep = false;
            buckets.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(n: u32) -> Peer {
        Peer::from(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn a_burst_then_so_many_per_second_for_each_peer() {
        let limit = RateLimit::new(2, 3);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limit.take(peer(1), start), Ok(()));
        }
        assert_eq!(limit.take(peer(1), start), Err(Duration::from_millis(500)));
        assert_eq!(limit.take(peer(2), start), Ok(()));
        assert_eq!(limit.take(peer(1), start + Duration::from_millis(500)), Ok(()));
        assert!(limit.take(peer(1), start + Duration::from_millis(500)).is_err());
    }

    #[test]
    fn zero_means_no_limit() {
        let limit = RateLimit::new(0, 0);
        assert!((0..1000).all(|_| limit.take(peer(1), Instant::now()).is_ok()));
    }

    #[test]
    fn a_flood_of_addresses_is_held_in_bounded_memory() {
        let limit = RateLimit::new(1, 1);
        let now = Instant::now();
        for n in 0..100_000 {
            let _ = limit.take(peer(n), now);
        }
        assert!(limit.buckets.lock().unwrap().len() <= MAX_PEERS);
    }
}
