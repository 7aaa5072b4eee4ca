//! A machine with a TPM: what it booted and measured, and what its operator does to it.

use super::{
    boot::{self, HCRTM_LOCALITY},
    hash::Hash,
    ima::{self, List},
    key::{Key, KeyKind, Scheme},
    object::{AkTemplate, Object},
    pcr::{Pcrs, no_register},
    quote::{self, Quote},
    timer::Timer,
};
use crate::{Clock, Error, files::BootFiles, measured::Registers};
use sealwright_wire::{
    tcg2::AlgorithmId,
    tpm::{Evidence, PcrSelection, PcrValues},
};
use std::fmt;

/// The firmware version of every simulated TPM, unless its configuration says otherwise.
const FIRMWARE_VERSION: u64 = 0x0000_0001_0000_0000;

/// What a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineConfig {
    /// What it boots from.
    pub files: BootFiles,
    /// The banks that its TPM has: of SHA-1, SHA-256, SHA-384 and SHA-512, each at most once.
    pub banks: Vec<AlgorithmId>,
    /// The banks that its firmware measures in and its log tells of. Old firmware measures in SHA-1 alone, whatever the TPM has.
    pub firmware_banks: Vec<AlgorithmId>,
    /// At which locality the firmware starts the TPM, which is what PCR 0 starts with: 0 or 3; or 4, where the processor measures the firmware
    /// before it starts the TPM (H-CRTM).
    pub startup_locality: u8,
    /// The kind of its endorsement key: RSA or P-256.
    pub ek: KeyKind,
    /// The attestation key that it makes.
    pub ak: AkTemplate,
    /// `firmwareVersion` of its TPM.
    pub firmware_version: u64,
    /// Whether its kernel extends PCR 10 with SHA-1 digests, filled up with zeros, in every bank (Linux before 5.8).
    pub ima_padded: bool,
    /// The PCR that its kernel extends: 10, unless it was built otherwise (`CONFIG_IMA_MEASURE_PCR_IDX`).
    pub ima_pcr: u32,
}

impl MachineConfig {
    /// A machine with banks of SHA-1, SHA-256 and SHA-384 that its firmware measures in, and keys on P-256.
    pub fn new(files: BootFiles) -> Self {
        let banks = vec![AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384];
        Self {
            files,
            firmware_banks: banks.clone(),
            banks,
            startup_locality: 0,
            ek: KeyKind::P256,
            ak: AkTemplate::new(Scheme::EcdsaP256),
            firmware_version: FIRMWARE_VERSION,
            ima_padded: false,
            ima_pcr: ima::PCR,
        }
    }

    /// Registers of this machine when its TPM was just started.
    fn registers(&self) -> Result<Pcrs, Error> {
        if !matches!(self.startup_locality, 0 | 3 | HCRTM_LOCALITY) {
            let found = self.startup_locality.to_string();
            return Err(Error::Config { field: "startup locality", expected: "0, 3 or 4", found });
        }
        check_static(self.ima_pcr)?;
        let banks = hashes("PCR banks", &self.banks)?;
        let measured = hashes("banks of the firmware", &self.firmware_banks)?;
        if let Some(other) = self.firmware_banks.iter().find(|bank| !self.banks.contains(bank)) {
            let (field, expected) = ("banks of the firmware", "banks of the TPM");
            return Err(Error::Config { field, expected, found: other.to_string() });
        }
        Pcrs::start(&banks, &measured, self.startup_locality)
    }
}

fn hashes(field: &'static str, banks: &[AlgorithmId]) -> Result<Vec<Hash>, Error> {
    let twice = (1..).zip(banks).find(|(behind, bank)| banks.iter().skip(*behind).any(|other| other == *bank));
    if let Some((_, bank)) = twice {
        return Err(Error::Config { field, expected: "each bank once", found: bank.to_string() });
    }
    banks.iter().map(|bank| Hash::of(field, *bank)).collect()
}

/// A machine that runs. Its TPM's keys are wiped with this value.
pub struct Machine {
    config: MachineConfig,
    ek: Object,
    ek_certificate: Vec<Vec<u8>>,
    ak: Object,
    timer: Timer,
    pcrs: Pcrs,
    ima: List,
}

