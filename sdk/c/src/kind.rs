//! The names of kinds, as C has them.

use sealwright_verify::any::Kind;
use std::ffi::CStr;

/// A kind's name with the NUL that ends it.
macro_rules! terminated {
    ($($kind:ident),*) => {
        /// The kind in words, for as long as the program runs.
        pub(crate) fn name(kind: Kind) -> &'static CStr {
            let bytes: &'static [u8] = match kind {
                $(Kind::$kind => const { &with_nul::<{ Kind::$kind.name().len() + 1 }>(Kind::$kind.name()) },)*
            };
            CStr::from_bytes_with_nul(bytes).unwrap_or_default()
        }

        #[cfg(test)]
        const ALL: &[Kind] = &[$(Kind::$kind),*];
    };
}

terminated!(Quote, Snp, Csv, Tpm, TpmJson, TpmQuote, AzVtpm, HclReport, Nitro, Cca, Nvidia, Ratls, HeldData);

// At compile time, where a place that is not there does not compile.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn with_nul<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < name.len() {
        bytes[at] = name.as_bytes()[at];
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_keeps_its_name() {
        for kind in ALL {
            assert_eq!(name(*kind).to_str(), Ok(kind.name()));
        }
    }
}
