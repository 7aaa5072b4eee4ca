//! What the firmware makes of a request for a report.

use super::chip::{Chip, Pek};
use super::key::random;
use crate::{Error, ORGANISATION};
use hmac::{Hmac, KeyInit, Mac};
use sealwright_wire::csv::{
    ALGORITHM_SM2_SIGN, Body, Report, Shape, Signer, SignerForm, TeeInfo, TeeInfoV1, TeeInfoV2, Usage,
};
use sm3::Sm3;

/// A report's version and how it is wrapped: every pair of them that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Version 1 as the device hands it out.
    Bare,
    /// Version 1 in the wrapper of zeros that csv-rs makes.
    Legacy,
    /// Version 1, asked for with [`EXTENSION_MAGIC`](sealwright_wire::csv::EXTENSION_MAGIC).
    ExtensionV1,
    /// Version 2, asked for in the same way.
    ExtensionV2,
}

impl Layout {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Bare, Self::Legacy, Self::ExtensionV1, Self::ExtensionV2];

    /// How it is wrapped.
    pub const fn shape(self) -> Shape {
        match self {
            Self::Bare => Shape::Bare,
            Self::Legacy => Shape::Legacy,
            Self::ExtensionV1 | Self::ExtensionV2 => Shape::Extension,
        }
    }

    /// The version of the TEE info: 1 or 2.
    pub const fn version(self) -> u8 {
        match self {
            Self::Bare | Self::Legacy | Self::ExtensionV1 => 1,
            Self::ExtensionV2 => 2,
        }
    }
}

/// Everything that a report says, before anything is signed.
pub(super) struct Draft<'a> {
    pub(super) chip: &'a Chip,
    pub(super) info: TeeInfo,
    pub(super) rtmr: &'a [[u8; 32]; 5],
}

impl Draft<'_> {
    pub(super) fn sign(mut self, layout: Layout, form: SignerForm) -> Result<Vec<u8>, Error> {
        self.info.sig_usage.set(Usage::PEK.0);
        self.info.sig_algo.set(ALGORITHM_SM2_SIGN);
        let pek = self.chip.present_pek();
        if layout.version() == 2 {
            let [_, rtmrs @ ..] = *self.rtmr;
            let mut body = TeeInfoV2::new(self.info, self.chip.firmware().build, rtmrs);
            body.signature = pek.key.sign(Body::V2(&body).signed())?;
            return self.encode(&pek, layout, &Body::V2(&body), form);
        }
        let mut body = TeeInfoV1::new(self.info, random()?);
        body.signature = pek.key.sign(Body::V1(&body).signed())?;
        self.encode(&pek, layout, &Body::V1(&body), form)
    }

    fn encode(&self, pek: &Pek, layout: Layout, body: &Body<'_>, form: SignerForm) -> Result<Vec<u8>, Error> {
        let mut signer = Signer::new(pek.certificate, self.chip.serial_number(), reserved(), body.anonce());
        let mac = Hmac::<Sm3>::new_from_slice(&self.info.mnonce).map_err(|_| Error::Crypto("key a MAC"))?;
        signer.mac = mac.chain_update(signer.authenticated()).finalize().into_bytes().into();
        let signer = match form {
            SignerForm::Firmware => signer,
            SignerForm::Restored => signer.restored(body.anonce()),
        };
        Report::encode(layout.shape(), body, &signer).map_err(Error::Structure)
    }
}

/// Nobody documents these bytes; real firmware does not leave them zero either.
fn reserved() -> [u8; 32] {
    let mut reserved = [0; 32];
    reserved.iter_mut().zip(ORGANISATION.bytes()).for_each(|(place, byte)| *place = byte);
    reserved
}
