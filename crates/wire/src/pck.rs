//! The extension of a PCK certificate that names the platform and its security versions.
//!
//! Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, section 1.3.5 "Intel SGX
//! Extensions": under OID 1.2.840.113741.1.13.1 a SEQUENCE of (OID, value) pairs.

use crate::Error;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader, Tag};

/// OID of the extension, 1.2.840.113741.1.13.1.
pub const SGX_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");

const FIELD: &str = "SGX extension of the PCK certificate";
/// Most pairs that one SEQUENCE may have; the profile has 18.
const MAX_PAIRS: usize = 64;
const PPID: u32 = 1;
const TCB: u32 = 2;
const PCE_ID: u32 = 3;
const FMSPC: u32 = 4;
const SGX_TYPE: u32 = 5;
const PLATFORM_INSTANCE_ID: u32 = 6;
const CONFIGURATION: u32 = 7;
/// Below [`TCB`]: 1 to 16 are the components, 17 and 18 the following.
const PCE_SVN: u32 = 17;
const CPU_SVN: u32 = 18;

/// What a PCK certificate says about its platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PckExtension {
    /// PPID: identity of the processor package for provisioning (sub-OID 1).
    pub ppid: [u8; 16],
    /// Security versions of the platform for which this certificate was issued (2).
    pub tcb: Tcb,
    /// PCEID: identity of the provisioning certification enclave (3).
    pub pce_id: [u8; 2],
    /// FMSPC: family, model, stepping, platform and custom SKU; the key to TCB info (4).
    pub fmspc: [u8; 6],
    /// SGX type: how memory is protected (5).
    pub sgx_type: SgxType,
    /// Identity of this instance of a platform with several packages; with the Platform CA only (6).
    pub platform_instance_id: Option<[u8; 16]>,
    /// Flags of the platform; with the Platform CA only (7).
    pub configuration: Option<Configuration>,
}

/// Security versions of a platform (sub-OID 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcb {
    /// SGX TCB component SVNs 1 to 16 (2.1 to 2.16).
    pub components: [u8; 16],
    /// PCESVN (2.17).
    pub pce_svn: u16,
    /// CPUSVN (2.18).
    pub cpu_svn: [u8; 16],
}

/// How the platform protects enclaves' memory (sub-OID 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgxType {
    /// Integrity tree, small enclave page cache.
    Standard,
    /// Large enclave page cache without integrity.
    Scalable,
    /// Large enclave page cache with integrity.
    ScalableWithIntegrity,
}

/// Flags of a platform with several packages (sub-OID 7). A flag that the certificate leaves out is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Packages can be added without a new registration (7.1).
    pub dynamic_platform: Option<bool>,
    /// Intel keeps the platform's root keys (7.2).
    pub cached_keys: Option<bool>,
    /// Simultaneous multithreading is on (7.3).
    pub smt_enabled: Option<bool>,
}

/// One pair of the extension.
#[derive(Sequence)]
struct Entry<'a> {
    id: ObjectIdentifier,
    value: AnyRef<'a>,
}

/// The pairs of one SEQUENCE, all named below one OID.
struct Entries<'a> {
    parent: ObjectIdentifier,
    list: Vec<Entry<'a>>,
}

impl<'a> Entries<'a> {
    fn read(parent: ObjectIdentifier, der: &'a [u8]) -> Result<Self, Error> {
        let sequence = AnyRef::from_der(der).map_err(malformed)?;
        der::Tagged::tag(&sequence).assert_eq(Tag::Sequence).map_err(malformed)?;
        let mut reader = SliceReader::new(sequence.value()).map_err(malformed)?;
        let mut list = Vec::new();
        while !reader.is_finished() {
            if list.len() == MAX_PAIRS {
                return Err(Error::too_long(FIELD, 0, MAX_PAIRS, MAX_PAIRS.saturating_add(1)));
            }
            list.push(Entry::decode(&mut reader).map_err(malformed)?);
        }
        let repeated =
            list.iter().enumerate().find(|(at, entry)| list.iter().take(*at).any(|other| other.id == entry.id));
        match repeated {
            None => Ok(Self { parent, list }),
            Some((_, entry)) => Err(Error::unexpected(FIELD, 0, "each sub-OID once", entry.id)),
        }
    }

