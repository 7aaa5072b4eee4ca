//! Guests of Azure in software: a paravisor with its vTPM, on the simulated hardware of SEV-SNP or TDX.
//!
//! ```text
//! hardware      an SEV-SNP guest or a trust domain of this crate, under its own vendor's root
//!   | signs     REPORT_DATA: the hash of the runtime claims, and zeros
//! claims        HCLAkPub, HCLEkPub; how the VM is set up; 64 bytes that the guest wrote
//!   | name      HCLAkPub
//! vTPM          a machine of this crate whose keys nobody certifies: the hardware vouches for them
//! ```
//!
//! The paravisor asks its hardware for a report over the claims when the guest boots and whenever the guest writes [user
//! data](Guest::write_user_data), and lays report and claims into an index of the vTPM ([`Guest::hcl_report`]). A report of SEV-SNP is evidence as it
//! is; one of TDX is made a quote by the host's quoting service ([`Guest::td_quote`]), which here is the site. What an operator does to the hardware
//! is done to it, by the handles from which the guest was booted; what is done to the vTPM by [`Guest::vtpm_mut`].
//!
//! What the paravisor is and how it was measured is the hardware's own business: a simulated trust domain has a kernel's registers where a real
//! one has the paravisor's.
//!
//! ```
//! use sealwright_sim::{Site, TdConfig, QuoteFormat, az_vtpm, files, system_clock};
//! let site = Site::found(system_clock())?;
//! let td = site.boot(&TdConfig::new("paravisor", files::generate("a paravisor")))?;
//! let hardware = az_vtpm::Hardware::Tdx { td, quote: QuoteFormat::V4 };
//! let guest = az_vtpm::Guest::boot(hardware, az_vtpm::GuestConfig::new(files::generate("a kernel")))?;
//! let json = guest.evidence(b"challenge")?.to_json()?;
//! # assert!(guest.hcl_report().starts_with(b"HCLA") && json.contains("td_quote"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: as [`sealwright_wire::hcl`]; the indexes are those of Azure's documentation of guest attestation for confidential VMs.

use crate::{
    Error, QuoteFormat, Td,
    files::BootFiles,
    platform::random,
    snp,
    tpm::{AkTemplate, Hash, KeyKind, Machine, MachineConfig, PCRS, Quote, Scheme},
};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use sealwright_wire::{
    Reader,
    hcl::{self, Evidence, HARDWARE_REPORT, Header, Jwk, ReportType, RuntimeClaims, VmConfiguration},
    tcg2::AlgorithmId,
    tdx::TdReport,
    tpm::{Key, PcrSelection, Public},
};
use std::fmt;
use zerocopy::{FromZeros, IntoBytes};

/// The size of the index in which a guest finds the report, in bytes.
pub const REPORT_INDEX: usize = 2600;
/// The request type of a report for an attestation key's certificate.
const AK_CERTIFICATE_REQUEST: u32 = 2;
/// The exponent that a public area states as zero.
const DEFAULT_EXPONENT: u32 = 65_537;

/// What the paravisor runs on.
#[derive(Clone, Debug)]
pub enum Hardware {
    /// An SEV-SNP guest, whose report is asked for at its own VMPL; a paravisor's is 0.
    Snp {
        /// The guest.
        guest: snp::Guest,
        /// The version of its reports: 2 to 5.
        version: u32,
    },
    /// A trust domain.
    Tdx {
        /// The domain.
        td: Td,
        /// The layout in which the quoting service makes its quotes; not that of extended TDX 1.5.
        quote: QuoteFormat,
    },
}

impl Hardware {
    const fn report_type(&self) -> ReportType {
        match self {
            Self::Snp { .. } => ReportType::Snp,
            Self::Tdx { .. } => ReportType::Tdx,
        }
    }

    /// The report over 64 bytes, in the place that a paravisor's report has for one.
    fn report(&self, report_data: &[u8; 64]) -> Result<[u8; HARDWARE_REPORT], Error> {
        let report = match self {
            Self::Snp { guest, version } => guest.report(report_data, *version)?,
            Self::Tdx { td, .. } => td.td_report(report_data).as_bytes().to_vec(),
        };
        let mut place = [0; HARDWARE_REPORT];
        place.iter_mut().zip(report).for_each(|(place, byte)| *place = byte);
        Ok(place)
    }
}

