//! Which models are served, in which versions, under which labels.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use sealwright_channel::wire::Digest;

use crate::{
    error::{Error, Result},
    pace::Pace,
    runtime::Model,
    tensor::TensorSpec,
};

/// A model in one version, loaded and ready to answer.
pub struct Servable {
    /// The name clients ask for.
    pub name: String,
    /// The version clients may ask for, at least 1.
    pub version: u64,
    /// SHA-384 of the sealed file that it came from, as measured before it was opened.
    pub sha384: Digest<48>,
    /// What runs it, e.g. `onnx_rten`.
    pub platform: &'static str,
    /// The model.
    pub model: Box<dyn Model>,
    /// How long its runs take.
    pub pace: Pace,
}

impl Servable {
    /// The place of an output in [`Model::outputs`].
    #[must_use]
    pub fn output(&self, name: &str) -> Option<usize> {
        self.model.outputs().iter().position(|spec| spec.name == name)
    }

    /// The input of this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the model has no such input.
    pub fn input(&self, name: &str) -> Result<&TensorSpec> {
        let inputs = self.model.inputs();
        inputs.iter().find(|spec| spec.name == name).ok_or_else(|| {
            let known: Vec<&str> = inputs.iter().map(|spec| spec.name.as_str()).collect();
            Error::invalid("inputs", format!("the names {}", known.join(", ")), format!("`{name}`"))
        })
    }
}

impl fmt::Debug for Servable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servable").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

/// Where a version of a model is in its life.
#[derive(Clone, Debug)]
pub enum State {
    /// Its key is asked for, or it is being opened.
    Loading,
    /// It answers.
    Available(Arc<Servable>),
    /// It could not be opened; the text says why.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading => f.write_str("loading"),
            Self::Available(_) => f.write_str("available"),
            Self::Failed(problem) => write!(f, "failed: {problem}"),
        }
    }
}

/// Which version of a model a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The highest that is available.
    Latest,
    /// This one.
    Number(u64),
    /// The one that has this label.
    Label(String),
}

/// The models of one server. Cheap to share; changed while requests run.
#[derive(Debug, Default)]
pub struct Registry {
    models: RwLock<BTreeMap<String, Versions>>,
}

#[derive(Debug, Default)]
struct Versions {
    states: BTreeMap<u64, State>,
    labels: BTreeMap<String, u64>,
}

impl Registry {
    /// No models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says where a version is in its life; adds it if it is new.
    pub fn set(&self, name: &str, version: u64, state: State) {
        self.write().entry(name.to_owned()).or_default().states.insert(version, state);
    }

    /// Adds a model that is ready.
    pub fn insert(&self, servable: Servable) {
        let (name, version) = (servable.name.clone(), servable.version);
        self.set(&name, version, State::Available(Arc::new(servable)));
    }

    /// Gives a version a label, e.g. `stable`; it may be moved later.
    pub fn set_label(&self, name: &str, label: &str, version: u64) {
        self.write().entry(name.to_owned()).or_default().labels.insert(label.to_owned(), version);
    }

    /// The model that answers a request.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::NotAvailable`] if it is loading or failed.
    pub fn find(&self, name: &str, version: &Version) -> Result<Arc<Servable>> {
        let models = self.read();
        let versions = models.get(name).ok_or_else(|| not_found(name, version))?;
        let number = match version {
            Version::Number(number) => Some(*number),
            Version::Label(label) => versions.labels.get(label).copied(),
            Version::Latest => return versions.latest(name),
        };
        match number.and_then(|number| versions.states.get(&number)) {
            Some(State::Available(servable)) => Ok(Arc::clone(servable)),
            Some(state) => Err(not_available(name, version, state)),
            None => Err(not_found(name, version)),
        }
    }

    /// The versions of a model and their states, lowest first; one of them if a number or label is given.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub fn states(&self, name: &str, version: &Version) -> Result<Vec<(u64, State)>> {
        let models = self.read();
        let versions = models.get(name).ok_or_else(|| not_found(name, version))?;
        let wanted = match version {
            Version::Latest => None,
            Version::Number(number) => Some(*number),
            Version::Label(label) => Some(*versions.labels.get(label).ok_or_else(|| not_found(name, version))?),
        };
        let states: Vec<_> = versions
            .states
            .iter()
            .filter(|(number, _)| wanted.is_none_or(|wanted| **number == wanted))
            .map(|(&number, state)| (number, state.clone()))
            .collect();
        if states.is_empty() {
            return Err(not_found(name, version));
        }
        Ok(states)
    }

    /// Whether any model answers.
    #[must_use]
    pub fn has_available(&self) -> bool {
        let models = self.read();
        models.values().any(|versions| versions.states.values().any(|state| matches!(state, State::Available(_))))
    }

    /// Whether there are models and each has a version that answers, and none is still loading.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let models = self.read();
        let ready = |versions: &Versions| {
            let states = || versions.states.values();
            states().any(|state| matches!(state, State::Available(_)))
                && !states().any(|state| matches!(state, State::Loading))
        };
        !models.is_empty() && models.values().all(ready)
    }

    // A panic while the lock is held leaves the map as it was: each change is one insertion.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Versions>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Versions>> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Versions {
    fn latest(&self, name: &str) -> Result<Arc<Servable>> {
        let available = self.states.values().rev().find_map(|state| match state {
            State::Available(servable) => Some(Arc::clone(servable)),
            State::Loading | State::Failed(_) => None,
        });
        available.ok_or_else(|| match self.states.values().next_back() {
            Some(state) => not_available(name, &Version::Latest, state),
            None => not_found(name, &Version::Latest),
        })
    }
}

fn selector(name: &str, version: &Version) -> String {
    match version {
        Version::Latest => format!("Latest({name})"),
        Version::Number(number) => format!("Specific({name}, {number})"),
        Version::Label(label) => format!("Label({name}, {label})"),
    }
}

fn not_found(name: &str, version: &Version) -> Error {
    Error::NotFound(selector(name, version))
}

fn not_available(name: &str, version: &Version, state: &State) -> Error {
    Error::NotAvailable { model: selector(name, version), state: state.to_string() }
}
