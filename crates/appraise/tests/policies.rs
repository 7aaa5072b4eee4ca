//! The built-in policies, on facts and tokens written by hand: what they affirm, and the one reason for each thing that is wrong.
#![allow(clippy::needless_pass_by_value)] // JSON literals read better without ampersands

use proptest::prelude::*;
use sealwright_appraise::{
    Document, Evaluator, Failure, InProcess, Judgement, Outcome, Output, Policy, Tier, TrustClaim, Unconfined,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

static IN_PROCESS: LazyLock<InProcess> = LazyLock::new(|| InProcess::new().unwrap());

fn hex(byte: &str, length: usize) -> String {
    byte.repeat(length)
}

fn tdx_facts() -> Value {
    json!({
        "tee": "tdx",
        "anchor": {"name": "intel-sgx-root", "kind": "vendor", "sha256": hex("0a", 32)},
        "at": "2026-11-20T16:00:00Z",
        "tcb": {"status": "UpToDate", "advisories": []},
        "debug": false,
        "report_data": hex("11", 64),
        "tdx": {
            "mrtd": hex("a0", 48), "rtmr0": hex("b0", 48), "rtmr1": hex("b1", 48), "rtmr2": hex("b2", 48),
            "rtmr3": hex("00", 48), "mr_seam": hex("c0", 48), "mr_service_td": hex("00", 48), "migratable": false,
            "servtd_ext": false, "sept_ve_disable": true, "td_attributes": hex("10", 8), "body": "td15",
        },
        "log": {"present": true, "enforced": ["rtmr0", "rtmr1", "rtmr2"], "unexplained": [], "runtime": []},
    })
}

fn tdx_set(name: &str) -> Value {
    json!({"name": name, "source": format!("reference values {name}"), "tee": "tdx", "values": {
        "mrtd": [hex("a0", 48)], "rtmr0": [hex("b0", 48)], "rtmr1": [hex("b1", 48)], "rtmr2": [hex("b2", 48)],
    }})
}

fn data(sets: Value) -> Value {
    json!({
        "reference": {"sets": sets, "expired": [], "values": {}},
        "trust": {"accepted_anchors": [], "accepted_statuses": [], "accepted_advisories": "any"},
    })
}

fn tdx_data() -> Value {
    data(json!([tdx_set("web")]))
}

/// The same decision by the byte code and by the interpreter, which is also an oracle for the former. They may differ in one
/// thing: what the interpreter calls an error is "undefined" to the byte code, and must be a no as well.
fn evaluate(policy: &Policy, input: &Value, data: &Value) -> Result<Output, Failure> {
    let [input, data] = [input, data].map(|value| Document::of(value).unwrap());
    let fast = IN_PROCESS.evaluate(policy, &input, &data);
    let full = Unconfined.evaluate(policy, &input, &data);
    if matches!(full, Err(Failure::PolicyError { .. })) {
        assert!(fast.as_ref().is_ok_and(is_no) || fast.is_err(), "{fast:?} on {}", input.json());
    } else {
        assert_eq!(fast, full, "the two ways through the engine disagree on {}", input.json());
    }
    fast
}

fn is_no(output: &Output) -> bool {
    match &output.judgement {
        Judgement::TrustClaims(vector) => vector.status() != Tier::Affirming,
        Judgement::Allow(allow) => !allow,
    }
}

fn attest(facts: &Value, data: &Value) -> Output {
    evaluate(&Policy::default_attestation(), facts, data).unwrap()
}

fn status(output: &Output) -> Tier {
    match &output.judgement {
        Judgement::TrustClaims(vector) => vector.status(),
        Judgement::Allow(allow) => panic!("allow: {allow}"),
    }
}

fn claim(output: &Output, claim: TrustClaim) -> i8 {
    match &output.judgement {
        Judgement::TrustClaims(vector) => vector.get(claim),
        Judgement::Allow(allow) => panic!("allow: {allow}"),
    }
}

fn failed(output: &Output) -> Vec<(&str, &str)> {
    let checks = output.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    checks.map(|check| (check.code.as_str(), check.claim.as_str())).collect()
}

/// The facts with one member changed, by JSON pointer; `None` removes it.
fn changed(mut facts: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = facts.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}")).as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    facts
}

