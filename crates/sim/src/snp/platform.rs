//! A platform: one chip, its firmware, and what the host has set (56860, sections "TCB Version", "SNP_COMMIT", "SNP_CONFIG",
//! "SNP_VLEK_LOAD").

use super::{
    Guest, GuestConfig, Vendor,
    vendor::{Holder, Vek},
};
use crate::{Error, platform::random, site::lock};
use sealwright_wire::snp::{
    AttestationReport, Bundle, CertificateTable, Entry, FirmwareVersion, PlatformInfo, Product, Signature, SignerInfo,
    SigningKey, Tcb, guid,
};
use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// The stepping of every simulated processor, as product names have it.
pub(super) const STEPPING: &str = "B1";
/// The same as CPUID has it.
const CPUID_STEP: u8 = 1;
/// SMT_EN, ECC_EN and ALIAS_CHECK_COMPLETE.
const PLATFORM_INFO: PlatformInfo = PlatformInfo(1 << 0 | 1 << 2 | 1 << 5);

/// One version of the platform's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The version of its ABI.
    pub version: FirmwareVersion,
    /// Its security versions; FMC on Turin alone.
    pub tcb: Tcb,
    /// The mitigations that it verifies, one a bit.
    pub mit_vector: u64,
}

/// What the host has set, and how it was booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// MASK_CHIP_ID: reports have zeros in place of CHIP_ID.
    pub mask_chip_id: bool,
    /// MASK_CHIP_KEY: the firmware does not sign with the VCEK.
    pub mask_chip_key: bool,
    /// PLATFORM_INFO.
    pub platform_info: PlatformInfo,
}

/// A platform as its operator sees it. No component of the reported TCB is above the committed one's, and none of that above the current one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The firmware that runs.
    pub current: Firmware,
    /// The firmware below which the platform will not go again.
    pub committed: Firmware,
    /// REPORTED_TCB, for which the signing key is derived.
    pub reported_tcb: Tcb,
    /// What the host has set.
    pub host: HostConfig,
    /// The cspID of the VLEK that is loaded.
    pub csp_id: Option<String>,
}

/// One machine. Copies are handles to the same one.
#[derive(Clone)]
pub struct Platform(Arc<Inner>);

struct Inner {
    vendor: Vendor,
    /// 64 bytes, or 8 on Turin.
    chip: Vec<u8>,
    status: Mutex<Status>,
}

