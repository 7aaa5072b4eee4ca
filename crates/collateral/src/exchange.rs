//! Everything that a store holds in one signed file, for sites without a network: the format and its reader.
//!
//! The file is a JSON object of four members: `format` is [`FORMAT`], `bundles` a list of bundles, each as the JSON text that it has in a store,
//! `items` a list of [`Article`]s, each as JSON text, and `signature` a compact JWS (RFC 7515) by the site that exported, ES256. The JWS's header has
//! the type [`TYPE`] and the key's name as `kid`; its payload is `{"version": 2, "issued_at": time, "bundles": [SHA-256 of each text, in order],
//! "items": [likewise]}`. Version 1, which is read as well, has no `items`. The signature says who gathered them; whether they are genuine say their
//! vendors.

use crate::{Item, MAX_ITEMS};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use sealwright_verify::hash::sha256;
use sealwright_wire::{
    Digest, Error as WireError,
    collateral::{Bundle, MAX_JSON},
    jws::{self, Compact, Header},
    time::UnixTime,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The format's name.
pub const FORMAT: &str = "sealwright-collateral";
/// The JWS's type (`typ`), by which it cannot be taken for another signed thing.
pub const TYPE: &str = "sealwright-collateral+jws";
/// The version that is written; it and version 1 are read.
pub const VERSION: u32 = 2;
/// The version that has no items.
const WITHOUT_ITEMS: u32 = 1;
/// The most bundles in one file.
pub const MAX_BUNDLES: usize = 1024;
/// The longest file that is read, in bytes. A bundle has under 20 KB.
pub const MAX_FILE: usize = 64 << 20;

/// The longest text of a bundle or item, in bytes.
const MAX_TEXT: usize = MAX_JSON;
const BUNDLE: &str = "bundle";
const ITEM: &str = "item";
const FIELD: &str = "collateral export";
const ES256: &str = "ES256";

/// Why there is no export, or it is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// It is not in the format.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// It is of a version that is unknown here.
    #[error("version {found} of the collateral export is unknown here, {WITHOUT_ITEMS} and {VERSION} are known")]
    Version {
        /// What it says.
        found: u32,
    },
    /// The signature is not that of the site whose key was given.
    #[error("the collateral export is not signed by the site whose key was given")]
    Signature,
    /// A bundle or item is not the one that was signed.
    #[error("{what} {index} of the collateral export is not the one that was signed")]
    Bundle {
        /// Which of the two.
        what: &'static str,
        /// Its place in the list, from 0.
        index: usize,
    },
    /// There are more, or fewer, than were signed, or than one file may have.
    #[error("the collateral export has {found} {what}s where {expected} are expected")]
    Count {
        /// Of which.
        what: &'static str,
        /// What was signed, or is the most.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// The key did not sign.
    #[error("the export cannot be signed: {0}")]
    Sign(String),
}

impl ExchangeError {
    /// The reason as a stable word for programs: kebab-case, never reused for another meaning.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "collateral-export-malformed",
            Self::Version { .. } => "collateral-export-version",
            Self::Signature => "collateral-export-signature",
            Self::Bundle { .. } => "collateral-export-bundle",
            Self::Count { .. } => "collateral-export-count",
            Self::Sign(_) => "collateral-export-key",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Bundle { .. } | Self::Count { .. } => {
                "carry the file over once more, as it was written"
            }
            Self::Version { .. } => "export with a program of this version",
            Self::Signature => "give the public key of the site that exported; if it is that, do not use the file",
            Self::Sign(_) => "give a private ECDSA P-256 key",
        }
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
    bundles: Vec<String>,
    #[serde(default)]
    items: Vec<String>,
}

/// What is signed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    issued_at: UnixTime,
    bundles: Vec<Digest<32>>,
    #[serde(default)]
    items: Vec<Digest<32>>,
}

/// The version alone: a later one may have other members.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// An item as it travels: what it is said to be, and its file's bytes (in JSON as hex).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// What it is said to be.
    #[serde(flatten)]
    pub item: Item,
    /// The bytes, as a store keeps them.
    #[serde(with = "hex_text")]
    pub content: Vec<u8>,
}

