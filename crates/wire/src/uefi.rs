//! What firmware measures about itself and what it starts: the structures in the data of UEFI's events.
//!
//! Sources: UEFI specification 2.10 (signature databases: section 32.4.1 "Signature Database"; load options: 3.1.3; device paths: chapter 10;
//! partition tables: 5.3) and TCG PC Client Platform Firmware Profile 1.06 (section 10.2, `UEFI_IMAGE_LOAD_EVENT`, `UEFI_GPT_DATA`,
//! `UEFI_PLATFORM_FIRMWARE_BLOB`, `UEFI_HANDOFF_TABLE_POINTERS2`). Everything is little-endian. Which event carries which structure is in
//! [`crate::tcg2::Content`].

mod device_path;
mod partitions;
mod signatures;

pub use device_path::{DevicePath, FileNames, Node, Nodes};
pub use partitions::{Partition, PartitionTable, PartitionTableHeader, Partitions};
pub use signatures::{
    CERT_RSA2048, CERT_SHA256, CERT_SHA384, CERT_SHA512, CERT_X509, CERT_X509_SHA256, Signature, SignatureList,
    SignatureLists, Signatures,
};

use crate::{Error, Reader};

/// Text in UTF-16LE up to its first NUL; characters that are no text become U+FFFD.
pub fn utf16_text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).filter_map(|unit| unit.try_into().ok().map(u16::from_le_bytes));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// `EFI_LOAD_OPTION` (UEFI 2.10, section 3.1.3): the data of a `Boot####` variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOption<'a> {
    /// Bit 0: the option is active.
    pub attributes: u32,
    /// Length of the list of device paths in bytes, as stated.
    pub file_path_list_length: u16,
    /// Description in UTF-16LE, without its terminator.
    pub description: &'a [u8],
    /// Everything behind the description: the device paths, then the data for the loaded image.
    pub rest: &'a [u8],
}

impl<'a> LoadOption<'a> {
    /// Bit 0 of the attributes, `LOAD_OPTION_ACTIVE`.
    pub const ACTIVE: u32 = 1;

    /// Reads a load option.
    ///
    /// # Errors
    /// When the description has no end. The list of device paths is not looked at.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let attributes = reader.u32("EFI_LOAD_OPTION.Attributes")?;
        let file_path_list_length = reader.u16("EFI_LOAD_OPTION.FilePathListLength")?;
        let characters = reader.rest().chunks_exact(2).take_while(|unit| **unit != [0, 0]).count();
        let description = reader.bytes("EFI_LOAD_OPTION.Description", characters.saturating_mul(2))?;
        reader.array::<2>("EFI_LOAD_OPTION.Description")?;
        Ok(Self { attributes, file_path_list_length, description, rest: reader.rest() })
    }

    /// The device paths, as far as the option holds them.
    pub fn file_path_list(&self) -> DevicePath<'a> {
        let len = usize::from(self.file_path_list_length).min(self.rest.len());
        DevicePath(self.rest.get(..len).unwrap_or(self.rest))
    }

    /// The data for the loaded image.
    pub fn optional_data(&self) -> &'a [u8] {
        self.rest.get(usize::from(self.file_path_list_length)..).unwrap_or_default()
    }

    /// Writes a load option.
    ///
    /// # Errors
    /// When the device paths are longer than 16 bits can say.
    pub fn encode(attributes: u32, description: &str, file_paths: &[u8], optional: &[u8]) -> Result<Vec<u8>, Error> {
        let len = u16::try_from(file_paths.len()).map_err(|_| {
            Error::too_long("EFI_LOAD_OPTION.FilePathListLength", 4, usize::from(u16::MAX), file_paths.len())
        })?;
        let mut bytes = attributes.to_le_bytes().to_vec();
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend(description.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        bytes.extend_from_slice(file_paths);
        bytes.extend_from_slice(optional);
        Ok(bytes)
    }
}

