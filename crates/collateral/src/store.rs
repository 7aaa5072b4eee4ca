//! A folder that fills itself: what services sent and was verified, kept until something newer comes.

mod items;
mod record;

use crate::{
    Age, Error, FetchError, Fetched, Freshness, Key, Library, Report, Service, Upkeep, Wanted, atomic,
    cabinet::Cabinet, newest::Edition,
};
use record::{Entry, Record};
use sealwright_verify::{Anchors, Collateral};
use sealwright_wire::{collateral::Bundle, time::UnixTime};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What was fetched when, in the store's folder. The library passes over files whose names begin with a dot.
const RECORD: &str = ".fetched.json";
/// Which issues were seen, in the store's folder.
const SEEN: &str = ".seen.json";

/// A [`Library`] that keeps what is fetched, and beside it the items of other vendors. No file of it is ever half written, and nothing takes it back behind what it has seen.
#[derive(Debug)]
pub struct Store {
    library: Library,
    cabinet: Cabinet,
    record: PathBuf,
    /// One change at a time.
    changing: Mutex<Record>,
}

/// What became of a bundle or item that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// It is there now.
    New,
    /// What was there is as new, and holds for as long.
    Unchanged,
}

/// How one bundle stands, or one [`Item`](crate::Item).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing<W = Wanted> {
    /// The file in the store's folder.
    pub file: String,
    /// What it is for.
    #[serde(flatten)]
    pub wanted: W,
    /// The verdict.
    pub freshness: Freshness,
    /// When the service was last heard; where it was put here by hand, when the newest part of it was issued, or, where that has no date, when it
    /// was put here.
    pub fetched: UnixTime,
    /// The last second at which all of it is valid; of what has no dates the end of the year 9999.
    pub expires: UnixTime,
    /// A bundle's TCB evaluation data number, where it is in use.
    pub evaluation_number: Option<u32>,
    /// The name of the anchor that vouches for it, where it is in use.
    pub anchor: Option<String>,
    /// Where it came from, unless by hand.
    pub from: Option<String>,
    /// How often in a row nothing newer came.
    pub failures: u32,
    /// Not to be asked for again before.
    pub next_attempt: Option<UnixTime>,
    /// Why it is not used, as the last look found.
    pub refused: Option<String>,
}

/// What came of asking once more.
#[derive(Debug)]
pub struct Refreshed<W = Wanted> {
    /// What was asked for.
    pub wanted: W,
    /// What became of it.
    pub outcome: Result<Kept, RefreshError>,
}

/// Why a bundle or item is no newer than before.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The service gave nothing, or nothing that holds.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be kept.
    #[error(transparent)]
    Keep(#[from] Error),
}

impl RefreshError {
    /// The reason as a stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::Keep(error) => error.code(),
        }
    }

    /// How many seconds the service wants to be left alone, if it says so.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Fetch(error) => error.retry_after(),
            Self::Keep(_) => None,
        }
    }
}

impl Store {
    /// Opens a store, and makes its folder where there is none.
    ///
    /// # Errors
    /// When the folder cannot be made or read, has too many files, or its notes cannot be read or written.
    pub fn open(folder: &Path, anchors: Anchors, at: UnixTime) -> Result<(Self, Report), Error> {
        fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        let record = folder.join(RECORD);
        let before = Record::load(&record).map_err(|source| Error::Seen { path: record.clone(), source })?;
        let (library, _) = Library::open_remembering(folder, anchors, &folder.join(SEEN), at)?;
        let cabinet = Cabinet::new(folder.to_owned());
        let store = Self { library, cabinet, record, changing: Mutex::new(before) };
        let report = store.reload(at)?;
        Ok((store, report))
    }

    /// Looks at the folder again, at bundles and items.
    ///
    /// # Errors
    /// As [`Library::reload`]; what was there before then stays in use.
    pub fn reload(&self, at: UnixTime) -> Result<Report, Error> {
        let mut report = self.library.reload(at)?;
        self.cabinet.look(&self.library, at)?;
        report.refused.extend(self.cabinet.drawer().refused.iter().cloned());
        Ok(report)
    }

    /// What verifiers ask.
    pub const fn library(&self) -> &Library {
        &self.library
    }

