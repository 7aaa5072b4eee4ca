//! From verified facts to verdicts, on simulated machines and on real evidence.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod machine;

use machine::{Machine, NOW, ROOT, appraiser, binding, trust};
use sealwright_appraise::{
    Appraiser, Binding, Check, Explanation, Failure, InProcess, Kind, Outcome, Policy, References, Tier, Trust,
    TrustClaim, Unconfined, Verdict,
};
use sealwright_verify::{Anchors, Collateral, Facts, verify};
use sealwright_wire::{
    Evidence, Tee,
    collateral::Bundle,
    reference::{Parts, ReferenceValues, Value},
    time::UnixTime,
};
use std::{fs, sync::Arc};

fn reasons(explanation: &Explanation) -> Vec<(&str, &str)> {
    let failed = explanation.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    failed.map(|check| (check.code.as_str(), check.claim.as_str())).collect()
}

fn judge(machine: &Machine, facts: &Facts) -> Verdict {
    let references = References::none().with("desk", machine.reference(None));
    appraiser(references, trust()).appraise(facts, &binding())
}

#[test]
fn a_predicted_machine_under_an_accepted_root_is_affirmed_and_called_simulated() {
    let machine = Machine::boot();
    let verdict = judge(&machine, &machine.facts());
    assert!(verdict.is_affirming(), "{}", verdict.explanation());
    assert_eq!((verdict.status(), verdict.is_bound(), verdict.is_simulated()), (Tier::Affirming, true, true));
    assert_eq!(
        verdict.explanation().headline,
        "YES, but under a SIMULATED root only (desk-site): policy default affirms this tdx environment (root desk-site, \
         TCB UpToDate)"
    );
    assert!(verdict.explanation().simulated);
    assert_eq!(verdict.references(), ["desk"]);
    assert_eq!((verdict.policy().id(), verdict.policy().sha384()), ("default", Policy::default_attestation().sha384()));
    assert_eq!(verdict.explanation().checks[0].code, "evidence-verified");
    assert_eq!(verdict.explanation().checks[1].code, "report-data-matches");
    let facts: serde_json::Value = serde_json::from_str(verdict.facts_json()).unwrap();
    assert_eq!(facts["anchor"]["kind"], "simulated");
}

#[test]
fn without_a_word_in_the_configuration_only_vendors_are_trusted() {
    let machine = Machine::boot();
    let references = || References::none().with("desk", machine.reference(None));
    let verdict = appraiser(references(), Trust::default()).appraise(&machine.facts(), &binding());
    assert!(!verdict.is_affirming());
    assert_eq!(reasons(verdict.explanation()), [("anchor-not-accepted", "anchor.name")]);
    assert!(
        verdict.explanation().headline.starts_with("NO, under a SIMULATED root (desk-site): anchor.name is desk-site")
    );
    assert_eq!((verdict.status(), verdict.vector().get(TrustClaim::Hardware)), (Tier::Contraindicated, 97));

    let fingerprint = machine.facts().anchor().sha256.to_string();
    let by_fingerprint = Trust { accepted_anchors: [fingerprint].into(), ..Trust::default() };
    assert!(appraiser(references(), by_fingerprint).appraise(&machine.facts(), &binding()).is_affirming());
}

#[test]
fn evidence_made_for_something_else_is_refused_whatever_the_policy_says() {
    let machine = Machine::boot();
    let anything = "package policy\ntrust_claims := {\"hardware\": 2}";
    let anything = Policy::new(Kind::Attestation, "anything", anything).unwrap();
    let anything = Appraiser::new(Arc::new(Unconfined), anything, References::none(), Trust::default()).unwrap();
    let facts = machine.facts();
    assert!(anything.appraise(&facts, &binding()).is_affirming());
    for bit in [0, 7, 100, 255, 383, 384, 511] {
        let mut expected = [0x5a; 64];
        expected[bit / 8] ^= 1 << (bit % 8);
        let verdict = anything.appraise(&facts, &Binding::new("key protocol: SHA-384 of the runtime data", expected));
        assert!(!verdict.is_affirming() && !verdict.is_bound() && verdict.status() == Tier::Contraindicated);
        let reason = verdict.explanation().reason().unwrap();
        assert_eq!((reason.code.as_str(), reason.outcome), ("report-data-differs", Outcome::Failed));
        assert_eq!(reason.source, "key protocol: SHA-384 of the runtime data");
        assert!(reason.actual == "5a".repeat(64) && reason.expected != reason.actual && !reason.remedy.is_empty());
    }
}