/// What a site has to hand over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Bundles, Intel's.
    pub bundles: Vec<Bundle>,
    /// Items, AMD's and Hygon's, each behind what it needs.
    pub items: Vec<Article>,
}

/// An export whose signature holds. Its contents are verified by nobody yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// When it was signed, by the word of the site.
    pub issued_at: UnixTime,
    /// What it holds.
    pub contents: Contents,
}

/// Writes an export. `sign` gives the ECDSA P-256 signature (r, s) over SHA-256 of what it is given; `kid` names its key.
///
/// # Errors
/// When there are more than [`MAX_BUNDLES`] or [`MAX_ITEMS`], or the key does not sign.
pub fn write<E: std::fmt::Display>(
    contents: &Contents,
    issued_at: UnixTime,
    kid: &str,
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<String, ExchangeError> {
    let Contents { bundles, items } = contents;
    for (what, found, most) in [(BUNDLE, bundles.len(), MAX_BUNDLES), (ITEM, items.len(), MAX_ITEMS)] {
        if found > most {
            return Err(ExchangeError::Count { what, expected: most, found });
        }
    }
    let bundles = bundles.iter().map(Bundle::to_json).collect::<Result<Vec<_>, _>>()?;
    let items = items.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    let digests = |texts: &[String]| texts.iter().map(|text| sha256(&[text.as_bytes()])).collect();
    let manifest = Manifest { version: VERSION, issued_at, bundles: digests(&bundles), items: digests(&items) };
    let manifest = serde_json::to_vec(&manifest).map_err(malformed)?;
    let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.to_owned()), ..Header::new(ES256) };
    let input = header.encode()?.signing_input(&manifest);
    let signature = sign(input.as_bytes()).map_err(|error| ExchangeError::Sign(error.to_string()))?;
    let signature = jws::assemble(input, &signature);
    let file = File { format: FORMAT.into(), signature: signature.into(), bundles, items };
    Ok(serde_json::to_string_pretty(&file).map_err(malformed)?)
}

/// Reads an export that the owner of a public key signed: an uncompressed point of P-256, 04, X, Y (SEC 1).
///
/// # Errors
/// When it is not in the format or over a limit, another key signed it, or a bundle or item is not the one that was signed.
pub fn read(json: &[u8], key: &[u8; 65]) -> Result<Export, ExchangeError> {
    if json.len() > MAX_FILE {
        return Err(WireError::too_long(FIELD, 0, MAX_FILE, json.len()).into());
    }
    let file: File<'_> = serde_json::from_slice(json).map_err(malformed)?;
    if file.format != FORMAT {
        return Err(WireError::unexpected(FIELD, 0, "the format sealwright-collateral", &file.format).into());
    }
    let manifest = manifest(&file.signature, key)?;
    let bundles = signed(BUNDLE, &file.bundles, &manifest.bundles, |text| Bundle::from_json(text.as_bytes()))?;
    let items = signed(ITEM, &file.items, &manifest.items, |text| serde_json::from_str(text).map_err(malformed))?;
    Ok(Export { issued_at: manifest.issued_at, contents: Contents { bundles, items } })
}

/// The texts of one kind, each read once it is known to be the one that was signed.
fn signed<T>(
    what: &'static str,
    texts: &[String],
    digests: &[Digest<32>],
    read: impl Fn(&str) -> Result<T, WireError>,
) -> Result<Vec<T>, ExchangeError> {
    if digests.len() != texts.len() {
        return Err(ExchangeError::Count { what, expected: digests.len(), found: texts.len() });
    }
    let signed = texts.iter().zip(digests).enumerate().map(|(index, (text, digest))| {
        if sha256(&[text.as_bytes()]) != *digest || text.len() > MAX_TEXT {
            return Err(ExchangeError::Bundle { what, index });
        }
        Ok(read(text)?)
    });
    signed.collect()
}