    /// Keeps what was fetched.
    ///
    /// # Errors
    /// When a part of it is older than what this store has seen, or it cannot be written; what was there stays.
    pub fn put(&self, fetched: &Fetched, at: UnixTime) -> Result<Kept, Error> {
        let mut record = self.record();
        let kept = self.keep(fetched.wanted, &fetched.bundle, &fetched.collateral, at)?;
        let expires = self.expires(&fetched.wanted).unwrap_or_else(|| fetched.collateral.expires());
        record.bundles.set(Entry::fetched(fetched.wanted, fetched.from.clone(), fetched.at, expires));
        self.save(&record)?;
        Ok(kept)
    }

    /// Keeps a bundle that came by another way, for instance in a file from another site.
    ///
    /// # Errors
    /// As [`put`](Self::put), and when the bundle does not hold at `at` or is for a platform of nobody's that is known here.
    pub fn import(&self, bundle: &Bundle, at: UnixTime) -> Result<(Wanted, Kept), Error> {
        let collateral = Collateral::verify(bundle, self.library.anchors(), at)?;
        let key = Key::of(&collateral);
        let wanted = Wanted::of(&key).ok_or(Error::UnknownCa { key })?;
        let mut record = self.record();
        let kept = self.keep(wanted, bundle, &collateral, at)?;
        if kept == Kept::New {
            record.bundles.set(Entry::by_hand(wanted, collateral.valid_from(), collateral.expires()));
            self.save(&record)?;
        }
        Ok((wanted, kept))
    }

    /// Everything that is in use, with the newest revocation lists at hand: for [`exchange::write`](crate::exchange::write).
    pub fn bundles(&self) -> Vec<Bundle> {
        self.library.editions().iter().map(|edition| edition.bundle.clone()).collect()
    }

    fn keep(&self, wanted: Wanted, bundle: &Bundle, fresh: &Collateral, at: UnixTime) -> Result<Kept, Error> {
        // What others put here meanwhile counts as well.
        self.library.reload(at)?;
        if let Some(what) = self.library.taken_back(fresh) {
            return Err(Error::TakenBack { wanted: wanted.to_string(), what });
        }
        let held = self.held(&wanted);
        if held.is_some_and(|held| serves_as_well(&held, bundle, fresh)) {
            return Ok(Kept::Unchanged);
        }
        let path = self.library.folder().join(wanted.file());
        let text = bundle.to_json().map_err(|source| Error::Encode { wanted, source })?;
        atomic::replace(&path, text.as_bytes()).map_err(|source| Error::Write { path: path.clone(), source })?;
        let report = self.library.reload(at)?;
        match report.refused.into_iter().find(|(file, _)| *file == wanted.file()) {
            None => Ok(Kept::New),
            Some((_, reason)) => Err(Error::NotUsed { path, reason }),
        }
    }

    fn held(&self, wanted: &Wanted) -> Option<Arc<Edition>> {
        let editions = self.library.editions();
        editions.into_iter().find(|edition| Wanted::of(&Key::of(&edition.collateral)).as_ref() == Some(wanted))
    }

    fn expires(&self, wanted: &Wanted) -> Option<UnixTime> {
        self.held(wanted).map(|edition| edition.collateral.expires())
    }

    /// How everything stands that is here or was: also what holds no longer.
    pub fn standings(&self, upkeep: &Upkeep, at: UnixTime) -> Vec<Standing> {
        let record = self.record();
        let refused = self.library.refused();
        let mut standings: Vec<_> = self
            .library
            .ages(at)
            .into_iter()
            .filter_map(|age| Some((Wanted::of(&age.key)?, age)))
            .map(|(wanted, age)| standing_of(wanted, &age, record.bundles.get(&wanted), upkeep, at))
            .collect();
        for entry in record.bundles.iter() {
            if standings.iter().any(|standing| standing.wanted == entry.wanted) {
                continue;
            }
            let reason = refused.iter().find(|(file, _)| *file == entry.wanted.file());
            standings.push(lost(entry, entry.wanted.file(), reason.map(|(_, reason)| reason.clone()), at));
        }
        standings.sort_by_key(|standing| standing.wanted);
        standings
    }

