//! What a log says of a boot: Secure Boot and its keys, what was started, the kernel, its initrd and its command line.
//!
//! A log's words are only worth what its digests say. What [`Boot`] tells from an event's *data* is told from events whose digest, in the bank
//! that the caller holds against a quote, is over that data. Where the digest is over something that the log does not hold (an image, a file),
//! the digest is given, and the name beside it is what the log *states*: whoever hands in the log can write another.
//!
//! What Secure Boot did is told before the firmware's first separator of its register alone: behind it, software that was started can measure
//! the like.

use super::{DataMatch, extends, matches};
use crate::hash::sha256;
use sealwright_wire::Digest;
use sealwright_wire::tcg2::{AlgorithmId, Content, Event, Grub, Guid, Log, UefiVariable, event_type};
use sealwright_wire::uefi::{self, FileNames, LoadOption, SignatureList};
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
    /// Its path, as the log states it; empty where the log has none.
    pub path: String,
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
    /// Reads what a log says, believing words whose digest in `bank` is over them.
    pub fn read(log: &Log<'_>, bank: AlgorithmId) -> Self {
        let mut reading = Reading::new(Numbering::of(log), bank);
        log.events().filter(extends).for_each(|event| reading.event(&event));
        reading.finish()
    }
}

struct Reading {
    boot: Boot,
    bank: AlgorithmId,
    secure_boot_register: u32,
    separated: bool,
    contradicted: bool,
    /// The name of a section whose contents come next.
    section: Option<String>,
    initrd_commands: Vec<String>,
    linux_initrds: Vec<MeasuredFile>,
}

