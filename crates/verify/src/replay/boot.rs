//! What a log says of a boot: Secure Boot and its keys, what was started, the kernel, its initrd and its command line.
//!
//! A log's words are only worth what its digests say. What [`Boot`] tells from an event's *data* is told from events whose digest, in the bank
//! that the caller holds against a quote, is over that data. Where the digest is over something that the log does not hold (an image, a file),
//! the digest is given, and the name beside it is what the log *states*: whoever hands in the log can write another.
//!
//! What Secure Boot did is told before the firmware's first separator of its register alone: behind it, software that was started can measure
//! the like.

mod reading;

use super::extends;
use reading::Reading;
use sealwright_wire::Digest;
use sealwright_wire::tcg2::{AlgorithmId, Event, Log};
use serde::Serialize;

/// How a log numbers its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// PCRs of a TPM.
    Pcr,
    /// Registers of a confidential guest (UEFI specification, CC measurement protocol): 1 holds PCR 1 and 7, 2 holds 2 to 6, 3 holds 8 to 15.
    CcMr,
}

impl Numbering {
    /// The numbering of a log: a guest's has one bank, of SHA-384 or SM3, and extends the indexes 1 to 4; firmware of a machine with a TPM
    /// measures into PCR 0 and PCR 7 too.
    pub fn of(log: &Log<'_>) -> Self {
        let guests = |algorithm| matches!(algorithm, AlgorithmId::SHA384 | AlgorithmId::SM3_256);
        let one_bank = matches!(log.banks(), [bank] if guests(bank.algorithm()));
        let registers = log.events().filter(extends).all(|event| (1..=4).contains(&event.mr_index));
        if one_bank && registers { Self::CcMr } else { Self::Pcr }
    }

    /// The register of Secure Boot's configuration.
    fn secure_boot(self) -> u32 {
        match self {
            Self::Pcr => 7,
            Self::CcMr => 1,
        }
    }
}

/// A key or a hash of a signature database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Who added it, as a GUID.
    pub owner: String,
    /// What it is: `x509`, `sha256`, `sha384`, `sha512`, `x509-sha256`, or the type's GUID.
    pub kind: String,
    /// The hash itself, or SHA-256 of the certificate, in hex.
    pub digest: String,
}

/// The signature databases of Secure Boot; `None` where the log does not have one, measured and before the separator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// The platform key.
    pub pk: Option<Vec<Key>>,
    /// Keys that may change the databases.
    pub kek: Option<Vec<Key>>,
    /// What may be started.
    pub db: Option<Vec<Key>>,
    /// What may not be started.
    pub dbx: Option<Vec<Key>>,
}

/// What allowed an image: a key or hash that verified it, as firmware or shim measured it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authority {
    /// The variable that holds it: `db`, `Shim`, `MokList`, `SbatLevel` and others.
    pub variable: String,
    /// SHA-256 of the variable's data, in hex; for `db` and `Shim` that is the owner's GUID and the certificate.
    pub sha256: Digest<32>,
}

/// An entry of the boot menu. Firmware is allowed to measure its data alone, so that its number is what the log states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootOption {
    /// The number in the variable's name.
    pub number: u16,
    /// Whether it may be chosen without being asked for.
    pub active: bool,
    /// Its description.
    pub description: String,
    /// Its device path in text form.
    pub device_path: Option<String>,
}

/// An image that the firmware loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The record's number.
    pub record: usize,
    /// The register that it extends, in the log's numbering.
    pub mr_index: u32,
    /// `application`, `boot-driver` or `runtime-driver`.
    pub kind: &'static str,
    /// Its PE digest in the bank, in hex.
    pub digest: Option<String>,
    /// Where it came from, as the log states it.
    pub device_path: Option<String>,
}

/// A file that was measured by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasuredFile {
    /// The record's number.
    pub record: usize,
    /// Its path, as the log states it.
    pub path: Option<String>,
    /// Its digest in the bank, in hex.
    pub digest: Option<String>,
}

/// A section of a unified kernel image, measured by systemd-stub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The record of the section's contents.
    pub record: usize,
    /// Its name. The record before measures it, and was held against it.
    pub name: String,
    /// The digest of its contents in the bank, in hex.
    pub digest: Option<String>,
}

/// What a log says of a boot, as far as it was measured in one bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// Whether Secure Boot was on. `None` where the log does not say so, or says both.
    pub secure_boot: Option<bool>,
    /// Its keys.
    pub keys: Keys,
    /// What allowed the images that were started.
    pub authorities: Vec<Authority>,
    /// The numbers of the boot menu's entries in order.
    pub boot_order: Vec<u16>,
    /// The boot menu's entries.
    pub boot_options: Vec<BootOption>,
    /// How often the firmware tried to start an operating system.
    pub attempts: usize,
    /// Whether the operating system said that it needs the firmware's boot services no more.
    pub exit_boot_services: bool,
    /// What the firmware loaded.
    pub images: Vec<Image>,
    /// The identity of the disk that was booted from, as a GUID.
    pub disk: Option<String>,
    /// What the boot loader's script did.
    pub commands: Vec<String>,
    /// Files that the boot loader read.
    pub files: Vec<MeasuredFile>,
    /// Sections of a unified kernel image.
    pub sections: Vec<Section>,
    /// Shim's lists: their digests.
    pub shim_lists: Vec<MeasuredFile>,
    /// The kernel: the file that the boot loader's last command line names, or the image that was started last.
    pub kernel: Option<MeasuredFile>,
    /// The initrds: those that Linux' stub measured, or that the boot loader read.
    pub initrds: Vec<MeasuredFile>,
    /// The kernel's command lines, where the log has the words that were measured.
    pub command_lines: Vec<String>,
    /// Digests of command lines of which the log has no words: over UTF-16LE with its terminator, in hex.
    pub command_line_digests: Vec<String>,
    /// Numbers of records whose words were left out, because their digest in the bank is not over them.
    pub unmeasured: Vec<usize>,
}

impl Boot {
    /// Reads what a log says, believing words whose digest in `bank` is over them, and of registers that are `confirmed` alone: those that a
    /// quote holds and the log replays to. A register that nobody vouches for can have been given any event.
    pub fn read(log: &Log<'_>, bank: AlgorithmId, confirmed: &[u32]) -> Self {
        let mut reading = Reading::new(Numbering::of(log), bank);
        let vouched_for = |event: &Event<'_>| extends(event) && confirmed.contains(&event.mr_index);
        log.events().filter(vouched_for).for_each(|event| reading.event(&event));
        reading.finish()
    }
}
