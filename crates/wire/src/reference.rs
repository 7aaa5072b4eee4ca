//! Reference values: what a workload's registers must hold, and where that is known from. A JSON file that `predict` writes, people
//! review and keep, and `appraise` compares with.
//!
//! ```json
//! {
//!   "version": 1,
//!   "tee": "tdx",
//!   "profile": { "boot": "direct", "firmware": "ovmf-2022.11", "ram": "2147483648", "secure-boot": "disabled", "vmm": "qemu-9" },
//!   "inputs": [ { "name": "firmware", "sha256": "7b45..", "size": 4194304 } ],
//!   "values": { "mrtd": ["4c72.."], "rtmr0": [".."], "rtmr1": [".."], "rtmr2": [".."] },
//!   "taken_from_log": [ "rtmr0: ACPI DATA etc/acpi/tables" ],
//!   "not_after": "2027-01-01T00:00:00Z"
//! }
//! ```
//!
//! | member | meaning |
//! |---|---|
//! | `version` | 1; another is refused |
//! | `tee` | `tdx`, `sgx`, `snp`, `csv`, `nitro`, `cca`, `tpm`, `az-snp-vtpm` or `az-tdx-vtpm` |
//! | `profile` | what the prediction assumed, by name: firmware, VMM, RAM in bytes; at most 32 words |
//! | `inputs` | the files that were measured, each with its SHA-256 and size in bytes; at most 64 |
//! | `values` | per claim the values of which one must be seen, in lower-case hex; see [`width`] and [`is_hash`] for the claims. A claim without an entry here has no reference value, which a policy may refuse; an empty list is refused |
//! | `taken_from_log` | the events whose digests were taken from a log instead of a file, and are therefore *not* a check; may be left out |
//! | `not_after` | the last moment at which the values hold; may be left out |
//!
//! Anything else in the file is refused: a misspelt claim must not silently mean "anything goes". RTMR3 usually has no reference value: what
//! extends it at run time is told, event by event, by the log that verification replays.

use crate::time::UnixTime;
use crate::{Digest, Tee, json};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// The version that this module reads and writes.
pub const VERSION: u32 = 1;
/// The largest file that is accepted, in bytes.
pub const MAX_FILE: usize = 1 << 20;
/// The most inputs, and the most values of one claim.
pub const MAX_ENTRIES: usize = 64;
/// The most entries of `profile`.
pub const MAX_PROFILE: usize = 32;
/// The longest name or word, in bytes.
pub const MAX_WORD: usize = 256;

/// The claims that can have reference values, with the width of each in bytes. The names are those of the facts that `verify` states.
const CLAIMS: [(Tee, &str, usize); 59] = [
    (Tee::Tdx, "mrtd", 48),
    (Tee::Tdx, "rtmr0", 48),
    (Tee::Tdx, "rtmr1", 48),
    (Tee::Tdx, "rtmr2", 48),
    (Tee::Tdx, "rtmr3", 48),
    (Tee::Tdx, "mr_seam", 48),
    (Tee::Tdx, "mr_signer_seam", 48),
    (Tee::Tdx, "mr_config_id", 48),
    (Tee::Tdx, "mr_owner", 48),
    (Tee::Tdx, "mr_owner_config", 48),
    (Tee::Tdx, "mr_service_td", 48),
    (Tee::Tdx, "init_service_td_hash", 48),
    (Tee::Tdx, "init_service_td_attributes", 8),
    (Tee::Tdx, "cur_service_td_hash", 48),
    (Tee::Tdx, "cur_service_td_attributes", 8),
    (Tee::Tdx, "dev_info", 48),
    (Tee::Tdx, "seam_attributes", 8),
    (Tee::Tdx, "td_attributes", 8),
    (Tee::Tdx, "xfam", 8),
    (Tee::Sgx, "mr_enclave", 32),
    (Tee::Sgx, "mr_signer", 32),
    (Tee::Sgx, "attributes", 16),
    (Tee::Sgx, "misc_select", 4),
    (Tee::Sgx, "cpu_svn", 16),
    (Tee::Snp, "measurement", 48),
    (Tee::Snp, "host_data", 32),
    (Tee::Snp, "id_key_digest", 48),
    (Tee::Snp, "author_key_digest", 48),
    (Tee::Snp, "family_id", 16),
    (Tee::Snp, "image_id", 16),
    (Tee::Snp, "report_id", 32),
    (Tee::Nitro, "pcr0", 48),
    (Tee::Nitro, "pcr1", 48),
    (Tee::Nitro, "pcr2", 48),
    (Tee::Nitro, "pcr3", 48),
    (Tee::Nitro, "pcr4", 48),
    (Tee::Nitro, "pcr5", 48),
    (Tee::Nitro, "pcr6", 48),
    (Tee::Nitro, "pcr7", 48),
    (Tee::Nitro, "pcr8", 48),
    (Tee::Nitro, "pcr9", 48),
    (Tee::Nitro, "pcr10", 48),
    (Tee::Nitro, "pcr11", 48),
    (Tee::Nitro, "pcr12", 48),
    (Tee::Nitro, "pcr13", 48),
    (Tee::Nitro, "pcr14", 48),
    (Tee::Nitro, "pcr15", 48),
    (Tee::Cca, "personalization_value", 64),
    (Tee::Cca, "implementation_id", 32),
    (Tee::Cca, "instance_id", 33),
    (Tee::Csv, "measure", 32),
    (Tee::Csv, "rtmr0", 32),
    (Tee::Csv, "rtmr1", 32),
    (Tee::Csv, "rtmr2", 32),
    (Tee::Csv, "rtmr3", 32),
    (Tee::Csv, "rtmr4", 32),
    (Tee::Csv, "user_pubkey_digest", 32),
    (Tee::Csv, "vm_id", 16),
    (Tee::Csv, "vm_version", 16),
];

