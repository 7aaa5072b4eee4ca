//! What services hand out that is not of one platform model of Intel's, each thing by what it is for.

use sealwright_wire::{
    Error as WireError, csv,
    snp::{AttestationReport, Product, SigningKey, Tcb},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The longest serial number of a chip, in bytes, as reports have room for it.
const MAX_SERIAL: usize = 64;

/// One thing that a service hands out and a store keeps in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Item {
    /// AMD's, of a product line: the CA of one kind of key (ASK or ASVK), the root (ARK), and the root's revocation list.
    AmdAuthority {
        /// The product line.
        #[serde(with = "product_name")]
        product: Product,
        /// The kind of key.
        endorser: Endorser,
    },
    /// AMD's certificate of one chip's key at one TCB.
    AmdVcek {
        /// The product line.
        #[serde(with = "product_name")]
        product: Product,
        /// The chip.
        hwid: Hwid,
        /// The security versions for which the key was derived.
        tcb: Tcb,
    },
    /// Hygon's certificates of one chip: HSK and CEK in a row.
    HygonChip {
        /// The chip.
        serial_number: SerialNumber,
    },
    /// Intel's identity of its quote verification enclave, its issuers, and the root's revocation list.
    IntelQveIdentity,
}

/// The two kinds of key that sign reports of SEV-SNP. Text form: as it stands in the routes of AMD's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endorser {
    /// A chip's own.
    Vcek,
    /// A cloud provider's. AMD hands its certificate to that provider alone: it comes with the report.
    Vlek,
}

impl Endorser {
    /// As it stands in routes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vcek => "vcek",
            Self::Vlek => "vlek",
        }
    }

    /// The kind that a report or a CA names; nothing where it names none.
    pub const fn of(key: SigningKey) -> Option<Self> {
        match key {
            SigningKey::Vcek => Some(Self::Vcek),
            SigningKey::Vlek => Some(Self::Vlek),
            SigningKey::None => None,
        }
    }
}

/// A chip of AMD's by its hwID: 64 bytes, on Turin 8. Text form: lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hwid(String);

impl Hwid {
    /// The hwID of a report's or certificate's CHIP_ID; nothing where that is not an identity of this product line's.
    pub fn of_chip_id(product: Product, chip_id: &[u8; 64]) -> Option<Self> {
        let (id, behind) = match product {
            Product::Turin => chip_id.split_at(8),
            _ => chip_id.split_at(64),
        };
        let names = id.iter().any(|byte| *byte != 0) && behind.iter().all(|byte| *byte == 0);
        names.then(|| Self(hex::encode(id)))
    }
}

impl FromStr for Hwid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shaped = [16, 128].contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if shaped { Ok(Self(text.to_ascii_lowercase())) } else { Err("expected 128 hex digits, or 16".to_owned()) }
    }
}

/// A chip of Hygon's by its serial number: letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SerialNumber(String);

impl SerialNumber {
    /// The number that a report's signer block states. Nothing signs it.
    ///
    /// # Errors
    /// When the block cannot be read, or states none.
    pub fn of_report(report: &csv::Report<'_>) -> Result<Self, NoItem> {
        let signer = report.plain_signer()?;
        let text = signer.serial_number.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).parse().map_err(NoItem::SerialNumber)
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SerialNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if (1..=MAX_SERIAL).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("expected 1 to {MAX_SERIAL} letters, digits, - and _, found {text:?}"))
    }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from($name(text): $name) -> Self {
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text!(Hwid);
text!(SerialNumber);

/// Why a report does not say what its verification needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoItem {
    /// It does not name its processor, or one of no product line that is known here.
    #[error("the report does not say of which product line its processor is ({0})")]
    Product(String),
    /// It names another product line than the caller.
    #[error("the report is of {found}, and not of {expected}")]
    OtherProduct {
        /// What the caller says.
        expected: &'static str,
        /// What the report says.
        found: &'static str,
    },
    /// It names no chip of its product line.
    #[error("the report names no chip: the host masks it (MASK_CHIP_ID), or it is of another product line")]
    NoChip,
    /// No key signed it.
    #[error("the report says that no key signed it")]
    Unsigned,
    /// It states no serial number by which a chip could be asked for.
    #[error("the chip's serial number: {0}")]
    SerialNumber(String),
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] WireError),
}

impl NoItem {
    /// The reason as a stable word for programs: kebab-case, never reused for another meaning.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Product(_) => "collateral-no-product",
            Self::OtherProduct { .. } => "collateral-other-product",
            Self::NoChip => "collateral-no-chip",
            Self::Unsigned => "collateral-unsigned",
            Self::SerialNumber(_) => "collateral-no-serial-number",
            Self::Malformed(_) => "malformed-report",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Product(_) => "name the product line: Milan, Genoa or Turin",
            Self::OtherProduct { .. } => "name the product line that the report names, or none",
            Self::NoChip => "take the certificate from the host, or have it show the chip's identity",
            Self::Unsigned => "have the host let the firmware sign (MASK_CHIP_KEY)",
            Self::SerialNumber(_) => "ask the machine's owner for its HSK and CEK",
            Self::Malformed(_) => "send the report's bytes exactly as the firmware made them",
        }
    }
}

