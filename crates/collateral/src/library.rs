//! The folder, and what is handed out from it.

use crate::{
    Error, Key,
    platforms::{Chain, Platforms},
    shelf::{Book, Shelf},
};
use sealwright_verify::{Anchors, Collateral, Facts, Platform};
use sealwright_wire::{Evidence, Tee, quote::CertificationData, quote::Quote, time::UnixTime};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// The most files that a folder may have.
pub const MAX_FILES: usize = 1024;

/// A folder of bundles, verified. Shared freely between threads.
#[derive(Debug)]
pub struct Library {
    folder: PathBuf,
    anchors: Anchors,
    shelf: RwLock<Shelf>,
    platforms: Mutex<Platforms>,
}

/// What a look at the folder found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many kinds of platform there is collateral for.
    pub held: usize,
    /// Files that are not used, each with the reason.
    pub refused: Vec<(String, String)>,
}

/// How old one bundle is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Age {
    /// The file.
    pub file: String,
    /// What it is for.
    #[serde(flatten)]
    pub key: Key,
    /// The name of the anchor that vouches for it.
    pub anchor: String,
    /// Its TCB evaluation data number.
    pub evaluation_number: u32,
    /// The first second at which all of it is valid.
    pub valid_from: UnixTime,
    /// The last second at which all of it is valid.
    pub expires: UnixTime,
    /// Seconds that are left; negative when it has expired.
    pub seconds_left: i64,
}

impl Library {
    /// Opens a folder. A file that does not hold is no error: the report says why it is not used.
    ///
    /// # Errors
    /// When the folder cannot be read, or has more than [`MAX_FILES`] files.
    pub fn open(folder: &Path, anchors: Anchors, at: UnixTime) -> Result<(Self, Report), Error> {
        let library =
            Self { folder: folder.to_owned(), anchors, shelf: RwLock::default(), platforms: Mutex::default() };
        let report = library.reload(at)?;
        Ok((library, report))
    }

    /// Looks at the folder again. New and changed files are picked up, files that are gone are no longer used; one whose TCB evaluation data
    /// number is lower than what this library has seen for its platform is refused.
    ///
    /// # Errors
    /// As [`open`](Self::open); what was there before then stays in use.
    pub fn reload(&self, at: UnixTime) -> Result<Report, Error> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if shelf.reload(&self.folder, &self.anchors, at)? {
            // Platforms were verified against the revocation lists and dates of before.
            self.platforms().clear();
        }
        Ok(Report { held: shelf.books.len(), refused: shelf.refused.clone() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The roots that the collateral is held against.
    pub const fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The collateral for a quote.
    ///
    /// # Errors
    /// When there is none, or the quote's certificates cannot be read.
    pub fn collateral(&self, quote: &Quote<'_>) -> Result<Collateral, Error> {
        self.look(quote, |book| book.collateral.clone())
    }

    /// The file that [`collateral`](Self::collateral) was verified from, as it was then: whoever keeps it can judge the same evidence again
    /// after the vendor has published newer ones.
    ///
    /// # Errors
    /// As [`collateral`](Self::collateral).
    pub fn bundle(&self, quote: &Quote<'_>) -> Result<Vec<u8>, Error> {
        self.look(quote, |book| book.text.clone())
    }

    /// Takes what is asked for out of the book for a quote.
    fn look<T>(&self, quote: &Quote<'_>, what: impl FnOnce(&Book) -> T) -> Result<T, Error> {
        let tee = quote.tee();
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let CertificationData::PckChain(chain) = quote.certification else {
            return with_chain(tee, shelf.books.values()).map(what);
        };
        let wanted = Key::wanted(tee, chain)?;
        match shelf.books.get(&wanted) {
            Some(book) => Ok(what(book)),
            None => {
                // No bundle could help a platform whose root is not trusted.
                self.anchors.above(chain)?;
                Err(Error::Missing { wanted, held: held(&shelf) })
            }
        }
    }

    /// The platform that made a quote, verified now or before.
    ///
    /// # Errors
    /// When there is no collateral for it, or its certificates do not hold at `at`.
    pub fn platform(&self, quote: &Quote<'_>, at: UnixTime) -> Result<Arc<Platform>, Error> {
        let known = match quote.certification {
            CertificationData::PckChain(chain) => Some((quote.tee().name(), Arc::from(chain))),
            CertificationData::Other { .. } => None,
        };
        let found = known.as_ref().and_then(|chain: &Chain| self.platforms().get(chain));
        if let Some(platform) = found.filter(|platform| platform.expires() >= at) {
            return Ok(platform);
        }
        let collateral = self.collateral(quote)?;
        let brought = collateral.pck_chain().map(str::as_bytes).unwrap_or_default();
        let chain = known.as_ref().map_or(brought, |(_, chain)| chain);
        let platform = Arc::new(collateral.platform(chain, at)?);
        if let Some(chain) = known {
            self.platforms().insert(chain, Arc::clone(&platform));
        }
        Ok(platform)
    }

    /// Verifies evidence with the collateral of this library.
    ///
    /// # Errors
    /// When there is no collateral for it, or it is not genuine at `at`.
    pub fn verify(&self, evidence: &Evidence<'_>, at: UnixTime) -> Result<Facts, Error> {
        Ok(self.platform(&evidence.quote, at)?.verify(evidence, at)?)
    }

    /// How old each bundle in use is.
    pub fn ages(&self, at: UnixTime) -> Vec<Age> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.books.iter().map(|(key, book)| Age::of(key, book, at)).collect()
    }

    fn platforms(&self) -> MutexGuard<'_, Platforms> {
        self.platforms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Age {
    fn of(key: &Key, book: &Book, at: UnixTime) -> Self {
        let expires = book.collateral.expires();
        let left = i128::from(expires.0).saturating_sub(i128::from(at.0));
        Self {
            file: book.file.clone(),
            key: key.clone(),
            anchor: book.collateral.anchor().name.clone(),
            evaluation_number: book.collateral.evaluation_number(),
            valid_from: book.collateral.valid_from(),
            expires,
            seconds_left: i64::try_from(left).unwrap_or(i64::MAX),
        }
    }
}

/// The one bundle that brings the chain which the quote lacks.
fn with_chain<'a>(tee: Tee, books: impl Iterator<Item = &'a Book>) -> Result<&'a Book, Error> {
    let brings = |book: &&Book| book.collateral.tee() == tee && book.collateral.pck_chain().is_some();
    let bringing: Vec<_> = books.filter(brings).collect();
    match bringing[..] {
        [book] => Ok(book),
        _ => Err(Error::NoChain { tee, found: bringing.len() }),
    }
}

/// What a library has instead, in words.
fn held(shelf: &Shelf) -> String {
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let mut text = format!("there is collateral for: {}", list(shelf.books.keys().map(Key::to_string).collect()));
    if !shelf.refused.is_empty() {
        let refused = shelf.refused.iter().map(|(file, reason)| format!("{file}: {reason}")).collect();
        text.push_str(&format!("; files that are not used: {}", list(refused)));
    }
    text
}
