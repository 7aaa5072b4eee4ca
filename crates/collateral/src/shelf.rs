//! What a folder's files come to: for each kind of platform the newest bundle that holds.

use crate::{Error, Key, MAX_FILES};
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

/// The files of a folder by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) books: BTreeMap<Key, Book>,
    /// The highest TCB evaluation data number that was ever seen for each kind of platform. A file with a lower one would take a TCB
    /// recovery back.
    floor: BTreeMap<Key, u32>,
    /// Files that did not hold at the last look, and why.
    pub(crate) refused: Vec<(String, String)>,
}

impl Shelf {
    /// Looks at the folder's files again. A file that did not change is not verified again. Returns whether anything is different now.
    pub(crate) fn reload(&mut self, folder: &Path, anchors: &Anchors, at: UnixTime) -> Result<bool, Error> {
        let files = files(folder)?;
        let before = std::mem::take(&mut self.books);
        self.refused.clear();
        for file in files {
            let known = before.values().find(|book| book.file == file);
            let text = read(&folder.join(&file)).map_err(|error| error.to_string());
            match text.and_then(|text| open(&file, text, known, anchors, at)) {
                Ok(book) => self.place(book),
                Err(reason) => self.refused.push((file, reason)),
            }
        }
        let texts = |books: &BTreeMap<Key, Book>| books.values().map(|book| book.text.clone()).collect::<Vec<_>>();
        Ok(texts(&before) != texts(&self.books))
    }

    fn place(&mut self, book: Book) {
        let key = Key::of(&book.collateral);
        let number = book.collateral.evaluation_number();
        let floor = self.floor.entry(key.clone()).or_insert(number);
        if number < *floor {
            let reason = format!(
                "its TCB evaluation data number {number} is lower than {floor}, which was seen before for {key}"
            );
            self.refused.push((book.file, reason));
            return;
        }
        *floor = number;
        let rank = |book: &Book| (book.collateral.evaluation_number(), book.collateral.expires());
        match self.books.get(&key) {
            Some(other) if rank(other) >= rank(&book) => {
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