impl Item {
    /// What a report of SEV-SNP needs, in the order in which it is to be asked for. Nothing about the report is believed. `product` is for
    /// reports of version 2, which do not name their processor.
    ///
    /// # Errors
    /// When the report does not say of which product line, chip and TCB its key is.
    pub fn of_snp(report: &AttestationReport, product: Option<Product>) -> Result<Vec<Self>, NoItem> {
        let (product, endorser) = key_of(report, product)?;
        let authority = Self::AmdAuthority { product, endorser };
        if endorser == Endorser::Vlek {
            return Ok(vec![authority]);
        }
        let hwid = Hwid::of_chip_id(product, &report.chip_id).ok_or(NoItem::NoChip)?;
        Ok(vec![authority, Self::AmdVcek { product, hwid, tcb: report.tcbs(product)?.reported }])
    }

    /// The first of these, which a report that names no chip needs as well.
    pub(crate) fn authority_of_snp(report: &AttestationReport, product: Option<Product>) -> Result<Self, NoItem> {
        key_of(report, product).map(|(product, endorser)| Self::AmdAuthority { product, endorser })
    }

    /// Where its file is, below a store's folder.
    pub fn file(&self) -> String {
        match self {
            Self::AmdAuthority { product, endorser } => {
                format!("amd/{}-{}.json", product.name().to_lowercase(), endorser.name())
            }
            Self::AmdVcek { product, hwid, tcb } => {
                let tcb = hex::encode(tcb.encode(*product).0);
                format!("amd/{}-{hwid}-{tcb}.der", product.name().to_lowercase())
            }
            Self::HygonChip { serial_number } => format!("hygon/{serial_number}.cert"),
            Self::IntelQveIdentity => "intel/qve-identity.json".to_owned(),
        }
    }
}

/// Of which product line and kind the key is that signed a report, by the report's word.
fn key_of(report: &AttestationReport, product: Option<Product>) -> Result<(Product, Endorser), NoItem> {
    let endorser = Endorser::of(report.signer().signing_key()).ok_or(NoItem::Unsigned)?;
    Ok((product_of(report, product)?, endorser))
}

fn product_of(report: &AttestationReport, named: Option<Product>) -> Result<Product, NoItem> {
    let Some((family, model, _)) = report.cpuid() else {
        return named.ok_or_else(|| NoItem::Product(format!("version {}", report.version)));
    };
    let found = Product::from_cpuid(family, model)
        .ok_or_else(|| NoItem::Product(format!("family {family:#04x}, model {model:#04x}")))?;
    match named {
        Some(expected) if expected != found => {
            Err(NoItem::OtherProduct { expected: expected.name(), found: found.name() })
        }
        _ => Ok(found),
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AmdAuthority { product, endorser } => {
                let key = endorser.name().to_uppercase();
                write!(f, "CA of {}s, root and revocation list of AMD {}", key, product.name())
            }
            Self::AmdVcek { product, hwid, tcb } => {
                write!(f, "VCEK of the AMD {} chip {hwid} at ", product.name())?;
                let versions = tcb.components().into_iter().skip(usize::from(tcb.fmc.is_none()));
                let versions: Vec<_> = versions.map(|(name, version)| format!("{name} {version}")).collect();
                f.write_str(&versions.join(", "))
            }
            Self::HygonChip { serial_number } => write!(f, "HSK and CEK of the Hygon chip {serial_number}"),
            Self::IntelQveIdentity => f.write_str("identity of Intel's quote verification enclave (QvE)"),
        }
    }
}

mod product_name {
    use sealwright_wire::snp::Product;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
    pub(super) fn serialize<S: Serializer>(product: &Product, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(product.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Product, D::Error> {
        let name = String::deserialize(deserializer)?;
        Product::from_name(&name).ok_or_else(|| D::Error::custom("expected Milan, Genoa or Turin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_chip_never_leaves_its_folder() {
        for text in ["", ".", "../x", "a/b", "a b", "a\0", "ü", &"x".repeat(65)] {
            assert!(text.parse::<SerialNumber>().is_err() && text.parse::<Hwid>().is_err(), "{text:?}");
            let json = serde_json::json!({ "kind": "hygon-chip", "serial_number": text }).to_string();
            assert!(serde_json::from_str::<Item>(&json).is_err(), "{text:?}");
        }
        let item = Item::HygonChip { serial_number: "TMSN01_2-3".parse().unwrap() };
        assert_eq!(item.file(), "hygon/TMSN01_2-3.cert");
        assert_eq!(serde_json::from_str::<Item>(&serde_json::to_string(&item).unwrap()).unwrap(), item);
    }

    #[test]
    fn turin_s_chips_have_short_names_and_a_masked_chip_has_none() {
        let mut chip_id = [0; 64];
        assert_eq!(Product::ALL.map(|product| Hwid::of_chip_id(product, &chip_id)), [const { None }; 3]);
        chip_id[0] = 0xAB;
        assert_eq!(Hwid::of_chip_id(Product::Turin, &chip_id).unwrap().to_string(), "ab00000000000000");
        assert_eq!(Hwid::of_chip_id(Product::Milan, &chip_id).unwrap().to_string().len(), 128);
        chip_id[63] = 1;
        assert_eq!(Hwid::of_chip_id(Product::Turin, &chip_id), None, "Turin's have 8 bytes");
        assert_eq!("AB00000000000000".parse(), Ok(Hwid("ab00000000000000".to_owned())));
    }
}
