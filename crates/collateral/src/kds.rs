//! AMD's Key Distribution Service, and caches of it: the client.
//!
//! Source: Versioned Chip Endorsement Key Certificate and KDS Interface Specification (57230), chapter "KDS Interface". The service answers 429 to
//! whoever asks often, and says when to come back.

use crate::{Access, Endorser, FetchError, FetchedItem, Hwid, Item, http, origin::Origin, paper::Paper};
use sealwright_verify::Anchors;
use sealwright_wire::{
    Error as WireError,
    snp::{Bundle, Product, Tcb},
    time::UnixTime,
};
use std::sync::Arc;

/// AMD's own service.
pub const AMD: &str = "https://kdsintf.amd.com";
/// The longest chain that is taken, in bytes of PEM: two certificates have 5 KB.
const MAX_CHAIN: usize = 32 << 10;
/// The longest revocation list that is taken, in bytes of DER.
const MAX_CRL: usize = 1 << 20;
/// The longest certificate that is taken, in bytes of DER: real ones have under 1.5 KB.
const MAX_CERTIFICATE: usize = 16 << 10;

/// A client of AMD's service, or of a cache of it.
#[derive(Clone)]
pub struct Kds(Origin);

impl Kds {
    /// A client that has asked nothing yet.
    ///
    /// # Errors
    /// When the URL or the roots are unusable.
    pub fn new(access: &Access) -> Result<Self, http::Error> {
        Origin::new(access).map(Self)
    }

    /// Where the service is.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Asks for the CA of one kind of key of a product line, its root and the root's revocation list, and verifies them at `at`.
    ///
    /// # Errors
    /// When there is no answer, they do not hold, or are of another product line or kind of key.
    pub async fn authority(
        &self,
        product: Product,
        endorser: Endorser,
        anchors: &Anchors,
        at: UnixTime,
    ) -> Result<FetchedItem, FetchError> {
        let route = format!("{}/{}/v1/{}", self.url(), endorser.name(), product.name());
        let url = format!("{route}/cert_chain");
        let chain = self.0.get(&url, MAX_CHAIN).await?.body.to_vec();
        let cert_chain = String::from_utf8(chain).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            FetchError::Answer {
                url,
                source: WireError::unexpected("cert_chain", at, "certificates in PEM", "no text"),
            }
        })?;
        let crl = self.0.get(&format!("{route}/crl"), MAX_CRL).await?.body.to_vec();
        let bundle = Bundle { cert_chain, crl: Some(crl) };
        let content = bundle.to_json().map_err(|source| FetchError::Answer { url: route, source })?;
        let paper = Paper::authority(content.into_bytes(), anchors, at)?;
        self.fetched(&Item::AmdAuthority { product, endorser }, paper, at)
    }

    /// Asks for the certificate of a chip's key at one TCB, and verifies it at `at` under its authority, which came before.
    ///
    /// # Errors
    /// When there is no answer, it does not hold, or is of another chip or TCB.
    pub async fn vcek(
        &self,
        product: Product,
        hwid: &Hwid,
        tcb: Tcb,
        authority: &FetchedItem,
        at: UnixTime,
    ) -> Result<FetchedItem, FetchError> {
        self.vcek_under(product, hwid, tcb, &authority.paper, at).await
    }

    pub(crate) async fn vcek_under(
        &self,
        product: Product,
        hwid: &Hwid,
        tcb: Tcb,
        authority: &Arc<Paper>,
        at: UnixTime,
    ) -> Result<FetchedItem, FetchError> {
        let url = format!("{}{}", self.url(), route(product, hwid, &tcb));
        let certificate = self.0.get(&url, MAX_CERTIFICATE).await?.body.to_vec();
        let paper = Paper::vcek(certificate, authority, at)?;
        self.fetched(&Item::AmdVcek { product, hwid: hwid.clone(), tcb }, paper, at)
    }

    fn fetched(&self, wanted: &Item, paper: Paper, at: UnixTime) -> Result<FetchedItem, FetchError> {
        if paper.item != *wanted {
            return Err(FetchError::Other { wanted: wanted.to_string(), found: paper.item.to_string() });
        }
        Ok(FetchedItem::new(paper, self.url(), at))
    }
}

/// The route of a VCEK's certificate: versions in decimal.
fn route(product: Product, hwid: &Hwid, tcb: &Tcb) -> String {
    let Tcb { fmc, boot_loader, tee, snp, microcode } = tcb;
    let fmc = fmc.map_or_else(String::new, |fmc| format!("fmcSPL={fmc:02}&"));
    let versions = format!("{fmc}blSPL={boot_loader:02}&teeSPL={tee:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}");
    format!("/vcek/v1/{}/{hwid}?{versions}", product.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turin_is_asked_by_eight_bytes_and_its_fmc() {
        let tcb = Tcb { fmc: None, boot_loader: 4, tee: 0, snp: 22, microcode: 213 };
        let hwid: Hwid = "ab".repeat(64).parse().unwrap();
        assert_eq!(
            route(Product::Milan, &hwid, &tcb),
            format!("/vcek/v1/Milan/{hwid}?blSPL=04&teeSPL=00&snpSPL=22&ucodeSPL=213")
        );
        let hwid: Hwid = "0102030405060708".parse().unwrap();
        assert_eq!(
            route(Product::Turin, &hwid, &Tcb { fmc: Some(1), ..tcb }),
            "/vcek/v1/Turin/0102030405060708?fmcSPL=01&blSPL=04&teeSPL=00&snpSPL=22&ucodeSPL=213"
        );
    }
}
