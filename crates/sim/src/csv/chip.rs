//! A chip in its platform: CEK, PEK, firmware and owner.

use super::authority::Hsk;
use super::guest::{Guest, GuestConfig};
use super::key::Key;
use super::node::{Owner, draft, signed};
use crate::{Error, site::lock};
use sealwright_wire::csv::{Certificate, HskCek, Usage};
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use zerocopy::IntoBytes;

/// The first build of the firmware that has runtime registers, and reports of version 2 to show them.
pub const FIRST_BUILD_WITH_REGISTERS: u32 = 2337;

/// A platform's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Version of its interface: major, minor. A PEK's certificate says with which it was made.
    pub api: [u8; 2],
    /// Its build, which reports of version 2 state.
    pub build: u32,
}

impl Default for Firmware {
    /// The first that has runtime registers.
    fn default() -> Self {
        Self { api: [1, 4], build: FIRST_BUILD_WITH_REGISTERS }
    }
}

/// How a chip is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipConfig {
    /// The serial number, at most 64 bytes. One that is no text of ASCII makes a chip whose reports are refused, as one that was never given
    /// a number is.
    pub serial_number: String,
    /// The firmware that it comes with.
    pub firmware: Firmware,
    /// Whether the CEK's certificate names its HSK (layout 2) or does not (layout 1).
    pub cek_names_hsk: bool,
}

impl ChipConfig {
    /// A chip of this serial number with the default firmware, whose CEK names its HSK.
    pub fn new(serial_number: impl Into<String>) -> Self {
        Self { serial_number: serial_number.into(), firmware: Firmware::default(), cek_names_hsk: true }
    }
}

/// A chip. Its keys live in this value's memory alone and are wiped when the last copy is dropped; copies share everything.
#[derive(Clone)]
pub struct Chip(Arc<Inner>);

struct Inner {
    serial_number: [u8; 64],
    hsk: Arc<Hsk>,
    key: Key,
    cek: Certificate,
    platform: Mutex<Platform>,
}

/// What changes about a platform.
struct Platform {
    firmware: Firmware,
    owner: Option<Owner>,
    pek: Arc<Pek>,
}

/// The key that signs reports.
pub(super) struct Pek {
    pub(super) key: Arc<Key>,
    pub(super) certificate: Certificate,
}

impl Chip {
    pub(super) fn make(config: &ChipConfig, hsk: Arc<Hsk>) -> Result<Self, Error> {
        let serial_number = serial_number(&config.serial_number)?;
        let signer_id = if config.cek_names_hsk { hsk.certificate().key_id } else { [0; 16] };
        let key = Key::generate("CEK")?;
        let cek = signed(&draft(Usage::CEK, &key, signer_id)?, &[(Usage::HSK, &hsk.key)])?;
        let owner = Some(Owner::found(&config.serial_number)?);
        let pek = certify(Arc::new(Key::generate("PEK")?), &key, owner.as_ref(), config.firmware)?;
        let platform = Mutex::new(Platform { firmware: config.firmware, owner, pek: Arc::new(pek) });
        Ok(Self(Arc::new(Inner { serial_number, hsk, key, cek, platform })))
    }

    /// What the vendor's service hands out for this chip: HSK and CEK in a row.
    pub fn hsk_cek(&self) -> Vec<u8> {
        HskCek { hsk: &self.0.hsk.certificate(), cek: &self.0.cek }.encode()
    }

    /// The PEK's certificate, as reports carry it.
    pub fn pek(&self) -> Vec<u8> {
        self.present_pek().certificate.as_bytes().to_vec()
    }

    /// The platform's present owner; a platform owns itself until [`change_owner`](Self::change_owner).
    pub fn owner(&self) -> Option<Owner> {
        lock(&self.0.platform).owner.clone()
    }

    /// Makes a new PEK, certified by chip and owner with the present firmware. Later reports of running guests are signed with it.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn update_pek(&self) -> Result<(), Error> {
        let key = Arc::new(Key::generate("PEK")?);
        let mut platform = lock(&self.0.platform);
        platform.pek = Arc::new(certify(key, &self.0.key, platform.owner.as_ref(), platform.firmware)?);
        Ok(())
    }

    /// Has another owner sign the PEK's certificate; none leaves it with the chip's signature alone. The key stays.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn change_owner(&self, owner: Option<&Owner>) -> Result<(), Error> {
        let mut platform = lock(&self.0.platform);
        let key = Arc::clone(&platform.pek.key);
        platform.pek = Arc::new(certify(key, &self.0.key, owner, platform.firmware)?);
        platform.owner = owner.cloned();
        Ok(())
    }

    /// Installs other firmware. The PEK's certificate says with which it was made until [`update_pek`](Self::update_pek).
    pub fn update_firmware(&self, firmware: Firmware) {
        lock(&self.0.platform).firmware = firmware;
    }

    /// Launches a guest.
    ///
    /// # Errors
    /// When its event log cannot be begun.
    pub fn launch(&self, config: &GuestConfig) -> Result<Guest, Error> {
        Guest::launch(self.clone(), config)
    }

    pub(super) fn serial_number(&self) -> [u8; 64] {
        self.0.serial_number
    }

    pub(super) fn firmware(&self) -> Firmware {
        lock(&self.0.platform).firmware
    }

    pub(super) fn present_pek(&self) -> Arc<Pek> {
        Arc::clone(&lock(&self.0.platform).pek)
    }
}

fn certify(key: Arc<Key>, cek: &Key, owner: Option<&Owner>, firmware: Firmware) -> Result<Pek, Error> {
    let mut draft = draft(Usage::PEK, &key, [0; 16])?;
    [draft.api_major, draft.api_minor] = firmware.api;
    let owner = owner.map(|owner| (Usage::OCA, owner.key()));
    let signers: Vec<_> = [(Usage::CEK, cek)].into_iter().chain(owner).collect();
    Ok(Pek { certificate: signed(&draft, &signers)?, key })
}

fn serial_number(text: &str) -> Result<[u8; 64], Error> {
    let mut field = [0; 64];
    let too_long = || Error::Config { field: "serial number", expected: "at most 64 bytes", found: text.to_owned() };
    field.get_mut(..text.len()).ok_or_else(too_long)?.copy_from_slice(text.as_bytes());
    Ok(field)
}

impl fmt::Debug for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial_number = self.0.serial_number.escape_ascii().to_string();
        f.debug_struct("Chip").field("serial_number", &serial_number).finish_non_exhaustive()
    }
}