#[test]
fn another_kernel_a_debug_machine_and_an_aged_platform_each_have_their_reason() {
    let machine = Machine::boot();
    let other = machine.sibling("other");
    let verdict = judge(&machine, &other.facts());
    let found = reasons(verdict.explanation());
    assert!(found.contains(&("measurement-differs", "tdx.rtmr1")), "{found:?}");
    assert_eq!(verdict.vector().get(TrustClaim::Executables), 33);

    let debug = Machine::boot_as(|config| config.debug = true);
    let verdict = judge(&debug, &debug.facts());
    assert_eq!(reasons(verdict.explanation()), [("debug-on", "debug")]);
    assert_eq!(verdict.vector().get(TrustClaim::RuntimeOpaque), 96);

    machine.site.age_tcb().unwrap();
    let verdict = judge(&machine, &machine.facts());
    assert_eq!(reasons(verdict.explanation()), [("tcb-not-accepted", "tcb.status")]);
    assert_eq!(verdict.status(), Tier::Warning);
    let reason = verdict.explanation().reason().unwrap();
    assert_eq!((reason.actual.as_str(), reason.source.as_str()), ("OutOfDate", "policy default"));
    let lenient = Trust { accepted_statuses: ["OutOfDate".to_owned()].into(), ..trust() };
    let references = References::none().with("desk", machine.reference(None));
    let verdict = appraiser(references, lenient).appraise(&machine.facts(), &binding());
    assert!(verdict.is_affirming() && verdict.vector().get(TrustClaim::Hardware) == -2);
}

#[test]
fn evidence_that_does_not_verify_is_explained_in_the_same_way() {
    let machine = Machine::boot();
    machine.site.revoke_pck().unwrap();
    let error = machine.verify([0x5a; 64]).unwrap_err();
    let collateral = machine.collateral().unwrap();
    let explanation = Explanation::of_evidence_error(&error, Some(collateral.anchor()));
    assert!(!explanation.is_yes() && explanation.simulated);
    assert_eq!(explanation.reason().unwrap().code, "certificate-revoked");
    assert!(explanation.headline.starts_with("NO, under a SIMULATED root (desk-site): "), "{}", explanation.headline);
    let outcomes: Vec<_> = explanation.checks.iter().map(|check| check.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::NotReached, Outcome::NotReached]);
    assert!(explanation.checks.iter().all(|check| check.outcome != Outcome::Failed || !check.remedy.is_empty()));

    let bundle = machine.site.collateral(Tee::Tdx).unwrap();
    let error = Collateral::verify(&bundle, &Anchors::vendor(), NOW).unwrap_err();
    let explanation = Explanation::of_evidence_error(&error, None);
    assert_eq!(explanation.reason().unwrap().code, "untrusted-root");
    assert!(!explanation.simulated, "nobody knows whose root it is");
}

#[test]
fn runtime_events_that_the_log_explains_are_affirmed() {
    let machine = Machine::boot();
    machine.load_model("sha384:aa");
    let verdict = judge(&machine, &machine.facts());
    assert!(verdict.is_affirming(), "{}", verdict.explanation());
    let facts: serde_json::Value = serde_json::from_str(verdict.facts_json()).unwrap();
    assert_eq!(facts["log"]["runtime"][0]["operation"], "LoadModel");
}

#[test]
fn reference_values_end_at_their_last_moment() {
    let machine = Machine::boot();
    let facts = machine.facts();
    let judge = |references| appraiser(references, trust()).appraise(&facts, &binding());
    let set = |end: u64| machine.reference(Some(UnixTime(end)));
    assert!(judge(References::none().with("now", set(NOW.0))).is_affirming());
    let verdict = judge(References::none().with("old", set(NOW.0 - 1)).with("older", set(NOW.0 - 9)));
    assert_eq!(reasons(verdict.explanation()), [("reference-expired", "at")]);
    assert_eq!(verdict.explanation().reason().unwrap().source, "old, older");
    assert!(verdict.references().is_empty());
    let verdict = judge(References::none().with("old", set(NOW.0 - 1)).with("new", machine.reference(None)));
    assert!(verdict.is_affirming() && verdict.references() == ["new"]);
    assert_eq!(reasons(judge(References::none()).explanation()), [("reference-missing", "tee")]);
}

