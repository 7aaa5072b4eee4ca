//! The built-in policy's decisions, remembered.
//!
//! Machines of one kind attest all day with facts that differ in three members only: when, over which report data, and the digest of the quote
//! that has both in it. The built-in policy looks at none of them when it affirms (a test holds it to that), and what it decides depends on
//! nothing but its input and data; so it is asked once for each combination of the others. Freshness is not the policy's business: the
//! binding is checked for every piece of evidence.

use sealwright_appraise::{Document, Evaluator, Failure, Kind, Outcome, Output, Policy, Warning};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// What differs between two pieces of evidence of one machine.
const FLEETING: [&str; 3] = ["at", "evidence_sha384", "report_data"];
/// The most decisions that are remembered. One more, and the oldest goes.
const MAX_REMEMBERED: usize = 256;
/// The largest facts that are remembered, in bytes.
const MAX_FACTS: usize = 64 << 10;

/// Asks another evaluator, and the built-in policy for evidence only once about the same facts.
pub(super) struct Remembering {
    evaluator: Arc<dyn Evaluator>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// The data that all of these were decided with.
    data: String,
    outputs: HashMap<Arc<str>, Arc<Output>>,
    order: VecDeque<Arc<str>>,
}

impl Remembering {
    pub(super) fn new(evaluator: Arc<dyn Evaluator>) -> Self {
        Self { evaluator, remembered: Mutex::default() }
    }

    fn recall(&self, facts: &str, data: &Document) -> Option<Arc<Output>> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.data != data.json() {
            *remembered = Remembered { data: data.json().to_owned(), ..Remembered::default() };
        }
        remembered.outputs.get(facts).cloned()
    }

    fn remember(&self, facts: &str, data: &Document, output: &Output) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.data != data.json() {
            return;
        }
        let facts: Arc<str> = facts.into();
        if remembered.outputs.insert(Arc::clone(&facts), Arc::new(output.clone())).is_none() {
            remembered.order.push_back(facts);
        }
        if remembered.order.len() > MAX_REMEMBERED
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.outputs.remove(&oldest);
        }
    }
}

impl Evaluator for Remembering {
    fn check(&self, policy: &Policy) -> Result<Vec<Warning>, Failure> {
        self.evaluator.check(policy)
    }

    fn evaluate(&self, policy: &Policy, input: &Document, data: &Document) -> Result<Output, Failure> {
        let rememberable = policy.is_built_in() && policy.kind() == Kind::Attestation;
        let Some(facts) = rememberable.then(|| lasting(input.json())).flatten() else {
            return self.evaluator.evaluate(policy, input, data);
        };
        if let Some(output) = self.recall(&facts, data) {
            return Ok(Output::clone(&output));
        }
        let output = self.evaluator.evaluate(policy, input, data)?;
        // A no is explained with what was found, the time perhaps included.
        if output.checks.iter().all(|check| check.outcome == Outcome::Passed) {
            self.remember(&facts, data, &output);
        }
        Ok(output)
    }
}

