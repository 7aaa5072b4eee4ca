//! The vendor's own keys: HRK and HSK.

use super::key::{Key, random};
use crate::{Error, site::lock};
use sealwright_wire::csv::{CaCertificate, Usage};
use std::sync::Mutex;

/// The root, which signs itself and HSKs.
pub(super) struct Hrk {
    key: Key,
    certificate: CaCertificate,
}

impl Hrk {
    pub(super) fn found() -> Result<Self, Error> {
        Self::with_key_id(key_id()?)
    }

    /// Another key under the same key id.
    pub(super) fn renewed(&self) -> Result<Self, Error> {
        Self::with_key_id(self.certificate.key_id)
    }

    fn with_key_id(key_id: [u8; 16]) -> Result<Self, Error> {
        let key = Key::generate("HRK")?;
        let certificate = certificate(Usage::HRK, &key, key_id, key_id)?;
        Ok(Self { certificate: signed(certificate, &key)?, key })
    }

    pub(super) const fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }
}

/// A key that signs the CEKs of chips.
pub(super) struct Hsk {
    pub(super) key: Key,
    certificate: Mutex<CaCertificate>,
}

impl Hsk {
    pub(super) fn below(hrk: &Hrk) -> Result<Self, Error> {
        let key = Key::generate("HSK")?;
        let certificate = certificate(Usage::HSK, &key, key_id()?, hrk.certificate.key_id)?;
        Ok(Self { key, certificate: Mutex::new(signed(certificate, &hrk.key)?) })
    }

    /// Has `hrk` sign the same certificate.
    pub(super) fn certify_again(&self, hrk: &Hrk) -> Result<(), Error> {
        let mut certificate = lock(&self.certificate);
        *certificate = signed(*certificate, &hrk.key)?;
        Ok(())
    }

    pub(super) fn certificate(&self) -> CaCertificate {
        *lock(&self.certificate)
    }
}

fn certificate(usage: Usage, key: &Key, key_id: [u8; 16], signer_id: [u8; 16]) -> Result<CaCertificate, Error> {
    CaCertificate::new(usage, key_id, signer_id, key.public(), key.user_id()).map_err(Error::Structure)
}

fn signed(mut certificate: CaCertificate, signer: &Key) -> Result<CaCertificate, Error> {
    certificate.signature = signer.sign(certificate.signed())?;
    Ok(certificate)
}

/// Key ids are given, not computed. The random half tells one site's root from another's.
fn key_id() -> Result<[u8; 16], Error> {
    let mut id = *b"SIMULATED-......";
    id[10..].copy_from_slice(&random::<6>()?);
    Ok(id)
}