    fn find(&self, arc: u32) -> Option<&AnyRef<'a>> {
        let id = self.parent.push_arc(arc).ok()?;
        self.list.iter().find(|entry| entry.id == id).map(|entry| &entry.value)
    }

    fn require(&self, arc: u32) -> Result<&AnyRef<'a>, Error> {
        let missing = || Error::unexpected(FIELD, 0, "all mandatory sub-OIDs", format!("no {}.{arc}", self.parent));
        self.find(arc).ok_or_else(missing)
    }

    fn octets<const N: usize>(&self, arc: u32) -> Result<[u8; N], Error> {
        self.require(arc).and_then(octets)
    }

    fn integer<T: for<'d> der::DecodeValue<'d, Error = der::Error> + der::FixedTag + 'static>(
        &self,
        arc: u32,
    ) -> Result<T, Error> {
        self.require(arc)?.decode_as::<T>().map_err(malformed)
    }

    fn nested(&self, arc: u32) -> Result<Option<Vec<u8>>, Error> {
        self.find(arc).map(|value| value.to_der().map_err(malformed)).transpose()
    }
}

fn octets<const N: usize>(value: &AnyRef<'_>) -> Result<[u8; N], Error> {
    let bytes = value.decode_as::<&OctetStringRef>().map_err(malformed)?.as_bytes();
    bytes.try_into().map_err(|_| Error::unexpected(FIELD, 0, "an octet string of its sub-OID's length", bytes.len()))
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn malformed(error: der::Error) -> Error {
    let at = error.position().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    Error::unexpected(FIELD, at, "DER of the profile", error)
}

impl PckExtension {
    /// Reads the extension's value (the contents of its OCTET STRING). Sub-OIDs that the profile does not name are
    /// skipped, so that a new one does not break old verifiers.
    ///
    /// # Errors
    /// When it is no DER of the profile, lacks a mandatory sub-OID or repeats one.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let entries = Entries::read(SGX_EXTENSION, der)?;
        let tcb = entries.require(TCB)?.to_der().map_err(malformed)?;
        let configuration = entries.nested(CONFIGURATION)?;
        Ok(Self {
            ppid: entries.octets(PPID)?,
            tcb: Tcb::from_der(&tcb)?,
            pce_id: entries.octets(PCE_ID)?,
            fmspc: entries.octets(FMSPC)?,
            sgx_type: sgx_type(entries.require(SGX_TYPE)?)?,
            platform_instance_id: entries.find(PLATFORM_INSTANCE_ID).map(octets).transpose()?,
            configuration: configuration.as_deref().map(Configuration::from_der).transpose()?,
        })
    }

    /// Writes the extension's value (the contents of its OCTET STRING).
    ///
    /// # Errors
    /// Never with the fixed sizes of these fields; DER encoding is fallible by its interface.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let mut list = List::new(SGX_EXTENSION);
        list.octets(PPID, &self.ppid)?;
        list.put(TCB, self.tcb.to_der()?)?;
        list.octets(PCE_ID, &self.pce_id)?;
        list.octets(FMSPC, &self.fmspc)?;
        list.put(SGX_TYPE, vec![0x0a, 0x01, self.sgx_type.number()])?;
        if let Some(id) = &self.platform_instance_id {
            list.octets(PLATFORM_INSTANCE_ID, id)?;
        }
        if let Some(configuration) = &self.configuration {
            list.put(CONFIGURATION, configuration.to_der()?)?;
        }
        list.finish()
    }
}

