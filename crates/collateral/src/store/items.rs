//! What is no bundle of Intel's, kept in a store.

use super::{Entry, Kept, RefreshError, Refreshed, Standing, Store, lost};
use crate::{
    Endorser, Error, FetchError, FetchedItem, Freshness, Item, SerialNumber, Services, Upkeep, atomic,
    cabinet::{Drawer, Filed},
    exchange::Article,
    paper::Paper,
};
use sealwright_wire::{csv::Report, snp::Product, time::UnixTime};
use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

impl Store {
    /// Keeps an item that was fetched.
    ///
    /// # Errors
    /// When its revocation list is older than one that this store has seen, it is of another chip than what is kept under its name, or it cannot be
    /// written; what was there stays.
    pub fn put_item(&self, fetched: &FetchedItem, at: UnixTime) -> Result<Kept, Error> {
        let FetchedItem { paper, from, at: when } = fetched;
        let mut record = self.record();
        let kept = self.keep_paper(paper, at)?;
        let expires = self.drawer().get(&paper.item).map_or(paper.until, |held| held.until);
        record.items.set(Entry::fetched(paper.item.clone(), from.clone(), *when, expires));
        self.save(&record)?;
        Ok(kept)
    }

    /// Keeps an item that came by another way, for instance in a file from another site.
    ///
    /// # Errors
    /// As [`put_item`](Self::put_item), and when it does not hold at `at`, or is another one than it is said to be. A VCEK holds under the CA that
    /// is kept already.
    pub fn import_item(&self, article: &Article, at: UnixTime) -> Result<Kept, Error> {
        let mut record = self.record();
        let (item, content) = (&article.item, article.content.clone());
        let paper = match item {
            Item::AmdAuthority { .. } => Paper::authority(content, self.library.anchors(), at)?,
            Item::AmdVcek { product, .. } => {
                let authority = authority(*product);
                let drawer = self.drawer();
                let under = drawer.get(&authority).ok_or(Error::NoAuthority { item: authority })?;
                Paper::vcek(content, under, at)?
            }
            Item::HygonChip { serial_number } => {
                Paper::hygon_chip(content, serial_number.clone(), self.library.anchors())?
            }
            Item::IntelQveIdentity => Paper::qve_identity(content, self.library.anchors(), at)?,
        };
        if paper.item != *item {
            return Err(Error::OtherItem { item: item.clone(), found: paper.item });
        }
        let paper = Arc::new(paper);
        let kept = self.keep_paper(&paper, at)?;
        if kept == Kept::New {
            record.items.set(Entry::by_hand(item.clone(), paper.from.unwrap_or(at), paper.until));
            self.save(&record)?;
        }
        Ok(kept)
    }

    fn keep_paper(&self, paper: &Arc<Paper>, at: UnixTime) -> Result<Kept, Error> {
        // What others put here meanwhile counts as well.
        self.cabinet.look(&self.library, at)?;
        let item = &paper.item;
        if let Some(what) = paper.issued().and_then(|issued| self.library.item_taken_back(&issued)) {
            return Err(Error::TakenBack { wanted: item.to_string(), what });
        }
        if let Some(held) = self.drawer().get(item) {
            if !held.is_of_the_key_of(paper) {
                return Err(Error::OtherChip { item: item.clone() });
            }
            if held.serves_as_well(paper) {
                return Ok(Kept::Unchanged);
            }
        }
        let path = self.library.folder().join(item.file());
        let folder = path.parent().unwrap_or(&path);
        let written = fs::create_dir_all(folder).and_then(|()| atomic::replace(&path, &paper.content));
        written.map_err(|source| Error::Write { path: path.clone(), source })?;
        self.cabinet.look(&self.library, at)?;
        match self.drawer().refused.iter().find(|(file, _)| *file == item.file()) {
            None => Ok(Kept::New),
            Some((_, reason)) => Err(Error::NotUsed { path, reason: reason.clone() }),
        }
    }

    /// What is in use.
    pub(crate) fn drawer(&self) -> Arc<Drawer> {
        self.cabinet.drawer()
    }