/// The claims that can have reference values, and whose width the evidence's own hash algorithm decides: see [`HASH_WIDTHS`].
const HASHES: [(Tee, &str); 5] =
    [(Tee::Cca, "rim"), (Tee::Cca, "rem0"), (Tee::Cca, "rem1"), (Tee::Cca, "rem2"), (Tee::Cca, "rem3")];

/// The widths in bytes that a claim of a hash can have: SHA-256, SHA-384 and SHA-512.
pub const HASH_WIDTHS: [usize; 3] = [32, 48, 64];

/// The environments that have PCRs.
const WITH_PCRS: [Tee; 3] = [Tee::Tpm, Tee::AzSnpVtpm, Tee::AzTdxVtpm];
/// The PCRs of a TPM's SHA-256 bank: claims of 32 bytes.
const PCRS: [&str; 24] = [
    "pcr0", "pcr1", "pcr2", "pcr3", "pcr4", "pcr5", "pcr6", "pcr7", "pcr8", "pcr9", "pcr10", "pcr11", "pcr12", "pcr13",
    "pcr14", "pcr15", "pcr16", "pcr17", "pcr18", "pcr19", "pcr20", "pcr21", "pcr22", "pcr23",
];

/// The width in bytes of a claim's values; `None` when the environment has no such claim, or one of a hash ([`is_hash`]).
pub fn width(tee: Tee, claim: &str) -> Option<usize> {
    if WITH_PCRS.contains(&tee) && PCRS.contains(&claim) {
        return Some(32);
    }
    CLAIMS.iter().find(|(of, name, _)| *of == tee && *name == claim).map(|(.., width)| *width)
}

/// Whether a claim's values have one of [`HASH_WIDTHS`].
pub fn is_hash(tee: Tee, claim: &str) -> bool {
    HASHES.contains(&(tee, claim))
}

