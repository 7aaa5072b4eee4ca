//! MRTD: what the TDX module measures while the VMM builds a machine (TDX Module Base Architecture, "TD Measurement").

use crate::{
    firmware::{MR_EXTEND, PAGE, PAGE_AUG, Section},
    measured::finish,
};
use aws_lc_rs::digest::{Context, SHA384};
use sealwright_wire::Digest;

/// How much content one extend covers, in bytes.
const CHUNK: usize = 256;

/// MRTD of a machine whose VMM adds each page and extends it before the next one.
pub(crate) fn mrtd(sections: &[Section<'_>]) -> Digest<48> {
    let mut stream = Context::new(&SHA384);
    for section in sections {
        build(&mut stream, section);
    }
    finish(stream)
}

fn build(stream: &mut Context, section: &Section<'_>) {
    for offset in (0..section.memory_size).step_by(PAGE) {
        let gpa = section.gpa + offset;
        if section.attributes & PAGE_AUG == 0 {
            stream.update(&step(b"MEM.PAGE.ADD", gpa));
        }
        if section.attributes & MR_EXTEND != 0 {
            extend_page(stream, gpa, &page(section.data, offset));
        }
    }
}

fn extend_page(stream: &mut Context, gpa: u64, page: &[u8; PAGE]) {
    let chunks = page.chunks_exact(CHUNK);
    for (chunk, offset) in chunks.zip((0u64..).step_by(CHUNK)) {
        stream.update(&step(b"MR.EXTEND", gpa + offset));
        stream.update(chunk);
    }
}

/// The page of content at `offset`; what lies behind the section's data is zero.
fn page(data: &[u8], offset: u64) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    let rest = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).unwrap_or_default();
    let filled = rest.len().min(page.len());
    page[..filled].copy_from_slice(&rest[..filled]);
    page
}

/// The 128 bytes that name one step of the build: its name, and the guest-physical address at byte 16.
fn step(name: &[u8], gpa: u64) -> [u8; 128] {
    let mut block = [0; 128];
    block[..name.len()].copy_from_slice(name);
    block[16..24].copy_from_slice(&gpa.to_le_bytes());
    block
}