/// How a guest is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestConfig {
    /// The guest as its vTPM sees it: what it boots from, and how it is measured. Both keys must be RSA, the attestation key for RSASSA.
    pub vtpm: MachineConfig,
    /// The version of the report's header: 1 or 2.
    pub version: u32,
    /// The hash by which the hardware binds the claims: SHA-256, SHA-384 or SHA-512.
    pub hash: AlgorithmId,
    /// What the claims say of the VM; its identity is drawn where none is named.
    pub vm_configuration: VmConfiguration,
}

impl GuestConfig {
    /// A guest with a report of version 2 whose claims are bound by SHA-256, as Azure's are, with a vTPM and without a console. Secure Boot is off,
    /// as in the log of every machine of this crate.
    pub fn new(files: BootFiles) -> Self {
        Self {
            vtpm: MachineConfig { ek: KeyKind::Rsa, ak: AkTemplate::new(Scheme::RsaSsa), ..MachineConfig::new(files) },
            version: 2,
            hash: AlgorithmId::SHA256,
            vm_configuration: VmConfiguration {
                console_enabled: Some(false),
                secure_boot: Some(false),
                tpm_enabled: Some(true),
                ..VmConfiguration::default()
            },
        }
    }

    fn check(&self) -> Result<(), Error> {
        let refused = |field, expected, found| Err(Error::Config { field, expected, found });
        if !(1..=2).contains(&self.version) {
            return refused("HCL report version", "1 or 2", self.version.to_string());
        }
        if ![AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512].contains(&self.hash) {
            return refused("hash of the claims", "sha256, sha384 or sha512", self.hash.to_string());
        }
        if self.vtpm.ak.scheme != Scheme::RsaSsa || self.vtpm.ek != KeyKind::Rsa {
            let found = format!("{:?} and {:?}", self.vtpm.ak.scheme, self.vtpm.ek);
            return refused("keys of the vTPM", "an RSA key that signs with RSASSA, and an RSA endorsement key", found);
        }
        Ok(())
    }
}

/// A guest that runs: its hardware, its vTPM, and the report that binds them.
pub struct Guest {
    hardware: Hardware,
    config: GuestConfig,
    vtpm: Machine,
    user_data: [u8; 64],
    hcl_report: Vec<u8>,
}

impl Guest {
    /// Boots a guest on this hardware: the paravisor makes the vTPM and reports its keys.
    ///
    /// # Errors
    /// When a file does not boot, the configuration is out of its range, the claims do not fit into [`REPORT_INDEX`], or the cryptographic library
    /// fails.
    pub fn boot(hardware: Hardware, mut config: GuestConfig) -> Result<Self, Error> {
        config.check()?;
        if config.vm_configuration.vm_unique_id.is_none() {
            config.vm_configuration.vm_unique_id = Some(unique_id()?);
        }
        let clock = match &hardware {
            Hardware::Snp { guest, .. } => guest.platform().vendor().clock(),
            Hardware::Tdx { td, .. } => td.site().clock(),
        };
        let vtpm = Machine::virtual_one(config.vtpm.clone(), clock)?;
        let mut guest = Self { hardware, config, vtpm, user_data: [0; 64], hcl_report: Vec::new() };
        guest.renew_report()?;
        Ok(guest)
    }

    /// The paravisor's report as index 0x01400001 holds it, with zeros up to [`REPORT_INDEX`].
    pub fn hcl_report(&self) -> &[u8] {
        &self.hcl_report
    }

    /// The guest writes data of its own into index 0x01400002, upon which the paravisor reports anew.
    ///
    /// # Errors
    /// As [`Guest::renew_report`].
    pub fn write_user_data(&mut self, data: &[u8; 64]) -> Result<(), Error> {
        self.user_data = *data;
        self.renew_report()
    }

    /// The paravisor reports anew: over the vTPM's keys as they are now, by the hardware as it is now. When that fails, the former report stays.
    ///
    /// # Errors
    /// When the vTPM's attestation key is no RSA key any more, the claims do not fit into [`REPORT_INDEX`], or the cryptographic library fails.
    pub fn renew_report(&mut self) -> Result<(), Error> {
        let claims = self.claims()?.to_json().map_err(Error::Structure)?;
        let digest = Hash::of("hash of the claims", self.config.hash)?.digest(&[claims.as_bytes()]);
        let mut report_data = [0; 64];
        report_data.iter_mut().zip(digest).for_each(|(place, byte)| *place = byte);
        let hardware_report = self.hardware.report(&report_data)?;
        let mut header = Header::new_zeroed();
        header.version.set(self.config.version);
        header.request_type.set(AK_CERTIFICATE_REQUEST);
        let kind = self.hardware.report_type();
        let report = hcl::encode(&header, &hardware_report, kind, self.config.hash, claims.as_bytes());
        let mut report = report.map_err(Error::Structure)?;
        if report.len() > REPORT_INDEX {
            let (field, expected) = ("runtime claims", "claims that fit into the report's index of 2600 bytes");
            return Err(Error::Config { field, expected, found: format!("a report of {} bytes", report.len()) });
        }
        report.resize(REPORT_INDEX, 0);
        self.hcl_report = report;
        Ok(())
    }