impl Platform {
    /// Builds a machine with a chip of this vendor, whose first firmware is committed.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn build(vendor: &Vendor) -> Result<Self, Error> {
        let firmware = first_firmware(vendor.product());
        let host = HostConfig { mask_chip_id: false, mask_chip_key: false, platform_info: PLATFORM_INFO };
        let status = Status { current: firmware, committed: firmware, reported_tcb: firmware.tcb, host, csp_id: None };
        let chip = random::<64>()?;
        let chip = if vendor.product() == Product::Turin { chip[..8].to_vec() } else { chip.to_vec() };
        Ok(Self(Arc::new(Inner { vendor: vendor.clone(), chip, status: Mutex::new(status) })))
    }

    /// The vendor of its chip.
    pub fn vendor(&self) -> &Vendor {
        &self.0.vendor
    }

    /// What an operator wants to know.
    pub fn status(&self) -> Status {
        lock(&self.0.status).clone()
    }

    /// Installs firmware, newer or older, which runs from now on and can be taken back until it is [committed](Self::commit).
    ///
    /// # Errors
    /// When it is below the committed firmware, or its TCB is not of this product.
    pub fn install(&self, firmware: Firmware) -> Result<(), Error> {
        self.check_product(&firmware.tcb)?;
        let mut status = lock(&self.0.status);
        let committed = &status.committed;
        let older = firmware.version.ordered() < committed.version.ordered();
        if older || above(&committed.tcb, &firmware.tcb) {
            return Err(refused("firmware", "no version below the committed one", &firmware));
        }
        status.current = firmware;
        Ok(())
    }

    /// Commits the firmware that runs (SNP_COMMIT), and reports its TCB.
    pub fn commit(&self) {
        let mut status = lock(&self.0.status);
        status.committed = status.current;
        status.reported_tcb = status.current.tcb;
    }

    /// Reports another TCB (SNP_CONFIG): as a host does whose certificate is of an older one.
    ///
    /// # Errors
    /// When a component is above the committed one, or it is not of this product.
    pub fn report_tcb(&self, tcb: Tcb) -> Result<(), Error> {
        self.check_product(&tcb)?;
        let mut status = lock(&self.0.status);
        if above(&tcb, &status.committed.tcb) {
            return Err(refused("REPORTED_TCB", "no component above COMMITTED_TCB", &tcb));
        }
        status.reported_tcb = tcb;
        Ok(())
    }

    /// Sets what the host can set. Guests that run go on.
    pub fn configure(&self, host: HostConfig) {
        lock(&self.0.status).host = host;
    }

    /// Loads the VLEK of a cloud (SNP_VLEK_LOAD), which signs from now on.
    pub fn load_vlek(&self, csp_id: &str) {
        lock(&self.0.status).csp_id = Some(csp_id.to_owned());
    }

    /// Forgets the VLEK, as a reset does: the VCEK signs again.
    pub fn unload_vlek(&self) {
        lock(&self.0.status).csp_id = None;
    }

    /// The kind of key that signs.
    pub fn signing_key(&self) -> SigningKey {
        self.holder(&self.status()).kind()
    }

    /// The certificate in DER of the key that signs, which is of the reported TCB.
    ///
    /// # Errors
    /// When the cryptographic library fails, or the cspID is no ASCII.
    pub fn vek(&self) -> Result<Vec<u8>, Error> {
        Ok(self.present_vek(&self.status())?.certificate.clone())
    }

    /// The collateral for the key that signs.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn bundle(&self) -> Result<Bundle, Error> {
        self.0.vendor.bundle(self.signing_key())
    }

    /// The certificates that the host hands out with extended reports: those of the key that signs, of its authority, and of the root. As with
    /// real hosts there is no revocation list among them.
    ///
    /// # Errors
    /// As [`vek`](Self::vek).
    pub fn certificate_table(&self) -> Result<Vec<u8>, Error> {
        let status = self.status();
        let (vek, kind) = (self.present_vek(&status)?, self.holder(&status).kind());
        let [ca, ark] = self.0.vendor.chain(kind)?;
        let of_vek = if kind == SigningKey::Vlek { guid::VLEK } else { guid::VCEK };
        let entries = [(of_vek, vek.certificate.as_slice()), (guid::ASK, ca), (guid::ARK, ark)];
        let entries = entries.map(|(guid, data)| Entry { guid, data }).to_vec();
        CertificateTable { entries }.encode().map_err(Error::file("certificate table"))
    }

    /// Launches a guest.
    ///
    /// # Errors
    /// When the configuration is malformed, or its policy does not allow this platform.
    pub fn launch(&self, config: &GuestConfig) -> Result<Guest, Error> {
        Guest::launch(self, config)
    }

    /// Completes a guest's report with what is true of the platform now, and signs it.
    pub(super) fn sign(&self, mut report: AttestationReport) -> Result<Vec<u8>, Error> {
        let status = self.status();
        self.describe(&mut report, &status);
        let (host, kind) = (&status.host, self.holder(&status).kind());
        let author_key_en = report.signer().author_key_en();
        let masked = host.mask_chip_key && kind == SigningKey::Vcek;
        let signing = if masked { SigningKey::None } else { kind };
        report.signer_info.set(SignerInfo::new(signing, host.mask_chip_key, author_key_en).0);
        if !masked {
            let signature = self.present_vek(&status)?.key.sign(report.signed())?;
            report.signature = Signature::from_be_bytes(&signature);
        }
        report.encode().map_err(Error::file("attestation report"))
    }

    fn describe(&self, report: &mut AttestationReport, status: &Status) {
        let product = self.0.vendor.product();
        report.current_tcb = status.current.tcb.encode(product);
        report.committed_tcb = status.committed.tcb.encode(product);
        report.reported_tcb = status.reported_tcb.encode(product);
        report.current = status.current.version;
        report.committed = status.committed.version;
        report.platform_info.set(status.host.platform_info.0);
        if !status.host.mask_chip_id {
            report.chip_id[..self.0.chip.len()].copy_from_slice(&self.0.chip);
        }
        let version = report.version.get();
        if version >= 3 {
            (report.cpuid_fam_id, report.cpuid_mod_id) = family_and_model(product);
            report.cpuid_step = CPUID_STEP;
        }
        if version >= 5 {
            report.current_mit_vector.set(status.current.mit_vector);
        } else {
            report.launch_mit_vector.set(0);
        }
    }

    fn present_vek(&self, status: &Status) -> Result<Arc<Vek>, Error> {
        self.0.vendor.vek(&self.holder(status), status.reported_tcb)
    }

    fn holder(&self, status: &Status) -> Holder {
        status.csp_id.clone().map_or_else(|| Holder::Chip(self.0.chip.clone()), Holder::Cloud)
    }

    fn check_product(&self, tcb: &Tcb) -> Result<(), Error> {
        if tcb.fmc.is_some() == (self.0.vendor.product() == Product::Turin) {
            return Ok(());
        }
        Err(refused("TCB_VERSION", "an FMC on Turin, and none before", tcb))
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Whether any component of the first is above that of the second.
fn above(first: &Tcb, second: &Tcb) -> bool {
    first.components().iter().zip(second.components()).any(|((_, first), (_, second))| *first > second)
}

fn refused(field: &'static str, expected: &'static str, found: &impl fmt::Debug) -> Error {
    Error::Config { field, expected, found: format!("{found:?}") }
}

fn first_firmware(product: Product) -> Firmware {
    let fmc = (product == Product::Turin).then_some(1);
    let tcb = Tcb { fmc, boot_loader: 4, tee: 1, snp: 22, microcode: 72 };
    Firmware { version: FirmwareVersion { build: 21, minor: 55, major: 1 }, tcb, mit_vector: 1 }
}

const fn family_and_model(product: Product) -> (u8, u8) {
    match product {
        Product::Turin => (0x1a, 0x02),
        Product::Genoa => (0x19, 0x11),
        _ => (0x19, 0x01),
    }
}
