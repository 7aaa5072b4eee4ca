//! What a folder's files come to: for each kind of platform the newest bundle that holds.

use crate::{
    Error, Key, MAX_FILES, folder,
    newest::{Edition, Newest},
    seen::Seen,
};
use sealwright_verify::{Anchors, Collateral};
use sealwright_wire::{
    collateral::{Bundle, MAX_JSON},
    time::UnixTime,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// One file that held at the last look.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) file: String,
    /// As the file has it.
    own: Arc<Edition>,
    /// With the newest of what it shares with other files' bundles: this is what is used.
    used: Arc<Edition>,
}

/// The files of a folder by what they are for, as they were at one look.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) books: BTreeMap<Key, Book>,
    /// The newest that ever was on the shelf.
    pub(crate) seen: Seen,
    /// Files that did not hold at this look, and why.
    pub(crate) refused: Vec<(String, String)>,
    /// Counts how often what is on the shelf has changed.
    pub(crate) generation: u64,
}

impl Shelf {
    /// Before the first look.
    pub(crate) fn new(seen: Seen) -> Self {
        Self { seen, ..Self::default() }
    }

    /// Looks at the folder's files again. A file that did not change is not verified again.
    pub(crate) fn look(&self, folder: &Path, anchors: &Anchors, at: UnixTime) -> Result<Self, Error> {
        let mut fresh = Self::new(self.seen.clone());
        let mut opened = Vec::new();
        for file in folder::files(folder, ".json", MAX_FILES)? {
            let known = self.books.values().find(|book| book.file == file);
            let text = folder::read(&folder.join(&file), MAX_JSON).map_err(|error| error.to_string());
            match text.and_then(|text| open(text, known, anchors, at)) {
                Ok(own) => {
                    fresh.seen.note(&own.collateral);
                    opened.push((file, own, known));
                }
                Err(reason) => fresh.refused.push((file, reason)),
            }
        }
        let newest = Newest::of(opened.iter().map(|(_, own, _)| &**own));
        for (file, own, known) in &opened {
            match renew(own, &newest, *known, anchors, at) {
                Ok(used) => fresh.place(Book { file: file.clone(), own: Arc::clone(own), used }),
                Err(reason) => fresh.refused.push((file.clone(), reason)),
            }
        }
        let same = self.books.values().map(Book::text).eq(fresh.books.values().map(Book::text));
        fresh.generation = self.generation.saturating_add(u64::from(!same));
        Ok(fresh)
    }

    fn place(&mut self, book: Book) {
        if let Some(older) = self.seen.taken_back(book.collateral()) {
            let reason = format!("{older}, which was seen before: fetch this bundle anew");
            self.refused.push((book.file, reason));
            return;
        }
        // No part of it is older than the newest, so that another one for the same platform differs in how long it is valid, if at all.
        let key = Key::of(book.collateral());
        let (better, passed_over) = match self.books.get(&key) {
            Some(other) if other.collateral().expires() >= book.collateral().expires() => (other.clone(), Some(book)),
            other => (book, other.cloned()),
        };
        if let Some(passed_over) = passed_over {
            let reason = format!("{} is for the same platform, and valid for as long or longer", better.file);
            self.refused.push((passed_over.file, reason));
        }
        self.books.insert(key, better);
    }
}

impl Book {
    pub(crate) fn collateral(&self) -> &Collateral {
        &self.used.collateral
    }

    /// What is used.
    pub(crate) fn edition(&self) -> Arc<Edition> {
        Arc::clone(&self.used)
    }

    /// The bundle that is used, as JSON; the file's own bytes where nothing at hand is newer.
    pub(crate) fn text(&self) -> &[u8] {
        &self.used.text
    }
}

fn open(text: Vec<u8>, known: Option<&Book>, anchors: &Anchors, at: UnixTime) -> Result<Arc<Edition>, String> {
    if let Some(known) = known.filter(|known| known.own.text == text && known.own.holds(at)) {
        return Ok(Arc::clone(&known.own));
    }
    let bundle = Bundle::from_json(&text).map_err(|error| error.to_string())?;
    Edition::verify(bundle, text, anchors, at).map(Arc::new)
}

/// What is used of a file's bundle beside the others.
fn renew(
    own: &Arc<Edition>,
    newest: &Newest<'_>,
    known: Option<&Book>,
    anchors: &Anchors,
    at: UnixTime,
) -> Result<Arc<Edition>, String> {
    let Some(bundle) = newest.renew(own) else { return Ok(Arc::clone(own)) };
    if let Some(known) = known.filter(|known| known.used.bundle == bundle && known.used.holds(at)) {
        return Ok(Arc::clone(&known.used));
    }
    let text = bundle.to_json().map_err(|error| error.to_string())?;
    let renewed = Edition::verify(bundle, text.into_bytes(), anchors, at);
    renewed.map(Arc::new).map_err(|error| format!("with the newest revocation lists and QE identity at hand: {error}"))
}
