//! UEFI variables in the tool's YAML.

use super::Yaml;
use sealwright_wire::tcg2::{Event, Guid, event_type::*};
use sealwright_wire::uefi::{DevicePath, LoadOption, Signature, SignatureList, utf16_text};

/// The head of `UEFI_VARIABLE_DATA`: GUID, u64 length of the name in characters, u64 length of the data.
const HEAD: usize = 32;

impl Yaml<'_> {
    /// A variable. The tool goes on where the data is shorter than stated; so does this.
    pub(super) fn variable(&mut self, event: &Event<'_>) -> bool {
        let Some((head, rest)) = event.data.split_first_chunk::<HEAD>() else { return false };
        let (Some(owner), Some(lengths)) = (head.first_chunk::<16>(), head.last_chunk::<16>()) else { return false };
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let (name_len, data_len) = lengths.split_at(8);
        let (name_len, data_len) = (number(name_len), number(data_len));
        let name_bytes = name_len.checked_mul(2).and_then(|bytes| usize::try_from(bytes).ok());
        let Some((name, data)) = name_bytes.and_then(|len| rest.split_at_checked(len)) else { return false };
        let name = utf16_text(name);
        self.line(format_args!("  Event:\n    VariableName: {}", Guid(*owner)));
        self.line(format_args!("    UnicodeNameLength: {name_len}\n    VariableDataLength: {data_len}"));
        self.put("    UnicodeName: ");
        self.plain(&name);
        self.put('\n');
        let stated = usize::try_from(data_len).ok().and_then(|len| data.get(..len)).unwrap_or(data);
        let structured = self.version == 2 && self.structured(event.event_type, &name, stated);
        if !structured && !stated.is_empty() {
            self.line(format_args!("    VariableData: \"{}\"", hex::encode(stated)));
        }
        true
    }

    /// The data by the variable's name; whether there is a structure for it.
    fn structured(&mut self, event_type: u32, name: &str, data: &[u8]) -> bool {
        match (event_type, name) {
            (EV_EFI_VARIABLE_DRIVER_CONFIG, "PK" | "KEK" | "db" | "dbx") => self.signatures(data),
            (EV_EFI_VARIABLE_DRIVER_CONFIG, "SecureBoot") | (EV_EFI_VARIABLE_AUTHORITY, "MokListTrusted") => {
                self.enabled(data)
            }
            (EV_EFI_VARIABLE_AUTHORITY, "db" | "Shim" | "vendor_db") => self.authority(data),
            (EV_EFI_VARIABLE_AUTHORITY, "SbatLevel") => {
                self.line("    VariableData:");
                self.quoted("      ", "String", data);
                true
            }
            (EV_EFI_VARIABLE_BOOT | EV_EFI_VARIABLE_BOOT2, "BootOrder") => self.boot_order(data),
            (EV_EFI_VARIABLE_BOOT | EV_EFI_VARIABLE_BOOT2, name) if is_boot_option(name) => self.boot_option(data),
            _ => false,
        }
    }

    fn signatures(&mut self, data: &[u8]) -> bool {
        self.line("    VariableData:");
        for list in SignatureList::all(data).map_while(Result::ok) {
            let header = list.header.len();
            self.line(format_args!("    - SignatureType: {}", list.signature_type));
            self.line(format_args!("      SignatureListSize: {}\n      SignatureHeaderSize: {header}", list.list_size));
            self.line(format_args!("      SignatureSize: {}\n      Keys:", list.signature_size));
            for Signature { owner, data } in list.signatures() {
                self.line(format_args!(
                    "      - SignatureOwner: {owner}\n        SignatureData: {}",
                    hex::encode(data)
                ));
            }
        }
        true
    }

    fn enabled(&mut self, data: &[u8]) -> bool {
        let enabled = match data {
            [] | [0] => "No",
            [_] => "Yes",
            _ => return false,
        };
        self.line(format_args!("    VariableData:\n      Enabled: '{enabled}'"));
        true
    }

    fn authority(&mut self, data: &[u8]) -> bool {
        let Ok(Signature { owner, data }) = Signature::parse(data) else { return false };
        self.line(format_args!(
            "    VariableData:\n    - SignatureOwner: {owner}\n      SignatureData: {}",
            hex::encode(data)
        ));
        true
    }

    fn boot_order(&mut self, data: &[u8]) -> bool {
        let pairs = data.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return false;
        }
        self.line("    VariableData:");
        for number in pairs.filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes)) {
            self.line(format_args!("    - Boot{number:04x}"));
        }
        true
    }

    fn boot_option(&mut self, data: &[u8]) -> bool {
        let Ok(option) = LoadOption::parse(data) else { return false };
        let enabled = if option.attributes & LoadOption::ACTIVE == 0 { "No" } else { "Yes" };
        self.line(format_args!("    VariableData:\n      Enabled: '{enabled}'"));
        self.line(format_args!("      FilePathListLength: {}", option.file_path_list_length));
        self.put("      Description: \"");
        self.plain(&utf16_text(option.description));
        self.line("\"");
        // The tool reads on behind the list to the end of the first path.
        self.device_path("      ", DevicePath(option.rest), option.rest);
        true
    }
}

/// `Boot` and four hex digits.
fn is_boot_option(name: &str) -> bool {
    name.strip_prefix("Boot")
        .is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}