fn foreign(text: &str) -> Appraiser {
    let policy = Policy::new(Kind::Attestation, "theirs", &format!("package policy\n{text}")).unwrap();
    Appraiser::new(Arc::new(Unconfined), policy, References::none(), Trust::default()).unwrap()
}

#[test]
fn claims_and_checks_of_a_policy_cannot_disagree() {
    let facts = Machine::boot().facts();
    let passed = r#"{"code": "fine", "outcome": "passed"}"#;
    let failed = r#"{"code": "not-fine", "outcome": "failed"}"#;
    for (claims, checks, status, reason) in [
        (r#"{"hardware": 2}"#, format!("[{passed}]"), Tier::Affirming, None),
        (r#"{"hardware": 2}"#, "[]".to_owned(), Tier::Affirming, None),
        (r#"{"hardware": 2}"#, format!("[{passed}, {failed}]"), Tier::Contraindicated, Some("not-fine")),
        (r#"{"hardware": 32}"#, format!("[{passed}]"), Tier::Warning, Some("claim-not-affirming")),
        (r#"{"hardware": 32}"#, format!("[{failed}]"), Tier::Warning, Some("not-fine")),
        (r#"{"hardware": 2, "executables": 1}"#, format!("[{passed}]"), Tier::None, Some("claim-not-affirming")),
        (r#"{"hardware": 1}"#, "[]".to_owned(), Tier::None, Some("claim-not-affirming")),
        ("{}", format!("[{passed}]"), Tier::None, Some("nothing-claimed")),
        (r#"{"hardware": 0}"#, "[]".to_owned(), Tier::None, Some("nothing-claimed")),
    ] {
        let verdict = foreign(&format!("trust_claims := {claims}\nchecks := {checks}")).appraise(&facts, &binding());
        assert_eq!(verdict.status(), status, "{claims} {checks}");
        assert_eq!(verdict.explanation().reason().map(|check| check.code.as_str()), reason, "{claims} {checks}");
        assert_eq!(verdict.is_affirming(), reason.is_none());
    }
    let verdict = foreign("trust_claims := {\"executables\": 33}").appraise(&facts, &binding());
    let check = verdict.explanation().reason().unwrap();
    assert_eq!((check.claim.as_str(), check.actual.as_str()), ("executables", "33 (unrecognised programs)"));
}

#[test]
fn a_policy_that_fails_denies_with_its_own_reason() {
    let facts = Machine::boot().facts();
    for (text, code) in [
        ("trust_claims := {\"hardware\": 2} if input.nothing", "policy-undefined"),
        ("trust_claims := {\"hardware\": 300}", "policy-wrong-type"),
        ("trust_claims := {\"hardware\": to_number(\"x\")}", "policy-error"),
        ("trust_claims := {\"hardware\": 2} if query_reference_value(\"mrtd\")", "reference-missing"),
    ] {
        let verdict = foreign(text).appraise(&facts, &binding());
        assert!(!verdict.is_affirming());
        assert_eq!(reasons(verdict.explanation()), [(code, "policy")], "{text}");
        assert_eq!((verdict.status(), verdict.vector().get(TrustClaim::Hardware)), (Tier::None, -1));
        assert_eq!(verdict.explanation().checks.last().unwrap().source, "policy theirs");
    }
}

#[test]
fn a_policy_is_checked_before_it_judges() {
    let new = |policy: Policy| {
        Appraiser::new(Arc::new(InProcess::new().unwrap()), policy, References::none(), Trust::default()).map(|_| ())
    };
    assert!(matches!(new(Policy::default_release()), Err(Failure::PolicyInvalid { .. })));
    let theirs = Policy::new(Kind::Attestation, "x", "package policy\ntrust_claims := {}").unwrap();
    assert_eq!(new(theirs), Err(Failure::PolicyNeedsWorker));
    let unsound = Policy::new(Kind::Attestation, "x", "package policy\ntrust_claims := f(1)").unwrap();
    let unsound = Appraiser::new(Arc::new(Unconfined), unsound, References::none(), Trust::default());
    assert!(matches!(unsound, Err(Failure::PolicyInvalid { .. })));
}

fn real(folder: &str, quote: &str, at: u64) -> Option<Facts> {
    let folder = support::vectors()?.join("quote").join(folder);
    let bundle = Bundle::from_json(&fs::read(folder.join("collateral.json")).unwrap()).unwrap();
    let quote = fs::read(folder.join(quote)).unwrap();
    let at = UnixTime(at);
    let collateral = Collateral::verify(&bundle, &Anchors::vendor(), at).unwrap();
    Some(verify(&Evidence::parse(&quote, None).unwrap(), &collateral, at).unwrap())
}

fn bound(facts: &Facts) -> Binding {
    Binding::new("the vector's own", facts.report_data().try_into().unwrap())
}

#[test]
fn a_real_tdx_machine_lacks_nothing_but_a_log_and_reference_values() {
    let Some(facts) = real("tdx/dcap-qvl-tdx-quote", "tdx_quote", 1_750_414_560) else { return };
    let verdict = appraiser(References::none(), Trust::default()).appraise(&facts, &bound(&facts));
    assert_eq!(
        reasons(verdict.explanation()),
        [("log-missing", "log.present"), ("register-unexplained", "log.enforced"), ("reference-missing", "tee")]
    );
    let values = [(TrustClaim::Hardware, 2), (TrustClaim::Configuration, 2), (TrustClaim::RuntimeOpaque, 2)];
    assert!(values.iter().all(|(claim, value)| verdict.vector().get(*claim) == *value));
    assert!(!verdict.is_simulated() && verdict.anchor().name == "intel-sgx-root");
    assert!(
        verdict.explanation().headline.starts_with("NO: log.present is false, expected true [log-missing], and 2 more")
    );
}

#[test]
fn a_real_enclave_is_affirmed_once_its_status_and_measurement_are_accepted() {
    let Some(facts) = real("sgx/dcap-qvl-sgx-quote", "sgx_quote", 1_750_416_960) else { return };
    let reference = |measurement: &[u8]| {
        let mut parts = Parts::empty(Tee::Sgx);
        parts.values.insert("mr_enclave".into(), vec![Value::from(measurement)]);
        References::none().with("enclave", ReferenceValues::new(parts).unwrap())
    };
    let right = || reference(&facts.claims().sgx().unwrap().mr_enclave.0);
    let verdict = appraiser(right(), Trust::default()).appraise(&facts, &bound(&facts));
    assert_eq!(reasons(verdict.explanation()), [("tcb-not-accepted", "tcb.status")]);
    assert_eq!(verdict.explanation().reason().unwrap().actual, "ConfigurationAndSWHardeningNeeded");

    let accepted =
        Trust { accepted_statuses: ["ConfigurationAndSWHardeningNeeded".to_owned()].into(), ..Trust::default() };
    let verdict = appraiser(right(), accepted.clone()).appraise(&facts, &bound(&facts));
    assert!(verdict.is_affirming(), "{}", verdict.explanation());
    assert!(verdict.explanation().headline.starts_with("YES: policy default affirms this sgx environment"));

    let one = Trust { accepted_advisories: Some(["INTEL-SA-00289".to_owned()].into()), ..accepted.clone() };
    let verdict = appraiser(right(), one).appraise(&facts, &bound(&facts));
    assert_eq!(reasons(verdict.explanation()), [("advisory-not-accepted", "tcb.advisories")]);
    assert_eq!(verdict.explanation().reason().unwrap().actual, "INTEL-SA-00289, INTEL-SA-00615");

    let verdict = appraiser(reference(&[9; 32]), accepted).appraise(&facts, &bound(&facts));
    assert_eq!(reasons(verdict.explanation()), [("measurement-differs", "sgx.mr_enclave")]);
}

#[test]
fn an_accepted_root_s_name_accepts_no_other_root() {
    let [machine, other] = [Machine::boot(), Machine::boot()];
    let fingerprint = other.facts().anchor().sha256.to_string();
    let references = References::none().with("desk", machine.reference(None));
    let trust = Trust { accepted_anchors: [fingerprint, format!("{ROOT}2")].into(), ..Trust::default() };
    let verdict = appraiser(references, trust).appraise(&machine.facts(), &binding());
    assert_eq!(reasons(verdict.explanation()), [("anchor-not-accepted", "anchor.name")]);
}

#[test]
fn other_crates_can_refuse_in_the_same_words() {
    let check =
        Check::new(Outcome::Failed, "nonce-replayed", "nonce").expected("a nonce of this session").remedy("start anew");
    let explanation = Explanation::refused(check, Some(Machine::boot().facts().anchor()));
    assert_eq!(
        explanation.headline,
        "NO, under a SIMULATED root (desk-site): expected a nonce of this session [nonce-replayed]"
    );
}
