//! The items of a store, in folders of their vendors beside its bundles: for each the best file that holds.

use crate::{
    Endorser, Error, Item, Library, folder,
    paper::{MAX_CONTENT, Paper, Proof},
};
use sealwright_verify::Anchors;
use sealwright_wire::time::UnixTime;
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// The most files of a kind that a folder of items may have.
pub const MAX_ITEMS: usize = 4096;

const AMD: &str = "amd";
const HYGON: &str = "hygon";
const INTEL: &str = "intel";

/// Verifies what vouches for itself below an anchor.
type Open = fn(Vec<u8>, &Anchors, UnixTime) -> Result<Paper, sealwright_verify::Error>;

/// Folders of items, verified. Shared freely between threads.
#[derive(Debug)]
pub(crate) struct Cabinet {
    folder: PathBuf,
    drawer: RwLock<Arc<Drawer>>,
    /// One look at a time, so that an earlier one never takes the place of a later one.
    looking: Mutex<()>,
}

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Drawer {
    papers: BTreeMap<Item, Filed>,
    /// Files that are not used, by their names below the store's folder, each with the reason.
    pub(crate) refused: Vec<(String, String)>,
}

/// A paper and its file, by its name below the store's folder.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) file: String,
    pub(crate) paper: Arc<Paper>,
}

impl Drawer {
    pub(crate) fn get(&self, item: &Item) -> Option<&Arc<Paper>> {
        self.papers.get(item).map(|filed| &filed.paper)
    }

    pub(crate) fn papers(&self) -> impl Iterator<Item = &Filed> {
        self.papers.values()
    }

    fn place(&mut self, filed: Filed) {
        let item = &filed.paper.item;
        let (better, passed_over) = match self.papers.get(item) {
            Some(other) if other.paper.serves_as_well(&filed.paper) => (other.clone(), Some(filed)),
            other => (filed, other.cloned()),
        };
        if let Some(passed_over) = passed_over {
            let reason = format!("{} is the same, and as new or newer", better.file);
            self.refused.push((passed_over.file, reason));
        }
        self.papers.insert(better.paper.item.clone(), better);
    }
}

/// The papers of the last look by their files.
struct Known<'d> {
    papers: HashMap<&'d str, &'d Arc<Paper>>,
    at: UnixTime,
}

impl<'d> Known<'d> {
    fn of(drawer: &'d Drawer, at: UnixTime) -> Self {
        let papers = drawer.papers.values().map(|filed| (filed.file.as_str(), &filed.paper));
        Self { papers: papers.collect(), at }
    }

    /// The paper of this file, if these are its bytes and it still holds.
    fn get(&self, file: &str, content: &[u8]) -> Option<&Arc<Paper>> {
        self.papers.get(file).copied().filter(|paper| paper.content == content && paper.holds(self.at))
    }
}

