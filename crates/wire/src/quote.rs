//! Intel's quote: a report of an enclave or trust domain, signed by the platform's quoting enclave. Versions 3 (SGX), 4 and
//! 5 (SGX and TDX), with ECDSA P-256 attestation keys.
//!
//! Layouts: Intel SGX ECDSA QuoteLibReference DCAP API, appendix A.4 (version 3); Intel TDX DCAP Quoting Library API,
//! appendix A.3 (version 4) and A.4 (version 5). All integers are little-endian.
//!
//! Real quotes carry bytes behind their signature data (hosts hand out fixed-size buffers): these are kept in
//! [`Quote::trailing`], never interpreted. Everything before must be consumed exactly.

use crate::{Error, Reader, Tee, sgx, tdx};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The only attestation key type in use: ECDSA-256 with P-256 curve.
pub const KEY_TYPE_ECDSA_P256: u16 = 2;
/// The TEE type of an SGX enclave.
pub const TEE_TYPE_SGX: u32 = 0x00;
/// The TEE type of a TDX trust domain.
pub const TEE_TYPE_TDX: u32 = 0x81;
/// QE vendor id of Intel's quoting enclaves, `939A7233-F79C-4CA9-940A-0DB3957F0607`.
pub const VENDOR_INTEL: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];

/// Certification data type 1: the PPID in the clear.
const PPID: u16 = 1;
/// Certification data type 2: the PPID encrypted with RSA-2048-OAEP.
const PPID_RSA2048: u16 = 2;
/// Certification data type 3: the PPID encrypted with RSA-3072-OAEP.
const PPID_RSA3072: u16 = 3;
/// Certification data type 4: the PCK certificate alone.
const PCK_CERT: u16 = 4;
/// Certification data type 5: the PCK certificate chain in PEM, leaf first.
const PCK_CERT_CHAIN: u16 = 5;
/// Certification data type 6: the QE's report, in the signature data of versions 4 and 5.
const QE_REPORT: u16 = 6;

/// Header of every quote version, 48 bytes (QuoteLibReference A.4 "Quote Header"; TDX DCAP A.3.1 "TD Quote Header").
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the layout: 3, 4 or 5 (offset 0x00).
    pub version: U16,
    /// Attestation key type, [`KEY_TYPE_ECDSA_P256`] (0x02).
    pub att_key_type: U16,
    /// [`TEE_TYPE_SGX`] or [`TEE_TYPE_TDX`] (0x04).
    pub tee_type: U32,
    /// Security version of the quoting enclave; reserved in versions 4 and 5 (0x08).
    pub qe_svn: U16,
    /// Security version of the provisioning certification enclave; reserved in versions 4 and 5 (0x0A).
    pub pce_svn: U16,
    /// Vendor of the quoting enclave, [`VENDOR_INTEL`] (0x0C).
    pub qe_vendor_id: [u8; 16],
    /// Free use by the quoting enclave; Intel's puts an identity of the platform into the first 16 bytes (0x1C).
    pub user_data: [u8; 20],
}

const _: () = assert!(size_of::<Header>() == 48);

