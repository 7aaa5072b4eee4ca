//! What a folder's files come to: for each kind of platform the newest bundle that holds.

use crate::{Error, Key, MAX_FILES, seen::Seen};
use sealwright_verify::{Anchors, Collateral};
use sealwright_wire::{
    collateral::{Bundle, MAX_JSON},
    time::UnixTime,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// One file that held at the last look.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) file: String,
    pub(crate) collateral: Collateral,
    pub(crate) text: Vec<u8>,
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
        for file in files(folder)? {
            let known = self.books.values().find(|book| book.file == file);
            let text = read(&folder.join(&file)).map_err(|error| error.to_string());
            match text.and_then(|text| open(&file, text, known, anchors, at)) {
                Ok(book) => fresh.place(book),
                Err(reason) => fresh.refused.push((file, reason)),
            }
        }
        let same = self.books.values().map(|book| &book.text).eq(fresh.books.values().map(|book| &book.text));
        fresh.generation = self.generation.saturating_add(u64::from(!same));
        Ok(fresh)
    }

    fn place(&mut self, book: Book) {
        if let Err(reason) = self.seen.note(&book.collateral) {
            self.refused.push((book.file, reason));
            return;
        }
        let key = Key::of(&book.collateral);
        match self.books.get(&key) {
            Some(other) if !other.is_replaced_by(&book) => {
                let reason = format!("{} is for the same platform, and newer", other.file);
                self.refused.push((book.file, reason));
            }
            Some(_) | None => {
                if let Some(older) = self.books.insert(key, book.clone()) {
                    let reason = format!("{} is for the same platform, and newer", book.file);
                    self.refused.push((older.file, reason));
                }
            }
        }
    }
}

impl Book {
    /// Whether `other`, in which no part is older, has one that is newer, or at least is valid for longer.
    fn is_replaced_by(&self, other: &Self) -> bool {
        let (here, there) = (&self.collateral, &other.collateral);
        here.issue() != there.issue() || here.expires() < there.expires()
    }
}

fn open(file: &str, text: Vec<u8>, known: Option<&Book>, anchors: &Anchors, at: UnixTime) -> Result<Book, String> {
    if let Some(known) = known
        && known.text == text
        && (known.collateral.valid_from()..=known.collateral.expires()).contains(&at)
    {
        return Ok(known.clone());
    }
    let bundle = Bundle::from_json(&text).map_err(|error| error.to_string())?;
    let collateral = Collateral::verify(&bundle, anchors, at).map_err(|error| error.to_string())?;
    Ok(Book { file: file.to_owned(), collateral, text })
}

/// The names of the folder's JSON files, sorted.
fn files(folder: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |source| Error::Folder { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".json") || name.starts_with('.') {
            continue;
        }
        if names.len() == MAX_FILES {
            return Err(Error::TooMany { path: folder.to_owned() });
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// The file's bytes, one more than a bundle may have at most.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_JSON as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}
