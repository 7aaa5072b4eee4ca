//! The vendor: who certifies chips.

use super::authority::{Hrk, Hsk};
use super::chip::{Chip, ChipConfig};
use crate::{Error, site::lock};
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use zerocopy::IntoBytes;

/// A simulated vendor and everything that it made. Its keys live in this value's memory alone and are wiped when the last copy is dropped;
/// copies share everything.
#[derive(Clone)]
pub struct Site(Arc<Mutex<Vendor>>);

struct Vendor {
    hrk: Hrk,
    /// Who signs the next chips.
    hsk: Arc<Hsk>,
    /// Who signed earlier ones.
    former: Vec<Arc<Hsk>>,
}

impl Site {
    /// Founds a vendor: makes its root and its first signing key.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn found() -> Result<Self, Error> {
        let hrk = Hrk::found()?;
        let hsk = Arc::new(Hsk::below(&hrk)?);
        Ok(Self(Arc::new(Mutex::new(Vendor { hrk, hsk, former: Vec::new() }))))
    }

    /// The HRK's certificate: the trust anchor of this site and of no other.
    pub fn hrk(&self) -> Vec<u8> {
        lock(&self.0).hrk.certificate().as_bytes().to_vec()
    }

    /// Makes a chip, certified by the present HSK, in a platform that owns itself.
    ///
    /// # Errors
    /// When the serial number is over 64 bytes, or the cryptographic library fails.
    pub fn make_chip(&self, config: &ChipConfig) -> Result<Chip, Error> {
        let hsk = Arc::clone(&lock(&self.0).hsk);
        Chip::make(config, hsk)
    }

    /// Moves to a new HSK, which certifies the chips that are made from now on. Earlier ones keep theirs.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn renew_hsk(&self) -> Result<(), Error> {
        let mut vendor = lock(&self.0);
        let next = Arc::new(Hsk::below(&vendor.hrk)?);
        let former = std::mem::replace(&mut vendor.hsk, next);
        vendor.former.push(former);
        Ok(())
    }

    /// Moves to a new HRK under the same key id, which signs every HSK again. Whoever trusts the former one believes nothing that is fetched
    /// from now on.
    ///
    /// # Errors
    /// When the cryptographic library fails; some HSKs may be signed anew by then.
    pub fn renew_hrk(&self) -> Result<(), Error> {
        let mut vendor = lock(&self.0);
        vendor.hrk = vendor.hrk.renewed()?;
        vendor.former.iter().chain([&vendor.hsk]).try_for_each(|hsk| hsk.certify_again(&vendor.hrk))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}