impl Tcb {
    fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parent = child(SGX_EXTENSION, TCB)?;
        let entries = Entries::read(parent, der)?;
        let mut components = [0; 16];
        for (arc, component) in (1..).zip(&mut components) {
            *component = entries.integer(arc)?;
        }
        Ok(Self { components, pce_svn: entries.integer(PCE_SVN)?, cpu_svn: entries.octets(CPU_SVN)? })
    }

    fn to_der(self) -> Result<Vec<u8>, Error> {
        let mut list = List::new(child(SGX_EXTENSION, TCB)?);
        for (arc, component) in (1..).zip(self.components) {
            list.put(arc, component.to_der().map_err(malformed)?)?;
        }
        list.put(PCE_SVN, self.pce_svn.to_der().map_err(malformed)?)?;
        list.octets(CPU_SVN, &self.cpu_svn)?;
        list.finish()
    }
}

impl SgxType {
    const fn number(self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::Scalable => 1,
            Self::ScalableWithIntegrity => 2,
        }
    }
}

/// An ENUMERATED of one byte.
fn sgx_type(value: &AnyRef<'_>) -> Result<SgxType, Error> {
    match (der::Tagged::tag(value), value.value()) {
        (Tag::Enumerated, [0]) => Ok(SgxType::Standard),
        (Tag::Enumerated, [1]) => Ok(SgxType::Scalable),
        (Tag::Enumerated, [2]) => Ok(SgxType::ScalableWithIntegrity),
        (tag, value) => Err(Error::unexpected(FIELD, 0, "SGX type 0, 1 or 2", format!("{tag} {value:02x?}"))),
    }
}

impl Configuration {
    fn from_der(der: &[u8]) -> Result<Self, Error> {
        let entries = Entries::read(child(SGX_EXTENSION, CONFIGURATION)?, der)?;
        let flag = |arc| entries.find(arc).map(|value| value.decode_as::<bool>().map_err(malformed)).transpose();
        Ok(Self { dynamic_platform: flag(1)?, cached_keys: flag(2)?, smt_enabled: flag(3)? })
    }

    fn to_der(self) -> Result<Vec<u8>, Error> {
        let mut list = List::new(child(SGX_EXTENSION, CONFIGURATION)?);
        for (arc, flag) in (1..).zip([self.dynamic_platform, self.cached_keys, self.smt_enabled]) {
            if let Some(flag) = flag {
                list.put(arc, flag.to_der().map_err(malformed)?)?;
            }
        }
        list.finish()
    }
}

/// A SEQUENCE of pairs being written.
struct List {
    parent: ObjectIdentifier,
    entries: Vec<(ObjectIdentifier, Vec<u8>)>,
}

impl List {
    const fn new(parent: ObjectIdentifier) -> Self {
        Self { parent, entries: Vec::new() }
    }

    fn put(&mut self, arc: u32, der: Vec<u8>) -> Result<(), Error> {
        self.entries.push((child(self.parent, arc)?, der));
        Ok(())
    }

    fn octets(&mut self, arc: u32, bytes: &[u8]) -> Result<(), Error> {
        let der = OctetStringRef::new(bytes).and_then(|octets| octets.to_der()).map_err(malformed)?;
        self.put(arc, der)
    }

    fn finish(self) -> Result<Vec<u8>, Error> {
        let entry = |(id, der): &(ObjectIdentifier, Vec<u8>)| Entry { id: *id, value: AnyRef::from_der(der)? }.to_der();
        let entries = self.entries.iter().map(entry).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        AnyRef::new(Tag::Sequence, &entries.concat()).and_then(|sequence| sequence.to_der()).map_err(malformed)
    }
}

fn child(parent: ObjectIdentifier, arc: u32) -> Result<ObjectIdentifier, Error> {
    parent.push_arc(arc).map_err(|_| Error::unexpected(FIELD, 0, "an OID of bounded length", arc))
}