/// Why a file is not one of reference values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is over [`MAX_FILE`].
    #[error("reference values are at most {MAX_FILE} bytes, this file has {0}")]
    TooLarge(usize),
    /// No JSON, a member that is not known, a member of another type, or hex that is none.
    #[error("reference values are not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version of this format.
    #[error("reference values have version {found}, this program reads version {VERSION}")]
    Version {
        /// What the file says.
        found: u32,
    },
    /// A claim that the environment does not have.
    #[error("{tee:?} has no claim named {claim:?}")]
    Claim {
        /// The environment.
        tee: Tee,
        /// What the file says.
        claim: String,
    },
    /// A value of the wrong width.
    #[error("a value of {claim} has {found} bytes, the claim has {wanted}")]
    Width {
        /// Whose value it is.
        claim: String,
        /// The claim's width in bytes.
        wanted: usize,
        /// The value's width in bytes.
        found: usize,
    },
    /// A value of none of the widths that a hash can have.
    #[error("a value of {claim} has {found} bytes, the claim has 32, 48 or 64")]
    HashWidth {
        /// Whose value it is.
        claim: String,
        /// The value's width in bytes.
        found: usize,
    },
    /// No value at all, a claim with no value, or the same value twice.
    #[error("{claim} must have 1 to {MAX_ENTRIES} different values")]
    Values {
        /// Whose values these are, or `values` as a whole.
        claim: String,
    },
    /// A name or word that is empty, over [`MAX_WORD`], or not printable.
    #[error("{member} holds {found:?}, expected 1 to {MAX_WORD} printable characters")]
    Word {
        /// The member of the file.
        member: &'static str,
        /// What it holds, cut short.
        found: String,
    },
    /// More entries than this implementation accepts.
    #[error("{member} has {found} entries, at most {limit} are accepted")]
    TooMany {
        /// The member of the file.
        member: &'static str,
        /// The most that is accepted.
        limit: usize,
        /// What the file has.
        found: usize,
    },
}

/// One value of a claim. Text form: lower-case hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Box<[u8]>);

impl Value {
    /// The value's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> From<Digest<N>> for Value {
    fn from(digest: Digest<N>) -> Self {
        Self(digest.0.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(|bytes| Self(bytes.into())).map_err(|_| serde::de::Error::custom("expected hex digits"))
    }
}

/// A file, or another input, that was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What it is: `firmware`, `kernel`, `initrd`, `cmdline`, ...
    pub name: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest<32>,
    /// Its size in bytes.
    pub size: u64,
}

/// Checked reference values of one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferenceValues {
    version: u32,
    tee: Tee,
    profile: BTreeMap<String, String>,
    inputs: Vec<Input>,
    values: BTreeMap<String, Vec<Value>>,
    taken_from_log: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<UnixTime>,
}

/// The parts of [`ReferenceValues`], unchecked: to fill in and hand to [`ReferenceValues::new`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The environment that the values are for.
    pub tee: Tee,
    /// What was assumed, by name.
    #[serde(deserialize_with = "each_name_once::<_, _, MAX_PROFILE>")]
    pub profile: BTreeMap<String, String>,
    /// What was measured.
    #[serde(deserialize_with = "json::at_most::<_, _, MAX_ENTRIES>")]
    pub inputs: Vec<Input>,
    /// Per claim, the values of which one must be seen.
    #[serde(deserialize_with = "claims")]
    pub values: BTreeMap<String, Vec<Value>>,
    /// Which events come from a log instead of a file.
    #[serde(default, deserialize_with = "json::at_most::<_, _, MAX_ENTRIES>")]
    pub taken_from_log: Vec<String>,
    /// The last moment at which the values hold.
    #[serde(default)]
    pub not_after: Option<UnixTime>,
    /// The version that a file states. [`ReferenceValues::new`] takes [`VERSION`] only.
    pub version: u32,
}

impl Parts {
    /// Nothing yet, for one kind of environment.
    pub fn empty(tee: Tee) -> Self {
        Self {
            tee,
            profile: BTreeMap::new(),
            inputs: Vec::new(),
            values: BTreeMap::new(),
            taken_from_log: Vec::new(),
            not_after: None,
            version: VERSION,
        }
    }
}

