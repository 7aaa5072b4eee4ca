//! The folder, and what is handed out from it.

use crate::{
    Error, Key,
    newest::Edition,
    paper::Issued,
    platforms::{Chain, Platforms},
    seen::Seen,
    shelf::{Book, Shelf},
};
use sealwright_verify::{Anchors, Collateral, Facts, Platform};
use sealwright_wire::{Evidence, Tee, quote::CertificationData, quote::Quote, time::UnixTime};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

/// The most files that a folder may have.
pub const MAX_FILES: usize = 1024;

/// A folder of bundles, verified. Shared freely between threads.
#[derive(Debug)]
pub struct Library {
    folder: PathBuf,
    anchors: Anchors,
    /// Where what was seen is kept for the next start.
    seen: Option<PathBuf>,
    shelf: RwLock<Shelf>,
    platforms: Mutex<Platforms>,
    /// One look at the folder at a time, so that an earlier one never takes the place of a later one.
    looking: Mutex<()>,
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
        Self::new(folder, anchors, None, Seen::default()).looked_at(at)
    }

    /// As [`open`](Self::open), and keeps in the file `seen` which issues it has seen, so that it refuses older ones after a restart as
    /// well. Whoever can write the folder of bundles should not be able to write that file.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when that file cannot be read or written.
    pub fn open_remembering(
        folder: &Path,
        anchors: Anchors,
        seen: &Path,
        at: UnixTime,
    ) -> Result<(Self, Report), Error> {
        let before = Seen::load(seen).map_err(|source| Error::Seen { path: seen.to_owned(), source })?;
        Self::new(folder, anchors, Some(seen), before).looked_at(at)
    }

    fn new(folder: &Path, anchors: Anchors, seen: Option<&Path>, before: Seen) -> Self {
        Self {
            folder: folder.to_owned(),
            anchors,
            seen: seen.map(Path::to_owned),
            shelf: RwLock::new(Shelf::new(before)),
            platforms: Mutex::default(),
            looking: Mutex::default(),
        }
    }

    fn looked_at(self, at: UnixTime) -> Result<(Self, Report), Error> {
        let report = self.reload(at)?;
        Ok((self, report))
    }

    /// Looks at the folder again. New and changed files are picked up, files that are gone are no longer used. Revocation lists and QE
    /// identities are not one platform's: the newest at hand hold for every bundle of the same issuer. A file is refused in which a part is
    /// then still older than what this library has seen: TCB info and QE identity by their evaluation data numbers, revocation lists by their
    /// own, and by date where those are the same.
    ///
    /// # Errors
    /// As [`open`](Self::open) or [`open_remembering`](Self::open_remembering); what was there before then stays in use.
    pub fn reload(&self, at: UnixTime) -> Result<Report, Error> {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = self.shelf().look(&self.folder, &self.anchors, at)?;
        self.keep_seen(&fresh.seen)?;
        let report = Report { held: fresh.books.len(), refused: fresh.refused.clone() };
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if fresh.generation != shelf.generation {
            // Platforms were verified against the revocation lists and dates of before.
            self.platforms().clear();
        }
        *shelf = fresh;
        Ok(report)
    }

    /// Before it is used: what nobody has used may be forgotten.
    fn keep_seen(&self, seen: &Seen) -> Result<(), Error> {
        match &self.seen {
            Some(path) if self.shelf().seen != *seen => {
                seen.save(path).map_err(|source| Error::Seen { path: path.clone(), source })
            }
            Some(_) | None => Ok(()),
        }
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
        Ok(self.book(&self.shelf(), quote)?.collateral().clone())
    }

    /// The bundle that [`collateral`](Self::collateral) was verified from: the file as it was then, or the file's bundle with newer parts of
    /// others. Whoever keeps it can judge the same evidence again after the vendor has published newer ones.
    ///
    /// # Errors
    /// As [`collateral`](Self::collateral).
    pub fn bundle(&self, quote: &Quote<'_>) -> Result<Vec<u8>, Error> {
        Ok(self.book(&self.shelf(), quote)?.text().to_vec())
    }

    /// The book for a quote.
    fn book<'s>(&self, shelf: &'s Shelf, quote: &Quote<'_>) -> Result<&'s Book, Error> {
        let tee = quote.tee();
        let (CertificationData::PckChain(chain) | CertificationData::PckCertificate(chain)) = quote.certification
        else {
            return with_chain(tee, shelf.books.values());
        };
        let wanted = Key::wanted(tee, chain)?;
        if let Some(book) = shelf.books.get(&wanted) {
            return Ok(book);
        }
        if let CertificationData::PckChain(chain) = quote.certification {
            // No bundle could help a platform whose root is not trusted.
            self.anchors.above(chain)?;
        }
        Err(Error::Missing { wanted, held: held(shelf) })
    }

    /// The platform that made a quote, verified now or before.
    ///
    /// # Errors
    /// When there is no collateral for it, or its certificates do not hold at `at`.
    pub fn platform(&self, quote: &Quote<'_>, at: UnixTime) -> Result<Arc<Platform>, Error> {
        let known = match quote.certification {
            CertificationData::PckChain(own) | CertificationData::PckCertificate(own) => {
                Some((quote.tee().name(), Arc::from(own)))
            }
            CertificationData::Platform(_) | CertificationData::Other { .. } => None,
        };
        let found = known.as_ref().and_then(|chain: &Chain| self.platforms().get(chain));
        if let Some(platform) = found.filter(|platform| platform.expires() >= at) {
            return Ok(platform);
        }
        let (collateral, generation) = self.collateral_of_generation(quote)?;
        let platform = Arc::new(collateral.platform(&collateral.chain_of(quote)?, at)?);
        if let Some(chain) = known {
            self.keep(chain, &platform, generation);
        }
        Ok(platform)
    }

    fn collateral_of_generation(&self, quote: &Quote<'_>) -> Result<(Collateral, u64), Error> {
        let shelf = self.shelf();
        Ok((self.book(&shelf, quote)?.collateral().clone(), shelf.generation))
    }

    /// Keeps a platform for the next quote, unless the collateral that it was verified with was replaced meanwhile: it would outlive a
    /// revocation.
    fn keep(&self, chain: Chain, platform: &Arc<Platform>, generation: u64) {
        // The lock on the shelf keeps a reload away, which changes the shelf and clears the platforms under one lock.
        let shelf = self.shelf();
        if shelf.generation == generation {
            self.platforms().insert(chain, Arc::clone(platform));
        }
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
        self.shelf().books.iter().map(|(key, book)| Age::of(key, book, at)).collect()
    }

    /// The part of collateral that is older than what was seen, in words.
    pub(crate) fn taken_back(&self, collateral: &Collateral) -> Option<String> {
        self.shelf().seen.taken_back(collateral)
    }

    /// Takes note of how new items are, before they are used: older ones are refused from now on.
    pub(crate) fn note_items<'p>(&self, items: impl Iterator<Item = Issued<'p>>) -> Result<(), Error> {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = self.shelf().seen.clone();
        items.for_each(|issued| seen.note_item(&issued));
        self.keep_seen(&seen)?;
        self.shelf.write().unwrap_or_else(PoisonError::into_inner).seen = seen;
        Ok(())
    }

    /// That an item is older than what was seen, in words.
    pub(crate) fn item_taken_back(&self, item: &Issued<'_>) -> Option<String> {
        self.shelf().seen.item_taken_back(item)
    }

    /// Everything that is in use.
    pub(crate) fn editions(&self) -> Vec<Arc<Edition>> {
        self.shelf().books.values().map(Book::edition).collect()
    }

    /// Files that did not hold at the last look, each with the reason.
    pub(crate) fn refused(&self) -> Vec<(String, String)> {
        self.shelf().refused.clone()
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn platforms(&self) -> MutexGuard<'_, Platforms> {
        self.platforms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Age {
    fn of(key: &Key, book: &Book, at: UnixTime) -> Self {
        let expires = book.collateral().expires();
        let left = i128::from(expires.0).saturating_sub(i128::from(at.0));
        Self {
            file: book.file.clone(),
            key: key.clone(),
            anchor: book.collateral().anchor().name.clone(),
            evaluation_number: book.collateral().evaluation_number(),
            valid_from: book.collateral().valid_from(),
            expires,
            seconds_left: i64::try_from(left).unwrap_or(i64::MAX),
        }
    }
}

/// The one bundle that brings the chain which the quote lacks.
fn with_chain<'a>(tee: Tee, books: impl Iterator<Item = &'a Book>) -> Result<&'a Book, Error> {
    let brings = |book: &&Book| book.collateral().tee() == tee && book.collateral().pck_chain().is_some();
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

