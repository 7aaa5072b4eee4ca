//! A running guest, as the workload in it sees it.

use super::BACKEND;
use super::chip::{Chip, FIRST_BUILD_WITH_REGISTERS};
use super::key::{random, sm3};
use super::registers::Registers;
use super::report::{Draft, Layout};
use crate::{Error, site::lock};
use sealwright_evidence::{Backend, Collected, Measurement};
use sealwright_wire::{
    Digest, Tee,
    aael::{self, RuntimeEvent},
    csv::{Policy, SignerForm, TeeInfo},
    tcg2::{AlgorithmId, event_type::EV_EVENT_TAG},
};
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use zerocopy::FromZeros;

/// NODBG, NOKS, ES, NOSEND, CSV and CSV3: nothing in or out of the guest, on this kind of chip.
pub const DEFAULT_POLICY: Policy = Policy(0x6f);
const REGISTER_NAMES: [&str; 5] = ["rtmr0", "rtmr1", "rtmr2", "rtmr3", "rtmr4"];
/// The register of runtime events.
const RUNTIME: u8 = 4;
const _: () = assert!(RUNTIME as u32 == aael::MR_INDEX);

/// What a guest's owner says about it at launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestConfig {
    /// The launch digest.
    pub measure: Digest<32>,
    /// What the host may do with the guest.
    pub policy: Policy,
    /// The owner's name for the guest.
    pub vm_id: [u8; 16],
    /// The owner's version of the guest.
    pub vm_version: [u8; 16],
    /// Digest of the public key of the session in which the owner launches it; zeros where there is no session.
    pub user_pubkey_digest: Digest<32>,
}

impl GuestConfig {
    /// A guest of these initial contents, launched without a session under [`DEFAULT_POLICY`].
    pub fn new(image: &[u8]) -> Self {
        Self {
            measure: Digest(sm3(&[image])),
            policy: DEFAULT_POLICY,
            vm_id: *b"simulated guest\0",
            vm_version: [0; 16],
            user_pubkey_digest: Digest::ZERO,
        }
    }
}

/// A running guest. It holds no key: its reports are made by the chip's firmware. Copies share everything.
#[derive(Clone)]
pub struct Guest(Arc<Inner>);

struct Inner {
    chip: Chip,
    config: GuestConfig,
    registers: Mutex<Registers>,
}

impl Guest {
    pub(super) fn launch(chip: Chip, config: &GuestConfig) -> Result<Self, Error> {
        let registers = Mutex::new(Registers::launched(config.measure.0)?);
        Ok(Self(Arc::new(Inner { chip, config: config.clone(), registers })))
    }

    /// A report over `report_data` under a nonce of its own, with the signer block as the firmware made it or as csv-rs leaves it.
    ///
    /// # Errors
    /// When the firmware has no reports of that version, or the cryptographic library fails.
    pub fn report(&self, report_data: &[u8; 64], layout: Layout, form: SignerForm) -> Result<Vec<u8>, Error> {
        self.report_over(&lock(&self.0.registers), report_data, layout, form)
    }

    /// Extends RTMR`rtmr` (1 to 4) with `digest` and records `data` as its description. The log is the guest's own: nobody but a verifier asks
    /// whether `digest` is over `data`.
    ///
    /// # Errors
    /// When the firmware has no registers, there is none of this number, or the log cannot hold the record; nothing was extended then.
    pub fn measure(&self, rtmr: u8, event_type: u32, digest: &[u8; 32], data: &[u8]) -> Result<(), Error> {
        self.check_registers()?;
        lock(&self.0.registers).measure(rtmr, event_type, digest, data)
    }

    /// Extends RTMR`rtmr` (1 to 4) with `digest` and records nothing.
    ///
    /// # Errors
    /// When the firmware has no registers, or there is none of this number.
    pub fn extend_unrecorded(&self, rtmr: u8, digest: &[u8; 32]) -> Result<(), Error> {
        self.check_registers()?;
        lock(&self.0.registers).extend(rtmr, digest)
    }

    fn report_over(
        &self,
        registers: &Registers,
        report_data: &[u8; 64],
        layout: Layout,
        form: SignerForm,
    ) -> Result<Vec<u8>, Error> {
        if layout.version() == 2 {
            self.check_registers()?;
        }
        let info = self.info(report_data, random()?);
        Draft { chip: &self.0.chip, info, rtmr: registers.rtmr() }.sign(layout, form)
    }

    fn info(&self, report_data: &[u8; 64], mnonce: [u8; 16]) -> TeeInfo {
        let config = &self.0.config;
        let mut info = TeeInfo {
            user_pubkey_digest: config.user_pubkey_digest.0,
            vm_id: config.vm_id,
            vm_version: config.vm_version,
            report_data: *report_data,
            mnonce,
            measure: config.measure.0,
            ..TeeInfo::new_zeroed()
        };
        info.policy.set(config.policy.0);
        info
    }

    fn has_registers(&self) -> bool {
        self.0.chip.firmware().build >= FIRST_BUILD_WITH_REGISTERS
    }

    fn check_registers(&self) -> Result<(), Error> {
        if self.has_registers() {
            return Ok(());
        }
        let found = self.0.chip.firmware().build.to_string();
        Err(Error::Config { field: "firmware build", expected: "2337 or later, which has registers", found })
    }

    /// The report that this firmware makes by default, and the log at that very moment.
    fn collect(&self, report_data: &[u8; 64]) -> Result<Collected, Error> {
        let registers = lock(&self.0.registers);
        let layout = if self.has_registers() { Layout::ExtensionV2 } else { Layout::Bare };
        let quote = self.report_over(&registers, report_data, layout, SignerForm::Firmware)?;
        Ok(Collected { quote, event_log: self.has_registers().then(|| registers.log().to_vec()) })
    }

    fn registers(&self) -> Vec<Measurement> {
        let rtmr = *lock(&self.0.registers).rtmr();
        let registers = (0..).zip(REGISTER_NAMES).zip(rtmr).map(|((index, name), value)| Measurement {
            index,
            name,
            algorithm: AlgorithmId::SM3_256,
            value: value.to_vec(),
        });
        registers.collect()
    }
}

impl Backend for Guest {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn tee(&self) -> Tee {
        Tee::Csv
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        Ok(self.evidence(report_data)?.quote)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        Ok(self.has_registers().then(|| lock(&self.0.registers).log().to_vec()))
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        Ok(if self.has_registers() { self.registers() } else { Vec::new() })
    }

    /// Extends RTMR4, CSV's register of runtime events.
    fn extend(&self, event: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        let data = event.to_data();
        self.measure(RUNTIME, EV_EVENT_TAG, &sm3(&[&data]), &data).map_err(refused)
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Collected, sealwright_evidence::Error> {
        self.collect(report_data).map_err(refused)
    }
}

fn refused(error: Error) -> sealwright_evidence::Error {
    sealwright_evidence::Error::Backend { backend: BACKEND, source: Box::new(error) }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("chip", &self.0.chip).finish_non_exhaustive()
    }
}
