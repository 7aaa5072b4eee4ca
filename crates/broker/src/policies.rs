//! The policies in force: an administrator's, else the configuration's, else the built-in one.

use crate::{
    admin::PolicyInfo,
    files::{self, FileError},
    storage::{Table, Vault, VaultError},
};
use sealwright_appraise::{Evaluator, Failure, Kind, MAX_POLICY, Policy, PolicyError, Release};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

/// The key of the policy for evidence.
const ATTESTATION: &str = "attestation";
/// The key of the policy for releases; `release/NAME` is that of one repository's.
const RELEASE: &str = "release";
/// The most policies that are kept.
const MAX_POLICIES: usize = 1024;

/// Why a policy is not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoliciesError {
    /// A configured policy cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a policy's text or name.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Not sound.
    #[error("policy {policy}: {failure}")]
    Unsound {
        /// Which policy.
        policy: String,
        /// What is wrong with it.
        failure: Failure,
    },
    /// What an administrator set cannot be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// More than are kept.
    #[error("at most {MAX_POLICIES} policies are kept")]
    TooMany,
}

/// Which policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    /// The one for evidence.
    Attestation,
    /// The one for releases, of one repository or of all that have none of their own.
    Release(Option<&'a str>),
}

impl<'a> Which<'a> {
    fn key(self) -> String {
        match self {
            Self::Attestation => ATTESTATION.to_owned(),
            Self::Release(None) => RELEASE.to_owned(),
            Self::Release(Some(repository)) => format!("{RELEASE}/{repository}"),
        }
    }

    /// What [`Which::key`] made.
    fn of_key(key: &'a str) -> Self {
        match key.split_once('/') {
            None if key == ATTESTATION => Self::Attestation,
            None => Self::Release(None),
            Some((_, repository)) => Self::Release(Some(repository)),
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Attestation => Kind::Attestation,
            Self::Release(_) => Kind::Release,
        }
    }

    const fn repository(self) -> Option<&'a str> {
        match self {
            Self::Attestation => None,
            Self::Release(repository) => repository,
        }
    }
}

/// A policy that was checked.
#[derive(Clone)]
struct Held {
    policy: Policy,
    source: &'static str,
    /// Ready to decide, for a policy of releases.
    release: Option<Arc<Release>>,
}

impl Held {
    fn new(
        which: Which<'_>,
        source: &'static str,
        policy: Policy,
        evaluator: &Arc<dyn Evaluator>,
    ) -> Result<Self, PoliciesError> {
        let unsound = |failure| PoliciesError::Unsound { policy: which.key(), failure };
        for warning in evaluator.check(&policy).map_err(unsound)? {
            let (line, code, detail) = (warning.line, warning.code, warning.detail);
            tracing::warn!(policy = which.key(), line, code, detail, "policy");
        }
        let release = match which {
            Which::Attestation => None,
            Which::Release(_) => {
                let release = Release::new(Arc::clone(evaluator), policy.clone()).map_err(unsound)?;
                Some(Arc::new(release))
            }
        };
        Ok(Self { policy, source, release })
    }

    fn info(&self, which: Which<'_>) -> PolicyInfo {
        PolicyInfo {
            id: self.policy.id().to_owned(),
            repository: which.repository().map(str::to_owned),
            source: self.source.to_owned(),
            sha384: self.policy.sha384(),
            text: self.policy.text().to_owned(),
        }
    }
}

/// An administrator's policy that was checked and is not kept yet.
pub(crate) struct Checked<'a> {
    which: Which<'a>,
    held: Held,
}

impl Checked<'_> {
    /// The policy.
    pub(crate) fn policy(&self) -> Policy {
        self.held.policy.clone()
    }
}

/// The policies in force.
pub(crate) struct Policies {
    vault: Arc<Vault>,
    evaluator: Arc<dyn Evaluator>,
    attestation: Held,
    release: Held,
    /// Those that an administrator set, by key.
    set: RwLock<BTreeMap<String, Held>>,
}

