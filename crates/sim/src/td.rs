//! A simulated trust domain: what it booted, its registers, its log.

use crate::{
    Error,
    boot::{self, Booted},
    files::BootFiles,
    measured::{Measured, sha384},
    platform::{Platform, random},
    tcb::{FMSPC, Generation},
};
use sealwright_evidence::{Collected, Measurement};
use sealwright_wire::{
    Digest,
    aael::RuntimeEvent,
    quote::Body,
    tcg2::{AlgorithmId, event_type::EV_EVENT_TAG},
    tdx::{ReportBody10, ReportBody15, ReportBody15Ex, ReportMac, TdInfo, TdReport, TeeTcbInfo},
};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zerocopy::{FromZeros, IntoBytes};

/// RAM of a machine unless its configuration says otherwise: 2 GiB.
pub const DEFAULT_RAM: u64 = 2 << 30;
/// The longest name of a machine, in bytes.
pub const MAX_NAME: usize = 64;
/// XFAM of Linux guests on Sapphire Rapids: x87, SSE, AVX, AVX-512, PKRU, AMX.
const XFAM: u64 = 0x0006_02e7;
/// TDATTRIBUTES: SEPT_VE_DISABLE.
const SEPT_VE_DISABLE: u64 = 1 << 28;
/// TDATTRIBUTES: DEBUG.
const DEBUG: u64 = 1;
/// VALID of TEE_TCB_INFO, as modules of TDX 1.5 have it.
const TCB_INFO_VALID: u64 = 0x0003_01ff;
const REGISTER_NAMES: [&str; 5] = ["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"];

/// Which layout a machine's quotes have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuoteFormat {
    /// Version 4 with the body of TDX 1.0.
    #[default]
    #[serde(rename = "v4")]
    V4,
    /// Version 5 with the body of TDX 1.0.
    #[serde(rename = "v5-td10")]
    V5Td10,
    /// Version 5 with the body of TDX 1.5, which also tells the platform's present security versions.
    #[serde(rename = "v5-td15")]
    V5Td15,
    /// Version 5 with the body of extended TDX 1.5, which also tells the domain's identity and the platform at its launch.
    #[serde(rename = "v5-td15ex")]
    V5Td15Ex,
}

impl QuoteFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::V4, Self::V5Td10, Self::V5Td15, Self::V5Td15Ex];
}

/// What to boot, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdConfig {
    /// The machine's name at its site: 1 to [`MAX_NAME`] letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// What it boots from.
    pub files: BootFiles,
    /// Its memory in bytes: a multiple of 4096.
    pub ram: u64,
    /// Whether the host may read it: its quotes then have the DEBUG attribute.
    pub debug: bool,
    /// The layout of its quotes.
    pub quote: QuoteFormat,
}

impl TdConfig {
    /// A production machine with [`DEFAULT_RAM`] and quotes of version 4.
    pub fn new(name: impl Into<String>, files: BootFiles) -> Self {
        Self { name: name.into(), files, ram: DEFAULT_RAM, debug: false, quote: QuoteFormat::default() }
    }

    pub(crate) fn check_name(&self) -> Result<(), Error> {
        let right = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if (1..=MAX_NAME).contains(&self.name.len()) && self.name.chars().all(right) {
            return Ok(());
        }
        let found = self.name.chars().take(MAX_NAME).collect();
        Err(Error::Config { field: "name", expected: "1 to 64 letters, digits, '-', '_' or '.'", found })
    }
}

/// A running machine.
pub(crate) struct Domain {
    name: String,
    mrtd: Digest<48>,
    attributes: u64,
    quote: QuoteFormat,
    /// The security versions at its launch.
    launched: Generation,
    /// What a report of extended TDX 1.5 calls it, for as long as it runs.
    td_id: [u8; 32],
    measured: Mutex<Measured>,
}

