//! The kernel's measurements (Linux IMA, template `ima-ng`): a list, and PCR 10.

use super::{hash::Hash, pcr::Pcrs};
use crate::Error;
use sealwright_wire::{ima::Entry, tcg2::AlgorithmId, tpm::PcrValues};
use std::borrow::Cow;

/// The PCR of the kernel's measurements, unless the kernel was built otherwise.
pub(super) const PCR: u32 = 10;
const TEMPLATE: &str = "ima-ng";
/// The label of a file's digest.
const LABEL: &[u8] = b"sha256:\0";

/// The list in both of its forms.
#[derive(Clone, Debug)]
pub(super) struct List {
    pcr: u32,
    ascii: Vec<u8>,
    binary: Vec<u8>,
    /// Whether the PCR is extended in every bank with SHA-1 digests, filled up with zeros.
    padded: bool,
}

impl List {
    /// The list of a kernel that was just started: its first entry is over what PCR 0 to 9 hold.
    pub(super) fn start(pcr: u32, padded: bool, pcrs: &mut Pcrs) -> Result<Self, Error> {
        let mut list = Self { pcr, padded, ascii: Vec::new(), binary: Vec::new() };
        let aggregate = boot_aggregate(&pcrs.values()?);
        list.add(pcrs, b"boot_aggregate", Some(&aggregate))?;
        Ok(list)
    }

    /// Measures a file.
    pub(super) fn measure(&mut self, pcrs: &mut Pcrs, path: &str, content: &[u8]) -> Result<(), Error> {
        self.add(pcrs, path.as_bytes(), Some(&Hash::SHA256.digest(&[content])))
    }

    /// Notes that a file changed while it was measured.
    pub(super) fn violate(&mut self, pcrs: &mut Pcrs, path: &str) -> Result<(), Error> {
        self.add(pcrs, path.as_bytes(), None)
    }

    pub(super) fn ascii(&self) -> &[u8] {
        &self.ascii
    }

    pub(super) fn binary(&self) -> &[u8] {
        &self.binary
    }

    /// Adds an entry of a file with its digest, or of a violation.
    fn add(&mut self, pcrs: &mut Pcrs, path: &[u8], digest: Option<&[u8]>) -> Result<(), Error> {
        let violation = digest.is_none();
        let zeros = vec![0; Hash::SHA256.size()];
        let fields = [[LABEL, digest.unwrap_or(&zeros)].concat(), [path, b"\0"].concat()];
        let fields = [fields[0].as_slice(), &fields[1]];
        let mut entry = Entry::new(self.pcr, TEMPLATE, &fields).map_err(Error::Event)?;
        let data = entry.template_data();
        let template_digest = if violation { vec![0; Hash::SHA1.size()] } else { Hash::SHA1.digest(&[&data]) };
        entry.template_digest = Cow::Owned(template_digest);
        let mut line = Vec::new();
        entry.to_ascii(&mut line).map_err(Error::Event)?;
        let padded = self.padded;
        pcrs.extend(self.pcr, |bank| match (violation, padded) {
            (true, _) => vec![0xff; bank.size()],
            (false, true) => filled_up(&entry.template_digest, bank.size()),
            (false, false) => bank.digest(&[&data]),
        })?;
        entry.to_binary(&mut self.binary);
        self.ascii.append(&mut line);
        Ok(())
    }
}

/// A digest in a longer bank.
fn filled_up(digest: &[u8], size: usize) -> Vec<u8> {
    let mut filled = digest.to_vec();
    filled.resize(size, 0);
    filled
}

/// SHA-256 over PCR 0 to 9 of the bank of SHA-256; over nothing where the TPM has none.
fn boot_aggregate(values: &PcrValues) -> Vec<u8> {
    let registers: Vec<_> = (0..10).filter_map(|pcr| values.get(AlgorithmId::SHA256, pcr)).collect();
    Hash::SHA256.digest(&registers)
}
