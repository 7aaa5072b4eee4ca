//! Whether data that came with an SGX quote is what its enclave held, and whether what is said of the quote beside it is what the quote says.

use crate::hash;
use sealwright_wire::{
    held_data::{HeldData, Stated},
    quote::{Body, Quote},
};

/// Why what comes with a quote is not its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeldDataError {
    /// The enclave vouched for other data.
    #[error("the quote's report data is not the SHA-256 of the data that came with it, and zeros")]
    OtherData {
        /// What the report data should be, in hex.
        expected: String,
        /// What it is, in hex.
        found: String,
    },
    /// The document says something else of the quote than the quote says.
    #[error("{member} beside the quote is not the quote's")]
    OtherQuote {
        /// The document's member.
        member: &'static str,
        /// What it says.
        expected: String,
        /// What the quote says.
        found: String,
    },
}

impl HeldDataError {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::OtherData { .. } => "held-data-mismatch",
            Self::OtherQuote { .. } => "stated-of-another-quote",
        }
    }

    pub(crate) const fn claim(&self) -> &'static str {
        match self {
            Self::OtherData { .. } => "report data",
            Self::OtherQuote { member, .. } => member,
        }
    }

    pub(crate) fn expected(&self) -> String {
        let (Self::OtherData { expected, .. } | Self::OtherQuote { expected, .. }) = self;
        expected.clone()
    }

    pub(crate) fn actual(&self) -> String {
        let (Self::OtherData { found, .. } | Self::OtherQuote { found, .. }) = self;
        found.clone()
    }

    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::OtherData { .. } => {
                "the data was changed, or belongs to another quote: have the enclave make a new quote for its data"
            }
            Self::OtherQuote { .. } => "the document was put together from several quotes: have it written anew",
        }
    }
}

/// Checks that a quote vouches for the data beside it, and is the quote that the document speaks of. Whether it is genuine is not asked.
///
/// # Errors
/// When it is not.
pub fn check(document: &HeldData, quote: &Quote<'_>) -> Result<(), HeldDataError> {
    if let Some(stated) = &document.stated {
        check_stated(stated, quote)?;
    }
    let mut expected = [0; 64];
    let (digest, _) = expected.split_at_mut(32);
    digest.copy_from_slice(&hash::sha256(&[&document.data]).0);
    let found = quote.body.report_data();
    if *found != expected {
        return Err(HeldDataError::OtherData { expected: hex::encode(expected), found: hex::encode(found) });
    }
    Ok(())
}

fn check_stated(stated: &Stated, quote: &Quote<'_>) -> Result<(), HeldDataError> {
    let Body::Sgx(body) = &quote.body else {
        let (expected, found) = (hex::encode(stated.mr_enclave), quote.tee().name().to_uppercase());
        return Err(HeldDataError::OtherQuote { member: "MrEnclaveHex", expected, found });
    };
    let (product_id, security_version) = (body.isv_prod_id.get().into(), body.isv_svn.get().into());
    let members = [
        ("MrEnclaveHex", hex::encode(stated.mr_enclave), hex::encode(body.mr_enclave)),
        ("MrSignerHex", hex::encode(stated.mr_signer), hex::encode(body.mr_signer)),
        ("ProductIdHex", hex(stated.product_id), hex(product_id)),
        ("SecurityVersion", stated.security_version.to_string(), u64::to_string(&security_version)),
    ];
    match members.into_iter().find(|(_, stated, actual)| stated != actual) {
        Some((member, expected, found)) => Err(HeldDataError::OtherQuote { member, expected, found }),
        None => Ok(()),
    }
}

fn hex(number: u128) -> String {
    hex::encode(number.to_le_bytes())
}