/// The report that a quote signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// An SGX enclave; body type 1 in version 5.
    Sgx(&'a sgx::ReportBody),
    /// A trust domain of TDX 1.0; body type 2 in version 5.
    Td10(&'a tdx::ReportBody10),
    /// A trust domain of TDX 1.5; body type 3, version 5 only.
    Td15(&'a tdx::ReportBody15),
    /// A trust domain of extended TDX 1.5; body type 4, version 5 only.
    Td15Ex(&'a tdx::ReportBody15Ex),
}

impl<'a> Body<'a> {
    /// The kind of environment that the report describes.
    pub const fn tee(&self) -> Tee {
        match self {
            Self::Sgx(_) => Tee::Sgx,
            Self::Td10(_) | Self::Td15(_) | Self::Td15Ex(_) => Tee::Tdx,
        }
    }

    /// Short name of the report's layout: `sgx`, `td10`, `td15`, `td15ex`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sgx(_) => "sgx",
            Self::Td10(_) => "td10",
            Self::Td15(_) => "td15",
            Self::Td15Ex(_) => "td15ex",
        }
    }

    /// The enclave's report, when it is one.
    pub const fn sgx(&self) -> Option<&'a sgx::ReportBody> {
        match self {
            Self::Sgx(body) => Some(body),
            Self::Td10(_) | Self::Td15(_) | Self::Td15Ex(_) => None,
        }
    }

    /// What every generation of TDX says about a trust domain, when it is one.
    pub const fn td(&self) -> Option<&'a tdx::ReportBody10> {
        match self {
            Self::Sgx(_) => None,
            Self::Td10(body) => Some(body),
            Self::Td15(body) => Some(&body.base),
            Self::Td15Ex(body) => Some(&body.base.base),
        }
    }

    /// What TDX 1.5 and its extension add, when it is one of these.
    pub const fn td15(&self) -> Option<&'a tdx::ReportBody15> {
        match self {
            Self::Sgx(_) | Self::Td10(_) => None,
            Self::Td15(body) => Some(body),
            Self::Td15Ex(body) => Some(&body.base),
        }
    }

    /// The 64 bytes of the environment's own choice.
    pub const fn report_data(&self) -> &'a [u8; 64] {
        match self {
            Self::Sgx(body) => &body.report_data,
            Self::Td10(body) => &body.report_data,
            Self::Td15(body) => &body.base.report_data,
            Self::Td15Ex(body) => &body.base.base.report_data,
        }
    }

    /// The report as it stands in the quote.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Sgx(body) => body.as_bytes(),
            Self::Td10(body) => body.as_bytes(),
            Self::Td15(body) => body.as_bytes(),
            Self::Td15Ex(body) => body.as_bytes(),
        }
    }

    /// Body type of version 5 (TDX DCAP A.4.2 "TD Quote Body Descriptor").
    const fn type_number(&self) -> u16 {
        match self {
            Self::Sgx(_) => 1,
            Self::Td10(_) => 2,
            Self::Td15(_) => 3,
            Self::Td15Ex(_) => 4,
        }
    }
}