#[test]
fn a_vendor_machine_that_is_up_to_date_and_runs_what_was_predicted_is_affirmed() {
    let output = attest(&tdx_facts(), &tdx_data());
    assert_eq!(status(&output), Tier::Affirming);
    let values = [
        (TrustClaim::Hardware, 2),
        (TrustClaim::Configuration, 2),
        (TrustClaim::Executables, 3),
        (TrustClaim::RuntimeOpaque, 2),
        (TrustClaim::FileSystem, 0),
    ];
    for (of, value) in values {
        assert_eq!(claim(&output, of), value, "{of}");
    }
    assert!(output.checks.iter().all(|check| check.outcome == Outcome::Passed && check.remedy.is_empty()));
    let codes: Vec<_> = output.checks.iter().map(|check| check.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "tee-supported",
            "anchor-accepted",
            "tcb-not-revoked",
            "tcb-accepted",
            "advisories-accepted",
            "debug-off",
            "log-present",
            "registers-explained",
            "sept-ve-disabled",
            "service-td-known",
            "initial-service-td-known",
            "current-service-td-known",
            "migration-known",
            "measurement-matches",
            "measurement-matches",
            "measurement-matches",
            "measurement-matches",
        ]
    );
    let mrtd = &output.checks[13];
    assert_eq!(
        (mrtd.claim.as_str(), mrtd.actual.as_str(), mrtd.source.as_str()),
        ("tdx.mrtd", hex("a0", 48).as_str(), "reference values web")
    );
    assert_eq!(mrtd.expected, mrtd.actual);
    assert_eq!((output.checks[3].actual.as_str(), output.checks[3].source.as_str()), ("UpToDate", "policy default"));
}

#[test]
fn each_wrong_fact_has_its_own_reason() {
    for (pointer, value, code, claim) in [
        ("/tee", json!("snp"), "tee-unsupported", "tee"),
        ("/anchor/kind", json!("simulated"), "anchor-not-accepted", "anchor.name"),
        ("/anchor/kind", json!("configured"), "anchor-not-accepted", "anchor.name"),
        ("/anchor/kind", json!("Vendor"), "anchor-not-accepted", "anchor.name"),
        ("/tcb/status", json!("OutOfDate"), "tcb-not-accepted", "tcb.status"),
        ("/tcb/status", json!("SWHardeningNeeded"), "tcb-not-accepted", "tcb.status"),
        ("/tcb/status", json!("Revoked"), "tcb-revoked", "tcb.status"),
        ("/tcb/advisories", json!("none"), "advisory-not-accepted", "tcb.advisories"),
        ("/debug", json!(true), "debug-on", "debug"),
        ("/debug", json!("false"), "debug-on", "debug"),
        ("/debug", json!(0), "debug-on", "debug"),
        ("/debug", json!(null), "debug-on", "debug"),
        ("/log/present", json!(false), "log-missing", "log.present"),
        ("/log/enforced", json!(["rtmr0", "rtmr1"]), "register-unexplained", "log.enforced"),
        ("/log/enforced", json!("rtmr0 rtmr1 rtmr2 rtmr3"), "register-unexplained", "log.enforced"),
        ("/tdx/rtmr3", json!(hex("77", 48)), "register-unexplained", "log.enforced"),
        ("/tdx/sept_ve_disable", json!(false), "sept-ve-enabled", "tdx.sept_ve_disable"),
        ("/tdx/sept_ve_disable", json!("true"), "sept-ve-enabled", "tdx.sept_ve_disable"),
        ("/tdx/mr_service_td", json!(hex("c1", 48)), "service-td-unknown", "tdx.mr_service_td"),
        ("/tdx/migratable", json!(true), "migration-unknown", "tdx.migratable"),
        ("/tdx/mrtd", json!(hex("ff", 48)), "measurement-differs", "tdx.mrtd"),
        ("/tdx/rtmr0", json!(hex("ff", 48)), "measurement-differs", "tdx.rtmr0"),
        ("/tdx/rtmr1", json!(hex("ff", 48)), "measurement-differs", "tdx.rtmr1"),
        ("/tdx/rtmr2", json!(hex("ff", 48)), "measurement-differs", "tdx.rtmr2"),
        ("/tdx/rtmr2", json!(hex("00", 48)), "measurement-differs", "tdx.rtmr2"),
        ("/tdx/rtmr2", json!([hex("b2", 48)]), "measurement-differs", "tdx.rtmr2"),
    ] {
        let output = attest(&changed(tdx_facts(), pointer, Some(value.clone())), &tdx_data());
        let found = failed(&output);
        assert_eq!(found.first(), Some(&(code, claim)), "{pointer} = {value}: {found:?}");
        assert!(status(&output) > Tier::Affirming, "{pointer} = {value}");
        let check = output.checks.iter().find(|check| check.outcome == Outcome::Failed).unwrap();
        assert!(!check.expected.is_empty() && !check.actual.is_empty() && !check.remedy.is_empty(), "{check:?}");
    }
}

