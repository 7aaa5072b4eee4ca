//! Device paths: where an image was loaded from.

use crate::tcg2::Guid;
use crate::{Error, Reader};
use std::fmt::{self, Write};

/// `EFI_DEVICE_PATH_PROTOCOL` (UEFI 2.10, chapter 10): nodes, each with type, sub-type and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicePath<'a>(pub &'a [u8]);

/// One node: its type, its sub-type, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// 1 hardware, 2 ACPI, 3 messaging, 4 media, 5 BIOS boot, 0x7f end.
    pub kind: u8,
    /// What the type says it is.
    pub sub_kind: u8,
    /// What follows the length.
    pub data: &'a [u8],
}

/// How the text form writes the name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileNames {
    /// `File(\EFI\BOOT\BOOTX64.EFI)`.
    Called,
    /// `\EFI\BOOT\BOOTX64.EFI`, as the UEFI specification has it.
    Bare,
}

const END: u8 = 0x7f;
const END_INSTANCE: u8 = 1;

impl<'a> DevicePath<'a> {
    /// The nodes up to the end of the whole path.
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes { reader: Reader::new(self.0) }
    }

    /// The names of files in the path, put together; `None` when it has none. That is what was loaded, where a disk has a file system.
    pub fn file(&self) -> Option<String> {
        let files: Vec<_> = self.nodes().map_while(Result::ok).filter_map(|node| node.file()).collect();
        (!files.is_empty()).then(|| files.concat())
    }

    /// The text form. `None` when the path is cut short in its first node.
    pub fn text(&self, names: FileNames) -> Option<String> {
        let mut text = String::new();
        for (place, node) in self.nodes().enumerate() {
            let Ok(node) = node else { return (place > 0).then_some(text) };
            if node.kind == END {
                if node.sub_kind != END_INSTANCE {
                    break;
                }
                text.push(',');
                continue;
            }
            if place > 0 && !text.ends_with(',') {
                text.push('/');
            }
            // Writing into a string does not fail; a node that is too short for its kind is written as its bytes.
            let mark = text.len();
            if node.write(&mut text, names).is_none() {
                text.truncate(mark);
                let _ = write!(text, "Path({},{},{})", node.kind, node.sub_kind, hex::encode(node.data));
            }
        }
        Some(text)
    }

    /// Writes a path of these nodes and its end.
    ///
    /// # Errors
    /// When a node is longer than 16 bits can say.
    pub fn encode(nodes: &[Node<'_>]) -> Result<Vec<u8>, Error> {
        let end = Node { kind: END, sub_kind: 0xff, data: &[] };
        let mut bytes = Vec::new();
        for node in nodes.iter().chain([&end]) {
            let len = node.data.len().saturating_add(4);
            let len = u16::try_from(len).map_err(|_| {
                Error::too_long("EFI_DEVICE_PATH_PROTOCOL.Length", bytes.len(), usize::from(u16::MAX), len)
            })?;
            bytes.extend_from_slice(&[node.kind, node.sub_kind]);
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(node.data);
        }
        Ok(bytes)
    }
}

/// Iterates over the nodes of a path, ends of instances included; ends behind the end of the whole path or after the first error.
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Result<Node<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let node = Node::read(&mut self.reader);
        if !node.as_ref().is_ok_and(|node| node.kind != END || node.sub_kind == END_INSTANCE) {
            self.reader = Reader::new(&[]);
        }
        Some(node)
    }
}