impl Machine {
    /// Makes the TPM and boots.
    pub(super) fn make(
        config: MachineConfig,
        clock: Clock,
        certify: impl FnOnce(&Key) -> Result<Vec<Vec<u8>>, Error>,
    ) -> Result<Self, Error> {
        let (pcrs, ima) = start(&config)?;
        let ek = Object::endorsement_key(config.ek)?;
        let ak = Object::attestation_key(config.ak, &ek)?;
        let ek_certificate = certify(&ek.key)?;
        Ok(Self { config, ek, ek_certificate, ak, timer: Timer::new(clock), pcrs, ima })
    }

    /// A TPM that is a program, as a paravisor has one, and boots: no manufacturer certifies its keys.
    pub(crate) fn virtual_one(config: MachineConfig, clock: Clock) -> Result<Self, Error> {
        Self::make(config, clock, |_| Ok(Vec::new()))
    }

    /// TPM2_Quote under the attestation key: over the selected PCRs, as far as the TPM has them, and at most 66 bytes of the caller's.
    ///
    /// # Errors
    /// When the data is longer, a bank is selected twice, or the cryptographic library fails.
    pub fn quote(&self, selection: &[PcrSelection], extra_data: &[u8]) -> Result<Quote, Error> {
        let statement = quote::Statement {
            scheme: self.config.ak.scheme,
            clock_info: self.timer.info(),
            firmware_version: self.config.firmware_version,
            extra_data,
        };
        statement.quote(&self.ak, self.pcrs.select(selection)?, &self.pcrs.values()?)
    }

    /// Evidence as trustee's attester sends it: all PCRs of the bank of SHA-256 under a key that the evidence names.
    ///
    /// # Errors
    /// When the TPM has no such bank, and as [`Machine::quote`].
    pub fn trustee_evidence(&self, extra_data: &[u8]) -> Result<Evidence, Error> {
        self.quote(&[PcrSelection::new(AlgorithmId::SHA256, 0..super::PCRS)], extra_data)?.trustee(self.ak_key_info()?)
    }

    /// What all PCRs hold, as TPM2_PCR_Read gives them.
    ///
    /// # Errors
    /// Never for registers of this crate; the writer's signature has it.
    pub fn pcrs(&self) -> Result<PcrValues, Error> {
        self.pcrs.values()
    }

    /// The firmware's log (`binary_bios_measurements`).
    pub fn event_log(&self) -> &[u8] {
        self.pcrs.log()
    }

    /// The kernel's list as text (`ascii_runtime_measurements`).
    pub fn ima_list(&self) -> &[u8] {
        self.ima.ascii()
    }

    /// The kernel's list as records with SHA-1 template digests (`binary_runtime_measurements`).
    pub fn ima_records(&self) -> &[u8] {
        self.ima.binary()
    }

    /// The attestation key's `TPM2B_PUBLIC`.
    ///
    /// # Errors
    /// Never for a key of this crate; the writer's signature has it.
    pub fn ak_public(&self) -> Result<Vec<u8>, Error> {
        self.ak.sized_area()
    }

    /// The attestation key's SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// Never for a key of this crate; the writer's signature has it.
    pub fn ak_key_info(&self) -> Result<Vec<u8>, Error> {
        self.ak.key_info()
    }

    /// The endorsement key's `TPM2B_PUBLIC`.
    ///
    /// # Errors
    /// Never for a key of this crate; the writer's signature has it.
    pub fn ek_public(&self) -> Result<Vec<u8>, Error> {
        self.ek.sized_area()
    }

    /// The endorsement key's certificate and those above it in DER, the root's last; none of a virtual TPM.
    pub fn ek_certificate(&self) -> &[Vec<u8>] {
        &self.ek_certificate
    }

    /// Makes another attestation key in place of the present one, which is wiped.
    ///
    /// # Errors
    /// When a TPM makes no such key, or the cryptographic library fails.
    pub fn create_ak(&mut self, template: AkTemplate) -> Result<(), Error> {
        self.ak = Object::attestation_key(template, &self.ek)?;
        self.config.ak = template;
        Ok(())
    }

    /// Boot software measures `content` into a PCR, in the banks of the firmware, and records `data` as its description, whether the event's type
    /// wants that to be the content or not.
    ///
    /// # Errors
    /// When the PCR is none that it can extend, or the log is full.
    pub fn measure(&mut self, pcr: u32, event_type: u32, content: &[u8], data: &[u8]) -> Result<(), Error> {
        check_static(pcr)?;
        self.pcrs.measure(pcr, event_type, &[content], data)
    }