/// What was signed, once it is known by whom.
fn manifest(signature: &str, key: &[u8; 65]) -> Result<Manifest, ExchangeError> {
    let compact = Compact::parse(signature)?;
    let header = compact.header();
    if header.alg != ES256 || header.typ.as_deref() != Some(TYPE) {
        let found = format!("{} of type {}", header.alg, header.typ.as_deref().unwrap_or("none"));
        return Err(WireError::unexpected(FIELD, 0, "ES256 of type sealwright-collateral+jws", found).into());
    }
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
    key.verify(compact.signing_input(), compact.signature()).map_err(|_| ExchangeError::Signature)?;
    // Strictly: no member twice.
    let claims = serde_json::Value::Object(compact.claims()?);
    let Versioned { version } = Versioned::deserialize(&claims).map_err(malformed)?;
    if ![WITHOUT_ITEMS, VERSION].contains(&version) {
        return Err(ExchangeError::Version { found: version });
    }
    let manifest = Manifest::deserialize(claims).map_err(malformed)?;
    if version == WITHOUT_ITEMS && !manifest.items.is_empty() {
        return Err(WireError::unexpected(FIELD, 0, "no items in version 1", manifest.items.len()).into());
    }
    Ok(manifest)
}

mod hex_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map_err(|_| D::Error::custom("expected hex digits"))
    }
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn malformed(error: serde_json::Error) -> WireError {
    WireError::unexpected(FIELD, 0, "JSON of the format", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use sealwright_sim::{Site, fixed_clock};
    use sealwright_wire::Tee;

    const NOW: UnixTime = UnixTime(1_750_416_960);

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
        }

        fn public(&self) -> [u8; 65] {
            self.0.public_key().as_ref().try_into().unwrap()
        }

        fn sign(&self, message: &[u8]) -> Result<[u8; 64], aws_lc_rs::error::Unspecified> {
            Ok(self.0.sign(&SystemRandom::new(), message)?.as_ref().try_into().unwrap())
        }

        fn export(&self, bundles: &[Bundle]) -> String {
            let contents = Contents { bundles: bundles.to_vec(), items: items(1) };
            write(&contents, NOW, "site", |message| self.sign(message)).unwrap()
        }

        /// An export whose header and manifest say this.
        fn forge(&self, header: &Header, manifest: &str, bundles: &[&str]) -> String {
            let input = header.encode().unwrap().signing_input(manifest.as_bytes());
            let signature = self.sign(input.as_bytes()).unwrap();
            let signature = jws::assemble(input, &signature);
            serde_json::json!({ "format": FORMAT, "signature": signature, "bundles": bundles }).to_string()
        }
    }

    fn bundles() -> Vec<Bundle> {
        let site = Site::found(fixed_clock(NOW)).unwrap();
        [Tee::Sgx, Tee::Tdx].map(|tee| site.collateral(tee).unwrap()).to_vec()
    }

    /// Of chips whose certificates nobody looks at here.
    fn items(how_many: usize) -> Vec<Article> {
        let article = |n: usize| Article {
            item: Item::HygonChip { serial_number: format!("N{n}").parse().unwrap() },
            content: b"HSK, CEK".to_vec(),
        };
        (0..how_many).map(article).collect()
    }

    fn code(text: &str, signer: &Signer) -> &'static str {
        read(text.as_bytes(), &signer.public()).unwrap_err().code()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (signer, bundles) = (Signer::new(), bundles());
        for bundles in [&bundles[..], &[]] {
            let export = read(signer.export(bundles).as_bytes(), &signer.public()).unwrap();
            let contents = Contents { bundles: bundles.to_vec(), items: items(1) };
            assert_eq!(export, Export { issued_at: NOW, contents });
        }
        let many = vec![bundles[0].clone(); MAX_BUNDLES];
        let export = read(signer.export(&many).as_bytes(), &signer.public()).unwrap();
        assert_eq!(export.contents.bundles.len(), MAX_BUNDLES);
        let more = vec![bundles[0].clone(); MAX_BUNDLES + 1];
        for more in [
            Contents { bundles: more, items: Vec::new() },
            Contents { bundles: Vec::new(), items: items(MAX_ITEMS + 1) },
        ] {
            assert_eq!(write(&more, NOW, "", |m| signer.sign(m)).unwrap_err().code(), "collateral-export-count");
        }
    }

    #[test]
    fn another_sites_export_is_refused() {
        let text = Signer::new().export(&bundles());
        assert_eq!(code(&text, &Signer::new()), "collateral-export-signature");
    }

    #[test]
    fn no_bundle_is_changed_added_left_out_or_put_elsewhere() {
        let (signer, bundles) = (Signer::new(), bundles());
        let text = signer.export(&bundles);
        let with = |change: fn(&mut Vec<serde_json::Value>)| {
            let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
            change(file["bundles"].as_array_mut().unwrap());
            file.to_string()
        };
        assert_eq!(code(&with(|list| list.swap(0, 1)), &signer), "collateral-export-bundle");
        assert_eq!(code(&with(|list| list.truncate(1)), &signer), "collateral-export-count");
        assert_eq!(code(&with(|list| list.push("{}".into())), &signer), "collateral-export-count");
        let spaced = |list: &mut Vec<serde_json::Value>| list[1] = format!("{} ", list[1].as_str().unwrap()).into();
        assert_eq!(code(&with(spaced), &signer), "collateral-export-bundle");
        for (change, word) in [
            (text.replace("N0", "N1"), "collateral-export-bundle"),
            (text.replace(r#""items""#, r#""item""#), "collateral-export-malformed"),
        ] {
            assert_eq!(code(&change, &signer), word);
        }
        let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
        file.as_object_mut().unwrap().remove("items");
        assert_eq!(code(&file.to_string(), &signer), "collateral-export-count");
    }

    #[test]
    fn each_byte_counts() {
        let (signer, bundles) = (Signer::new(), bundles());
        let text = signer.export(&bundles[..1]).into_bytes();
        // White space outside of the strings may be any.
        for at in (0..text.len()).filter(|at| !text[*at].is_ascii_whitespace()) {
            let mut flipped = text.clone();
            flipped[at] ^= 1;
            assert!(read(&flipped, &signer.public()).is_err(), "byte {at}");
        }
        for length in (0..text.len()).step_by(7).chain([text.len() - 1]) {
            assert!(read(&text[..length], &signer.public()).is_err(), "length {length}");
        }
    }

    #[test]
    fn only_this_kind_and_version_of_signed_thing_is_taken() {
        let signer = Signer::new();
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(ES256) };
        let manifest =
            |version: u32| format!(r#"{{"version":{version},"issued_at":"2025-06-20T10:56:00Z","bundles":[]}}"#);
        for known in [1, 2] {
            assert!(read(signer.forge(&header, &manifest(known), &[]).as_bytes(), &signer.public()).is_ok());
        }
        for (header, manifest, word) in [
            (header.clone(), manifest(3), "collateral-export-version"),
            (
                header.clone(),
                manifest(2).replace("}", &format!(r#","items":["{}"]}}"#, "00".repeat(32))),
                "collateral-export-count",
            ),
            (
                header.clone(),
                manifest(1).replace("}", &format!(r#","items":["{}"]}}"#, "00".repeat(32))),
                "collateral-export-malformed",
            ),
            (Header { typ: Some("JWT".to_owned()), ..header.clone() }, manifest(1), "collateral-export-malformed"),
            (Header { typ: None, ..header.clone() }, manifest(1), "collateral-export-malformed"),
            (Header { alg: "none".to_owned(), ..header.clone() }, manifest(1), "collateral-export-malformed"),
            (header.clone(), manifest(1).replace("{", r#"{"version":1,"#), "collateral-export-malformed"),
            (header.clone(), manifest(1).replace("}", r#","more":1}"#), "collateral-export-malformed"),
            (header.clone(), "[]".to_owned(), "collateral-export-malformed"),
        ] {
            assert_eq!(code(&signer.forge(&header, &manifest, &[]), &signer), word, "{manifest}");
        }
        let no_bundle =
            format!(r#"{{"version":1,"issued_at":"2025-06-20T10:56:00Z","bundles":["{}"]}}"#, sha256(&[b"{}"]));
        assert_eq!(code(&signer.forge(&header, &no_bundle, &["{}"]), &signer), "collateral-export-malformed");
        let text = signer.export(&[]).replace(r#""sealwright-collateral""#, r#""other""#);
        assert_eq!(code(&text, &signer), "collateral-export-malformed");
        assert_eq!(code(&" ".repeat(MAX_FILE + 1), &signer), "collateral-export-malformed");
    }
}