impl<'a> Node<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let kind = reader.u8("EFI_DEVICE_PATH_PROTOCOL.Type")?;
        let sub_kind = reader.u8("EFI_DEVICE_PATH_PROTOCOL.SubType")?;
        let at = reader.offset();
        let len = reader.u16("EFI_DEVICE_PATH_PROTOCOL.Length")?;
        let Some(len) = usize::from(len).checked_sub(4) else {
            return Err(Error::unexpected("EFI_DEVICE_PATH_PROTOCOL.Length", at, "4 at least", len));
        };
        let data = reader.bytes("EFI_DEVICE_PATH_PROTOCOL.Data", len)?;
        Ok(Self { kind, sub_kind, data })
    }

    /// The name in a file's node (type 4, sub-type 4).
    pub fn file(&self) -> Option<String> {
        (self.kind == 4 && self.sub_kind == 4).then(|| super::utf16_text(self.data))
    }

    /// Writes the node's text; `None` when it is shorter than its kind needs.
    fn write(&self, text: &mut String, names: FileNames) -> Option<()> {
        let mut reader = Reader::new(self.data);
        match self.kind {
            1 => self.hardware(&mut reader, text),
            2 => self.acpi(&mut reader, text),
            3 => self.messaging(&mut reader, text),
            4 => self.media(&mut reader, text, names),
            5 if self.sub_kind == 1 => bios_boot(&mut reader, text),
            _ => None,
        }
    }

    /// UEFI 2.10, section 10.3.2.
    fn hardware(&self, reader: &mut Reader<'a>, text: &mut String) -> Option<()> {
        match self.sub_kind {
            1 => {
                let function = reader.u8("Function").ok()?;
                put(text, format_args!("Pci({:#x},{function:#x})", reader.u8("Device").ok()?))
            }
            3 => {
                let memory = reader.u32("Memory Type").ok()?;
                let start = reader.u64("Start Address").ok()?;
                put(text, format_args!("MemoryMapped({memory},{start:#x},{:#x})", reader.u64("End Address").ok()?))
            }
            4 => vendor("VenHw", reader, text),
            5 => put(text, format_args!("Ctrl({:#x})", reader.u32("Controller Number").ok()?)),
            _ => put(text, format_args!("HardwarePath({},{})", self.sub_kind, hex::encode(self.data))),
        }
    }

    /// UEFI 2.10, section 10.3.3. The identifier is a compressed EISA number: 0x0a03 of PNP is a PCI root.
    fn acpi(&self, reader: &mut Reader<'a>, text: &mut String) -> Option<()> {
        const PNP: u32 = 0x41d0;
        if self.sub_kind != 1 {
            return put(text, format_args!("AcpiPath({},{})", self.sub_kind, hex::encode(self.data)));
        }
        let (hid, uid) = (reader.u32("_HID").ok()?, reader.u32("_UID").ok()?);
        let name = match (hid & 0xffff, hid >> 16) {
            (PNP, 0x0a03) => "PciRoot",
            (PNP, 0x0a08) => "PcieRoot",
            (PNP, 0x0604) => "Floppy",
            (PNP, 0x0301) => "Keyboard",
            (PNP, 0x0501) => "Serial",
            _ => return put(text, format_args!("Acpi(0x{hid:08x},{uid:#x})")),
        };
        put(text, format_args!("{name}({uid:#x})"))
    }

    /// UEFI 2.10, section 10.3.4.
    fn messaging(&self, reader: &mut Reader<'a>, text: &mut String) -> Option<()> {
        match self.sub_kind {
            1 => {
                let (primary, slave) = (reader.u8("PrimarySecondary").ok()?, reader.u8("SlaveMaster").ok()?);
                put(text, format_args!("Ata({primary},{slave},{})", reader.u16("Logical Unit Number").ok()?))
            }
            2 => {
                let target = reader.u16("Target ID").ok()?;
                put(text, format_args!("SCSI({target},{})", reader.u16("Logical Unit Number").ok()?))
            }
            5 => {
                let port = reader.u8("USB Parent Port Number").ok()?;
                put(text, format_args!("USB({port},{})", reader.u8("Interface").ok()?))
            }
            10 => vendor("VenMsg", reader, text),
            11 => {
                let address: &[u8; 32] = reader.array("MAC Address").ok()?;
                let kind = reader.u8("IfType").ok()?;
                let used = if kind < 2 { address.get(..6)? } else { address };
                put(text, format_args!("MAC({},{kind})", hex::encode(used)))
            }
            17 => put(text, format_args!("Unit({})", reader.u8("Logical Unit Number").ok()?)),
            18 => {
                let port = reader.u16("HBA Port Number").ok()?;
                let multiplier = reader.u16("Port Multiplier Port Number").ok()?;
                put(text, format_args!("Sata({port},{multiplier},{})", reader.u16("Logical Unit Number").ok()?))
            }
            20 => put(text, format_args!("Vlan({})", reader.u16("Vlan identifier").ok()?)),
            23 => {
                let namespace = reader.u32("Namespace Identifier").ok()?;
                let [a, b, c, d, e, f, g, h] = *reader.array::<8>("IEEE EUI-64").ok()?;
                let eui = format_args!("{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{f:02X}-{g:02X}-{h:02X}");
                put(text, format_args!("NVMe({namespace:#x},{eui})"))
            }
            24 => put(text, format_args!("Uri({})", String::from_utf8_lossy(self.data))),
            26 => put(text, format_args!("SD({})", reader.u8("Slot Number").ok()?)),
            29 => put(text, format_args!("eMMC({})", reader.u8("Slot Number").ok()?)),
            _ => put(text, format_args!("Msg({},{})", self.sub_kind, hex::encode(self.data))),
        }
    }

    /// UEFI 2.10, section 10.3.5.
    fn media(&self, reader: &mut Reader<'a>, text: &mut String, names: FileNames) -> Option<()> {
        match self.sub_kind {
            1 => hard_drive(reader, text),
            2 => {
                let entry = reader.u32("Boot Entry").ok()?;
                let start = reader.u64("Partition Start").ok()?;
                put(text, format_args!("CDROM({entry},{start:#x},{:#x})", reader.u64("Partition Size").ok()?))
            }
            3 => vendor("VenMedia", reader, text),
            4 => match (names, super::utf16_text(self.data)) {
                (FileNames::Called, name) => put(text, format_args!("File({name})")),
                (FileNames::Bare, name) => put(text, format_args!("{name}")),
            },
            5 => put(text, format_args!("Media({})", Guid(*reader.array("Protocol GUID").ok()?))),
            6 => put(text, format_args!("FvFile({})", Guid(*reader.array("Firmware file name").ok()?))),
            7 => put(text, format_args!("FvVol({})", Guid(*reader.array("Firmware volume name").ok()?))),
            8 => {
                reader.u32("Reserved").ok()?;
                let start = reader.u64("Starting Offset").ok()?;
                put(text, format_args!("Offset({start:#x},{:#x})", reader.u64("Ending Offset").ok()?))
            }
            9 => {
                let (start, end) = (reader.u64("Starting Address").ok()?, reader.u64("Ending Address").ok()?);
                let kind = Guid(*reader.array("Disk Type GUID").ok()?);
                let instance = reader.u16("Disk Instance").ok()?;
                put(text, format_args!("Ramdisk({start:#x},{end:#x},{instance},{kind})"))
            }
            _ => put(text, format_args!("MediaPath({},{})", self.sub_kind, hex::encode(self.data))),
        }
    }
}