impl Cabinet {
    /// The items of a store's folder, before the first look.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, drawer: RwLock::default(), looking: Mutex::default() }
    }

    /// What the last look found.
    pub(crate) fn drawer(&self) -> Arc<Drawer> {
        Arc::clone(&self.drawer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files again. One that did not change is not verified again.
    pub(crate) fn look(&self, library: &Library, at: UnixTime) -> Result<(), Error> {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.drawer();
        let before = Known::of(&last, at);
        let mut fresh = Drawer::default();
        self.issued(AMD, Paper::authority, &mut fresh, &before, library)?;
        self.issued(INTEL, Paper::qve_identity, &mut fresh, &before, library)?;
        self.vceks(&mut fresh, &before, at)?;
        self.hygon_chips(&mut fresh, &before, library)?;
        *self.drawer.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// What says how new it is.
    fn issued(
        &self,
        folder: &str,
        open: Open,
        fresh: &mut Drawer,
        before: &Known<'_>,
        library: &Library,
    ) -> Result<(), Error> {
        let (papers, refused) = self.read(folder, ".json", |file, content| {
            if let Some(known) = before.get(file, &content) {
                return Ok(Arc::clone(known));
            }
            open(content, library.anchors(), before.at).map(Arc::new).map_err(|error| error.to_string())
        })?;
        fresh.refused.extend(refused);
        library.note_items(papers.iter().filter_map(|filed| filed.paper.issued()))?;
        for filed in papers {
            match filed.paper.issued().and_then(|issued| library.item_taken_back(&issued)) {
                Some(older) => {
                    let reason = format!("{older}, which was seen before: fetch it anew");
                    fresh.refused.push((filed.file, reason));
                }
                None => fresh.place(filed),
            }
        }
        Ok(())
    }

    fn vceks(&self, fresh: &mut Drawer, before: &Known<'_>, at: UnixTime) -> Result<(), Error> {
        let authorities: Vec<_> = fresh.papers.values().map(|filed| Arc::clone(&filed.paper)).collect();
        let (papers, refused) = self.read(AMD, ".der", |file, content| {
            let known = before.get(file, &content);
            let still = |known: &&Arc<Paper>| match &known.proof {
                Proof::Vcek { under } => authorities.iter().any(|authority| Arc::ptr_eq(authority, under)),
                Proof::Authority { .. } | Proof::HygonChip | Proof::QveIdentity { .. } => false,
            };
            if let Some(known) = known.filter(still) {
                return Ok(Arc::clone(known));
            }
            vcek(&content, &authorities, at).map(Arc::new)
        })?;
        fresh.refused.extend(refused);
        papers.into_iter().for_each(|filed| fresh.place(filed));
        Ok(())
    }

    /// By their names: nothing in them says of which chip they are.
    fn hygon_chips(&self, fresh: &mut Drawer, before: &Known<'_>, library: &Library) -> Result<(), Error> {
        let (papers, refused) = self.read(HYGON, ".cert", |file, content| {
            if let Some(known) = before.get(file, &content) {
                return Ok(Arc::clone(known));
            }
            let name = file.rsplit('/').next().unwrap_or_default();
            let serial_number = name.trim_end_matches(".cert").parse()?;
            let paper = Paper::hygon_chip(content, serial_number, library.anchors());
            paper.map(Arc::new).map_err(|error| error.to_string())
        })?;
        fresh.refused.extend(refused);
        papers.into_iter().for_each(|filed| fresh.place(filed));
        Ok(())
    }

    /// The files of one folder that hold, and why the others do not. A folder that is not there is empty.
    #[allow(clippy::type_complexity)] // both halves are said above
    fn read(
        &self,
        folder: &str,
        ending: &str,
        open: impl Fn(&str, Vec<u8>) -> Result<Arc<Paper>, String>,
    ) -> Result<(Vec<Filed>, Vec<(String, String)>), Error> {
        let path = self.folder.join(folder);
        let names = if path.exists() { folder::files(&path, ending, MAX_ITEMS)? } else { Vec::new() };
        let (mut papers, mut refused) = (Vec::new(), Vec::new());
        for name in names {
            let file = format!("{folder}/{name}");
            let content = folder::read(&path.join(&name), MAX_CONTENT).map_err(|error| error.to_string());
            match content.and_then(|content| open(&file, content)) {
                Ok(paper) => papers.push(Filed { file, paper }),
                Err(reason) => refused.push((file, reason)),
            }
        }
        Ok((papers, refused))
    }
}

/// A VCEK under whichever of the authorities issued it; where none did, what each says.
fn vcek(content: &[u8], authorities: &[Arc<Paper>], at: UnixTime) -> Result<Paper, String> {
    let of_vceks = authorities
        .iter()
        .filter(|authority| matches!(&authority.item, Item::AmdAuthority { endorser: Endorser::Vcek, .. }));
    let mut reasons = Vec::new();
    for authority in of_vceks {
        match Paper::vcek(content.to_vec(), authority, at) {
            Ok(paper) => return Ok(paper),
            Err(error) => reasons.push(format!("under the {}: {error}", authority.item)),
        }
    }
    Err(if reasons.is_empty() {
        "no CA of VCEKs with a revocation list that holds is kept beside it".to_owned()
    } else {
        reasons.join("; ")
    })
}
