//! What the certificate of a VCEK or VLEK says (57230, tables "VCEK Certificate Fields" and "VLEK Certificate Fields"): extensions below
//! the OID 1.3.6.1.4.1.3704.1, each an X.509 extension of its own.

use super::Tcb;
use crate::Error;
use der::asn1::{Ia5StringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};
use serde::{Serialize, Serializer};
use std::fmt;

const FIELD: &str = "extensions of the VCEK or VLEK certificate";

const STRUCT_VERSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.1");
const PRODUCT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.2");
const BL_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
const TEE_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
const SNP_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
const SPL4: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.4");
const SPL5: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.5");
const SPL6: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.6");
const SPL7: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.7");
const UCODE_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
const FMC_SPL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");
const HWID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
const CSP_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.5");

/// Every extension that [`VekExtensions`] reads.
pub const EXTENSIONS: [ObjectIdentifier; 13] =
    [STRUCT_VERSION, PRODUCT_NAME, BL_SPL, TEE_SPL, SNP_SPL, SPL4, SPL5, SPL6, SPL7, UCODE_SPL, FMC_SPL, HWID, CSP_ID];

/// hwID: identity of the chip whose key is certified. 64 bytes, or 8 from Turin on; the extension holds them as they are or, in newer
/// certificates, as a DER OCTET STRING. The lengths tell these apart: an identity may itself begin with a byte that looks like DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HwId {
    bytes: [u8; 64],
    len: usize,
    /// Whether it stands in an OCTET STRING.
    octet_string: bool,
}

impl HwId {
    /// An identity of 64 or 8 bytes, to be written as an OCTET STRING or as it is.
    ///
    /// # Errors
    /// When it has another length.
    pub fn new(id: &[u8], octet_string: bool) -> Result<Self, Error> {
        let mut bytes = [0; 64];
        match bytes.get_mut(..id.len()) {
            Some(place) if [8, 64].contains(&id.len()) => place.copy_from_slice(id),
            _ => return Err(Error::unexpected("hwID", 0, "64 or 8 bytes", id.len())),
        }
        Ok(Self { bytes, len: id.len(), octet_string })
    }

    fn read(value: &[u8]) -> Result<Self, Error> {
        match value {
            [0x04, 0x40, id @ ..] if id.len() == 64 => Self::new(id, true),
            [0x04, 0x08, id @ ..] if id.len() == 8 => Self::new(id, true),
            id => Self::new(id, false),
        }
    }

    fn to_value(self) -> Result<Vec<u8>, Error> {
        if self.octet_string {
            return OctetStringRef::new(self.as_bytes()).and_then(|octets| octets.to_der()).map_err(malformed);
        }
        Ok(self.as_bytes().to_vec())
    }

    /// The identity.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The identity as CHIP_ID of a report has it: with zeros behind one of 8 bytes.
    pub const fn chip_id(&self) -> &[u8; 64] {
        &self.bytes
    }
}

/// Lower-case hex.
impl fmt::Display for HwId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for HwId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a VCEK's or VLEK's certificate says. A VCEK's has a hwID, a VLEK's a cspID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VekExtensions {
    /// structVersion (1.1).
    pub struct_version: u8,
    /// productName, with or without a stepping (1.2).
    pub product_name: String,
    /// The security versions for which the key was derived: blSPL, teeSPL, snpSPL, ucodeSPL, from Turin on fmcSPL (1.3.1, 1.3.2, 1.3.3,
    /// 1.3.8, 1.3.9).
    pub tcb: Tcb,
    /// spl_4 to spl_7, reserved (1.3.4 to 1.3.7).
    pub reserved_spl: [Option<u8>; 4],
    /// hwID (1.4).
    pub hwid: Option<HwId>,
    /// cspID: the cloud provider to whom the key was given (1.5).
    pub csp_id: Option<String>,
}

impl VekExtensions {
    /// Reads the extensions of a certificate, whose values (the contents of their OCTET STRINGs) `extension` looks up.
    ///
    /// # Errors
    /// When a value is not of its type or a mandatory one is missing.
    pub fn read<'a>(extension: impl Fn(ObjectIdentifier) -> Option<&'a [u8]>) -> Result<Self, Error> {
        let optional = |id| extension(id).map(integer).transpose();
        let required = |id: ObjectIdentifier| optional(id)?.ok_or_else(|| missing(id));
        let text = |id| extension(id).map(text).transpose();
        Ok(Self {
            struct_version: required(STRUCT_VERSION)?,
            product_name: text(PRODUCT_NAME)?.ok_or_else(|| missing(PRODUCT_NAME))?,
            tcb: Tcb {
                fmc: optional(FMC_SPL)?,
                boot_loader: required(BL_SPL)?,
                tee: required(TEE_SPL)?,
                snp: required(SNP_SPL)?,
                microcode: required(UCODE_SPL)?,
            },
            reserved_spl: [optional(SPL4)?, optional(SPL5)?, optional(SPL6)?, optional(SPL7)?],
            hwid: extension(HWID).map(HwId::read).transpose()?,
            csp_id: text(CSP_ID)?,
        })
    }

    /// Writes the extensions in the order of real certificates: each OID with its value (the contents of its OCTET STRING).
    ///
    /// # Errors
    /// When a text is no IA5String.
    pub fn to_extensions(&self) -> Result<Vec<(ObjectIdentifier, Vec<u8>)>, Error> {
        let Tcb { fmc, boot_loader, tee, snp, microcode } = self.tcb;
        let [spl4, spl5, spl6, spl7] = self.reserved_spl;
        let mut list = vec![
            (STRUCT_VERSION, self.struct_version.to_der().map_err(malformed)?),
            (PRODUCT_NAME, text_value(&self.product_name)?),
        ];
        for (id, version) in [
            (BL_SPL, Some(boot_loader)),
            (TEE_SPL, Some(tee)),
            (SPL4, spl4),
            (SPL5, spl5),
            (SPL6, spl6),
            (SPL7, spl7),
            (SNP_SPL, Some(snp)),
            (UCODE_SPL, Some(microcode)),
            (FMC_SPL, fmc),
        ] {
            if let Some(version) = version {
                list.push((id, version.to_der().map_err(malformed)?));
            }
        }
        if let Some(hwid) = self.hwid {
            list.push((HWID, hwid.to_value()?));
        }
        if let Some(csp_id) = &self.csp_id {
            list.push((CSP_ID, text_value(csp_id)?));
        }
        Ok(list)
    }
}

fn integer(value: &[u8]) -> Result<u8, Error> {
    u8::from_der(value).map_err(malformed)
}

fn text(value: &[u8]) -> Result<String, Error> {
    Ia5StringRef::from_der(value).map(|text| text.as_str().to_owned()).map_err(malformed)
}

fn text_value(text: &str) -> Result<Vec<u8>, Error> {
    Ia5StringRef::new(text).and_then(|text| text.to_der()).map_err(malformed)
}

fn missing(id: ObjectIdentifier) -> Error {
    Error::unexpected(FIELD, 0, "all mandatory extensions", format_args!("no {id}"))
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn malformed(error: der::Error) -> Error {
    let at = error.position().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    Error::unexpected(FIELD, at, "DER of the profile", error)
}
