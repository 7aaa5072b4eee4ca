//! Whether a report is one of an enclave of Intel's, the quoting enclave most often, by that enclave's identity (Intel SGX DCAP quote
//! verification, steps 4.1.2.9.5 to 4.1.2.9.10).

use crate::{Error, Part};
use sealwright_wire::collateral::{QeId, QeIdentity, QeTcbLevel};
use sealwright_wire::sgx::ReportBody;

/// Checks the report against the identity; returns the level that its security version meets.
pub(crate) fn check<'i>(identity: &'i QeIdentity, report: &ReportBody) -> Result<&'i QeTcbLevel, Error> {
    let (enclave, part) = match identity.id {
        QeId::Qe | QeId::TdQe => ("quoting enclave", Part::QeIdentity),
        QeId::Qve => ("quote verification enclave", Part::QveIdentity),
    };
    let mismatch = move |field, expected, found| Error::QeMismatch { enclave, field, expected, found };
    let of = |field| move |[expected, found]: [String; 2]| mismatch(field, expected, found);
    masked(&identity.miscselect_mask, &identity.miscselect, &report.misc_select.to_bytes())
        .map_err(of("MISCSELECT"))?;
    masked(&identity.attributes_mask, &identity.attributes, &report.attributes).map_err(of("ATTRIBUTES"))?;
    if report.attributes().debug() {
        return Err(mismatch("ATTRIBUTES.DEBUG", "0".into(), "1".into()));
    }
    if report.mr_signer != identity.mrsigner {
        return Err(mismatch("MRSIGNER", hex::encode(identity.mrsigner), hex::encode(report.mr_signer)));
    }
    let product = report.isv_prod_id.get();
    if product != identity.isvprodid {
        return Err(mismatch("ISVPRODID", identity.isvprodid.to_string(), product.to_string()));
    }
    let version = report.isv_svn.get();
    let level = identity.tcb_levels.iter().find(|level| version >= level.tcb.isvsvn);
    level.ok_or_else(|| Error::NotSupported {
        part,
        expected: match identity.tcb_levels.last() {
            Some(lowest) => format!("ISVSVN {}", lowest.tcb.isvsvn),
            None => "a level".to_owned(),
        },
        found: format!("ISVSVN {version}"),
    })
}

/// The report's bits under the mask must be the identity's; both are named where they are not.
fn masked<const N: usize>(mask: &[u8; N], expected: &[u8; N], found: &[u8; N]) -> Result<(), [String; 2]> {
    let found: Vec<u8> = found.iter().zip(mask).map(|(byte, mask)| byte & mask).collect();
    if found == expected {
        return Ok(());
    }
    let words = |bytes: &[u8]| format!("{} under mask {}", hex::encode(bytes), hex::encode(mask));
    Err([words(expected), words(&found)])
}
