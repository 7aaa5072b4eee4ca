//! Which collateral a quote needs.

use sealwright_verify::{Collateral, Error, Part};
use sealwright_wire::{
    Digest, Error as WireError, Tee,
    collateral::pem_chain,
    pck::{PckExtension, SGX_EXTENSION},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use x509_cert::{Certificate, der::Decode};

/// What one bundle is for: a platform model, the CA that certified it, and a kind of environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The kind of environment.
    tee: Tee,
    /// The platform model.
    fmspc: Digest<6>,
    /// The subject of the CA that issues the model's PCK certificates.
    pck_ca: String,
}

impl Key {
    /// What `collateral` is for.
    pub fn of(collateral: &Collateral) -> Self {
        Self { tee: collateral.tee(), fmspc: collateral.fmspc(), pck_ca: collateral.pck_ca() }
    }

    /// What a quote needs that carries `pck_chain` (PEM, the PCK certificate first). Nothing about the chain is believed: a quote that
    /// names another platform than its own finds collateral that refuses it.
    ///
    /// # Errors
    /// When the chain is no PEM, or its first certificate is none with Intel's SGX extension.
    pub fn wanted(tee: Tee, pck_chain: &[u8]) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed { part: Part::Pck, source };
        let chain = pem_chain(Part::Pck.name(), pck_chain).map_err(malformed)?;
        let leaf = chain.first().map_or(&[][..], Vec::as_slice);
        let leaf = Certificate::from_der(leaf)
            .map_err(|error| malformed(WireError::unexpected(Part::Pck.name(), 0, "X.509 in DER", error)))?;
        let fields = leaf.tbs_certificate();
        let extension = fields.extensions().into_iter().flatten().find(|extension| extension.extn_id == SGX_EXTENSION);
        let extension = extension.ok_or_else(|| {
            let rule = "the SGX extension 1.2.840.113741.1.13.1";
            Error::Profile { part: Part::Pck, rule, found: "none".to_owned() }
        })?;
        let extension = PckExtension::from_der(extension.extn_value.as_bytes()).map_err(malformed)?;
        Ok(Self { tee, fmspc: Digest(extension.fmspc), pck_ca: fields.issuer().to_string() })
    }

    /// The kind of environment.
    pub const fn kind(&self) -> Tee {
        self.tee
    }

    /// The kind of environment, by its name.
    pub const fn tee(&self) -> &'static str {
        self.tee.name()
    }

    /// The platform model.
    pub const fn fmspc(&self) -> Digest<6> {
        self.fmspc
    }

    /// The subject of the CA that issues the model's PCK certificates.
    pub fn pck_ca(&self) -> &str {
        &self.pck_ca
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on FMSPC {} ({})", self.tee(), self.fmspc, self.pck_ca)
    }
}
