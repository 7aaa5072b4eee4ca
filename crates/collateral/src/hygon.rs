//! Hygon's certificate service, and caches of it: the client.
//!
//! The service gives the certificates of a chip, HSK and CEK in a row, to whoever knows its serial number (csv-rs). They have no dates, there are no
//! revocation lists, and nothing in them names the chip.

use crate::{Access, FetchError, FetchedItem, SerialNumber, http, origin::Origin, paper::Paper};
use sealwright_verify::Anchors;
use sealwright_wire::{csv::Report, time::UnixTime};

/// Hygon's own service.
pub const HYGON: &str = "https://cert.hygon.cn";
/// HSK and CEK, in bytes: one more is an answer of another kind.
const LENGTH: usize = 2916;

/// A client of Hygon's service, or of a cache of it.
#[derive(Clone)]
pub struct Hygon(Origin);

impl Hygon {
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

    /// Asks for HSK and CEK of the chip with this serial number, and verifies them. That they are this chip's is the service's word.
    ///
    /// # Errors
    /// When there is no answer, or they do not hold.
    pub async fn chip(
        &self,
        serial_number: &SerialNumber,
        anchors: &Anchors,
        at: UnixTime,
    ) -> Result<FetchedItem, FetchError> {
        let url = format!("{}/hsk_cek?snumber={serial_number}", self.url());
        let pair = self.0.get(&url, LENGTH).await?.body.to_vec();
        let paper = Paper::hygon_chip(pair, serial_number.clone(), anchors)?;
        Ok(FetchedItem::new(paper, self.url(), at))
    }

    /// The same for the chip that a report states, if the report is then one of that chip.
    ///
    /// # Errors
    /// As [`chip`](Self::chip), and when the report is not genuine under these certificates: of a chip with another key, most often.
    pub async fn chip_of(
        &self,
        report: &Report<'_>,
        serial_number: &SerialNumber,
        anchors: &Anchors,
        at: UnixTime,
    ) -> Result<FetchedItem, FetchError> {
        let fetched = self.chip(serial_number, anchors, at).await?;
        fetched.paper.check_report(report, anchors, at)?;
        Ok(fetched)
    }
}
