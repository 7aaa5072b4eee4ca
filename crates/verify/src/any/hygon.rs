//! Hygon's certificates out of the files in which its service and its tools hand them out.

use super::{Error, Kind, Missing, NotCollateral, supplied::only};
use sealwright_wire::csv::{CaCertificate, Certificate, HskCek, Usage};
use zerocopy::IntoBytes;

/// Certificates, each in its place. Which one another signed is the verifier's to judge.
#[derive(Clone, Debug, Default)]
pub(super) struct Certificates {
    hsk: Option<Vec<u8>>,
    cek: Option<Vec<u8>>,
    /// The root's, which must then be the one that is trusted.
    pub(super) hrk: Option<Vec<u8>>,
}

impl Certificates {
    pub(super) fn is_empty(&self) -> bool {
        [&self.hsk, &self.cek, &self.hrk].into_iter().all(Option::is_none)
    }

    /// Adds a certificate, or a chip's two in a row; `None` for bytes that are neither.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Option<Result<(), NotCollateral>> {
        if let Ok(HskCek { hsk, cek }) = HskCek::parse(bytes) {
            let hsk = self.put(Usage::HSK, hsk.as_bytes())?;
            return Some(hsk.and(self.put(Usage::CEK, cek.as_bytes())?));
        }
        match (CaCertificate::parse(bytes), Certificate::parse(bytes)) {
            (Ok(ca), _) => self.put(ca.usage(), bytes),
            (_, Ok(chip)) => self.put(chip.usage(), bytes),
            _ => None,
        }
    }

    fn put(&mut self, usage: Usage, certificate: &[u8]) -> Option<Result<(), NotCollateral>> {
        let (place, what) = match usage {
            Usage::HSK => (&mut self.hsk, "the HSK of this report's chip"),
            Usage::CEK => (&mut self.cek, "the CEK of this report's chip"),
            Usage::HRK => (&mut self.hrk, "the HRK above this report's chip"),
            _ => return None,
        };
        Some(only(place.replace(certificate.to_vec()), what))
    }

    /// HSK and CEK in a row.
    pub(super) fn hsk_cek(&self) -> Result<Vec<u8>, Error> {
        let missing = |missing| Error::Missing { kind: Kind::Csv, missing };
        match (&self.hsk, &self.cek) {
            (Some(hsk), Some(cek)) => Ok([hsk.as_slice(), cek].concat()),
            (Some(_), None) => Err(missing(Missing::HygonCertificate("CEK"))),
            (None, Some(_)) => Err(missing(Missing::HygonCertificate("HSK"))),
            (None, None) => Err(missing(Missing::HskCek)),
        }
    }
}