/// `UEFI_IMAGE_LOAD_EVENT` (PC Client Profile, section 10.2.3): an image that the firmware loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLoad<'a> {
    /// Physical address of the image.
    pub location: u64,
    /// Its size in memory, in bytes.
    pub length: u64,
    /// The address that it was linked for.
    pub link_time_address: u64,
    /// The stated length of the device path, in bytes. Firmware is known to state another than what follows.
    pub device_path_length: u64,
    /// Everything behind the lengths.
    pub rest: &'a [u8],
}

impl<'a> ImageLoad<'a> {
    /// Reads the event.
    ///
    /// # Errors
    /// When it is shorter than its four numbers.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        Ok(Self {
            location: reader.u64("UEFI_IMAGE_LOAD_EVENT.ImageLocationInMemory")?,
            length: reader.u64("UEFI_IMAGE_LOAD_EVENT.ImageLengthInMemory")?,
            link_time_address: reader.u64("UEFI_IMAGE_LOAD_EVENT.ImageLinkTimeAddress")?,
            device_path_length: reader.u64("UEFI_IMAGE_LOAD_EVENT.LengthOfDevicePath")?,
            rest: reader.rest(),
        })
    }

    /// Where the image came from, as far as the event holds it.
    pub fn device_path(&self) -> DevicePath<'a> {
        let len = usize::try_from(self.device_path_length).unwrap_or(usize::MAX).min(self.rest.len());
        DevicePath(self.rest.get(..len).unwrap_or(self.rest))
    }

    /// Writes the event for an image at `location`.
    pub fn encode(location: u64, length: u64, device_path: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [location, length, 0, device_path.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(device_path);
        bytes
    }
}

/// `UEFI_PLATFORM_FIRMWARE_BLOB` and `UEFI_PLATFORM_FIRMWARE_BLOB2` (PC Client Profile, section 10.2.5): a part of the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareBlob<'a> {
    /// What it is; only the newer structure has it.
    pub description: Option<&'a [u8]>,
    /// Physical address.
    pub base: u64,
    /// Length in bytes.
    pub length: u64,
}

impl<'a> FirmwareBlob<'a> {
    /// Reads the older structure: base and length.
    ///
    /// # Errors
    /// When it has not 16 bytes.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let blob = Self::numbers(&mut reader, None)?;
        reader.finish("UEFI_PLATFORM_FIRMWARE_BLOB")?;
        Ok(blob)
    }

    /// Reads the newer structure: description, base and length.
    ///
    /// # Errors
    /// When a length is not that of what it announces.
    pub fn parse2(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let len = reader.u8("UEFI_PLATFORM_FIRMWARE_BLOB2.BlobDescriptionSize")?;
        let description = reader.bytes("UEFI_PLATFORM_FIRMWARE_BLOB2.BlobDescription", usize::from(len))?;
        let blob = Self::numbers(&mut reader, Some(description))?;
        reader.finish("UEFI_PLATFORM_FIRMWARE_BLOB2")?;
        Ok(blob)
    }

    fn numbers(reader: &mut Reader<'a>, description: Option<&'a [u8]>) -> Result<Self, Error> {
        let base = reader.u64("UEFI_PLATFORM_FIRMWARE_BLOB.BlobBase")?;
        let length = reader.u64("UEFI_PLATFORM_FIRMWARE_BLOB.BlobLength")?;
        Ok(Self { description, base, length })
    }

    /// Writes the structure that has the description, or the older one.
    ///
    /// # Errors
    /// When the description is longer than 255 bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        if let Some(description) = self.description {
            let len = u8::try_from(description.len()).map_err(|_| {
                Error::too_long(
                    "UEFI_PLATFORM_FIRMWARE_BLOB2.BlobDescription",
                    1,
                    usize::from(u8::MAX),
                    description.len(),
                )
            })?;
            bytes.push(len);
            bytes.extend_from_slice(description);
        }
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        Ok(bytes)
    }
}