impl Domain {
    pub(crate) fn boot(config: &TdConfig, generation: Generation) -> Result<Self, Error> {
        config.check_name()?;
        let Booted { mrtd, measured } = boot::boot(&config.files, config.ram)?;
        Ok(Self {
            name: config.name.clone(),
            mrtd,
            attributes: SEPT_VE_DISABLE | if config.debug { DEBUG } else { 0 },
            quote: config.quote,
            launched: generation,
            td_id: random()?,
            measured: Mutex::new(measured),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn debug(&self) -> bool {
        self.attributes & DEBUG != 0
    }

    pub(crate) fn format(&self) -> QuoteFormat {
        self.quote
    }

    /// A quote, and the log at the very moment of its report.
    pub(crate) fn evidence(&self, platform: &Platform, report_data: &[u8; 64]) -> Result<Collected, Error> {
        let (rtmrs, log) = {
            let measured = self.lock();
            (*measured.rtmrs(), measured.log().to_vec())
        };
        let report = self.report(platform, &rtmrs, report_data);
        let extension = (self.quote == QuoteFormat::V5Td15Ex).then(|| self.extension());
        Ok(Collected { quote: sign(platform, self.quote, &report, extension)?, event_log: Some(log) })
    }

    /// TDREPORT (TDG.MR.REPORT): what the processor says to this domain alone.
    pub(crate) fn td_report(&self, platform: &Platform, report_data: &[u8; 64]) -> TdReport {
        let rtmrs = *self.lock().rtmrs();
        self.report(platform, &rtmrs, report_data)
    }

    pub(crate) fn event_log(&self) -> Vec<u8> {
        self.lock().log().to_vec()
    }

    pub(crate) fn measurements(&self) -> Vec<Measurement> {
        let rtmrs = *self.lock().rtmrs();
        let values = [self.mrtd].into_iter().chain(rtmrs);
        let measurement = |((index, name), value): ((u32, &'static str), Digest<48>)| Measurement {
            index,
            name,
            algorithm: AlgorithmId::SHA384,
            value: value.0.to_vec(),
        };
        (0..).zip(REGISTER_NAMES).zip(values).map(measurement).collect()
    }

    /// Extends RTMR3 and appends the record: both, or neither when the log is full.
    pub(crate) fn extend(&self, event: &RuntimeEvent) -> Result<(), Error> {
        let data = event.to_data();
        self.lock().extend(3, EV_EVENT_TAG, &[&data], &data)
    }

    fn report(&self, platform: &Platform, rtmrs: &[Digest<48>; 4], report_data: &[u8; 64]) -> TdReport {
        let mut module = TeeTcbInfo::new_zeroed();
        module.valid = TCB_INFO_VALID.to_le_bytes();
        module.tee_tcb_svn = self.launched.tee_tcb_svn();
        module.mr_seam = module_measurement(self.launched);
        module.tee_tcb_svn2 = platform.generation().tee_tcb_svn();
        let mut domain = TdInfo::new_zeroed();
        domain.td_attributes = self.attributes.to_le_bytes();
        domain.xfam = XFAM.to_le_bytes();
        domain.mr_td = self.mrtd.0;
        domain.rt_mr = rtmrs.map(|rtmr| rtmr.0);
        let mut mac = ReportMac::new_zeroed();
        mac.report_type.set(ReportMac::TYPE_TDX.into());
        mac.cpu_svn = platform.generation().sgx_components();
        mac.tee_tcb_info_hash = sha384(&[module.as_bytes()]).0;
        mac.tee_info_hash = sha384(&[domain.as_bytes()]).0;
        mac.report_data = *report_data;
        mac.mac = platform.report_mac(&mac);
        TdReport { mac, tee_tcb_info: module, reserved: [0; 17], td_info: domain }
    }

    /// What extended TDX 1.5 adds. Neither service domains nor devices are bound to these domains, so that there is nothing to hash.
    fn extension(&self) -> ReportBody15Ex {
        let mut extension = ReportBody15Ex::new_zeroed();
        extension.td_id = self.td_id;
        extension.init_cpu_svn = self.launched.sgx_components();
        extension.init_tee_tcb_svn = self.launched.tee_tcb_svn();
        extension.init_tee_fmspc[..FMSPC.len()].copy_from_slice(&FMSPC);
        extension
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        // Registers and log change together within one call, so a panic elsewhere leaves nothing half done.
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The quote of a report that the platform made, in a layout; `extension` is what a body of extended TDX 1.5 says beside the report.
pub(crate) fn sign(
    platform: &Platform,
    format: QuoteFormat,
    report: &TdReport,
    extension: Option<ReportBody15Ex>,
) -> Result<Vec<u8>, Error> {
    platform.check_report(report)?;
    let base = body(report);
    match format {
        QuoteFormat::V4 => platform.quote(4, Body::Td10(&base.base)),
        QuoteFormat::V5Td10 => platform.quote(5, Body::Td10(&base.base)),
        QuoteFormat::V5Td15 => platform.quote(5, Body::Td15(&base)),
        QuoteFormat::V5Td15Ex => {
            let (field, expected) = ("quote layout", "one whose body has nothing that a TDREPORT does not say");
            let extension =
                extension.ok_or_else(|| Error::Config { field, expected, found: "v5-td15ex".to_owned() })?;
            platform.quote(5, Body::Td15Ex(&ReportBody15Ex { base, ..extension }))
        }
    }
}

/// The body of a quote of TDX 1.5 as the quoting enclave takes it from a report; that of TDX 1.0 begins it.
fn body(report: &TdReport) -> ReportBody15 {
    let TdReport { mac, tee_tcb_info: module, td_info: domain, .. } = report;
    let base = ReportBody10 {
        tee_tcb_svn: module.tee_tcb_svn,
        mr_seam: module.mr_seam,
        mr_signer_seam: module.mr_signer_seam,
        seam_attributes: module.seam_attributes,
        td_attributes: domain.td_attributes,
        xfam: domain.xfam,
        mr_td: domain.mr_td,
        mr_config_id: domain.mr_config_id,
        mr_owner: domain.mr_owner,
        mr_owner_config: domain.mr_owner_config,
        rt_mr: domain.rt_mr,
        report_data: mac.report_data,
    };
    ReportBody15 { base, tee_tcb_svn2: module.tee_tcb_svn2, mr_service_td: domain.serv_td_hash }
}

/// MRSEAM: every generation brings a TDX module of its own.
fn module_measurement(generation: Generation) -> [u8; 48] {
    let [minor, major, ..] = generation.tee_tcb_svn();
    sha384(&[format!("sealwright simulation: TDX module {major}.{minor}").as_bytes()]).0
}
