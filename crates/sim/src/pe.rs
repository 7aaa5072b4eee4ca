//! The digest of a PE/COFF image as firmware measures it (Microsoft Authenticode PE format, without the padding that signing
//! tools add).

use sealwright_wire::{Error, Reader};

const MAX_SECTIONS: usize = 96;
/// The certificate table's entry among the data directories.
const CERTIFICATES: u32 = 4;

/// Where in the file the parts lie that the digest treats apart.
struct Layout {
    check_sum: usize,
    /// The certificate table's directory entry, when the header has one.
    certificate_entry: Option<usize>,
    certificate_size: usize,
    size_of_headers: usize,
    /// Offset and size of each section's raw data, in the order of the file.
    sections: Vec<(usize, usize)>,
}

/// The parts of `image` that its Authenticode digest is over, in order.
pub(crate) fn hashed(image: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let layout = layout(image)?;
    let mut parts = headers(image, &layout)?;
    let mut hashed = layout.size_of_headers;
    for &(offset, size) in &layout.sections {
        parts.push(slice(image, "section raw data", offset, offset.saturating_add(size))?);
        hashed = hashed.saturating_add(size);
    }
    let end = image.len().saturating_sub(layout.certificate_size);
    if hashed < end {
        parts.push(slice(image, "data behind the sections", hashed, end)?);
    }
    Ok(parts)
}

/// The headers without the two fields that signing changes: the checksum and the place of the certificates.
fn headers<'a>(image: &'a [u8], layout: &Layout) -> Result<Vec<&'a [u8]>, Error> {
    let behind_sum = layout.check_sum + 4;
    let mut parts = vec![slice(image, "PE headers", 0, layout.check_sum)?];
    match layout.certificate_entry {
        Some(entry) => {
            parts.push(slice(image, "PE headers", behind_sum, entry)?);
            parts.push(slice(image, "PE headers", entry + 8, layout.size_of_headers)?);
        }
        None => parts.push(slice(image, "PE headers", behind_sum, layout.size_of_headers)?),
    }
    Ok(parts)
}

fn layout(image: &[u8]) -> Result<Layout, Error> {
    let mut reader = Reader::new(image);
    if reader.array::<2>("DOS signature")? != b"MZ" {
        return Err(Error::unexpected("DOS signature", 0, "\"MZ\"", "other bytes"));
    }
    let coff = at(image, "PE signature", at(image, "PE offset", 0x3c)?.len32("PE offset")?)?;
    let (optional, section_count, optional_size) = coff_header(coff)?;
    let mut header = at(image, "optional header", optional)?;
    let magic = header.u16("optional header magic")?;
    let directories = match magic {
        0x10b => optional + 96,
        0x20b => optional + 112,
        _ => return Err(Error::unexpected("optional header magic", optional, "PE32 or PE32+", magic)),
    };
    let size_of_headers = at(image, "SizeOfHeaders", optional + 60)?.len32("SizeOfHeaders")?;
    let count = at(image, "NumberOfRvaAndSizes", directories - 4)?.u32("NumberOfRvaAndSizes")?;
    let certificate_entry = (count > CERTIFICATES).then_some(directories + 8 * CERTIFICATES as usize);
    let certificate_size = match certificate_entry {
        Some(entry) => at(image, "certificate table size", entry + 4)?.len32("certificate table size")?,
        None => 0,
    };
    let sections = sections(at(image, "section table", optional + optional_size)?, section_count)?;
    Ok(Layout { check_sum: optional + 64, certificate_entry, certificate_size, size_of_headers, sections })
}

/// The optional header's offset, the number of sections, and the optional header's size.
fn coff_header(mut coff: Reader<'_>) -> Result<(usize, usize, usize), Error> {
    let start = coff.offset();
    if coff.array::<4>("PE signature")? != b"PE\0\0" {
        return Err(Error::unexpected("PE signature", start, "\"PE\\0\\0\"", "other bytes"));
    }
    coff.u16("Machine")?;
    let section_count = usize::from(coff.u16("NumberOfSections")?);
    if section_count > MAX_SECTIONS {
        return Err(Error::too_long("NumberOfSections", start + 6, MAX_SECTIONS, section_count));
    }
    coff.bytes("COFF header", 12)?;
    let optional_size = usize::from(coff.u16("SizeOfOptionalHeader")?);
    coff.u16("Characteristics")?;
    Ok((coff.offset(), section_count, optional_size))
}

fn sections(mut table: Reader<'_>, count: usize) -> Result<Vec<(usize, usize)>, Error> {
    let mut sections = Vec::new();
    for _ in 0..count {
        table.bytes("section header", 16)?;
        let size = table.len32("SizeOfRawData")?;
        let offset = table.len32("PointerToRawData")?;
        table.bytes("section header", 16)?;
        if size > 0 {
            sections.push((offset, size));
        }
    }
    sections.sort_unstable();
    Ok(sections)
}

fn at<'a>(image: &'a [u8], field: &'static str, offset: usize) -> Result<Reader<'a>, Error> {
    let mut reader = Reader::new(image);
    reader.bytes(field, offset)?;
    Ok(reader)
}

fn slice<'a>(image: &'a [u8], field: &'static str, start: usize, end: usize) -> Result<&'a [u8], Error> {
    image
        .get(start..end)
        .ok_or_else(|| Error::unexpected(field, start, "bytes inside the file", format!("up to {end}")))
}