impl Policies {
    /// Reads the configured policies and those that administrators set. All of them must be sound.
    pub(crate) fn open(
        vault: Arc<Vault>,
        evaluator: Arc<dyn Evaluator>,
        attestation: Option<&PathBuf>,
        release: Option<&PathBuf>,
    ) -> Result<Self, PoliciesError> {
        let configured = |which: Which<'_>, path: Option<&PathBuf>, built_in: fn() -> Policy| match path {
            None => Held::new(which, "built-in", built_in(), &evaluator),
            Some(path) => {
                let text = files::read_text(path, MAX_POLICY as u64)?;
                Held::new(which, "file", Policy::new(which.kind(), "configured", &text)?, &evaluator)
            }
        };
        let attestation = configured(Which::Attestation, attestation, Policy::default_attestation)?;
        let release = configured(Which::Release(None), release, Policy::default_release)?;
        let mut set = BTreeMap::new();
        for (key, entry) in vault.list(Table::Policies, "", None, MAX_POLICIES)? {
            let tampered = |_| VaultError::Tampered { table: Table::Policies, key: key.clone() };
            let text = std::str::from_utf8(&entry.bytes).map_err(tampered)?;
            set.insert(key.clone(), of_administrator(Which::of_key(&key), text, &evaluator)?);
        }
        Ok(Self { vault, evaluator, attestation, release, set: RwLock::new(set) })
    }

    /// The policy for evidence.
    pub(crate) fn attestation(&self) -> Policy {
        self.held(Which::Attestation).policy
    }

    /// The policy for releases from a repository, ready to decide.
    pub(crate) fn release(&self, repository: &str) -> Option<Arc<Release>> {
        self.held(Which::Release(Some(repository))).release
    }

    /// What is in force, for an administrator.
    pub(crate) fn info(&self, which: Which<'_>) -> PolicyInfo {
        self.held(which).info(which)
    }

    /// The policies for releases: the one of all repositories first.
    pub(crate) fn releases(&self) -> Vec<PolicyInfo> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner).clone();
        let own = set.iter().map(|(key, held)| (Which::of_key(key), held));
        let own = own.filter(|(which, _)| which.repository().is_some()).map(|(which, held)| held.info(which));
        std::iter::once(self.info(Which::Release(None))).chain(own).collect()
    }

    /// The policy for evidence while no administrator has set one.
    pub(crate) fn configured_attestation(&self) -> Policy {
        self.attestation.policy.clone()
    }

    /// Checks an administrator's policy. Nothing of it is in force yet.
    pub(crate) fn check<'a>(&self, which: Which<'a>, text: &str) -> Result<Checked<'a>, PoliciesError> {
        Ok(Checked { which, held: of_administrator(which, text, &self.evaluator)? })
    }

    /// Keeps a policy that was checked, durable on return. One for releases decides from now on; one for evidence is taken up by
    /// [`crate::judge::Judge`], which is the one who keeps it.
    pub(crate) fn keep(&self, Checked { which, held }: Checked<'_>) -> Result<PolicyInfo, PoliciesError> {
        let (key, info) = (which.key(), held.info(which));
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if set.len() >= MAX_POLICIES && !set.contains_key(&key) {
            return Err(PoliciesError::TooMany);
        }
        self.vault.put(Table::Policies, &key, held.policy.text().as_bytes(), None)?;
        set.insert(key, held);
        Ok(info)
    }

    /// Sets a policy for releases, durable on return, in force for the next decision. One that is not sound changes nothing.
    pub(crate) fn set_release(&self, repository: Option<&str>, text: &str) -> Result<PolicyInfo, PoliciesError> {
        self.keep(self.check(Which::Release(repository), text)?)
    }

    /// Takes an administrator's policy back, durable on return. Returns whether there was one. As with [`keep`](Self::keep), it is
    /// [`crate::judge::Judge`] who takes back the one for evidence.
    pub(crate) fn reset(&self, which: Which<'_>) -> Result<bool, PoliciesError> {
        let key = which.key();
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let found = self.vault.delete(Table::Policies, &key)?;
        set.remove(&key);
        Ok(found)
    }

    fn held(&self, which: Which<'_>) -> Held {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let own = set.get(&which.key());
        match which {
            Which::Attestation => own.unwrap_or(&self.attestation),
            Which::Release(_) => own.or_else(|| set.get(RELEASE)).unwrap_or(&self.release),
        }
        .clone()
    }
}

fn of_administrator(which: Which<'_>, text: &str, evaluator: &Arc<dyn Evaluator>) -> Result<Held, PoliciesError> {
    let id = which.repository().unwrap_or("default");
    Held::new(which, "administrator", Policy::new(which.kind(), id, text)?, evaluator)
}