#[cfg(test)]
mod tests {
    use super::*;
    use sealwright_evidence::Backend;
    use sealwright_sim::{Site, TdConfig, files, fixed_clock};
    use sealwright_verify::Anchor;

    const NOW: UnixTime = UnixTime(1_750_416_960);

    /// Between the look for collateral and the end of the chain's verification, a revocation arrives.
    #[test]
    fn a_platform_that_was_being_verified_during_a_reload_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::found(fixed_clock(NOW)).unwrap();
        let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
        let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
        let put = || {
            let json = site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
            std::fs::write(folder.path().join("a.json"), json).unwrap();
        };
        put();
        let (library, _) = Library::open(folder.path(), anchors, NOW).unwrap();
        let raw = td.quote(&[0; 64]).unwrap();
        let quote = Quote::parse(&raw).unwrap();
        let CertificationData::PckChain(chain) = quote.certification else { panic!("no chain") };
        let (collateral, generation) = library.collateral_of_generation(&quote).unwrap();
        let platform = Arc::new(collateral.platform(chain, NOW).unwrap());
        site.revoke_pck().unwrap();
        put();
        library.reload(NOW).unwrap();
        library.keep((Tee::Tdx.name(), Arc::from(chain)), &platform, generation);
        assert_eq!(library.platform(&quote, NOW).unwrap_err().code(), "certificate-revoked");
    }
}
