//! How much one address has of what a server has a bounded amount of: nobody may take it all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Who is counted together: one IPv4 address, or one IPv6 network of 64 bits, which is what a single host is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self(Ipv6Addr::from(network).into())
            }
        }
    }
}

impl Default for Peer {
    /// Whoever has no address: all of them together.
    fn default() -> Self {
        Self(Ipv6Addr::UNSPECIFIED.into())
    }
}

/// Something of which all peers together have so much at most, and each of them so much. Its memory is bounded by what they have. Clones are the
/// same thing.
#[derive(Clone, Debug)]
pub struct Shared {
    most: usize,
    most_of_peer: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_peer: HashMap<Peer, usize>,
}

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This peer has as much as one may have.
    OfPeer,
    /// All together have as much as there is.
    OfAll,
}

/// What one peer has taken, given back when dropped.
#[derive(Debug)]
pub struct Share {
    peer: Peer,
    amount: usize,
    of: Shared,
}

impl Shared {
    /// `most` for all together, `most_of_peer` for each.
    pub fn new(most: usize, most_of_peer: usize) -> Self {
        Self { most, most_of_peer, taken: Arc::default() }
    }

    /// So much for `peer`, if there is so much.
    ///
    /// # Errors
    /// When there is not; then nothing is taken.
    pub fn take(&self, peer: Peer, amount: usize) -> Result<Share, Full> {
        let mut share = Share { peer, amount: 0, of: self.clone() };
        share.grow(amount)?;
        Ok(share)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// How much it is.
    pub const fn amount(&self) -> usize {
        self.amount
    }

    /// So much more, if there is so much.
    ///
    /// # Errors
    /// When there is not; then it stays as it is.
    pub fn grow(&mut self, by: usize) -> Result<(), Full> {
        let mut taken = self.of.taken();
        let of_peer = taken.of_peer.get(&self.peer).copied().unwrap_or_default();
        if by > self.of.most_of_peer.saturating_sub(of_peer) {
            return Err(Full::OfPeer);
        }
        if by > self.of.most.saturating_sub(taken.all) {
            return Err(Full::OfAll);
        }
        taken.all += by;
        taken.of_peer.insert(self.peer, of_peer + by);
        drop(taken);
        self.amount += by;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.all -= self.amount;
        if let Some(of_peer) = taken.of_peer.get_mut(&self.peer) {
            *of_peer -= self.amount;
            if *of_peer == 0 {
                taken.of_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> Peer {
        Peer::from(IpAddr::from([10, 0, 0, n]))
    }

    #[test]
    fn a_peer_has_so_much_and_gives_it_back() {
        let shared = Shared::new(10, 2);
        let shares = (shared.take(peer(1), 1).unwrap(), shared.take(peer(1), 1).unwrap());
        assert_eq!(shared.take(peer(1), 1).err(), Some(Full::OfPeer));
        assert!(shared.take(peer(2), 2).is_ok());
        drop(shares);
        assert!(shared.take(peer(1), 2).is_ok());
        assert!(shared.taken().of_peer.is_empty() && shared.taken().all == 0);
    }

    #[test]
    fn all_together_have_so_much() {
        let shared = Shared::new(3, 2);
        let mut one = shared.take(peer(1), 1).unwrap();
        let other = shared.take(peer(2), 2).unwrap();
        assert_eq!(one.grow(1), Err(Full::OfAll));
        assert_eq!(one.amount(), 1);
        drop(other);
        assert_eq!((one.grow(1), one.amount()), (Ok(()), 2));
        assert_eq!(one.grow(usize::MAX), Err(Full::OfPeer));
    }

    #[test]
    fn one_ipv6_host_is_one_peer() {
        let network = |host: &str| Peer::from(host.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("::ffff:10.0.0.1"), network("::ffff:10.0.0.2"));
    }
}