    /// Fetches one bundle and keeps it. What came of it is noted either way.
    ///
    /// # Errors
    /// When the service gives none that holds, or it cannot be kept.
    pub async fn fetch(
        &self,
        service: &Service,
        wanted: &Wanted,
        upkeep: &Upkeep,
        at: UnixTime,
        jitter: f64,
    ) -> Result<Kept, RefreshError> {
        // The certificate for quotes that carry none stays with the platform that it names.
        let pck_chain = self.held(wanted).and_then(|held| held.bundle.pck_certificate_chain.clone());
        let fetched = service.fetch_with(wanted, pck_chain, self.library.anchors(), at).await;
        let fetched = fetched.map_err(RefreshError::from);
        let kept = fetched.and_then(|fetched| Ok(self.put(&fetched, at)?));
        if let Err(error) = &kept {
            self.failed(*wanted, upkeep, at, jitter, error.retry_after())?;
        }
        kept
    }

    /// Asks for everything that is not fresh and may be asked for again. `jitter` gives a number between 0 and 1 for each failure.
    pub async fn refresh(
        &self,
        service: &Service,
        upkeep: &Upkeep,
        at: UnixTime,
        mut jitter: impl FnMut() -> f64,
    ) -> Vec<Refreshed> {
        let mut refreshed = Vec::new();
        for standing in self.standings(upkeep, at) {
            let later = standing.next_attempt.is_some_and(|next| next > at);
            if standing.freshness == Freshness::Fresh || later {
                continue;
            }
            let outcome = self.fetch(service, &standing.wanted, upkeep, at, jitter()).await;
            refreshed.push(Refreshed { wanted: standing.wanted, outcome });
        }
        refreshed
    }

    fn failed(
        &self,
        wanted: Wanted,
        upkeep: &Upkeep,
        at: UnixTime,
        jitter: f64,
        retry_after: Option<u64>,
    ) -> Result<(), Error> {
        let held = self.held(&wanted);
        let mut record = self.record();
        // Nothing is noted of what never was here: whoever asked has the answer.
        let by_hand = || {
            let collateral = &held?.collateral;
            Some(Entry::by_hand(wanted, collateral.valid_from(), collateral.expires()))
        };
        let Some(mut entry) = record.bundles.get(&wanted).cloned().or_else(by_hand) else { return Ok(()) };
        entry.failed(upkeep, at, jitter, retry_after);
        record.bundles.set(entry);
        self.save(&record)
    }

    fn save(&self, record: &Record) -> Result<(), Error> {
        record.save(&self.record).map_err(|source| Error::Seen { path: self.record.clone(), source })
    }

    /// The notes as they are now: another process may have fetched into the same folder. Notes that cannot be read any more are those of before.
    fn record(&self) -> MutexGuard<'_, Record> {
        let mut record = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        match Record::load(&self.record) {
            Ok(now) => *record = now,
            Err(error) => tracing::warn!(%error, path = %self.record.display(), "the notes cannot be read"),
        }
        record
    }
}

/// Whether what is held is as new in each part as what came, holds for as long, and is for the same quotes.
fn serves_as_well(held: &Edition, bundle: &Bundle, fresh: &Collateral) -> bool {
    held.collateral.issue() == fresh.issue()
        && held.collateral.expires() >= fresh.expires()
        && held.bundle.pck_certificate_chain == bundle.pck_certificate_chain
}

fn standing_of(wanted: Wanted, age: &Age, entry: Option<&Entry<Wanted>>, upkeep: &Upkeep, at: UnixTime) -> Standing {
    let fetched = entry.map_or(age.valid_from, |entry| entry.fetched);
    Standing {
        file: age.file.clone(),
        wanted,
        freshness: upkeep.verdict(fetched, age.expires, at),
        fetched,
        expires: age.expires,
        evaluation_number: Some(age.evaluation_number),
        anchor: Some(age.anchor.clone()),
        from: entry.and_then(|entry| entry.from.clone()),
        failures: entry.map_or(0, |entry| entry.failures),
        next_attempt: entry.and_then(|entry| entry.next_attempt),
        refused: None,
    }
}

/// What was here once and is not used now: nothing better than stale.
fn lost<W: Clone>(entry: &Entry<W>, file: String, refused: Option<String>, at: UnixTime) -> Standing<W> {
    Standing {
        file,
        wanted: entry.wanted.clone(),
        freshness: if at > entry.expires { Freshness::Expired } else { Freshness::Stale },
        fetched: entry.fetched,
        expires: entry.expires,
        evaluation_number: None,
        anchor: None,
        from: entry.from.clone(),
        failures: entry.failures,
        next_attempt: entry.next_attempt,
        refused,
    }
}