/// How the quote names the platform's key (QuoteLibReference A.4 "QE Certification Data").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificationData<'a> {
    /// Types 1 to 3: an identity of the platform by which its PCK certificate must be looked up.
    Platform(PlatformId<'a>),
    /// Type 4: the PCK certificate in PEM, without its issuers.
    PckCertificate(&'a [u8]),
    /// Type 5: the PCK certificate chain in PEM, leaf first, perhaps with a NUL at its end.
    PckChain(&'a [u8]),
    /// Another type: a platform manifest (7), or one that is not known here.
    Other {
        /// The type's number.
        kind: u16,
        /// The data as it stands in the quote.
        data: &'a [u8],
    },
}

/// The platform and the security versions whose PCK key signed, by which its certificate is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformId<'a> {
    /// Identity of the processor package.
    pub ppid: Ppid<'a>,
    /// CPUSVN for which the PCK key was derived.
    pub cpu_svn: &'a [u8; 16],
    /// PCESVN for which the PCK key was derived.
    pub pce_svn: u16,
    /// Identity of the provisioning certification enclave; the first quotes were made without.
    pub pce_id: Option<&'a [u8; 2]>,
    data: &'a [u8],
}

/// A PPID, as the quote carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ppid<'a> {
    /// In the clear (type 1).
    Plain(&'a [u8; 16]),
    /// Encrypted to a key of Intel's with RSA-2048-OAEP (type 2).
    Rsa2048(&'a [u8; 256]),
    /// Encrypted to a key of Intel's with RSA-3072-OAEP (type 3).
    Rsa3072(&'a [u8; 384]),
}

impl<'a> PlatformId<'a> {
    /// Parses the data of type 1, 2 or 3. Offsets in errors count from the start of `reader`'s input.
    fn read(kind: u16, mut reader: Reader<'a>) -> Result<Self, Error> {
        let data = reader.rest();
        let ppid = match kind {
            PPID => Ppid::Plain(reader.array("PPID")?),
            PPID_RSA2048 => Ppid::Rsa2048(reader.array("PPID encrypted with RSA-2048")?),
            _ => Ppid::Rsa3072(reader.array("PPID encrypted with RSA-3072")?),
        };
        let cpu_svn = reader.array("CPUSVN")?;
        let pce_svn = reader.u16("PCESVN")?;
        let pce_id = if reader.is_empty() { None } else { Some(reader.array("PCEID")?) };
        reader.finish("certification data")?;
        Ok(Self { ppid, cpu_svn, pce_svn, pce_id, data })
    }

    const fn kind(&self) -> u16 {
        match self.ppid {
            Ppid::Plain(_) => PPID,
            Ppid::Rsa2048(_) => PPID_RSA2048,
            Ppid::Rsa3072(_) => PPID_RSA3072,
        }
    }
}

impl<'a> CertificationData<'a> {
    /// Parses the data of a type.
    ///
    /// # Errors
    /// When the data of types 1 to 3 has not the length of its type.
    pub fn parse(kind: u16, data: &'a [u8]) -> Result<Self, Error> {
        Self::read(kind, Reader::new(data))
    }

    /// The type's number.
    pub const fn kind(&self) -> u16 {
        match self {
            Self::Platform(id) => id.kind(),
            Self::PckCertificate(_) => PCK_CERT,
            Self::PckChain(_) => PCK_CERT_CHAIN,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// The data as it stands in the quote.
    pub const fn data(&self) -> &'a [u8] {
        match self {
            Self::Platform(id) => id.data,
            Self::PckCertificate(data) | Self::PckChain(data) | Self::Other { data, .. } => data,
        }
    }

    fn read(kind: u16, reader: Reader<'a>) -> Result<Self, Error> {
        match kind {
            PPID | PPID_RSA2048 | PPID_RSA3072 => PlatformId::read(kind, reader).map(Self::Platform),
            PCK_CERT => Ok(Self::PckCertificate(reader.rest())),
            PCK_CERT_CHAIN => Ok(Self::PckChain(reader.rest())),
            _ => Ok(Self::Other { kind, data: reader.rest() }),
        }
    }
}

/// A quote, parsed and borrowed from its bytes. Nothing about it has been verified.
#[derive(Clone, Copy, Debug)]
pub struct Quote<'a> {
    /// Version, key type and origin.
    pub header: &'a Header,
    /// The report that the quote is about.
    pub body: Body<'a>,
    /// The bytes that the attestation key signed: header and body, with the body's descriptor in version 5.
    pub signed: &'a [u8],
    /// ECDSA P-256 signature (r, s) over [`signed`](Self::signed) by the attestation key.
    pub signature: &'a [u8; 64],
    /// The attestation key's point (x, y) on P-256.
    pub attestation_key: &'a [u8; 64],
    /// Report of the quoting enclave, whose report data binds the attestation key.
    pub qe_report: &'a sgx::ReportBody,
    /// ECDSA P-256 signature (r, s) over the QE's report by the PCK key.
    pub qe_report_signature: &'a [u8; 64],
    /// What the quoting enclave bound beside the attestation key; Intel's own samples have none.
    pub qe_auth_data: &'a [u8],
    /// Where the PCK key's certificate is.
    pub certification: CertificationData<'a>,
    /// What follows the signature data: padding, or anything at all.
    pub trailing: &'a [u8],
    /// The whole input.
    pub raw: &'a [u8],
}

/// What the signature data of all versions holds behind the attestation key.
struct QeData<'a> {
    report: &'a sgx::ReportBody,
    signature: &'a [u8; 64],
    auth_data: &'a [u8],
    certification: CertificationData<'a>,
}

impl<'a> Quote<'a> {
    /// Parses a quote of version 3, 4 or 5.
    ///
    /// # Errors
    /// When a version, key type, TEE type, body type or length is not one of the layouts above, or the input ends early.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let header = reader.structure::<Header>("quote header")?;
        check_header(header)?;
        let body = match header.version.get() {
            5 => described_body(&mut reader, header)?,
            _ => implied_body(&mut reader, header)?,
        };
        let signed = input.get(..reader.offset()).unwrap_or_default();
        let len = reader.len32("signature data length")?;
        let mut data = reader.sub("signature data", len)?;
        let signature = data.array("quote signature")?;
        let attestation_key = data.array("attestation key")?;
        let qe = match header.version.get() {
            3 => QeData::read(&mut data)?,
            _ => QeData::read_nested(&mut data)?,
        };
        data.finish("signature data")?;
        Ok(Self {
            header,
            body,
            signed,
            signature,
            attestation_key,
            qe_report: qe.report,
            qe_report_signature: qe.signature,
            qe_auth_data: qe.auth_data,
            certification: qe.certification,
            trailing: reader.rest(),
            raw: input,
        })
    }

    /// The kind of environment that this quote is about.
    pub const fn tee(&self) -> Tee {
        self.body.tee()
    }

    /// The quote without what follows its signature data: the bytes that name this evidence.
    pub fn without_trailing(&self) -> &'a [u8] {
        self.raw.get(..self.raw.len().saturating_sub(self.trailing.len())).unwrap_or(self.raw)
    }
}