    /// Every item that is in use, each behind what it needs: for [`exchange::write`](crate::exchange::write).
    pub fn articles(&self) -> Vec<Article> {
        let article =
            |Filed { paper, .. }: &Filed| Article { item: paper.item.clone(), content: paper.content.clone() };
        self.drawer().papers().map(article).collect()
    }

    /// How every item stands that is here or was: also what holds no longer.
    pub fn item_standings(&self, upkeep: &Upkeep, at: UnixTime) -> Vec<Standing<Item>> {
        let (record, drawer) = (self.record(), self.drawer());
        let mut standings: Vec<_> = drawer
            .papers()
            .map(|filed| self.standing(filed, record.items.get(&filed.paper.item), upkeep, at))
            .collect();
        for entry in record.items.iter().filter(|entry| drawer.get(&entry.wanted).is_none()) {
            let file = entry.wanted.file();
            let reason = drawer.refused.iter().find(|(other, _)| *other == file).map(|(_, reason)| reason.clone());
            standings.push(lost(entry, file, reason, at));
        }
        standings.sort_by(|one, other| one.wanted.cmp(&other.wanted));
        standings
    }

    fn standing(
        &self,
        Filed { file, paper }: &Filed,
        entry: Option<&Entry<Item>>,
        upkeep: &Upkeep,
        at: UnixTime,
    ) -> Standing<Item> {
        let fetched = entry.map_or_else(|| paper.from.unwrap_or_else(|| self.put_here(file)), |entry| entry.fetched);
        Standing {
            file: file.clone(),
            wanted: paper.item.clone(),
            freshness: upkeep_of(&paper.item, upkeep).verdict(fetched, paper.until, at),
            fetched,
            expires: paper.until,
            evaluation_number: paper.evaluation_number(),
            anchor: Some(paper.anchor.clone()),
            from: entry.and_then(|entry| entry.from.clone()),
            failures: entry.map_or(0, |entry| entry.failures),
            next_attempt: entry.and_then(|entry| entry.next_attempt),
            refused: None,
        }
    }

    /// When a file was written, which is all that is known of what has no date.
    fn put_here(&self, file: &str) -> UnixTime {
        let written = fs::metadata(self.library.folder().join(file)).and_then(|file| file.modified());
        let since = written.ok().and_then(|written| written.duration_since(SystemTime::UNIX_EPOCH).ok());
        UnixTime(since.map_or(0, |since| since.as_secs()))
    }

    /// Fetches one item and keeps it; with a VCEK the CA that is not there yet. What came of it is noted either way.
    ///
    /// # Errors
    /// When no service was named for it, the service gives none that holds, or it cannot be kept.
    pub async fn fetch_item(
        &self,
        services: &Services,
        item: &Item,
        upkeep: &Upkeep,
        at: UnixTime,
        jitter: f64,
    ) -> Result<Kept, RefreshError> {
        let fetched = self.ask(services, item, at).await;
        self.settle(item, fetched, upkeep, at, jitter)
    }

    /// The same for the Hygon chip that a report states, if the report is then one of that chip.
    ///
    /// # Errors
    /// As [`fetch_item`](Self::fetch_item), and when the report is not genuine under what the service gives.
    pub async fn fetch_chip_of(
        &self,
        services: &Services,
        report: &Report<'_>,
        serial_number: &SerialNumber,
        upkeep: &Upkeep,
        at: UnixTime,
        jitter: f64,
    ) -> Result<Kept, RefreshError> {
        let item = Item::HygonChip { serial_number: serial_number.clone() };
        let fetched = match &services.hygon {
            Some(hygon) => hygon.chip_of(report, serial_number, self.library.anchors(), at).await.map_err(Into::into),
            None => Err(FetchError::NoService(item.to_string()).into()),
        };
        self.settle(&item, fetched, upkeep, at, jitter)
    }

