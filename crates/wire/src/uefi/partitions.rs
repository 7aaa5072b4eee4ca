//! Partition tables as they are measured.

use crate::tcg2::Guid;
use crate::{Error, Reader};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `EFI_PARTITION_TABLE_HEADER` (UEFI 2.10, table 5.5).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PartitionTableHeader {
    /// "EFI PART".
    pub signature: [u8; 8],
    /// 0x00010000.
    pub revision: U32,
    /// Size of the header in bytes.
    pub header_size: U32,
    /// CRC32 of the header.
    pub header_crc32: U32,
    /// Reserved.
    pub reserved: U32,
    /// The block that holds this header.
    pub my_lba: U64,
    /// The block that holds the other header.
    pub alternate_lba: U64,
    /// The first block that a partition may have.
    pub first_usable_lba: U64,
    /// The last block that a partition may have.
    pub last_usable_lba: U64,
    /// The disk's identity, in binary form.
    pub disk_guid: [u8; 16],
    /// The first block of the entries.
    pub partition_entry_lba: U64,
    /// How many entries there are, empty ones included.
    pub number_of_partition_entries: U32,
    /// Size of an entry in bytes.
    pub size_of_partition_entry: U32,
    /// CRC32 of the entries.
    pub partition_entry_array_crc32: U32,
}

const _: () = assert!(size_of::<PartitionTableHeader>() == 92);

/// `EFI_PARTITION_ENTRY` (UEFI 2.10, table 5.6).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Partition {
    /// What the partition is for, in binary form.
    pub partition_type_guid: [u8; 16],
    /// The partition's identity, in binary form.
    pub unique_partition_guid: [u8; 16],
    /// Its first block.
    pub starting_lba: U64,
    /// Its last block.
    pub ending_lba: U64,
    /// Its attributes.
    pub attributes: U64,
    /// Its name in UTF-16LE, padded with NULs.
    pub partition_name: [u8; 72],
}

const _: () = assert!(size_of::<Partition>() == 128);

impl Partition {
    /// What the partition is for.
    pub fn partition_type(&self) -> Guid {
        Guid(self.partition_type_guid)
    }

    /// The partition's identity.
    pub fn unique(&self) -> Guid {
        Guid(self.unique_partition_guid)
    }

    /// The partition's name.
    pub fn name(&self) -> String {
        super::utf16_text(&self.partition_name)
    }
}

/// `UEFI_GPT_DATA` (PC Client Profile, section 10.2.6): the table's header and the entries that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionTable<'a> {
    /// The header as it is on the disk.
    pub header: &'a PartitionTableHeader,
    /// How many entries follow.
    pub number_of_partitions: u64,
    entries: &'a [u8],
    entry_size: usize,
}

impl<'a> PartitionTable<'a> {
    /// Reads the structure; nothing may follow it.
    ///
    /// # Errors
    /// When entries are smaller than a partition needs, or are not as many as stated.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let header: &PartitionTableHeader = reader.structure("UEFI_GPT_DATA.UEFIPartitionHeader")?;
        let number_of_partitions = reader.u64("UEFI_GPT_DATA.NumberOfPartitions")?;
        let stated = usize::try_from(header.size_of_partition_entry.get()).unwrap_or(usize::MAX);
        if stated < size_of::<Partition>() {
            return Err(Error::unexpected("UEFI_GPT_DATA.SizeOfPartitionEntry", 84, "128 at least", stated));
        }
        let len = usize::try_from(number_of_partitions).ok().and_then(|count| count.checked_mul(stated));
        let entries = reader.bytes("UEFI_GPT_DATA.Partitions", len.unwrap_or(usize::MAX))?;
        reader.finish("UEFI_GPT_DATA")?;
        Ok(Self { header, number_of_partitions, entries, entry_size: stated })
    }

    /// The disk's identity.
    pub fn disk(&self) -> Guid {
        Guid(self.header.disk_guid)
    }

    /// The partitions in order.
    pub fn partitions(&self) -> Partitions<'a> {
        Partitions { rest: self.entries, size: self.entry_size }
    }

    /// Writes the structure.
    pub fn encode(header: &PartitionTableHeader, partitions: &[Partition]) -> Vec<u8> {
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&(partitions.len() as u64).to_le_bytes());
        bytes.extend_from_slice(partitions.as_bytes());
        bytes
    }
}

/// Iterates over the partitions of a table.
#[derive(Clone, Debug)]
pub struct Partitions<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Iterator for Partitions<'a> {
    type Item = &'a Partition;

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, rest) = self.rest.split_at_checked(self.size)?;
        self.rest = rest;
        Partition::ref_from_prefix(entry).ok().map(|(partition, _)| partition)
    }
}
