//! What an environment is held against: the reference values in force, and what the configuration accepts.

use crate::{Document, Failure};
use sealwright_wire::{Tee, reference::ReferenceValues, time::UnixTime};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::{Arc, PoisonError, RwLock},
};

/// Sets of reference values, each with the name that its owner gave it.
#[derive(Clone, Debug, Default)]
pub struct References(Vec<(String, ReferenceValues)>);

impl References {
    /// No reference values: the default policy refuses everything.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// These sets and one more. An environment must agree with one set as a whole.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, values: ReferenceValues) -> Self {
        self.0.push((name.into(), values));
        self
    }

    /// The sets with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ReferenceValues)> {
        self.0.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// The names of the sets in force at a time.
    fn in_force(&self, at: UnixTime) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(_, values)| holds(values, at)).map(|(name, _)| name)
    }

    /// The first and the last time at which exactly those sets are in force that are at `at`.
    fn unchanged(&self, at: UnixTime) -> RangeInclusive<UnixTime> {
        let ends = self.iter().filter_map(|(_, values)| values.not_after());
        let (ahead, behind): (Vec<_>, Vec<_>) = ends.partition(|end| at <= *end);
        let from = behind.into_iter().max().map_or(UnixTime(0), |end| end.plus(1));
        from..=ahead.into_iter().min().unwrap_or(UnixTime(u64::MAX))
    }
}

fn holds(values: &ReferenceValues, at: UnixTime) -> bool {
    values.not_after().is_none_or(|end| at <= end)
}

/// What the configuration accepts beyond the default policy's own list. Everything is named; nothing is implied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// Names, or SHA-256 fingerprints in hex, of anchors that are no hardware vendor's: a simulated or a private root.
    pub accepted_anchors: BTreeSet<String>,
    /// TCB statuses other than `UpToDate`, as Intel spells them. `Revoked` is never accepted.
    pub accepted_statuses: BTreeSet<String>,
    /// Advisories that may apply to the platform; any when there is no list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_advisories: Option<BTreeSet<String>>,
}

/// The data document of attestation policies, made once and kept for as long as nothing in it expires.
#[derive(Debug)]
pub(crate) struct Data {
    references: References,
    trust: Trust,
    /// The one that was made last. Evidence comes in the order of time, so there is no use for more.
    kept: RwLock<Arc<At>>,
}

/// A data document for a span of time.
#[derive(Debug)]
pub(crate) struct At {
    span: RangeInclusive<UnixTime>,
    document: Document,
    names: Vec<String>,
}

impl At {
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    /// The names of the sets in it.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

#[derive(Serialize)]
struct DataDocument<'a> {
    reference: ReferenceDocument<'a>,
    trust: TrustDocument<'a>,
}

#[derive(Serialize)]
struct ReferenceDocument<'a> {
    sets: Vec<SetDocument<'a>>,
    expired: Vec<&'a str>,
    /// The values of all sets by claim, for `query_reference_value`.
    values: BTreeMap<&'a str, BTreeSet<String>>,
}

#[derive(Serialize)]
struct SetDocument<'a> {
    name: &'a str,
    source: String,
    tee: Tee,
    values: BTreeMap<&'a str, Vec<String>>,
}

#[derive(Serialize)]
struct TrustDocument<'a> {
    accepted_anchors: &'a BTreeSet<String>,
    accepted_statuses: &'a BTreeSet<String>,
    accepted_advisories: AcceptedAdvisories<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AcceptedAdvisories<'a> {
    These(&'a BTreeSet<String>),
    Word(&'static str),
}

impl Data {
    pub(crate) fn new(references: References, trust: Trust) -> Result<Self, Failure> {
        let kept = RwLock::new(Arc::new(make(&references, &trust, UnixTime(0))?));
        Ok(Self { references, trust, kept })
    }

    /// The document for a time. It is made anew only when a set has expired since the time before.
    pub(crate) fn at(&self, at: UnixTime) -> Result<Arc<At>, Failure> {
        let kept = Arc::clone(&self.kept.read().unwrap_or_else(PoisonError::into_inner));
        if kept.span.contains(&at) {
            return Ok(kept);
        }
        // Outside the lock: who judges by the time before need not wait, and two who make the same document lose nothing but time.
        let made = Arc::new(make(&self.references, &self.trust, at)?);
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&made);
        Ok(made)
    }
}

fn make(references: &References, trust: &Trust, at: UnixTime) -> Result<At, Failure> {
    let names = references.in_force(at).map(str::to_owned).collect();
    Ok(At { span: references.unchanged(at), document: document(references, trust, at)?, names })
}