    async fn ask(&self, services: &Services, item: &Item, at: UnixTime) -> Result<FetchedItem, RefreshError> {
        let anchors = self.library.anchors();
        Ok(match (item, &services.amd, &services.hygon, &services.intel) {
            (Item::AmdAuthority { product, endorser }, Some(amd), _, _) => {
                amd.authority(*product, *endorser, anchors, at).await?
            }
            (Item::AmdVcek { product, hwid, tcb }, Some(amd), _, _) => {
                let held = self.drawer().get(&authority(*product)).filter(|held| held.holds(at)).cloned();
                let under = if let Some(held) = held {
                    held
                } else {
                    let fetched = amd.authority(*product, Endorser::Vcek, anchors, at).await?;
                    self.put_item(&fetched, at)?;
                    fetched.paper
                };
                amd.vcek_under(*product, hwid, *tcb, &under, at).await?
            }
            (Item::HygonChip { serial_number }, _, Some(hygon), _) => hygon.chip(serial_number, anchors, at).await?,
            (Item::IntelQveIdentity, _, _, Some(intel)) => intel.qve_identity(anchors, at).await?,
            _ => return Err(FetchError::NoService(item.to_string()).into()),
        })
    }

    fn settle(
        &self,
        item: &Item,
        fetched: Result<FetchedItem, RefreshError>,
        upkeep: &Upkeep,
        at: UnixTime,
        jitter: f64,
    ) -> Result<Kept, RefreshError> {
        let kept = fetched.and_then(|fetched| Ok(self.put_item(&fetched, at)?));
        if let Err(error) = &kept {
            self.item_failed(item, upkeep, at, jitter, error.retry_after())?;
        }
        kept
    }

    fn item_failed(
        &self,
        item: &Item,
        upkeep: &Upkeep,
        at: UnixTime,
        jitter: f64,
        retry_after: Option<u64>,
    ) -> Result<(), Error> {
        let mut record = self.record();
        let drawer = self.drawer();
        let by_hand = || {
            let held = drawer.papers().find(|filed| filed.paper.item == *item)?;
            let issued = held.paper.from.unwrap_or_else(|| self.put_here(&held.file));
            Some(Entry::by_hand(item.clone(), issued, held.paper.until))
        };
        // Nothing is noted of what never was here: whoever asked has the answer.
        let Some(mut entry) = record.items.get(item).cloned().or_else(by_hand) else { return Ok(()) };
        entry.failed(upkeep, at, jitter, retry_after);
        record.items.set(entry);
        self.save(&record)
    }

    /// Asks for every item that is not fresh and may be asked for again, where somebody was named who has such. `jitter` gives a number between 0
    /// and 1 for each failure.
    pub async fn refresh_items(
        &self,
        services: &Services,
        upkeep: &Upkeep,
        at: UnixTime,
        mut jitter: impl FnMut() -> f64,
    ) -> Vec<Refreshed<Item>> {
        let mut refreshed = Vec::new();
        // One that was not used for want of its CA may be, once the CA is there.
        for authorities in [true, false] {
            for Standing { wanted, freshness, next_attempt, .. } in self.item_standings(upkeep, at) {
                let turn = matches!(wanted, Item::AmdAuthority { .. }) == authorities;
                let later = next_attempt.is_some_and(|next| next > at);
                if !turn || freshness == Freshness::Fresh || later || !services.serve(&wanted) {
                    continue;
                }
                let outcome = self.fetch_item(services, &wanted, upkeep, at, jitter()).await;
                refreshed.push(Refreshed { wanted, outcome });
            }
        }
        refreshed
    }
}

/// What a product line's VCEKs stand on.
const fn authority(product: Product) -> Item {
    Item::AmdAuthority { product, endorser: Endorser::Vcek }
}

/// A VCEK is the same for ever: it is due before it expires, and never for its age.
fn upkeep_of(item: &Item, upkeep: &Upkeep) -> Upkeep {
    match item {
        Item::AmdVcek { .. } => Upkeep { max_age: Duration::MAX, stale_after: Duration::MAX, ..*upkeep },
        Item::AmdAuthority { .. } | Item::HygonChip { .. } | Item::IntelQveIdentity => *upkeep,
    }
}
