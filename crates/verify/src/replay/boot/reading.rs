//! Reads a boot's story, event by event.

use super::super::{DataMatch, matches};
use super::{Authority, Boot, BootOption, Image, Key, MeasuredFile, Numbering, Section};
use crate::hash::{Hash, sha256};
use sealwright_wire::tcg2::{AlgorithmId, Content, Event, Grub, Guid, UefiVariable, event_type};
use sealwright_wire::uefi::{self, FileNames, LoadOption, SignatureList};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Reading {
    boot: Boot,
    bank: AlgorithmId,
    secure_boot_register: u32,
    separated: bool,
    contradicted: bool,
    /// The name of a section whose contents come next.
    section: Option<String>,
    linux_initrds: Vec<MeasuredFile>,
}

impl Reading {
    pub(super) fn new(numbering: Numbering, bank: AlgorithmId) -> Self {
        Self {
            boot: Boot::default(),
            bank,
            secure_boot_register: numbering.secure_boot(),
            separated: false,
            contradicted: false,
            section: None,
            linux_initrds: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>) {
        if event.event_type == event_type::EV_SEPARATOR && event.mr_index == self.secure_boot_register {
            self.separated = true;
        }
        match event.content() {
            Content::Image(image) => self.image(event, &image),
            Content::File(path) => {
                let file = self.file(event, Some(path));
                self.boot.files.push(file);
            }
            Content::ShimList(name) => {
                let file = self.file(event, Some(name));
                self.boot.shim_lists.push(file);
            }
            Content::Section(name) => self.section(event, name),
            Content::Initrd => {
                let file = self.file(event, None);
                self.linux_initrds.push(file);
            }
            Content::LoadOptions => {
                let digest = self.digest(event);
                self.boot.command_line_digests.extend(digest);
            }
            Content::Utf16(text) => {
                // With the byte of the terminator that some loaders measure and do not log.
                if self.is_digest_of(event, &[event.data]) || self.is_digest_of(event, &[event.data, b"\0"]) {
                    self.boot.command_lines.push(text);
                }
            }
            Content::Text(name @ ("grub_linuxefi Kernel" | "grub_linuxefi Initrd")) => {
                let file = self.file(event, Some(name));
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
        let (hash, stated) = (Hash::of(self.bank), event.digests.get(self.bank));
        hash.is_some_and(|hash| stated == Some(hash.digest(&parts.concat()).as_bytes()))
    }

    fn digest(&self, event: &Event<'_>) -> Option<String> {
        event.digests.get(self.bank).map(hex::encode)
    }

    fn file(&self, event: &Event<'_>, path: Option<&str>) -> MeasuredFile {
        MeasuredFile { record: event.index, path: path.map(str::to_owned), digest: self.digest(event) }
    }

    pub(super) fn finish(mut self) -> Boot {
        if self.contradicted {
            self.boot.secure_boot = None;
        }
        // Of files of one name the last. Sorted, because a log may name as many files as it has.
        let files: BTreeMap<_, _> =
            self.boot.files.iter().filter_map(|file| Some((file.path.as_deref()?, file))).collect();
        let named = |path: &str| files.get(path).map(|file| (*file).clone());
        // The boot loader's command line begins with the kernel's path, which it read as a file.
        let from_loader = self.boot.command_lines.iter().rev().find_map(|line| named(line.split(' ').next()?));
        let from_loader = from_loader.or_else(|| named("grub_linuxefi Kernel"));
        let from_firmware = || {
            let image = self.boot.images.iter().rev().find(|image| image.kind == "application")?;
            Some(MeasuredFile { record: image.record, path: image.device_path.clone(), digest: image.digest.clone() })
        };
        let mut read = initrds(&files, &self.boot.commands);
        read.extend(named("grub_linuxefi Initrd"));
        let kernel = from_loader.or_else(from_firmware);
        self.boot.kernel = kernel;
        self.boot.initrds = if self.linux_initrds.is_empty() { read } else { self.linux_initrds };
        self.boot
    }
}

/// The files that GRUB's commands name as initrds, each once however often it is named: a name is shorter than what is told of a file.
fn initrds(files: &BTreeMap<&str, &MeasuredFile>, commands: &[String]) -> Vec<MeasuredFile> {
    let paths = commands.iter().filter_map(|command| command.strip_prefix("initrd "));
    let named = paths.flat_map(str::split_ascii_whitespace).filter_map(|path| files.get(path));
    let mut told = BTreeSet::new();
    named.filter(|file| told.insert(file.record)).map(|file| (*file).clone()).collect()
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
        // A key in memory is up to thirteen times as long as in the list: no room for twice as many.
        keys.reserve(list.signatures().count());
        for signature in list.signatures() {
            let digest = if hashed { sha256(&[signature.data]).to_string() } else { hex::encode(signature.data) };
            keys.push(Key { owner: signature.owner.to_string(), kind: kind.clone(), digest });
        }
    }
    Some(keys)
}
