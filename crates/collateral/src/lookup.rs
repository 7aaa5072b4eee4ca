//! What of a folder's collateral one piece of evidence is verified with, by what the evidence says of itself.

use crate::{
    Error, Item, Key, Library, NoItem, SerialNumber, Wanted,
    cabinet::{Cabinet, Drawer},
    folder,
    paper::MAX_CONTENT,
};
use sealwright_verify::{Anchors, any::Kind};
use sealwright_wire::{
    csv,
    quote::{CertificationData, Quote},
    snp::{AttestationReport, Product, Report},
    time::UnixTime,
};
use std::{path::Path, sync::Arc};

/// Why a folder has nothing for evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The folder cannot be looked at.
    #[error(transparent)]
    Store(#[from] Error),
    /// The evidence does not say what it needs.
    #[error(transparent)]
    NoItem(#[from] NoItem),
    /// Nothing is there.
    #[error("nothing is kept for this evidence, which needs the {wanted}{}", unused(refused))]
    Missing {
        /// What the evidence needs.
        wanted: String,
        /// Files that are not used, each with the reason.
        refused: Vec<(String, String)>,
    },
}

/// What a folder has for evidence of a kind, as the bytes of files that [`Supplied`](sealwright_verify::any::Supplied) takes: what holds at `at`
/// under the anchors; where nothing does, the file that bears the name, so that its verification says why it does not. Nothing for kinds of
/// evidence whose collateral is not kept, and for evidence that cannot be read.
///
/// Nothing is written, and nothing is remembered: the same question at the same time has the same answer.
///
/// # Errors
/// When the folder cannot be read, or has nothing for this evidence.
pub fn lookup(
    folder: &Path,
    anchors: Anchors,
    kind: Kind,
    evidence: &[u8],
    at: UnixTime,
) -> Result<Vec<Vec<u8>>, LookupError> {
    let Some((kind, evidence)) = kind.hardware(evidence) else { return Ok(Vec::new()) };
    let (library, report) = Library::open(folder, anchors, at)?;
    match kind {
        Kind::Quote => match Quote::parse(&evidence) {
            Ok(quote) => for_quote(&library, report.refused, &quote).map(|bundle| vec![bundle]),
            Err(_) => Ok(Vec::new()),
        },
        Kind::Snp => match Report::parse(&evidence) {
            Ok(report) => for_snp(&*look(&library, at)?, folder, report.body),
            Err(_) => Ok(Vec::new()),
        },
        Kind::Csv => match csv::Report::parse(&evidence) {
            Ok(report) => {
                let serial_number = SerialNumber::of_report(&report)?;
                of_items(&*look(&library, at)?, folder, &[Item::HygonChip { serial_number }])
            }
            Err(_) => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}

fn look(library: &Library, at: UnixTime) -> Result<Arc<Drawer>, Error> {
    let cabinet = Cabinet::new(library.folder().to_owned());
    cabinet.look(library, at)?;
    Ok(cabinet.drawer())
}

fn for_quote(library: &Library, refused: Vec<(String, String)>, quote: &Quote<'_>) -> Result<Vec<u8>, LookupError> {
    let error = match library.bundle(quote) {
        Ok(bundle) => return Ok(bundle),
        Err(error @ Error::NoChain { .. }) => return Err(error.into()),
        Err(error) => error,
    };
    let (CertificationData::PckChain(chain) | CertificationData::PckCertificate(chain)) = quote.certification else {
        return Err(error.into());
    };
    let key = Key::wanted(quote.tee(), chain).map_err(Error::from)?;
    let file = Wanted::of(&key).map(|wanted| library.folder().join(wanted.file()));
    match file.and_then(|file| folder::read(&file, MAX_CONTENT).ok()) {
        Some(bundle) => Ok(bundle),
        None => Err(LookupError::Missing { wanted: format!("collateral for {key}"), refused }),
    }
}

/// A report of version 2 does not name its product line: it is the one of which a certificate of the chip's is there; or, where the evidence
/// brings that itself, the only one that is there.
fn for_snp(drawer: &Drawer, folder: &Path, report: &AttestationReport) -> Result<Vec<Vec<u8>>, LookupError> {
    let items = |product| match Item::of_snp(report, product) {
        // Its key's certificate comes from elsewhere.
        Err(NoItem::NoChip) => Ok(vec![Item::authority_of_snp(report, product)?]),
        items => items,
    };
    match items(None) {
        Err(NoItem::Product(_)) => {
            let lines = Product::ALL.into_iter().filter_map(|product| items(Some(product)).ok());
            let kept: Vec<_> = lines.filter_map(|line| of_items(drawer, folder, &line).ok()).collect();
            let whole = kept.iter().find(|contents| contents.len() > 1);
            let line = match (whole, &kept[..]) {
                (Some(line), _) | (None, [line]) => line,
                _ => {
                    let wanted = "certificates of its product line, which it does not name".to_owned();
                    return Err(LookupError::Missing { wanted, refused: drawer.refused.clone() });
                }
            };
            Ok(line.clone())
        }
        items => of_items(drawer, folder, &items?),
    }
}

fn of_items(drawer: &Drawer, folder: &Path, items: &[Item]) -> Result<Vec<Vec<u8>>, LookupError> {
    let content = |item: &Item| match drawer.get(item) {
        Some(paper) => Some(paper.content.clone()),
        None => folder::read(&folder.join(item.file()), MAX_CONTENT).ok(),
    };
    let contents: Vec<_> = items.iter().filter_map(content).collect();
    if contents.is_empty() {
        let wanted: Vec<_> = items.iter().map(Item::to_string).collect();
        let (wanted, refused) = (wanted.join(", and the "), drawer.refused.clone());
        return Err(LookupError::Missing { wanted, refused });
    }
    Ok(contents)
}

fn unused(refused: &[(String, String)]) -> String {
    let files: Vec<_> = refused.iter().map(|(file, reason)| format!("{file}: {reason}")).collect();
    if files.is_empty() { String::new() } else { format!("; files that are not used: {}", files.join("; ")) }
}