impl Reading {
    fn new(numbering: Numbering, bank: AlgorithmId) -> Self {
        Self {
            boot: Boot::default(),
            bank,
            secure_boot_register: numbering.secure_boot(),
            separated: false,
            contradicted: false,
            section: None,
            initrd_commands: Vec::new(),
            linux_initrds: Vec::new(),
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        if event.event_type == event_type::EV_SEPARATOR && event.mr_index == self.secure_boot_register {
            self.separated = true;
        }
        match event.content() {
            Content::Image(image) => self.image(event, &image),
            Content::File(path) => {
                let file = self.file(event, path);
                self.boot.files.push(file);
            }
            Content::ShimList(name) => {
                let file = self.file(event, name);
                self.boot.shim_lists.push(file);
            }
            Content::Section(name) => self.section(event, name),
            Content::Initrd => {
                let file = self.file(event, "");
                self.linux_initrds.push(file);
            }
            Content::LoadOptions => {
                let digest = self.digest(event);
                self.boot.command_line_digests.extend(digest);
            }
            Content::Utf16(text) => {
                if self.is_digest_of(event, &[event.data]) {
                    self.boot.command_lines.push(text);
                }
            }
            Content::Text(name @ ("grub_linuxefi Kernel" | "grub_linuxefi Initrd")) => {
                let file = self.file(event, name);
                self.boot.files.push(file);
            }
            content => self.words(event, &content),
        }
    }

    /// Events that say something in words that must have been measured.
    fn words(&mut self, event: &Event<'_>, content: &Content<'_>) {
        match matches(event.digested(), event.digests.get(self.bank).map(|digest| (self.bank, digest))) {
            DataMatch::Yes => {}
            DataMatch::No => return self.boot.unmeasured.push(event.index),
            DataMatch::NotApplicable => return,
        }
        match content {
            Content::Variable(variable) => self.variable(event, variable),
            Content::Action("Calling EFI Application from Boot Option") => {
                self.boot.attempts = self.boot.attempts.saturating_add(1);
            }
            Content::Action("Exit Boot Services Returned with Success") => self.boot.exit_boot_services = true,
            Content::PartitionTable(table) => self.boot.disk = Some(table.disk().to_string()),
            Content::Grub(Grub::Command, text) => {
                let text = String::from_utf8_lossy(text).into_owned();
                if let Some(files) = text.strip_prefix("initrd ") {
                    self.initrd_commands.extend(files.split_ascii_whitespace().map(str::to_owned));
                }
                self.boot.commands.push(text);
            }
            Content::Grub(Grub::KernelCommandLine, text) => {
                self.boot.command_lines.push(String::from_utf8_lossy(text).into_owned());
            }
            _ => {}
        }
    }

    fn variable(&mut self, event: &Event<'_>, variable: &UefiVariable<'_>) {
        let name = variable.name_text();
        match event.event_type {
            event_type::EV_EFI_VARIABLE_DRIVER_CONFIG => self.configuration(event, variable, &name),
            event_type::EV_EFI_VARIABLE_AUTHORITY => {
                self.boot.authorities.push(Authority { variable: name, sha256: sha256(&[variable.data]) });
            }
            _ if variable.owner == Guid::GLOBAL_VARIABLE => self.boot_variable(variable.data, &name),
            _ => {}
        }
    }

    fn configuration(&mut self, event: &Event<'_>, variable: &UefiVariable<'_>, name: &str) {
        if event.mr_index != self.secure_boot_register || self.separated {
            return;
        }
        let keys = &mut self.boot.keys;
        match (variable.owner, name) {
            (Guid::GLOBAL_VARIABLE, "SecureBoot") => {
                let on = variable.data == [1];
                self.contradicted |= self.boot.secure_boot.is_some_and(|before| before != on);
                self.boot.secure_boot = Some(on);
            }
            (Guid::GLOBAL_VARIABLE, "PK") => keys.pk = signatures(variable.data),
            (Guid::GLOBAL_VARIABLE, "KEK") => keys.kek = signatures(variable.data),
            (Guid::IMAGE_SECURITY_DATABASE, "db") => keys.db = signatures(variable.data),
            (Guid::IMAGE_SECURITY_DATABASE, "dbx") => keys.dbx = signatures(variable.data),
            _ => {}
        }
    }

    fn boot_variable(&mut self, data: &[u8], name: &str) {
        if name == "BootOrder" {
            let numbers = data.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
            self.boot.boot_order = numbers.collect();
            return;
        }
        let digits = name.strip_prefix("Boot").filter(|digits| digits.len() == 4);
        let number = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        if let (Some(number), Ok(option)) = (number, LoadOption::parse(data)) {
            let active = option.attributes & LoadOption::ACTIVE != 0;
            let description = uefi::utf16_text(option.description);
            let device_path = option.file_path_list().text(FileNames::Bare);
            self.boot.boot_options.push(BootOption { number, active, description, device_path });
        }
    }

    fn image(&mut self, event: &Event<'_>, image: &uefi::ImageLoad<'_>) {
        let kind = match event.event_type {
            event_type::EV_EFI_BOOT_SERVICES_APPLICATION => "application",
            event_type::EV_EFI_BOOT_SERVICES_DRIVER => "boot-driver",
            _ => "runtime-driver",
        };
        self.boot.images.push(Image {
            record: event.index,
            mr_index: event.mr_index,
            kind,
            digest: self.digest(event),
            device_path: image.device_path().text(FileNames::Bare).filter(|path| !path.is_empty()),
        });
    }

    /// systemd-stub measures the section's name with its terminator, in ASCII, and then the contents, each in an event that has the name.
    fn section(&mut self, event: &Event<'_>, name: String) {
        if self.is_digest_of(event, &[name.as_bytes(), b"\0"]) {
            self.section = Some(name);
            return;
        }
        match self.section.take() {
            Some(measured) if measured == name => {
                let section = Section { record: event.index, name, digest: self.digest(event) };
                self.boot.sections.push(section);
            }
            _ => self.boot.unmeasured.push(event.index),
        }
    }

    fn is_digest_of(&self, event: &Event<'_>, parts: &[&[u8]]) -> bool {
        let (hash, stated) = (crate::hash::Hash::of(self.bank), event.digests.get(self.bank));
        hash.is_some_and(|hash| stated == Some(hash.digest(&parts.concat()).as_bytes()))
    }

    fn digest(&self, event: &Event<'_>) -> Option<String> {
        event.digests.get(self.bank).map(hex::encode)
    }

    fn file(&self, event: &Event<'_>, path: &str) -> MeasuredFile {
        MeasuredFile { record: event.index, path: path.to_owned(), digest: self.digest(event) }
    }

    fn finish(mut self) -> Boot {
        if self.contradicted {
            self.boot.secure_boot = None;
        }
        let named = |files: &[MeasuredFile], path: &str| files.iter().rev().find(|file| file.path == path).cloned();
        let files = &self.boot.files;
        // The boot loader's command line begins with the kernel's path, which it read as a file.
        let from_loader = self.boot.command_lines.iter().rev().find_map(|line| named(files, line.split(' ').next()?));
        let from_loader = from_loader.or_else(|| named(files, "grub_linuxefi Kernel"));
        let from_firmware = || {
            let image = self.boot.images.iter().rev().find(|image| image.kind == "application")?;
            let path = image.device_path.clone().unwrap_or_default();
            Some(MeasuredFile { record: image.record, path, digest: image.digest.clone() })
        };
        let read = self.initrd_commands.iter().filter_map(|path| named(files, path));
        let read: Vec<_> = read.chain(named(files, "grub_linuxefi Initrd")).collect();
        let kernel = from_loader.or_else(from_firmware);
        self.boot.kernel = kernel;
        self.boot.initrds = if self.linux_initrds.is_empty() { read } else { self.linux_initrds };
        self.boot
    }
}

/// The keys and hashes of a database; `None` when it is damaged, so that half of it is not taken for the whole.
fn signatures(data: &[u8]) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    for list in SignatureList::all(data) {
        let list = list.ok()?;
        let (kind, hashed) = match list.signature_type {
            uefi::CERT_X509 => ("x509".to_owned(), true),
            uefi::CERT_SHA256 => ("sha256".to_owned(), false),
            uefi::CERT_SHA384 => ("sha384".to_owned(), false),
            uefi::CERT_SHA512 => ("sha512".to_owned(), false),
            uefi::CERT_X509_SHA256 => ("x509-sha256".to_owned(), false),
            other => (other.to_string(), true),
        };
        for signature in list.signatures() {
            let digest = if hashed { sha256(&[signature.data]).to_string() } else { hex::encode(signature.data) };
            keys.push(Key { owner: signature.owner.to_string(), kind: kind.clone(), digest });
        }
    }
    Some(keys)
}
