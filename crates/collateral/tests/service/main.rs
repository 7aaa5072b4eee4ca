//! Client, store and server against each other, and against servers that nobody should believe. Nothing leaves this machine.

#[path = "../../../wire/tests/support/mod.rs"]
mod support;

mod amd;
mod canned;
mod client;
mod hygon;
mod keeping;
mod qve;
mod server;

use sealwright_collateral::{
    Clock, PckCa, Service, Store, Upkeep, Wanted,
    pcs::Config,
    serve::{Limits, Served, Server},
};
use sealwright_sim::{Site, fixed_clock};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::{Tee, collateral::Bundle, time::UnixTime};
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// A second at which the SGX and the TDX collateral of the vectors are both valid.
const NOW: UnixTime = UnixTime(1_750_416_960);
const DAY: u64 = 86_400;

/// A simulated vendor, and who trusts it.
struct Vendor {
    site: Site,
    anchors: Anchors,
}

impl Vendor {
    fn found() -> Self {
        Self::found_at(NOW)
    }

    fn found_at(now: UnixTime) -> Self {
        let site = Site::found(fixed_clock(now)).unwrap();
        let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
        Self { site, anchors }
    }

    fn bundle(&self, tee: Tee) -> Bundle {
        self.site.collateral(tee).unwrap()
    }

    fn wanted(&self, tee: Tee) -> Wanted {
        Wanted { tee, fmspc: self.site.status().fmspc.parse().unwrap(), ca: PckCa::Platform }
    }

    fn root(&self) -> sealwright_wire::Digest<32> {
        Anchor::from_certificate("site", self.site.root()).unwrap().id().sha256
    }

    /// An empty store.
    fn store(&self) -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = self.open(folder.path(), NOW);
        (folder, store)
    }

    fn open(&self, folder: &Path, at: UnixTime) -> Store {
        Store::open(folder, self.anchors.clone(), at).unwrap().0
    }

    /// A store with what the vendor has published.
    fn stocked(&self) -> (TempDir, Store) {
        let (folder, store) = self.store();
        for tee in [Tee::Sgx, Tee::Tdx] {
            store.import(&self.bundle(tee), NOW).unwrap();
        }
        (folder, store)
    }

    fn served(&self, store: Store) -> Served {
        let clock: Clock = Arc::new(|| NOW);
        Served { store: Arc::new(store), root: self.root(), upkeep: Upkeep::default(), clock }
    }
}

/// A server on this machine; its URL. It runs until the test ends.
async fn serving(served: Served) -> String {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), None, served, Limits::default()).await.unwrap();
    let url = server.url();
    tokio::spawn(server.run(std::future::pending()));
    url
}

/// A client of a server on this machine.
fn client(url: &str) -> Service {
    Service::new(&local(url)).unwrap()
}

fn local(url: &str) -> Config {
    Config { plain_http: true, timeout: Duration::from_secs(5), ..Config::pccs(url) }
}