/// The facts without what is different every time.
fn lasting(json: &str) -> Option<String> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> =
        if json.len() > MAX_FACTS { return None } else { serde_json::from_str(json).ok()? };
    let mut text = String::with_capacity(json.len());
    for (name, value) in members.iter().filter(|(name, _)| !FLEETING.contains(&name.as_ref())) {
        text.push_str(name);
        text.push('\u{0}');
        text.push_str(value.get());
        text.push('\u{0}');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealwright_appraise::{Appraiser, Binding, InProcess, References, Trust};
    use sealwright_collateral::Library;
    use sealwright_evidence::Backend;
    use sealwright_sim::{Site, TdConfig, files, fixed_clock};
    use sealwright_verify::{Anchor, Anchors, Facts};
    use sealwright_wire::{Evidence, Tee, quote::Quote, reference::ReferenceValues, time::UnixTime};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NOW: UnixTime = UnixTime(1_795_132_800);

    /// Counts how often it is asked.
    struct Counting(InProcess, AtomicUsize);

    impl Evaluator for Counting {
        fn check(&self, policy: &Policy) -> Result<Vec<Warning>, Failure> {
            self.0.check(policy)
        }

        fn evaluate(&self, policy: &Policy, input: &Document, data: &Document) -> Result<Output, Failure> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.evaluate(policy, input, data)
        }
    }

    struct Machine {
        library: Library,
        td: sealwright_sim::Td,
        _folder: tempfile::TempDir,
    }

    impl Machine {
        fn boot() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let site = Site::found(fixed_clock(NOW)).unwrap();
            let json = site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
            std::fs::write(folder.path().join("tdx.json"), json).unwrap();
            let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
            let (library, _) = Library::open(folder.path(), anchors, NOW).unwrap();
            let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
            Self { library, td, _folder: folder }
        }

        fn facts(&self, report_data: [u8; 64], at: UnixTime) -> Facts {
            let evidence = self.td.evidence(&report_data).unwrap();
            let quote = Quote::parse(&evidence.quote).unwrap();
            self.library
                .verify(&Evidence { quote, event_log: evidence.event_log.as_deref(), ima: None, cel: None }, at)
                .unwrap()
        }

        fn references(&self) -> References {
            let registers = self.td.measurements().unwrap();
            let values: serde_json::Map<_, _> = registers
                .iter()
                .map(|register| (register.name.to_owned(), serde_json::json!([hex::encode(&register.value)])))
                .collect();
            let json = serde_json::json!({ "version": 1, "tee": "tdx", "profile": {}, "inputs": [], "values": values });
            let values = ReferenceValues::from_json(&serde_json::to_vec(&json).unwrap()).unwrap();
            References::none().with("td", values)
        }
    }

    fn trust() -> Trust {
        Trust { accepted_anchors: ["site".to_owned()].into(), ..Trust::default() }
    }

    fn appraiser(evaluator: Arc<dyn Evaluator>, references: References, trust: Trust) -> Appraiser {
        Appraiser::new(evaluator, Policy::default_attestation(), references, trust).unwrap()
    }

    /// What the module's promise rests on.
    #[test]
    fn the_built_in_policy_affirms_without_a_look_at_what_is_left_out() {
        let machine = Machine::boot();
        let plain = appraiser(Arc::new(InProcess::new().unwrap()), machine.references(), trust());
        let one = plain.appraise(&machine.facts([1; 64], NOW), &Binding::new("test", [1; 64]));
        let two = plain.appraise(&machine.facts([2; 64], NOW.plus(60)), &Binding::new("test", [2; 64]));
        assert!(one.is_affirming() && two.is_affirming());
        assert_ne!(one.facts_json(), two.facts_json());
        assert_eq!(lasting(one.facts_json()), lasting(two.facts_json()));
        // All checks but the two that the policy does not make.
        assert_eq!(one.explanation().checks[2..], two.explanation().checks[2..]);
        assert_eq!(one.vector(), two.vector());
    }

    #[test]
    fn the_same_machine_is_judged_once_and_still_bound_every_time() {
        let machine = Machine::boot();
        let counting = Arc::new(Counting(InProcess::new().unwrap(), AtomicUsize::new(0)));
        let remembering = Arc::new(Remembering::new(Arc::clone(&counting) as Arc<dyn Evaluator>));
        let appraiser = appraiser(remembering, machine.references(), trust());
        for byte in 0..5 {
            let facts = machine.facts([byte; 64], NOW.plus(byte.into()));
            assert!(appraiser.appraise(&facts, &Binding::new("test", [byte; 64])).is_affirming());
            assert!(!appraiser.appraise(&facts, &Binding::new("test", [99; 64])).is_affirming());
        }
        assert_eq!(counting.1.load(Ordering::Relaxed), 1);
        // What runs on it has changed: another register, another decision.
        let event = sealwright_wire::aael::RuntimeEvent::new("sealwright", "LoadModel", "{}").unwrap();
        machine.td.extend(&event).unwrap();
        appraiser.appraise(&machine.facts([0; 64], NOW), &Binding::new("test", [0; 64]));
        assert_eq!(counting.1.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_no_is_never_remembered_nor_a_yes_beyond_its_data() {
        let machine = Machine::boot();
        let counting = Arc::new(Counting(InProcess::new().unwrap(), AtomicUsize::new(0)));
        let remembering = Arc::new(Remembering::new(Arc::clone(&counting) as Arc<dyn Evaluator>));
        let facts = machine.facts([0; 64], NOW);
        let judge = |references, trust| {
            let appraiser = appraiser(Arc::clone(&remembering) as Arc<dyn Evaluator>, references, trust);
            appraiser.appraise(&facts, &Binding::new("test", [0; 64])).is_affirming()
        };
        assert!(judge(machine.references(), trust()));
        assert!(!judge(machine.references(), Trust::default()));
        assert!(!judge(machine.references(), Trust::default()));
        assert!(!judge(References::none(), trust()));
        assert!(judge(machine.references(), trust()));
        assert_eq!(counting.1.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_member_that_only_looks_left_out_is_not() {
        let nested = |text: &str| lasting(&format!(r#"{{"at":"1","log":{{"at":"{text}"}},"tee":"tdx"}}"#)).unwrap();
        assert_ne!(nested("x"), nested("y"));
        let quoted = |text: &str| lasting(&format!(r#"{{"log":"\",\"at\":\"{text}\"","tee":"tdx"}}"#)).unwrap();
        assert_ne!(quoted("x"), quoted("y"));
        assert_eq!(lasting(r#"{"at":"1","tee":"tdx"}"#), lasting(r#"{"tee":"tdx","at":"2"}"#));
        assert_eq!(lasting("not json"), None);
    }
}