    /// TPM2_PCR_Event: software extends a PCR with the digest of `data`, in every bank, and leaves no record.
    ///
    /// # Errors
    /// When the PCR is none that it can extend.
    pub fn extend(&mut self, pcr: u32, data: &[u8]) -> Result<(), Error> {
        check_static(pcr)?;
        self.pcrs.extend(pcr, |bank| bank.digest(&[data]))
    }

    /// TPM2_PCR_Extend of one bank: the others keep what they hold.
    ///
    /// # Errors
    /// When the PCR is none that software can extend, the TPM does not have the bank, or the digest is not of its size.
    pub fn extend_bank(&mut self, pcr: u32, bank: AlgorithmId, digest: &[u8]) -> Result<(), Error> {
        check_static(pcr)?;
        self.pcrs.extend_bank(pcr, bank, digest)
    }

    /// TPM2_PCR_Reset: software sets a PCR to zero, which two of them allow.
    ///
    /// # Errors
    /// When the PCR is neither 16 nor 23.
    pub fn reset_pcr(&mut self, pcr: u32) -> Result<(), Error> {
        if matches!(pcr, 16 | 23) { self.pcrs.clear(pcr) } else { Err(no_register("16 or 23", pcr)) }
    }

    /// A dynamic launch: the processor sets PCR 17 to 22 to zero and measures `code` into PCR 17.
    ///
    /// # Errors
    /// When the log is full.
    pub fn launch(&mut self, event_type: u32, code: &[u8]) -> Result<(), Error> {
        self.pcrs.launch()?;
        self.pcrs.measure_data(17, event_type, code)
    }

    /// The kernel measures a file before it is used.
    ///
    /// # Errors
    /// When the path has no line of its own in a list.
    pub fn open(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        self.ima.measure(&mut self.pcrs, path, content)
    }

    /// The kernel sees that a file is changed while it is measured.
    ///
    /// # Errors
    /// When the path has no line of its own in a list.
    pub fn open_while_written(&mut self, path: &str) -> Result<(), Error> {
        self.ima.violate(&mut self.pcrs, path)
    }

    /// Shuts down in order and boots (TPM Reset).
    ///
    /// # Errors
    /// Never behind a first boot from the same files; booting has it.
    pub fn reboot(&mut self) -> Result<(), Error> {
        (self.pcrs, self.ima) = start(&self.config)?;
        self.timer.reset();
        Ok(())
    }

    /// Shuts down in order and boots from other files.
    ///
    /// # Errors
    /// When a file does not boot; the machine then runs on.
    pub fn reboot_from(&mut self, files: BootFiles) -> Result<(), Error> {
        let config = MachineConfig { files, ..self.config.clone() };
        (self.pcrs, self.ima) = start(&config)?;
        self.config = config;
        self.timer.reset();
        Ok(())
    }

    /// Loses power and boots (TPM Reset without a shutdown): the clock is not safe until it is written again.
    ///
    /// # Errors
    /// As [`Machine::reboot`].
    pub fn lose_power(&mut self) -> Result<(), Error> {
        (self.pcrs, self.ima) = start(&self.config)?;
        self.timer.lose_power();
        Ok(())
    }

    /// Suspends to memory and resumes (TPM Resume): registers and lists stay.
    pub fn suspend(&mut self) {
        self.timer.restart();
    }

    /// Hibernates and boots into what was saved (TPM Restart): registers and log are those of a new boot.
    ///
    /// # Errors
    /// As [`Machine::reboot`].
    pub fn hibernate(&mut self) -> Result<(), Error> {
        (self.pcrs, self.ima) = start(&self.config)?;
        self.timer.restart();
        Ok(())
    }

    pub(super) fn ak(&self) -> &Key {
        &self.ak.key
    }
}

/// Starts the TPM, boots, and starts the kernel's list.
fn start(config: &MachineConfig) -> Result<(Pcrs, List), Error> {
    let mut pcrs = config.registers()?;
    boot::boot(&mut pcrs, &config.files, config.startup_locality)?;
    let ima = List::start(config.ima_pcr, config.ima_padded, &mut pcrs)?;
    Ok((pcrs, ima))
}

/// Software runs at locality 0, which may not extend what a dynamic launch measures (PC Client Platform TPM Profile, "PCR Attributes").
fn check_static(pcr: u32) -> Result<(), Error> {
    match pcr {
        0..=16 | 23 => Ok(()),
        _ => Err(no_register("0 to 16, or 23", pcr)),
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}
