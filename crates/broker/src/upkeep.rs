//! What a running broker does by itself: it takes up what was changed in its folders, and notes how far the audit log has come.

use crate::{
    audit::Head,
    broker::Error,
    references::log_refused,
    service::Service,
    storage::{Table, Vault, VaultError},
};
use sealwright_collateral::Report;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

/// Where the vault keeps the audit log's last known entry.
const AUDIT_HEAD: &str = "audit-head";
/// How often the system is asked whether files have changed.
const GLANCE: Duration = Duration::from_secs(1);
/// After so many glances the folders are read whether or not anything seems to have changed, because collateral also expires, and the audit
/// log's last entry is noted.
const ROUND: u32 = 60;
/// The most files of a folder that are glanced at, which is more than are read.
const MAX_FILES: usize = 4096;

pub(crate) fn log_report(report: &Report) {
    for (file, reason) in &report.refused {
        tracing::warn!(file, reason, "collateral is not used");
    }
    tracing::info!(held = report.held, "collateral");
}

/// The last entry of the audit log that the vault knows of.
pub(crate) fn known_head(vault: &Vault) -> Result<Head, Error> {
    let Some(entry) = vault.get(Table::Meta, AUDIT_HEAD)? else { return Ok(Head::START) };
    let tampered = |_| VaultError::Tampered { table: Table::Meta, key: AUDIT_HEAD.to_owned() };
    Ok(serde_json::from_slice(&entry.bytes).map_err(tampered)?)
}

/// Keeps the log's last entry in the vault, where whoever shortens the log does not reach it.
pub(crate) fn note_head(service: &Service, noted: Head) -> Result<Head, Error> {
    let head = service.audit.head();
    if head != noted {
        let json = serde_json::to_vec(&head).unwrap_or_default();
        service.vault.put(Table::Meta, AUDIT_HEAD, &json, None)?;
    }
    Ok(head)
}

/// Reads the folders of collateral and reference values again. What is wrong with one keeps nothing that was withdrawn in the other in force.
pub(crate) fn reload(service: &Service) -> Result<Report, Error> {
    match (reload_collateral(service), reload_references(service)) {
        (Ok(report), Ok(())) => Ok(report),
        (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
        (Err(collateral), Err(references)) => {
            Err(Error::Folders { collateral: Box::new(collateral), references: Box::new(references) })
        }
    }
}

fn reload_collateral(service: &Service) -> Result<Report, Error> {
    let report = service.judge.library().reload(service.clock.now())?;
    log_report(&report);
    service.metrics.refused_files("collateral", report.refused.len());
    Ok(report)
}

fn reload_references(service: &Service) -> Result<(), Error> {
    if service.judge.reload_references()? {
        tracing::info!("reference values changed");
    }
    let current = service.references.current();
    log_refused(&current);
    service.metrics.refused_files("references", current.refused.len());
    Ok(())
}

/// Glances at the folders, in a task of its own, until it is told to stop. What it has begun by then it finishes.
pub(crate) fn start(service: Arc<Service>, noted: Head, stop: oneshot::Receiver<()>) -> JoinHandle<()> {
    tokio::spawn(keep_up(service, noted, stop))
}

async fn keep_up(service: Arc<Service>, noted: Head, mut stop: oneshot::Receiver<()>) {
    let mut upkeep = Upkeep { noted, ..Upkeep::default() };
    while timeout(GLANCE, &mut stop).await.is_err() {
        let (service, mut turn) = (Arc::clone(&service), std::mem::take(&mut upkeep));
        let done = tokio::task::spawn_blocking(move || {
            turn.turn(&service);
            turn
        });
        match done.await {
            Ok(turn) => upkeep = turn,
            Err(error) => tracing::error!(%error, "upkeep failed"),
        }
    }
}

struct Upkeep {
    glances: u32,
    files: Files,
    noted: Head,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { glances: 0, files: Files::default(), noted: Head::START }
    }
}

impl Upkeep {
    fn turn(&mut self, service: &Service) {
        self.glances = self.glances.wrapping_add(1);
        let round = self.glances.is_multiple_of(ROUND);
        let changed = self.files.changed(&[service.judge.library().folder(), service.references.folder()]);
        if (changed || round)
            && let Err(error) = reload(service)
        {
            tracing::error!(%error, "what was there before stays in use");
        }
        if round {
            match note_head(service, self.noted) {
                Ok(head) => self.noted = head,
                Err(error) => tracing::error!(%error, "cannot note the audit log's last entry"),
            }
        }
    }
}

/// What the system said about files: enough to notice that one is new, gone or different, without reading any.
#[derive(Default)]
struct Files(BTreeSet<Stamp>);

/// A file's path, inode, size, and time of the last change of any of it, which nobody can set.
type Stamp = (PathBuf, u64, u64, i64, i64);

impl Files {
    /// Whether anything in the folders is different from the time before. Ask before reading them: what changes meanwhile is then noticed
    /// the next time.
    fn changed(&mut self, folders: &[&Path]) -> bool {
        let now = folders.iter().flat_map(|folder| stamps(folder)).collect();
        std::mem::replace(&mut self.0, now) != self.0
    }
}

/// Of a folder or file that cannot be looked at there is nothing to say; whoever reads it says why.
fn stamps(folder: &Path) -> impl Iterator<Item = Stamp> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_FILES);
    entries.filter_map(|entry| {
        // Through links: a folder of a container's configuration is changed by turning one.
        let file = fs::metadata(entry.path()).ok()?;
        Some((entry.path(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn whatever_changes_in_a_folder_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one.json", "other.json"].map(|name| folder.path().join(name));
        let elsewhere = tempfile::tempdir().unwrap();
        let mut files = Files::default();
        let mut noticed = |what: &str| {
            let folders = [folder.path(), &folder.path().join("missing")];
            assert!(files.changed(&folders), "{what}");
            assert!(!files.changed(&folders), "{what}, twice");
        };
        fs::write(&one, "1").unwrap();
        noticed("a new file");
        // Sizes differ, or inodes do: within one tick of the system's clock the time may be the same.
        fs::write(&one, "22").unwrap();
        noticed("another content");
        fs::write(elsewhere.path().join("new"), "33").unwrap();
        fs::copy(elsewhere.path().join("new"), &other).unwrap();
        fs::rename(&other, &one).unwrap();
        noticed("a file in the place of another");
        symlink(elsewhere.path().join("new"), &other).unwrap();
        noticed("a link");
        fs::write(elsewhere.path().join("new"), "444").unwrap();
        noticed("another content behind a link");
        fs::remove_file(&one).unwrap();
        noticed("a file that is gone");
    }
}