    fn claims(&self) -> Result<RuntimeClaims, Error> {
        let keys = vec![
            jwk("HCLAkPub", "sign", &self.vtpm.ak_public()?)?,
            jwk("HCLEkPub", "encrypt", &self.vtpm.ek_public()?)?,
        ];
        let vm_configuration = self.config.vm_configuration.clone();
        Ok(RuntimeClaims { keys, vm_configuration, user_data: self.user_data.to_vec() })
    }

    /// The hardware that it runs on.
    pub const fn hardware(&self) -> &Hardware {
        &self.hardware
    }

    /// Its vTPM: registers, logs and lists.
    pub const fn vtpm(&self) -> &Machine {
        &self.vtpm
    }

    /// Its vTPM, for all that is done to a machine with a TPM.
    pub const fn vtpm_mut(&mut self) -> &mut Machine {
        &mut self.vtpm
    }

    /// What the host's quoting service makes of the trust domain's report; nothing on other hardware.
    ///
    /// # Errors
    /// As [`Site::quote_report`](crate::Site::quote_report).
    pub fn td_quote(&self) -> Result<Option<Vec<u8>>, Error> {
        let Hardware::Tdx { td, quote } = &self.hardware else { return Ok(None) };
        let report = hcl::Report::parse(&self.hcl_report).map_err(Error::Structure)?;
        let report: &TdReport = Reader::new(report.hardware_report).structure("TDREPORT").map_err(Error::Structure)?;
        td.site().quote_report(report, *quote).map(Some)
    }

    /// The certificate in DER of the key that signs the SEV-SNP guest's reports at present; nothing on other hardware.
    ///
    /// # Errors
    /// As [`snp::Platform::vek`].
    pub fn vek(&self) -> Result<Option<Vec<u8>>, Error> {
        let Hardware::Snp { guest, .. } = &self.hardware else { return Ok(None) };
        guest.platform().vek().map(Some)
    }

    /// The vTPM's quote over all PCRs of the bank of SHA-256.
    ///
    /// # Errors
    /// When the nonce is longer than 66 bytes, or the cryptographic library fails.
    pub fn quote(&self, nonce: &[u8]) -> Result<Quote, Error> {
        self.vtpm.quote(&[PcrSelection::new(AlgorithmId::SHA256, 0..PCRS)], nonce)
    }

    /// Evidence as trustee's attester sends it, in whichever version it is then [written](Evidence::to_json).
    ///
    /// # Errors
    /// When the vTPM has no bank of SHA-256, and as [`Guest::quote`], [`Guest::td_quote`] and [`Guest::vek`].
    pub fn evidence(&self, nonce: &[u8]) -> Result<Evidence, Error> {
        let quote = self.quote(nonce)?;
        let (signature, pcrs) = (quote.plain_signature()?, quote.sha256_pcrs()?);
        Ok(Evidence {
            version: 1,
            hcl_report: self.hcl_report.clone(),
            tpm_quote: hcl::Quote { signature, message: quote.message, pcrs },
            vcek: self.vek()?.map(|der| URL_SAFE.encode(der)),
            td_quote: self.td_quote()?,
        })
    }
}

/// A key of the vTPM as the claims name it.
fn jwk(name: &str, operation: &str, area: &[u8]) -> Result<Jwk, Error> {
    match Public::parse(area).map_err(Error::tpm("TPM2B_PUBLIC"))?.key {
        Key::Rsa { exponent, modulus, .. } => {
            let exponent = if exponent == 0 { DEFAULT_EXPONENT } else { exponent };
            Ok(Jwk::rsa(name, operation, modulus, exponent))
        }
        Key::Ecc { .. } => {
            let expected = "an RSA key: claims have no place for another";
            Err(Error::Config { field: "keys of the vTPM", expected, found: "an ECC key".to_owned() })
        }
    }
}

/// A random UUID (RFC 9562, 5.4), as Azure writes them.
fn unique_id() -> Result<String, Error> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode_upper(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
    Ok(parts.join("-"))
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("hardware", &self.hardware).finish_non_exhaustive()
    }
}
