//! Quotes: what a TPM signs, and the forms in which it travels.

use super::{key::Scheme, object::Object};
use crate::Error;
use sealwright_wire::{
    tcg2::AlgorithmId,
    tpm::{Attest, ClockInfo, Evidence, PcrSelections, PcrValues, QuoteParts, Signature, tools},
};

/// A quote with the PCRs that it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// `TPMS_ATTEST`: what `tpm2_quote -m` writes.
    pub message: Vec<u8>,
    /// `TPMT_SIGNATURE`: what `tpm2_quote -s` writes.
    pub signature: Vec<u8>,
    /// What was selected, as far as the TPM has it.
    pub selection: PcrSelections,
    /// What the selected PCRs held.
    pub pcrs: PcrValues,
}

impl Quote {
    /// The PCRs as `tpm2_quote -o` writes them.
    ///
    /// # Errors
    /// When a selected PCR was taken out of [`Quote::pcrs`].
    pub fn pcr_file(&self) -> Result<Vec<u8>, Error> {
        tools::write_pcrs(&self.selection, &self.pcrs).map_err(Error::tpm("PCR file"))
    }

    /// The PCRs as `tpm2_pcrread` prints them.
    pub fn pcr_yaml(&self) -> String {
        tools::write_yaml(&self.pcrs)
    }

    /// The signature as `tpm2_quote -f plain` writes it.
    ///
    /// # Errors
    /// When [`Quote::signature`] was changed into none.
    pub fn plain_signature(&self) -> Result<Vec<u8>, Error> {
        let signature = Signature::parse(&self.signature);
        signature.and_then(|signature| tools::plain_signature(&signature)).map_err(Error::tpm("TPMT_SIGNATURE"))
    }

    /// All PCRs of the bank of SHA-256, the one that trustee's evidence has places for.
    pub(crate) fn sha256_pcrs(&self) -> Result<Vec<[u8; 32]>, Error> {
        let pcrs = (0..super::PCRS).map(|pcr| self.pcrs.get(AlgorithmId::SHA256, pcr)?.try_into().ok());
        let pcrs: Option<Vec<_>> = pcrs.collect();
        pcrs.ok_or_else(|| {
            let (field, expected) = ("PCR banks", "one of sha256");
            Error::Config { field, expected, found: "none".to_owned() }
        })
    }

    /// As trustee's evidence under the key `ak_public`.
    pub(super) fn trustee(self, ak_public: Vec<u8>) -> Result<Evidence, Error> {
        let pcrs = self.sha256_pcrs()?;
        let tpm_quote = QuoteParts { signature: self.signature, message: self.message, pcrs };
        Ok(Evidence { ak_public, tpm_quote })
    }
}

/// What a TPM states beside its PCRs.
pub(super) struct Statement<'a> {
    pub(super) scheme: Scheme,
    pub(super) clock_info: ClockInfo,
    pub(super) firmware_version: u64,
    pub(super) extra_data: &'a [u8],
}

impl Statement<'_> {
    /// The quote of these PCRs under the attestation key `ak`.
    pub(super) fn quote(&self, ak: &Object, selection: PcrSelections, all: &PcrValues) -> Result<Quote, Error> {
        let pcrs = selected(&selection, all)?;
        // Bank by bank as selected, which is not the order of the values' collection.
        let values: Vec<_> = selection.registers().filter_map(|(bank, pcr)| pcrs.get(bank, pcr)).collect();
        let pcr_digest = self.scheme.hash().digest(&values);
        let attest = Attest {
            qualified_signer: ak.qualified_name(),
            extra_data: self.extra_data,
            clock_info: self.clock_info,
            firmware_version: self.firmware_version,
            pcr_select: selection.clone(),
            pcr_digest: &pcr_digest,
        };
        let message = attest.encode().map_err(Error::tpm("TPMS_ATTEST"))?;
        let signature = self.scheme.sign(&ak.key, &message)?;
        Ok(Quote { message, signature, selection, pcrs })
    }
}

fn selected(selection: &PcrSelections, all: &PcrValues) -> Result<PcrValues, Error> {
    let mut pcrs = PcrValues::new();
    for (bank, pcr) in selection.registers() {
        if let Some(value) = all.get(bank, pcr) {
            pcrs.insert(bank, pcr, value).map_err(Error::tpm("PCR values"))?;
        }
    }
    Ok(pcrs)
}
