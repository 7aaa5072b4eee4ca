//! The services of all vendors.

use crate::{Hygon, Item, Kds, Service};

/// Who is asked for what: one service of each vendor, where one was named.
#[derive(Clone, Default)]
pub struct Services {
    /// Intel's, or a cache of it: bundles, and the QvE's identity.
    pub intel: Option<Service>,
    /// AMD's, or a cache of it.
    pub amd: Option<Kds>,
    /// Hygon's, or a cache of it.
    pub hygon: Option<Hygon>,
}

impl Services {
    /// Whether there is somebody to ask for this.
    pub const fn serve(&self, item: &Item) -> bool {
        match item {
            Item::AmdAuthority { .. } | Item::AmdVcek { .. } => self.amd.is_some(),
            Item::HygonChip { .. } => self.hygon.is_some(),
            Item::IntelQveIdentity => self.intel.is_some(),
        }
    }
}