/// A partition (UEFI 2.10, table 10.49).
fn hard_drive(reader: &mut Reader<'_>, text: &mut String) -> Option<()> {
    let number = reader.u32("Partition Number").ok()?;
    let (start, size) = (reader.u64("Partition Start").ok()?, reader.u64("Partition Size").ok()?);
    let signature: &[u8; 16] = reader.array("Partition Signature").ok()?;
    reader.u8("Partition Format").ok()?;
    match reader.u8("Signature Type").ok()? {
        1 => {
            let [a, b, c, d, ..] = *signature;
            let mbr = u32::from_le_bytes([a, b, c, d]);
            put(text, format_args!("HD({number},MBR,{mbr:#x},{start:#x},{size:#x})"))
        }
        2 => put(text, format_args!("HD({number},GPT,{},{start:#x},{size:#x})", Guid(*signature))),
        other => put(text, format_args!("HD({number},{other},{},{start:#x},{size:#x})", hex::encode(signature))),
    }
}

/// A GUID and what its owner wrote behind it.
fn vendor(name: &str, reader: &mut Reader<'_>, text: &mut String) -> Option<()> {
    let guid = Guid(*reader.array("Vendor GUID").ok()?);
    match reader.rest() {
        [] => put(text, format_args!("{name}({guid})")),
        data => put(text, format_args!("{name}({guid},{})", hex::encode(data))),
    }
}

/// A BIOS boot device (UEFI 2.10, section 10.3.6).
fn bios_boot(reader: &mut Reader<'_>, text: &mut String) -> Option<()> {
    let (device, status) = (reader.u16("Device Type").ok()?, reader.u16("Status Flag").ok()?);
    let description = reader.rest().split(|byte| *byte == 0).next().unwrap_or_default();
    let description = String::from_utf8_lossy(description);
    let name = match device {
        1 => "Floppy",
        2 => "HD",
        3 => "CDROM",
        4 => "PCMCIA",
        5 => "USB",
        6 => "Network",
        _ => return put(text, format_args!("BBS({device},{description},{status:#x})")),
    };
    put(text, format_args!("BBS({name},{description},{status:#x})"))
}

fn put(text: &mut String, what: fmt::Arguments<'_>) -> Option<()> {
    text.write_fmt(what).ok()
}
