//! Places for connections, of which no address may take all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many for all, so many for each address. Clones are the same places.
#[derive(Clone)]
pub(super) struct Places {
    most: usize,
    most_of_peer: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place, given back when dropped.
pub(super) struct Place {
    peer: IpAddr,
    of: Places,
}

impl Places {
    pub(super) fn new(most: usize, most_of_peer: usize) -> Self {
        Self { most, most_of_peer, taken: Arc::default() }
    }

    /// A place, if there is one left for this address.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let peer = peer(address);
        let mut taken = self.taken();
        let own = taken.get(&peer).copied().unwrap_or_default();
        if own >= self.most_of_peer || taken.values().sum::<usize>() >= self.most {
            return None;
        }
        taken.insert(peer, own.saturating_add(1));
        drop(taken);
        Some(Place { peer, of: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        match taken.get_mut(&self.peer) {
            Some(own) if *own > 1 => *own = own.saturating_sub(1),
            _ => {
                taken.remove(&self.peer);
            }
        }
    }
}

/// One IPv4 address, or one IPv6 network of 64 bits, which is what a single host is given.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_takes_all_and_what_is_given_back_is_there_again() {
        let places = Places::new(3, 2);
        let [one, same_network, other] = ["2001:db8::1", "2001:db8::2", "::ffff:192.0.2.1"].map(|a| a.parse().unwrap());
        let first = places.take(one).unwrap();
        let _second = places.take(same_network).unwrap();
        assert!(places.take(one).is_none(), "one network has its two");
        let _third = places.take(other).unwrap();
        assert!(places.take("192.0.2.2".parse().unwrap()).is_none(), "all three are taken");
        drop(first);
        assert!(places.take(one).is_some());
        assert_eq!(places.taken().len(), 2);
    }
}
