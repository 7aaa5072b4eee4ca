//! What `receipt verify` needs of each connection of a proxy: its evidence, and the collateral that it was judged by.

use anyhow::{Context, Result};
use sealwright_channel::{Judge, seal};
use sealwright_wire::Digest;
use sealwright_wire::kbs::Message;
use sealwright_wire::quote::Quote;
use sealwright_wire::ratls::{AttestResponse, TaggedEvidence};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The evidence of a connection, in its folder.
pub(crate) const EVIDENCE: &str = "evidence.json";
/// The collateral in force: a directory, as `--collateral` takes it.
pub(crate) const COLLATERAL: &str = "collateral";
/// How many connections are kept.
const MOST: usize = 1024;
/// Nobody else needs to know which servers are asked.
const PRIVATE: u32 = 0o600;

/// A directory with a folder for each connection, named by SHA-384 of its evidence as receipts name it. With each further one above
/// [`MOST`] the oldest goes.
pub(crate) struct Shelf {
    dir: PathBuf,
    judge: Arc<Judge>,
    most: usize,
    one_at_a_time: Mutex<()>,
}

impl Shelf {
    /// The shelf in this directory, which is made when absent.
    pub(crate) fn in_dir(dir: &Path, judge: Arc<Judge>) -> Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { dir: dir.to_owned(), judge, most: MOST, one_at_a_time: Mutex::new(()) })
    }

    /// Keeps a connection's evidence; it is there as a whole or not at all.
    pub(crate) fn keep(&self, evidence: &AttestResponse) -> Result<()> {
        let _one = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let tagged = TaggedEvidence::parse(&evidence.evidence)?;
        let quote = Quote::parse(tagged.evidence)?;
        let cannot = || format!("cannot write in {}", self.dir.display());
        let pending = tempfile::Builder::new()
            .prefix(".pending-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&self.dir);
        let pending = pending.with_context(cannot)?;
        let collateral = pending.path().join(COLLATERAL);
        DirBuilder::new().mode(0o700).create(&collateral).with_context(cannot)?;
        let bundle = collateral.join(format!("{}.json", quote.tee().name()));
        crate::files::create(&bundle, &self.judge.library().bundle(&quote)?, PRIVATE)?;
        crate::files::create(&pending.path().join(EVIDENCE), &evidence.to_json()?, PRIVATE)?;
        let place = self.dir.join(seal::sha384(quote.without_trailing()).to_string());
        fs::rename(pending.path(), &place).with_context(|| format!("cannot make {}", place.display()))?;
        // It has its name now, and is not to be removed under the old one.
        let _ = pending.keep();
        File::open(&self.dir).and_then(|dir| dir.sync_all()).with_context(cannot)?;
        remove_oldest(&self.dir, self.most)
    }
}

/// Leaves the newest folders that have a digest as their name, and whatever else there is.
fn remove_oldest(dir: &Path, most: usize) -> Result<()> {
    let cannot = || format!("cannot look into {}", dir.display());
    let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let named = entry.file_name().to_str().is_some_and(|name| name.parse::<Digest<48>>().is_ok());
        if !named || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        kept.push((entry.metadata().and_then(|about| about.modified()).with_context(cannot)?, entry.path()));
    }
    kept.sort();
    let surplus = kept.len().saturating_sub(most);
    for (_, place) in kept.into_iter().take(surplus) {
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", place.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where a shelf has `what` for a receipt that names this evidence; `path` itself where that is no shelf, or has nothing for it.
pub(crate) fn find(path: &Path, evidence: &Digest<48>, what: &str) -> PathBuf {
    let place = path.join(evidence.to_string()).join(what);
    if place.exists() { place } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_connections_go_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let digest = |byte: u8| Digest([byte; 48]).to_string();
        let begin = SystemTime::now() - Duration::from_secs(3600);
        // Names in another order than times.
        for (age, byte) in [(1, 9), (2, 7), (3, 8), (4, 1)] {
            let place = dir.path().join(digest(byte));
            fs::create_dir(&place).unwrap();
            fs::write(place.join(EVIDENCE), "{}").unwrap();
            File::open(&place).unwrap().set_modified(begin + Duration::from_secs(age)).unwrap();
        }
        fs::create_dir(dir.path().join("somebody-elses")).unwrap();
        fs::write(dir.path().join(digest(0)), "a file").unwrap();
        remove_oldest(dir.path(), 2).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [digest(0), digest(1), digest(8), "somebody-elses".to_owned()]);
    }
}