fn document(references: &References, trust: &Trust, at: UnixTime) -> Result<Document, Failure> {
    let (in_force, expired): (Vec<_>, Vec<_>) = references.iter().partition(|(_, values)| holds(values, at));
    let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (claim, alternatives) in in_force.iter().flat_map(|(_, set)| set.claims()) {
        values.entry(claim).or_default().extend(alternatives.iter().map(ToString::to_string));
    }
    Document::of(&DataDocument {
        reference: ReferenceDocument {
            sets: in_force.iter().map(|(name, values)| set_document(name, values)).collect(),
            expired: expired.into_iter().map(|(name, _)| name).collect(),
            values,
        },
        trust: TrustDocument {
            accepted_anchors: &trust.accepted_anchors,
            accepted_statuses: &trust.accepted_statuses,
            accepted_advisories: match &trust.accepted_advisories {
                Some(these) => AcceptedAdvisories::These(these),
                None => AcceptedAdvisories::Word("any"),
            },
        },
    })
}

fn set_document<'a>(name: &'a str, set: &'a ReferenceValues) -> SetDocument<'a> {
    let from_log: Cow<'static, str> = match set.taken_from_log().len() {
        0 => "".into(),
        events => format!(" ({events} events taken from a log)").into(),
    };
    let values =
        set.claims().map(|(claim, values)| (claim, values.iter().map(ToString::to_string).collect())).collect();
    SetDocument { name, source: format!("reference values {name}{from_log}"), tee: set.tee(), values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwright_wire::reference::{Parts, Value};

    fn set(value: u8, not_after: Option<u64>) -> ReferenceValues {
        let mut parts = Parts::empty(Tee::Tdx);
        parts.values.insert("mrtd".into(), vec![Value::from(&[value; 48][..])]);
        parts.not_after = not_after.map(UnixTime);
        ReferenceValues::new(parts).unwrap()
    }

    fn seen(data: &Data, at: u64) -> (Vec<String>, serde_json::Value) {
        let at = data.at(UnixTime(at)).unwrap();
        let json: serde_json::Value = serde_json::from_str(at.document().json()).unwrap();
        (at.names().to_vec(), json["reference"].clone())
    }

    #[test]
    fn sets_leave_at_their_last_moment_and_are_named() {
        let references = References::none()
            .with("short", set(1, Some(100)))
            .with("long", set(2, None))
            .with("mid", set(3, Some(200)));
        let data = Data::new(references, Trust::default()).unwrap();
        let (names, reference) = seen(&data, 100);
        assert_eq!(names.len(), 3);
        assert_eq!(reference["expired"], serde_json::json!([]));
        let (names, reference) = seen(&data, 101);
        assert_eq!(names, ["long", "mid"]);
        assert_eq!(reference["expired"], serde_json::json!(["short"]));
        assert_eq!(reference["values"]["mrtd"], serde_json::json!(["02".repeat(48), "03".repeat(48)]));
        assert_eq!(seen(&data, 201).0, ["long"]);
    }

    #[test]
    fn a_document_is_made_once_for_as_long_as_nothing_in_it_expires() {
        let references = References::none()
            .with("short", set(1, Some(100)))
            .with("long", set(2, None))
            .with("mid", set(3, Some(200)));
        let data = Data::new(references, Trust::default()).unwrap();
        let same = |one: u64, other: u64| {
            let [one, other] = [one, other].map(|at| data.at(UnixTime(at)).unwrap());
            std::ptr::eq(one.document(), other.document())
        };
        for (first, last) in [(0, 100), (101, 200), (201, u64::MAX), (0, 100), (201, u64::MAX)] {
            assert!(same(first, last) && same(last, first), "{first} to {last}");
        }
        for (before, after) in [(100, 101), (200, 201), (0, 201)] {
            assert!(!same(before, after) && !same(after, before), "{before}, {after}");
        }
        assert_eq!(seen(&data, 150).0, ["long", "mid"]);
        assert_eq!(seen(&data, 50).0, ["short", "long", "mid"]);
    }

    #[test]
    fn trust_names_what_it_accepts_and_knows_no_other_words() {
        let trust: Trust = serde_json::from_str(r#"{"accepted_anchors":["sim"]}"#).unwrap();
        assert!(trust.accepted_anchors.contains("sim") && trust.accepted_statuses.is_empty());
        assert!(serde_json::from_str::<Trust>(r#"{"accept_anchors":["sim"]}"#).is_err());
        let data = Data::new(References::none(), trust).unwrap();
        let json: serde_json::Value = serde_json::from_str(data.at(UnixTime(5)).unwrap().document().json()).unwrap();
        assert_eq!(
            json["trust"],
            serde_json::json!({"accepted_anchors": ["sim"], "accepted_statuses": [], "accepted_advisories": "any"})
        );
    }
}