fn check_header(header: &Header) -> Result<(), Error> {
    let version = header.version.get();
    if !(3..=5).contains(&version) {
        return Err(Error::unexpected("quote version", 0, "3, 4 or 5", version));
    }
    let key_type = header.att_key_type.get();
    if key_type != KEY_TYPE_ECDSA_P256 {
        return Err(Error::unexpected("attestation key type", 2, "2 (ECDSA P-256)", key_type));
    }
    match (version, header.tee_type.get()) {
        (_, TEE_TYPE_SGX) | (4.., TEE_TYPE_TDX) => Ok(()),
        (3, other) => {
            Err(Error::unexpected("TEE type", 4, "0 (SGX), the only one of version 3", format!("{other:#x}")))
        }
        (_, other) => Err(Error::unexpected("TEE type", 4, "0 (SGX) or 0x81 (TDX)", format!("{other:#x}"))),
    }
}

/// The body of versions 3 and 4, whose layout follows from the TEE type.
fn implied_body<'a>(reader: &mut Reader<'a>, header: &Header) -> Result<Body<'a>, Error> {
    match header.tee_type.get() {
        TEE_TYPE_SGX => reader.structure("enclave report body").map(Body::Sgx),
        _ => reader.structure("TD quote body").map(Body::Td10),
    }
}

/// The body of version 5, which begins with its own type and size.
fn described_body<'a>(reader: &mut Reader<'a>, header: &Header) -> Result<Body<'a>, Error> {
    let at = reader.offset();
    let kind = reader.u16("body type")?;
    let size_at = reader.offset();
    let size = reader.len32("body size")?;
    let body = match kind {
        1 => Body::Sgx(reader.structure("enclave report body")?),
        2 => Body::Td10(reader.structure("TD quote body (1.0)")?),
        3 => Body::Td15(reader.structure("TD quote body (1.5)")?),
        4 => Body::Td15Ex(reader.structure("TD quote body (1.5 extended)")?),
        _ => return Err(Error::unexpected("body type", at, "1 (SGX), 2, 3 or 4 (TDX 1.0, 1.5, 1.5ex)", kind)),
    };
    if size != body.as_bytes().len() {
        return Err(Error::unexpected("body size", size_at, "the size of its body type", size));
    }
    if (header.tee_type.get() == TEE_TYPE_SGX) != (body.tee() == Tee::Sgx) {
        return Err(Error::unexpected("body type", at, "one of the header's TEE type", kind));
    }
    Ok(body)
}

impl<'a> QeData<'a> {
    /// Version 3: in a row (QuoteLibReference A.4 "ECDSA 256-bit Quote Signature Data Structure").
    fn read(data: &mut Reader<'a>) -> Result<Self, Error> {
        let report = data.structure("QE report")?;
        let signature = data.array("QE report signature")?;
        let auth_len = data.u16("QE authentication data length")?;
        let auth_data = data.bytes("QE authentication data", auth_len.into())?;
        let kind = data.u16("certification data type")?;
        let len = data.len32("certification data length")?;
        let certification = CertificationData::read(kind, data.sub("certification data", len)?)?;
        Ok(Self { report, signature, auth_data, certification })
    }

    /// Versions 4 and 5: as certification data of type 6 (TDX DCAP A.3.8 and A.3.11).
    fn read_nested(data: &mut Reader<'a>) -> Result<Self, Error> {
        let at = data.offset();
        let kind = data.u16("certification data type")?;
        if kind != QE_REPORT {
            return Err(Error::unexpected("certification data type", at, "6 (QE report certification data)", kind));
        }
        let len = data.len32("certification data length")?;
        let mut nested = data.sub("QE report certification data", len)?;
        let read = Self::read(&mut nested)?;
        nested.finish("QE report certification data")?;
        Ok(read)
    }
}

