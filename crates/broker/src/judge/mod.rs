//! From an attestation message to a verdict.

mod remembered;

use crate::{
    admin::PolicyInfo,
    policies::{Policies, PoliciesError, Which},
    references::{Change, ReferenceError, References, Snapshot},
    session::Challenge,
};
use remembered::Remembering;
use sealwright_appraise::{
    Appraiser, Binding, Check, Evaluator, Explanation, Failure, Outcome, Policy, Trust, Verdict,
};
use sealwright_channel::{self as channel, jwe::RecipientKey};
use sealwright_collateral::Library;
use sealwright_verify::{Error as EvidenceError, hash::sha384};
use sealwright_wire::{
    Digest, Error as WireError, Evidence,
    kbs::{self, Attestation, PrimaryEvidence},
    quote::Quote,
    reference::ReferenceValues,
    time::UnixTime,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The recipe of the report data, as verdicts name it.
const RECIPE: &str = "the key protocol: SHA-384 of the canonical JSON of additional-evidence, nonce and tee-pubkey";
/// The largest message that is judged on the thread that serves requests. A quote with a boot log is far below it.
const SMALL: usize = 512 << 10;

/// What an attestation message came to.
pub(crate) enum Judged {
    /// Evidence that was verified and appraised; the verdict may still be no.
    Appraised(Box<Verdict>),
    /// Evidence that was refused before that.
    Refused(Box<Explanation>),
    /// No evidence at all: a message that is not one of the protocol.
    Malformed(WireError),
}

impl Judged {
    fn refused(check: Check) -> Self {
        Self::Refused(Box::new(Explanation::refused(check, None)))
    }
}

/// Why what evidence is judged by did not change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchanged {
    #[error(transparent)]
    Policies(#[from] PoliciesError),
    #[error(transparent)]
    References(#[from] ReferenceError),
}

/// Judges evidence by the policy and reference values in force, and is the only one who changes either.
///
/// A change is first made ready, which may fail, then stored, then put into force, and no other comes between: what is stored, what
/// administrators are shown and what judges are one thing.
pub(crate) struct Judge {
    library: Arc<Library>,
    policies: Arc<Policies>,
    references: Arc<References>,
    trust: Trust,
    evaluator: Arc<dyn Evaluator>,
    ready: RwLock<Arc<Ready>>,
    /// Held from the first look at what there is until the change is in force.
    changing: Mutex<()>,
}

/// A policy together with what it holds evidence against.
pub(crate) struct Ready {
    judge: channel::Judge,
    /// Names the reference values, for the audit log.
    pub(crate) references_sha384: Digest<48>,
}

impl Judge {
    pub(crate) fn new(
        library: Library,
        policies: Arc<Policies>,
        references: Arc<References>,
        trust: Trust,
        evaluator: Arc<dyn Evaluator>,
    ) -> Result<Self, Failure> {
        let library = Arc::new(library);
        let ready = make_ready(&library, &trust, &evaluator, policies.attestation(), &references.current())?;
        let (ready, changing) = (RwLock::new(Arc::new(ready)), Mutex::default());
        Ok(Self { library, policies, references, trust, evaluator, ready, changing })
    }

    /// Sets the policy for evidence, durable on return, in force for the next evidence. One that is not sound changes nothing.
    pub(crate) fn set_policy(&self, text: &str) -> Result<PolicyInfo, PoliciesError> {
        let _changing = self.changing();
        let checked = self.policies.check(Which::Attestation, text)?;
        let ready = self.make_ready(checked.policy(), &self.references.current())?;
        let info = self.policies.keep(checked)?;
        self.take_up(ready);
        Ok(info)
    }

    /// Takes an administrator's policy for evidence back, durable on return. Returns whether there was one.
    pub(crate) fn reset_policy(&self) -> Result<bool, PoliciesError> {
        let _changing = self.changing();
        let ready = self.make_ready(self.policies.configured_attestation(), &self.references.current())?;
        let found = self.policies.reset(Which::Attestation)?;
        self.take_up(ready);
        Ok(found)
    }

    /// Registers reference values, durable on return, in force for the next evidence. Returns their version.
    pub(crate) fn set_references(&self, name: &str, values: &ReferenceValues) -> Result<u64, Unchanged> {
        let _changing = self.changing();
        self.change_references(Some((name, Some(values))), || self.references.put(name, values))
    }

    /// Removes reference values that an administrator registered, durable on return. Returns whether there were any.
    pub(crate) fn delete_references(&self, name: &str) -> Result<bool, Unchanged> {
        let _changing = self.changing();
        self.change_references(Some((name, None)), || self.references.delete(name))
    }

    /// Looks at the folder of reference values again. Returns whether any are different now; on an error what was there before stays in
    /// force.
    pub(crate) fn reload_references(&self) -> Result<bool, Unchanged> {
        let _changing = self.changing();
        let before = self.references.current().sha384;
        self.change_references(None, || Ok(()))?;
        Ok(self.references.current().sha384 != before)
    }

    fn change_references<T>(
        &self,
        change: Option<Change<'_>>,
        store: impl FnOnce() -> Result<T, ReferenceError>,
    ) -> Result<T, Unchanged> {
        let after = self.references.look(change)?;
        let differ = after.sha384 != self.references.current().sha384;
        let ready = differ.then(|| self.make_ready(self.policies.attestation(), &after)).transpose()?;
        let stored = store()?;
        self.references.take_up(after);
        if let Some(ready) = ready {
            self.take_up(ready);
        }
        Ok(stored)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_ready(&self, policy: Policy, references: &Snapshot) -> Result<Ready, PoliciesError> {
        let unsound = |failure| PoliciesError::Unsound { policy: "attestation".to_owned(), failure };
        make_ready(&self.library, &self.trust, &self.evaluator, policy, references).map_err(unsound)
    }

    fn take_up(&self, ready: Ready) {
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ready);
    }

    /// What evidence is judged by now.
    pub(crate) fn ready(&self) -> Arc<Ready> {
        Arc::clone(&self.ready.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The collateral.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }
}

impl Ready {
    /// Whether judging a message of so many bytes may take longer than a thread that serves requests has time for.
    pub(crate) fn may_wait(&self, bytes: usize) -> bool {
        bytes > SMALL || !self.judge.policy().is_built_in()
    }

    /// Judges the answer to a challenge.
    pub(crate) fn judge(&self, challenge: &Challenge, message: &Attestation, at: UnixTime) -> Judged {
        // Whoever cannot receive a secret need not attest: a key off its curve, or of an algorithm that is not offered.
        if let Err(error) = RecipientKey::new(&message.runtime_data.tee_pubkey) {
            let wanted = "a key that secrets can be sealed to";
            return Judged::Malformed(WireError::unexpected("tee-pubkey", 0, wanted, error));
        }
        if let Some(check) = nonce_differs(challenge, message).or_else(|| unverified(message)) {
            return Judged::refused(check);
        }
        let evidence = PrimaryEvidence::from_json(challenge.tee, &message.tee_evidence.primary_evidence);
        match (evidence, message.report_data_preimage()) {
            (Ok(evidence), Ok(preimage)) => self.appraise(challenge, &evidence, &preimage, at),
            (Err(error), _) | (_, Err(error)) => Judged::Malformed(error),
        }
    }

    fn appraise(&self, challenge: &Challenge, evidence: &PrimaryEvidence, preimage: &[u8], at: UnixTime) -> Judged {
        let quote = match Quote::parse(&evidence.quote) {
            Ok(quote) if quote.tee() == challenge.tee => quote,
            Ok(quote) => return Judged::refused(tee_differs(challenge, &quote)),
            Err(error) => {
                let error = EvidenceError::malformed_quote(error);
                return Judged::Refused(Box::new(Explanation::of_evidence_error(&error, None)));
            }
        };
        let evidence = Evidence { quote, event_log: evidence.event_log.as_deref(), ima: None, cel: None };
        let binding = Binding::new(RECIPE, kbs::report_data(&sha384(&[preimage])));
        match self.judge.judge(&evidence, &binding, at) {
            Ok(judged) => Judged::Appraised(Box::new(judged.verdict)),
            Err(explanation) => Judged::Refused(explanation),
        }
    }
}

fn make_ready(
    library: &Arc<Library>,
    trust: &Trust,
    evaluator: &Arc<dyn Evaluator>,
    policy: Policy,
    references: &Snapshot,
) -> Result<Ready, Failure> {
    let evaluator = Arc::new(Remembering::new(Arc::clone(evaluator)));
    let appraiser = Appraiser::new(evaluator, policy, references.references(), trust.clone())?;
    let judge = channel::Judge::new(Arc::clone(library), appraiser);
    Ok(Ready { judge, references_sha384: references.sha384 })
}

/// The nonce must be the one of this challenge, as it was written: the text itself is what the evidence binds.
fn nonce_differs(challenge: &Challenge, message: &Attestation) -> Option<Check> {
    if kbs::Challenge::new(&challenge.nonce).nonce == message.runtime_data.nonce {
        return None;
    }
    let check = Check::new(Outcome::Failed, "nonce-differs", "runtime-data.nonce")
        .expected("the nonce of this session's challenge")
        .actual("another nonce")
        .source("the key protocol")
        .remedy("make new evidence for this very challenge: evidence made for an earlier one is not accepted");
    Some(check)
}

/// What came beside the primary evidence and nobody here looks at. A yes that passes over it would be taken for one about it too.
fn unverified(message: &Attestation) -> Option<Check> {
    let (code, claim, remedy) = if message.init_data.is_some() {
        ("init-data-unsupported", "init-data", "attest without init-data")
    } else if !message.tee_evidence.additional_evidence.is_empty() {
        let claim = "tee-evidence.additional_evidence";
        ("additional-evidence-unsupported", claim, "attest without the evidence of devices")
    } else {
        return None;
    };
    let check = Check::new(Outcome::Failed, code, claim).expected("none").actual("some");
    Some(check.source("what this broker verifies").remedy(format_args!("{remedy}: this broker does not verify it yet")))
}

fn tee_differs(challenge: &Challenge, quote: &Quote<'_>) -> Check {
    Check::new(Outcome::Failed, "tee-differs", "tee")
        .expected(challenge.tee.name())
        .actual(quote.tee().name())
        .source("the request for the challenge")
        .remedy("ask for a challenge with the kind of environment that the evidence is of")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Embedded, RootKey, Table, Vault};
    use sealwright_appraise::{Document, Output, Unconfined, Warning};
    use sealwright_verify::Anchors;
    use std::{
        fs,
        sync::mpsc::{Receiver, Sender, channel},
        thread::ScopedJoinHandle,
    };

    const A: &str = "package policy\n# slow\ntrust_claims := {\"hardware\": 2}\n";
    const NOW: UnixTime = UnixTime(1_795_132_800);

    /// An evaluator that takes its time for one of the checks of a slow policy, or fails it.
    #[derive(Default)]
    struct Slow(Mutex<Plan>);

    #[derive(Default)]
    struct Plan {
        /// How many checks of the slow policy are still answered at once.
        at_once: usize,
        then: Then,
    }

    #[derive(Default)]
    enum Then {
        #[default]
        Answer,
        Fail,
        /// Says that it was asked, and answers when it is told to.
        Wait(Sender<()>, Receiver<()>),
    }

    impl Evaluator for Slow {
        fn check(&self, policy: &Policy) -> Result<Vec<Warning>, Failure> {
            if !policy.text().contains("# slow") {
                return Unconfined.check(policy);
            }
            let mut plan = self.0.lock().unwrap();
            let Some(left) = plan.at_once.checked_sub(1) else {
                let then = std::mem::take(&mut plan.then);
                drop(plan);
                match then {
                    Then::Answer => (),
                    Then::Fail => return Err(Failure::PolicyLimit { limit: "5 s".to_owned() }),
                    Then::Wait(asked, told) => {
                        asked.send(()).unwrap();
                        told.recv().unwrap();
                    }
                }
                return Unconfined.check(policy);
            };
            plan.at_once = left;
            Unconfined.check(policy)
        }

        fn evaluate(&self, policy: &Policy, input: &Document, data: &Document) -> Result<Output, Failure> {
            Unconfined.evaluate(policy, input, data)
        }
    }

    struct Bench {
        folder: tempfile::TempDir,
        vault: Arc<Vault>,
        slow: Arc<Slow>,
        judge: Judge,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            for name in ["collateral", "references"] {
                fs::create_dir(at(name)).unwrap();
            }
            crate::files::write_new(&at("root.key"), RootKey::generate().unwrap().as_bytes(), 0o600).unwrap();
            let store = Arc::new(Embedded::open(&at("broker.redb")).unwrap());
            let vault = Arc::new(Vault::open(store, RootKey::load(&at("root.key")).unwrap()).unwrap());
            let slow = Arc::new(Slow::default());
            let evaluator = Arc::clone(&slow) as Arc<dyn Evaluator>;
            let policies = Policies::open(Arc::clone(&vault), Arc::clone(&evaluator), None, None).unwrap();
            let references = References::open(&at("references"), Arc::clone(&vault)).unwrap();
            let (library, _) = Library::open(&at("collateral"), Anchors::vendor(), NOW).unwrap();
            let (policies, references) = (Arc::new(policies), Arc::new(references));
            let judge = Judge::new(library, policies, references, Trust::default(), evaluator).unwrap();
            Self { folder, vault, slow, judge }
        }

        fn plan(&self, at_once: usize, then: Then) {
            *self.slow.0.lock().unwrap() = Plan { at_once, then };
        }

        /// What is stored, what is shown, and what judges.
        fn assert_one_policy(&self) {
            let stored = self.vault.get(Table::Policies, "attestation").unwrap();
            let stored = stored.map(|entry| String::from_utf8(entry.bytes.to_vec()).unwrap());
            let stored = stored.unwrap_or_else(|| Policy::default_attestation().text().to_owned());
            assert_eq!(self.judge.policies.info(Which::Attestation).text, stored, "shown");
            assert_eq!(self.judge.ready().judge.policy().text(), stored, "in force");
        }

        fn assert_one_set_of_references(&self) {
            let stored = self.judge.references.look(None).unwrap();
            assert_eq!(self.judge.references.current().sha384, stored.sha384, "shown");
            assert_eq!(self.judge.ready().references_sha384, stored.sha384, "in force");
        }

        /// Makes `first` wait in the middle, lets `second` do what it can meanwhile, and then both go on.
        fn interleave(&self, at_once: usize, first: impl FnOnce(&Judge) + Send, second: impl FnOnce(&Judge) + Send) {
            let ((asked, was_asked), (tell, told)) = (channel(), channel());
            self.plan(at_once, Then::Wait(asked, told));
            std::thread::scope(|scope| {
                let first = scope.spawn(|| first(&self.judge));
                was_asked.recv().unwrap();
                let second = scope.spawn(|| second(&self.judge));
                self.wait_until_done_or_locked_out(&second);
                tell.send(()).unwrap();
                first.join().unwrap();
                second.join().unwrap();
            });
        }

        fn wait_until_done_or_locked_out(&self, second: &ScopedJoinHandle<'_, ()>) {
            while !second.is_finished() && self.judge.changing.try_lock().is_ok() {
                std::thread::yield_now();
            }
        }
    }

    fn values(register: u8) -> ReferenceValues {
        let json = serde_json::json!({ "version": 1, "tee": "tdx", "profile": {}, "inputs": [],
            "values": { "rtmr0": [hex::encode([register; 48])] } });
        ReferenceValues::from_json(&serde_json::to_vec(&json).unwrap()).unwrap()
    }

    /// Each of the two checks that a new policy gets, by the policies and by the judge, may be the slow one.
    #[test]
    fn a_policy_that_is_taken_back_while_it_is_being_set_is_nowhere_or_everywhere() {
        for at_once in [0, 1] {
            let bench = Bench::new();
            bench.interleave(
                at_once,
                |judge| assert!(judge.set_policy(A).is_ok()),
                |judge| assert!(judge.reset_policy().is_ok()),
            );
            bench.assert_one_policy();
        }
    }

    #[test]
    fn reference_values_that_are_registered_while_a_policy_is_being_set_are_what_it_compares_with() {
        for at_once in [0, 1] {
            let bench = Bench::new();
            let register = |judge: &Judge| assert!(judge.set_references("td", &values(1)).is_ok());
            bench.interleave(at_once, |judge| assert!(judge.set_policy(A).is_ok()), register);
            bench.assert_one_policy();
            bench.assert_one_set_of_references();
        }
    }

    #[test]
    fn a_policy_that_cannot_be_made_ready_is_neither_stored_nor_shown() {
        for at_once in [0, 1] {
            let bench = Bench::new();
            bench.plan(at_once, Then::Fail);
            let error = bench.judge.set_policy(A).unwrap_err();
            assert!(matches!(error, PoliciesError::Unsound { .. }), "{error}");
            assert!(bench.vault.get(Table::Policies, "attestation").unwrap().is_none());
            bench.assert_one_policy();
            bench.judge.set_policy(A).unwrap();
            bench.assert_one_policy();
        }
    }

    /// With a slow policy in force, each change of reference values takes its time.
    #[test]
    fn reference_values_that_are_removed_during_a_reload_do_not_come_back() {
        let bench = Bench::new();
        bench.judge.set_policy(A).unwrap();
        bench.judge.set_references("withdrawn", &values(1)).unwrap();
        let json = serde_json::to_vec(&values(2)).unwrap();
        fs::write(bench.folder.path().join("references/new.json"), json).unwrap();
        let reload = |judge: &Judge| assert!(judge.reload_references().unwrap());
        let delete = |judge: &Judge| assert!(judge.delete_references("withdrawn").unwrap());
        bench.interleave(0, reload, delete);
        bench.assert_one_set_of_references();
        let sets = bench.judge.references.current().sets.clone();
        assert_eq!(sets.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["new"]);
    }

    #[test]
    fn reference_values_that_the_policy_cannot_take_up_are_neither_stored_nor_shown() {
        let bench = Bench::new();
        bench.judge.set_policy(A).unwrap();
        bench.judge.set_references("td", &values(1)).unwrap();
        for change in [Some(values(2)), None] {
            bench.plan(0, Then::Fail);
            let failed = match &change {
                Some(values) => bench.judge.set_references("td", values).map(drop),
                None => bench.judge.delete_references("td").map(drop),
            };
            assert!(matches!(failed, Err(Unchanged::Policies(_))));
            bench.assert_one_set_of_references();
            assert_eq!(bench.judge.references.current().sets[0].values, values(1));
        }
        // What a folder holds is looked at again until it can be taken up.
        fs::write(bench.folder.path().join("references/new.json"), serde_json::to_vec(&values(2)).unwrap()).unwrap();
        bench.plan(0, Then::Fail);
        bench.judge.reload_references().unwrap_err();
        assert!(bench.judge.reload_references().unwrap());
        bench.assert_one_set_of_references();
    }

    #[test]
    fn more_sets_than_are_compared_keep_nobody_from_withdrawing_values() {
        let bench = Bench::new();
        bench.judge.set_references("lab", &values(1)).unwrap();
        let json = serde_json::to_vec(&values(2)).unwrap();
        for n in 0..1024 {
            fs::write(bench.folder.path().join(format!("references/{n:04}.json")), &json).unwrap();
        }
        bench.judge.reload_references().unwrap();
        // An administrator's have their place, and of the files one has none.
        let in_force = |name: &str| bench.judge.references.current().sets.iter().any(|set| set.name == name);
        let refused =
            || bench.judge.references.current().refused.iter().map(|(file, _)| file.clone()).collect::<Vec<_>>();
        assert!(in_force("lab") && in_force("1022") && !in_force("1023"));
        assert_eq!(refused(), ["1023.json"]);
        let one_more = bench.judge.set_references("another", &values(3));
        assert!(matches!(one_more, Err(Unchanged::References(ReferenceError::TooMany { found: 1026 }))));
        bench.judge.set_references("0007", &values(3)).unwrap();
        assert!(bench.judge.delete_references("lab").unwrap());
        assert!(!in_force("lab") && in_force("1023") && refused().is_empty());
        bench.assert_one_set_of_references();
    }
}