impl ReferenceValues {
    /// Checks the parts against each other and the limits.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(parts: Parts) -> Result<Self, Error> {
        if parts.version != VERSION {
            return Err(Error::Version { found: parts.version });
        }
        check_count("profile", parts.profile.len(), MAX_PROFILE)?;
        for (name, word) in &parts.profile {
            check_word("profile", name)?;
            check_word("profile", word)?;
        }
        check_count("inputs", parts.inputs.len(), MAX_ENTRIES)?;
        for input in &parts.inputs {
            check_word("inputs", &input.name)?;
        }
        check_count("taken_from_log", parts.taken_from_log.len(), MAX_ENTRIES)?;
        for event in &parts.taken_from_log {
            check_word("taken_from_log", event)?;
        }
        check_values(parts.tee, &parts.values)?;
        let Parts { tee, profile, inputs, values, taken_from_log, not_after, version } = parts;
        Ok(Self { version, tee, profile, inputs, values, taken_from_log, not_after })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        /// Read before the rest, so that a file of another version is named as such whatever else it holds.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        if json.len() > MAX_FILE {
            return Err(Error::TooLarge(json.len()));
        }
        let Version { version } = serde_json::from_slice(json)?;
        if version != VERSION {
            return Err(Error::Version { found: version });
        }
        Self::new(serde_json::from_slice(json)?)
    }

    /// Writes the file: indented, members in a fixed order, with a newline at the end.
    ///
    /// # Errors
    /// Never for a value made by this module; the serialiser's signature has it.
    pub fn to_json(&self) -> Result<String, Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// The environment that the values are for.
    pub fn tee(&self) -> Tee {
        self.tee
    }

    /// What was assumed, by name.
    pub fn profile(&self) -> &BTreeMap<String, String> {
        &self.profile
    }

    /// What was measured.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The values of one claim, of which one must be seen; empty when the file has none for it.
    pub fn values(&self, claim: &str) -> &[Value] {
        self.values.get(claim).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every claim that has values.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.values.iter().map(|(claim, values)| (claim.as_str(), values.as_slice()))
    }

    /// Which events come from a log instead of a file.
    pub fn taken_from_log(&self) -> &[String] {
        &self.taken_from_log
    }

    /// The last moment at which the values hold; `None` when no end was set.
    pub fn not_after(&self) -> Option<UnixTime> {
        self.not_after
    }
}

impl<'de> Deserialize<'de> for ReferenceValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Parts::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The values of each claim.
fn claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<Value>>, D::Error> {
    #[derive(Deserialize)]
    struct Values(#[serde(deserialize_with = "json::at_most::<_, _, MAX_ENTRIES>")] Vec<Value>);
    let claims = each_name_once::<_, Values, MAX_ENTRIES>(deserializer)?;
    Ok(claims.into_iter().map(|(claim, Values(values))| (claim, values)).collect())
}

/// A JSON object of at most `LIMIT` members in which no name comes twice: readers would differ on which one counts.
fn each_name_once<'de, D, T, const LIMIT: usize>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Members<T, const LIMIT: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for Members<T, LIMIT> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object of at most {LIMIT} members")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((name, value)) = members.next_entry::<String, T>()? {
                if map.contains_key(&name) {
                    return Err(serde::de::Error::custom(format_args!("duplicate name {name:?}")));
                }
                if map.len() == LIMIT {
                    return Err(serde::de::Error::invalid_length(LIMIT.saturating_add(1), &self));
                }
                map.insert(name, value);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Members::<T, LIMIT>(PhantomData))
}

fn check_values(tee: Tee, values: &BTreeMap<String, Vec<Value>>) -> Result<(), Error> {
    if values.is_empty() {
        return Err(Error::Values { claim: "values".into() });
    }
    for (claim, values) in values {
        check_widths(tee, claim, values)?;
        let repeated = values.iter().enumerate().any(|(place, value)| values.iter().take(place).any(|v| v == value));
        if values.is_empty() || values.len() > MAX_ENTRIES || repeated {
            return Err(Error::Values { claim: claim.clone() });
        }
    }
    Ok(())
}

fn check_widths(tee: Tee, claim: &str, values: &[Value]) -> Result<(), Error> {
    if is_hash(tee, claim) {
        let odd = values.iter().find(|value| !HASH_WIDTHS.contains(&value.0.len()));
        return odd.map_or(Ok(()), |value| Err(Error::HashWidth { claim: claim.to_owned(), found: value.0.len() }));
    }
    let Some(wanted) = width(tee, claim) else {
        return Err(Error::Claim { tee, claim: claim.chars().take(MAX_WORD).collect() });
    };
    let odd = values.iter().find(|value| value.0.len() != wanted);
    odd.map_or(Ok(()), |value| Err(Error::Width { claim: claim.to_owned(), wanted, found: value.0.len() }))
}

fn check_word(member: &'static str, word: &str) -> Result<(), Error> {
    if word.is_empty() || word.len() > MAX_WORD || word.chars().any(char::is_control) {
        return Err(Error::Word { member, found: word.chars().take(80).collect() });
    }
    Ok(())
}

fn check_count(member: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit {
        return Err(Error::TooMany { member, limit, found });
    }
    Ok(())
}