#[test]
fn no_fact_that_is_missing_can_pass() {
    for pointer in [
        "/tee",
        "/anchor",
        "/anchor/kind",
        "/tcb",
        "/tcb/status",
        "/tcb/advisories",
        "/debug",
        "/tdx",
        "/tdx/mrtd",
        "/tdx/rtmr0",
        "/tdx/rtmr1",
        "/tdx/rtmr2",
        "/tdx/rtmr3",
        "/tdx/sept_ve_disable",
        "/tdx/mr_service_td",
        "/tdx/servtd_ext",
        "/tdx/migratable",
        "/log",
        "/log/present",
        "/log/enforced",
    ] {
        let facts = changed(tdx_facts(), pointer, None);
        let output = attest(&facts, &tdx_data());
        assert_ne!(status(&output), Tier::Affirming, "{pointer}");
        assert!(!failed(&output).is_empty(), "{pointer}");
    }
    assert_ne!(status(&attest(&json!({}), &tdx_data())), Tier::Affirming);
}

#[test]
fn a_missing_reference_value_is_missing_and_not_a_mismatch() {
    let nothing = attest(&tdx_facts(), &data(json!([])));
    assert_eq!(failed(&nothing), [("reference-missing", "tee")]);
    assert_eq!(claim(&nothing, TrustClaim::Executables), 33);
    let unreached: Vec<_> =
        nothing.checks.iter().filter(|check| check.outcome == Outcome::NotReached).map(|check| &check.claim).collect();
    assert_eq!(unreached, ["tdx.mrtd", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2"]);

    for register in ["mrtd", "rtmr0", "rtmr1", "rtmr2"] {
        let mut set = tdx_set("web");
        set["values"].as_object_mut().unwrap().remove(register);
        let output = attest(&tdx_facts(), &data(json!([set])));
        assert_eq!(failed(&output), [("reference-missing", format!("tdx.{register}").as_str())]);
    }

    let other_tee = changed(tdx_set("enclave"), "/tee", Some(json!("sgx")));
    assert_eq!(failed(&attest(&tdx_facts(), &data(json!([other_tee])))), [("reference-missing", "tee")]);

    let mut expired = data(json!([]));
    expired["reference"]["expired"] = json!(["web", "db"]);
    let output = attest(&tdx_facts(), &expired);
    assert_eq!(failed(&output), [("reference-expired", "at")]);
    let check = output.checks.iter().find(|check| check.code == "reference-expired").unwrap();
    assert_eq!((check.actual.as_str(), check.source.as_str()), ("2026-11-20T16:00:00Z", "web, db"));
}

/// What Rego would let pass: null, numbers, empty and mistyped documents on either side of a comparison.
#[test]
fn no_document_of_another_shape_passes() {
    for value in [json!(null), json!([]), json!({}), json!(""), json!(0), json!(true), json!([null]), json!("a0")] {
        for pointer in ["/reference/sets", "/reference", "/reference/sets/0"] {
            let mut wrong = tdx_data();
            *wrong.pointer_mut(pointer).unwrap() = value.clone();
            if let Ok(output) = evaluate(&Policy::default_attestation(), &tdx_facts(), &wrong) {
                assert_ne!(status(&output), Tier::Affirming, "{pointer} = {value}");
            }
        }
        for (pointer, fact) in [
            ("/anchor/kind", json!("configured")),
            ("/tcb/status", json!("OutOfDate")),
            ("/tcb/advisories", json!(["INTEL-SA-1"])),
        ] {
            let mut wrong = tdx_data();
            wrong["trust"] = value.clone();
            let facts = changed(tdx_facts(), pointer, Some(fact));
            if let Ok(output) = evaluate(&Policy::default_attestation(), &facts, &wrong) {
                assert_ne!(status(&output), Tier::Affirming, "{pointer} trusted by {value}");
            }
        }
        for register in ["mrtd", "rtmr1"] {
            let mut wrong = tdx_data();
            wrong["reference"]["sets"][0]["values"][register] = value.clone();
            let missing = changed(tdx_facts(), &format!("/tdx/{register}"), None);
            let null = changed(tdx_facts(), &format!("/tdx/{register}"), Some(json!(null)));
            for facts in [tdx_facts(), missing] {
                if let Ok(output) = evaluate(&Policy::default_attestation(), &facts, &wrong) {
                    assert_ne!(status(&output), Tier::Affirming, "{register} in {value}");
                }
            }
            // A reference list that holds null is refused by `wire::reference`; here even that needs a fact that is null.
            if value != json!([null]) {
                assert_ne!(status(&attest(&null, &wrong)), Tier::Affirming, "null in {value}");
            }
        }
    }
}

#[test]
fn one_set_must_agree_as_a_whole_and_the_closest_one_explains() {
    let mut other = tdx_set("db");
    other["values"]["mrtd"] = json!([hex("d0", 48)]);
    other["values"]["rtmr1"] = json!([hex("d1", 48)]);
    let both = data(json!([other, tdx_set("web")]));
    assert_eq!(status(&attest(&tdx_facts(), &both)), Tier::Affirming);

    // Firmware of one, kernel of the other: every value is in some set, and still nobody predicted this machine.
    let mixed = changed(tdx_facts(), "/tdx/rtmr1", Some(json!(hex("d1", 48))));
    let output = attest(&mixed, &both);
    assert_eq!(failed(&output), [("measurement-differs", "tdx.mrtd")]);
    let check = output.checks.iter().find(|check| check.outcome == Outcome::Failed).unwrap();
    assert_eq!(check.source, "reference values db", "both disagree once, the first one is explained");

    let far = changed(mixed, "/tdx/rtmr2", Some(json!(hex("ee", 48))));
    assert_eq!(failed(&attest(&far, &both)).len(), 2);
}

/// As many sets as a broker keeps: the machine's own, predicted last, is found, and the built-in policy stays in its limit.
#[test]
fn the_right_set_is_found_among_a_thousand() {
    let other = |number: usize| {
        let mut set = tdx_set(&format!("other-{number}"));
        set["values"]["mrtd"] = json!([format!("{number:096x}")]);
        set["values"]["rtmr0"] = (0..16).map(|more| json!(format!("{:096x}", number * 100 + more))).collect();
        set
    };
    let sets: Vec<_> = (0..1023).map(other).chain([tdx_set("web")]).collect();
    let [input, data] = [tdx_facts(), data(json!(sets))].map(|value| Document::of(&value).unwrap());
    let output = IN_PROCESS.evaluate(&Policy::default_attestation(), &input, &data).unwrap();
    assert_eq!(status(&output), Tier::Affirming);
    assert!(output.checks.iter().any(|check| check.source == "reference values web"));
}

#[test]
fn any_of_a_claim_s_values_will_do_and_every_named_claim_counts() {
    let mut set = tdx_set("web");
    set["values"]["rtmr0"] = json!([hex("01", 48), hex("b0", 48), hex("02", 48)]);
    set["values"]["mr_seam"] = json!([hex("c0", 48)]);
    assert_eq!(status(&attest(&tdx_facts(), &data(json!([set.clone()])))), Tier::Affirming);
    set["values"]["mr_seam"] = json!([hex("c2", 48)]);
    let output = attest(&tdx_facts(), &data(json!([set.clone()])));
    assert_eq!(failed(&output), [("measurement-differs", "tdx.mr_seam")]);
    assert_eq!(claim(&output, TrustClaim::Configuration), 96);
    set["values"].as_object_mut().unwrap().remove("mr_seam");
    set["values"]["mr_unheard_of"] = json!([hex("c2", 48)]);
    assert_eq!(failed(&attest(&tdx_facts(), &data(json!([set])))), [("measurement-differs", "tdx.mr_unheard_of")]);
}

#[test]
fn rtmr3_is_zero_or_explained() {
    let running = changed(tdx_facts(), "/tdx/rtmr3", Some(json!(hex("77", 48))));
    let explained = changed(running.clone(), "/log/enforced", Some(json!(["rtmr0", "rtmr1", "rtmr2", "rtmr3"])));
    assert_eq!(status(&attest(&explained, &tdx_data())), Tier::Affirming);
    // A prediction says that RTMR3 is zero when the boot ends.
    let mut at_boot = tdx_set("web");
    at_boot["values"]["rtmr3"] = json!([hex("00", 48)]);
    let at_boot = data(json!([at_boot]));
    assert_eq!(status(&attest(&tdx_facts(), &at_boot)), Tier::Affirming);
    assert_eq!(status(&attest(&explained, &at_boot)), Tier::Affirming);
    assert_eq!(
        failed(&attest(&running, &at_boot)),
        [("register-unexplained", "log.enforced"), ("measurement-differs", "tdx.rtmr3")]
    );
    // Any other reference value must be met exactly.
    let mut exact = tdx_set("web");
    exact["values"]["rtmr3"] = json!([hex("78", 48)]);
    assert_eq!(failed(&attest(&explained, &data(json!([exact])))), [("measurement-differs", "tdx.rtmr3")]);
}

#[test]
fn a_migratable_domain_needs_a_migration_service_that_is_named() {
    let migratable = changed(tdx_facts(), "/tdx/migratable", Some(json!(true)));
    let migratable = changed(migratable, "/tdx/mr_service_td", Some(json!(hex("c1", 48))));
    let mut set = tdx_set("web");
    set["values"]["mr_service_td"] = json!([hex("c1", 48)]);
    assert_eq!(status(&attest(&migratable, &data(json!([set])))), Tier::Affirming);
}

#[test]
fn attributes_that_the_reference_values_name_need_no_sept_ve_disable() {
    let facts = changed(tdx_facts(), "/tdx/sept_ve_disable", Some(json!(false)));
    let mut set = tdx_set("web");
    set["values"]["td_attributes"] = json!([hex("10", 8)]);
    assert_eq!(status(&attest(&facts, &data(json!([set])))), Tier::Affirming);
    let other = changed(facts, "/tdx/td_attributes", Some(json!(hex("11", 8))));
    assert!(status(&attest(&other, &data(json!([set])))) > Tier::Affirming);
}

#[test]
fn a_report_of_tdx_1_0_has_no_service_domain() {
    let facts = changed(changed(tdx_facts(), "/tdx/mr_service_td", None), "/tdx/body", Some(json!("td10")));
    assert_eq!(status(&attest(&facts, &tdx_data())), Tier::Affirming);
}

/// What MR_SERVICE_TD says is not all: where service domains may be bound after launch, the extended report says which.
#[test]
fn service_domains_that_are_bound_after_launch_must_be_named() {
    let [none, one, other] = ["00", "c1", "c2"].map(|byte| hex(byte, 48));
    let bound = |initial: &str, current: &str| {
        let mut facts = changed(tdx_facts(), "/tdx/servtd_ext", Some(json!(true)));
        facts["tdx"]["body"] = json!("td15ex");
        facts["tdx"]["init_service_td_hash"] = json!(initial);
        facts["tdx"]["cur_service_td_hash"] = json!(current);
        facts
    };
    let named = |initial: &[&String], current: &[&String]| {
        let mut set = tdx_set("web");
        for (name, values) in [("init_service_td_hash", initial), ("cur_service_td_hash", current)] {
            if !values.is_empty() {
                set["values"][name] = json!(values);
            }
        }
        data(json!([set]))
    };
    let (initial, current) = (
        ("initial-service-td-unknown", "tdx.init_service_td_hash"),
        ("current-service-td-unknown", "tdx.cur_service_td_hash"),
    );
    for (facts, data, refusals) in [
        (bound(&one, &one), named(&[&one], &[&one]), &[][..]),
        (bound(&one, &other), named(&[&one, &other], &[&one, &other]), &[]),
        // None was bound when the domain started; since then the host may have bound any.
        (bound(&none, &one), named(&[], &[&one]), &[]),
        (bound(&none, &none), named(&[], &[&none]), &[]),
        (bound(&none, &none), tdx_data(), &[current]),
        (bound(&none, &one), tdx_data(), &[current]),
        (bound(&one, &one), tdx_data(), &[initial, current]),
        (bound(&one, &one), named(&[], &[&one]), &[initial]),
        (bound(&one, &one), named(&[&one], &[]), &[current]),
    ] {
        let output = attest(&facts, &data);
        assert_eq!(failed(&output), refusals, "{facts} {data}");
        assert_eq!(status(&output) == Tier::Affirming, refusals.is_empty());
        for check in output.checks.iter().filter(|check| check.outcome == Outcome::Failed) {
            assert!(check.actual.len() == 96 && check.expected.contains("servtd_ext"), "{check:?}");
            assert!(check.remedy.contains("SERVTD_EXT"), "{check:?}");
        }
    }
    // A domain that another one than the named serves by now.
    let output = attest(&bound(&one, &other), &named(&[&one], &[&one]));
    assert_eq!(failed(&output), [current, ("measurement-differs", "tdx.cur_service_td_hash")]);
    // Other reports do not say who is bound, so that nobody can be named.
    for body in ["td10", "td15"] {
        let facts = changed(changed(tdx_facts(), "/tdx/servtd_ext", Some(json!(true))), "/tdx/body", Some(json!(body)));
        assert_eq!(failed(&attest(&facts, &tdx_data())), [initial, current], "{body}");
        let named = attest(&facts, &named(&[&none], &[&none]));
        assert_eq!(failed(&named)[..2], [initial, current], "{body}");
    }
}

#[test]
fn configuration_accepts_by_name_only() {
    let simulated = changed(tdx_facts(), "/anchor/kind", Some(json!("simulated")));
    let simulated = changed(simulated, "/anchor/name", Some(json!("sim")));
    for (accepted, good) in [
        (json!(["sim"]), true),
        (json!([hex("0a", 32)]), true),
        (json!(["si", "sim2", "*", ""]), false),
        (json!("sim"), false),
    ] {
        let mut data = tdx_data();
        data["trust"]["accepted_anchors"] = accepted.clone();
        assert_eq!(status(&attest(&simulated, &data)) == Tier::Affirming, good, "{accepted}");
    }

    let mut lenient = tdx_data();
    lenient["trust"]["accepted_statuses"] = json!(["OutOfDate", "Revoked"]);
    let aged = changed(tdx_facts(), "/tcb/status", Some(json!("OutOfDate")));
    let output = attest(&aged, &lenient);
    assert_eq!((status(&output), claim(&output, TrustClaim::Hardware)), (Tier::Affirming, -2));
    let revoked = changed(tdx_facts(), "/tcb/status", Some(json!("Revoked")));
    let output = attest(&revoked, &lenient);
    assert_eq!(failed(&output), [("tcb-revoked", "tcb.status")]);
    assert_eq!(claim(&output, TrustClaim::Hardware), 96);

    let advised = changed(tdx_facts(), "/tcb/advisories", Some(json!(["INTEL-SA-1", "INTEL-SA-2"])));
    assert_eq!(status(&attest(&advised, &tdx_data())), Tier::Affirming, "no list: any advisory");
    for (accepted, good) in
        [(json!(["INTEL-SA-2", "INTEL-SA-1", "x"]), true), (json!(["INTEL-SA-1"]), false), (json!([]), false)]
    {
        let mut data = tdx_data();
        data["trust"]["accepted_advisories"] = accepted.clone();
        assert_eq!(status(&attest(&advised, &data)) == Tier::Affirming, good, "{accepted}");
    }
}

#[test]
fn an_enclave_is_known_by_its_measurement() {
    let facts = json!({
        "tee": "sgx", "anchor": {"name": "intel-sgx-root", "kind": "vendor", "sha256": hex("0a", 32)}, "debug": false,
        "tcb": {"status": "UpToDate", "advisories": []},
        "sgx": {"mr_enclave": hex("e0", 32), "mr_signer": hex("e1", 32)}, "log": {"present": false},
    });
    let set =
        |values: Value| data(json!([{"name": "e", "source": "reference values e", "tee": "sgx", "values": values}]));
    assert_eq!(status(&attest(&facts, &set(json!({"mr_enclave": [hex("e0", 32)]})))), Tier::Affirming);
    let both = set(json!({"mr_enclave": [hex("e0", 32)], "mr_signer": [hex("e2", 32)]}));
    assert_eq!(failed(&attest(&facts, &both)), [("measurement-differs", "sgx.mr_signer")]);
    let signer = set(json!({"mr_signer": [hex("e1", 32)]}));
    assert_eq!(failed(&attest(&facts, &signer)), [("reference-missing", "sgx.mr_enclave")]);
    assert_eq!(failed(&attest(&facts, &tdx_data())), [("reference-missing", "tee")]);
}

fn token(status: &str, events: Value) -> Value {
    json!({"iss": "b", "submods": {"cpu0": {
        "ear.status": status,
        "ear.veraison.annotated-evidence": {"log": {"enforced": ["rtmr0", "rtmr3"], "runtime": events}},
    }}})
}

fn load_model(digest: &str) -> Value {
    let content = format!(r#"{{"digest":"{digest}","name":"m","version":1}}"#);
    json!({"domain": "sealwright", "operation": "LoadModel", "content": content})
}

fn release(claims: &Value, resource: Value) -> (bool, Vec<String>) {
    let output = evaluate(&Policy::default_release(), claims, &json!({ "resource": resource })).unwrap();
    let Judgement::Allow(allow) = output.judgement else { panic!("{output:?}") };
    let failed = output.checks.iter().filter(|check| check.outcome == Outcome::Failed);
    (allow, failed.map(|check| check.code.clone()).collect())
}

#[test]
fn a_resource_goes_to_affirmed_environments_only() {
    let resource = json!({"path": "default/key/1"});
    assert_eq!(release(&token("affirming", json!([])), resource.clone()), (true, vec![]));
    for status in ["none", "warning", "contraindicated", "Affirming", ""] {
        let (allow, failed) = release(&token(status, json!([])), resource.clone());
        assert!(!allow && failed == ["token-not-affirming"], "{status}");
    }
    let mut two = token("affirming", json!([]));
    two["submods"]["gpu0"] = json!({"ear.status": "warning"});
    assert!(!release(&two, resource.clone()).0, "every part must be affirmed");
    for submods in [json!({}), json!([]), json!("affirming"), json!(null)] {
        assert!(!release(&json!({ "submods": submods }), resource.clone()).0, "{submods}");
    }
    assert!(!release(&json!({}), resource).0);
}

#[test]
fn a_resource_can_ask_for_what_the_environment_has_loaded() {
    let wanted = json!({"path": "p", "requires": {"runtime": {"sealwright/LoadModel": ["sha384:aa", "sha384:bb"]}}});
    let loaded = |events: Value| release(&token("affirming", events), wanted.clone());
    assert_eq!(loaded(json!([load_model("sha384:bb")])), (true, vec![]));
    for events in [
        json!([]),
        json!([load_model("sha384:cc")]),
        json!([{"domain": "other", "operation": "LoadModel", "content": r#"{"digest":"sha384:aa"}"#}]),
        json!([{"domain": "sealwright", "operation": "Unload", "content": r#"{"digest":"sha384:aa"}"#}]),
        json!([{"domain": "sealwright", "operation": "LoadModel", "content": "not sha384:aa"}]),
        json!([{"domain": "sealwright", "operation": "LoadModel", "content": r#"{"digest":["sha384:aa"]}"#}]),
        json!([{"domain": "sealwright", "operation": "LoadModel"}]),
        json!("sealwright/LoadModel sha384:aa"),
    ] {
        assert_eq!(loaded(events.clone()), (false, vec!["runtime-event-not-accepted".to_owned()]), "{events}");
    }
    assert!(loaded(json!([{"domain": "sealwright", "operation": "LoadModel", "content": "sha384:aa"}])).0);

    let mut unenforced = token("affirming", json!([load_model("sha384:aa")]));
    unenforced["submods"]["cpu0"]["ear.veraison.annotated-evidence"]["log"]["enforced"] = json!(["rtmr0"]);
    assert!(!release(&unenforced, wanted.clone()).0, "a log that no register backs says nothing");
    assert!(!release(&token("warning", json!([load_model("sha384:aa")])), wanted).0);
}

/// A register cannot be reset: what was loaded before stays in it.
#[test]
fn an_environment_that_has_loaded_another_model_too_gets_the_key_of_the_one_that_it_has_loaded() {
    let key_of = |digest: &str| json!({"path": "p", "requires": {"runtime": {"sealwright/LoadModel": [digest]}}});
    let both = token("affirming", json!([load_model("sha384:cc"), load_model("sha384:aa")]));
    for digest in ["sha384:aa", "sha384:cc"] {
        assert_eq!(release(&both, key_of(digest)), (true, vec![]));
    }
    assert!(!release(&both, key_of("sha384:bb")).0);
}

#[test]
fn an_event_is_required_by_its_domain_and_its_operation_however_many_slashes_they_have() {
    let shown = |domain: &str, operation: &str| {
        let events = json!([{"domain": domain, "operation": operation, "content": "x"}]);
        let wanted = json!({"path": "p", "requires": {"runtime": {"a/b/c": ["x"]}}});
        release(&token("affirming", events), wanted)
    };
    assert_eq!(shown("a/b", "c"), (true, vec![]));
    for (domain, operation) in [("a", "b/c"), ("", "a/b/c"), ("a/b/c", ""), ("a/b", "d")] {
        assert_eq!(shown(domain, operation), (false, vec!["runtime-event-not-accepted".to_owned()]), "{operation}");
    }
}

#[test]
fn requirements_that_the_policy_does_not_know_are_not_met() {
    let affirmed = token("affirming", json!([load_model("sha384:aa")]));
    for requires in [
        json!({"runtim": {}}),
        json!({"runtime": {}, "signer": ["x"]}),
        json!({"runtime": ["x"]}),
        json!({"runtime": null}),
        json!("runtime"),
        json!(["runtime"]),
        json!(1),
    ] {
        let (allow, failed) = release(&affirmed, json!({"path": "p", "requires": requires}));
        assert!(!allow && failed == ["requirement-unknown"], "{requires}: {failed:?}");
    }
    for accepted in [json!([]), json!("sha384:aa"), json!(null), json!({"a": 1})] {
        let resource = json!({"path": "p", "requires": {"runtime": {"sealwright/LoadModel": accepted}}});
        assert!(!release(&affirmed, resource).0, "{accepted}");
    }
    let (allow, _) = release(&affirmed, json!({"path": "p", "requires": {"runtime": {}}}));
    assert!(allow, "an empty list of events asks for none");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        prop_oneof![
            Just("vendor"),
            Just("UpToDate"),
            Just("tdx"),
            Just("sgx"),
            Just("rtmr3"),
            Just("affirming"),
            Just("")
        ]
        .prop_map(|word| json!(word)),
        "[a-f0-9]{96}".prop_map(|hex| json!(hex)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            proptest::collection::btree_map("[a-z0-9_]{1,6}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

const POINTERS: [&str; 17] = [
    "/tee",
    "/anchor",
    "/anchor/kind",
    "/tcb",
    "/tcb/status",
    "/tcb/advisories",
    "/debug",
    "/tdx",
    "/tdx/mrtd",
    "/tdx/rtmr0",
    "/tdx/rtmr1",
    "/tdx/rtmr2",
    "/tdx/servtd_ext",
    "/tdx/migratable",
    "/log",
    "/log/present",
    "/log/enforced",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in one fact's place: it is affirmed only if it is as good as the right one.
    #[test]
    fn a_strange_fact_is_never_affirmed(at in 0..POINTERS.len(), value in any_json()) {
        let right = tdx_facts().pointer(POINTERS[at]).unwrap().clone();
        let facts = changed(tdx_facts(), POINTERS[at], Some(value.clone()));
        let output = attest(&facts, &tdx_data());
        let list_of_more = matches!(POINTERS[at], "/tcb/advisories") && value.is_array();
        let good = value == right || list_of_more;
        prop_assert_eq!(status(&output) == Tier::Affirming, good, "{} = {}", POINTERS[at], value);
        prop_assert_eq!(failed(&output).is_empty(), good);
    }

    /// Facts that are none at all, against data that are none: never affirmed, never a crash.
    #[test]
    fn nonsense_is_never_affirmed(input in any_json(), data in any_json()) {
        if let Ok(output) = evaluate(&Policy::default_attestation(), &input, &data) {
            prop_assert_ne!(status(&output), Tier::Affirming);
        }
        if let Ok(output) = evaluate(&Policy::default_release(), &input, &data) {
            prop_assert_eq!(output.judgement, Judgement::Allow(false));
        }
    }
}
