//! A simulated trust domain: what it booted, its registers, its log.

use crate::{
    Error,
    boot::{self, Booted},
    files::BootFiles,
    measured::{Measured, sha384},
    platform::Platform,
    tcb::Generation,
};
use sealwright_evidence::{Collected, Measurement};
use sealwright_wire::{
    Digest,
    aael::RuntimeEvent,
    quote::Body,
    tcg2::{AlgorithmId, event_type::EV_EVENT_TAG},
    tdx::{ReportBody10, ReportBody15},
};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zerocopy::FromZeros;

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
        let quote = self.sign(platform, &self.report(&rtmrs, report_data))?;
        Ok(Collected { quote, event_log: Some(log) })
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

    fn report(&self, rtmrs: &[Digest<48>; 4], report_data: &[u8; 64]) -> ReportBody10 {
        let mut report = ReportBody10::new_zeroed();
        report.tee_tcb_svn = self.launched.tee_tcb_svn();
        report.mr_seam = module_measurement(self.launched);
        report.td_attributes = self.attributes.to_le_bytes();
        report.xfam = XFAM.to_le_bytes();
        report.mr_td = self.mrtd.0;
        report.rt_mr = rtmrs.map(|rtmr| rtmr.0);
        report.report_data = *report_data;
        report
    }

    fn sign(&self, platform: &Platform, report: &ReportBody10) -> Result<Vec<u8>, Error> {
        match self.quote {
            QuoteFormat::V4 => platform.quote(4, Body::Td10(report)),
            QuoteFormat::V5Td10 => platform.quote(5, Body::Td10(report)),
            QuoteFormat::V5Td15 => {
                let tee_tcb_svn2 = platform.generation().tee_tcb_svn();
                let report = ReportBody15 { base: *report, tee_tcb_svn2, mr_service_td: [0; 48] };
                platform.quote(5, Body::Td15(&report))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        // Registers and log change together within one call, so a panic elsewhere leaves nothing half done.
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// MRSEAM: every generation brings a TDX module of its own.
fn module_measurement(generation: Generation) -> [u8; 48] {
    let [minor, major, ..] = generation.tee_tcb_svn();
    sha384(&[format!("sealwright simulation: TDX module {major}.{minor}").as_bytes()]).0
}