/// The parts of a quote, to be put together: what a quoting enclave (or a test) writes.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    /// Version, key type and origin. Version 3 holds an SGX body alone, TDX 1.5 bodies need version 5.
    pub header: &'a Header,
    /// The report.
    pub body: Body<'a>,
    /// Signature over [`signed_bytes`] by the attestation key, as (r, s).
    pub signature: &'a [u8; 64],
    /// The attestation key's point (x, y).
    pub attestation_key: &'a [u8; 64],
    /// The quoting enclave's report.
    pub qe_report: &'a sgx::ReportBody,
    /// Signature over the QE's report by the PCK key, as (r, s).
    pub qe_report_signature: &'a [u8; 64],
    /// What the QE's report data binds beside the attestation key; at most 65,535 bytes.
    pub qe_auth_data: &'a [u8],
    /// The PCK certificate chain, or another certification data.
    pub certification: CertificationData<'a>,
}

impl<'a> From<&Quote<'a>> for Builder<'a> {
    fn from(quote: &Quote<'a>) -> Self {
        Self {
            header: quote.header,
            body: quote.body,
            signature: quote.signature,
            attestation_key: quote.attestation_key,
            qe_report: quote.qe_report,
            qe_report_signature: quote.qe_report_signature,
            qe_auth_data: quote.qe_auth_data,
            certification: quote.certification,
        }
    }
}

/// The bytes that the attestation key signs for this header and body.
pub fn signed_bytes(header: &Header, body: &Body<'_>) -> Vec<u8> {
    let mut bytes = header.as_bytes().to_vec();
    if header.version.get() == 5 {
        let size = u32::try_from(body.as_bytes().len()).unwrap_or(u32::MAX);
        bytes.extend(body.type_number().to_le_bytes());
        bytes.extend(size.to_le_bytes());
    }
    bytes.extend(body.as_bytes());
    bytes
}

impl Builder<'_> {
    /// The quote's bytes, without anything behind the signature data.
    ///
    /// # Errors
    /// When the body does not exist in the header's version or TEE type, or a part is too long for its length field.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        check_header(self.header)?;
        let version = self.header.version.get();
        self.check_body(version)?;
        let qe = self.qe_data()?;
        let mut data = [self.signature.as_slice(), self.attestation_key].concat();
        if version > 3 {
            data.extend(QE_REPORT.to_le_bytes());
            data.extend(length("QE report certification data", &qe)?.to_le_bytes());
        }
        data.extend(qe);
        let mut bytes = signed_bytes(self.header, &self.body);
        bytes.extend(length("signature data", &data)?.to_le_bytes());
        bytes.extend(data);
        Ok(bytes)
    }

    fn check_body(&self, version: u16) -> Result<(), Error> {
        let fits = match self.body {
            Body::Sgx(_) => self.header.tee_type.get() == TEE_TYPE_SGX,
            Body::Td10(_) => self.header.tee_type.get() == TEE_TYPE_TDX,
            Body::Td15(_) | Body::Td15Ex(_) => self.header.tee_type.get() == TEE_TYPE_TDX && version == 5,
        };
        if fits {
            return Ok(());
        }
        Err(Error::unexpected("quote body", 48, "a body of the header's version and TEE type", self.body.name()))
    }

    fn qe_data(&self) -> Result<Vec<u8>, Error> {
        let auth_len = u16::try_from(self.qe_auth_data.len()).map_err(|_| {
            Error::too_long("QE authentication data", 0, usize::from(u16::MAX), self.qe_auth_data.len())
        })?;
        let mut data = [self.qe_report.as_bytes(), self.qe_report_signature.as_slice()].concat();
        data.extend(auth_len.to_le_bytes());
        data.extend(self.qe_auth_data);
        data.extend(self.certification.kind().to_le_bytes());
        data.extend(length("certification data", self.certification.data())?.to_le_bytes());
        data.extend(self.certification.data());
        Ok(data)
    }
}

fn length(field: &'static str, data: &[u8]) -> Result<u32, Error> {
    u32::try_from(data.len()).map_err(|_| Error::too_long(field, 0, usize::MAX, data.len()))
}
