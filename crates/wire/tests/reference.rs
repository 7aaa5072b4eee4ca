//! Reference values: written, read back, and refused where a slip of the pen would mean "anything goes".

use proptest::prelude::*;
use sealwright_wire::reference::{Error, Input, MAX_FILE, Parts, ReferenceValues, Value, width};
use sealwright_wire::time::UnixTime;
use sealwright_wire::{Digest, Tee};

fn sample() -> Parts {
    let mut parts = Parts::empty(Tee::Tdx);
    parts.profile.insert("firmware".into(), "sealwright-sim-1".into());
    parts.inputs.push(Input { name: "kernel".into(), sha256: Digest([7; 32]), size: 9 });
    parts.values.insert("mrtd".into(), vec![Digest([1; 48]).into(), Digest([2; 48]).into()]);
    parts.taken_from_log.push("rtmr0: ACPI DATA etc/acpi/tables".into());
    parts.not_after = Some(UnixTime(1_800_000_000));
    parts
}

/// The sample as JSON with one place of it changed.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<ReferenceValues, Error> {
    let mut json = serde_json::to_value(ReferenceValues::new(sample()).unwrap()).unwrap();
    change(&mut json);
    ReferenceValues::from_json(json.to_string().as_bytes())
}

#[test]
fn a_file_is_read_back_as_it_was_written() {
    let values = ReferenceValues::new(sample()).unwrap();
    let json = values.to_json().unwrap();
    assert_eq!(ReferenceValues::from_json(json.as_bytes()).unwrap(), values);
    assert_eq!(serde_json::from_str::<ReferenceValues>(&json).unwrap(), values);
    assert!(json.starts_with("{\n  \"version\": 1,\n  \"tee\": \"tdx\""), "{json}");
    assert_eq!(values.values("mrtd").len(), 2);
    assert!(values.values("rtmr0").is_empty(), "no value is no value");
    assert_eq!(values.claims().map(|(claim, _)| claim).collect::<Vec<_>>(), ["mrtd"]);
}

#[test]
fn slips_are_refused_by_name() {
    let why = |change: fn(&mut serde_json::Value)| changed(change).unwrap_err().to_string();
    assert!(why(|json| json["version"] = 2.into()).contains("version 2"));
    assert!(why(|json| json["vesion"] = 1.into()).contains("unknown field"));
    assert!(why(|json| json["values"]["mrdt"] = serde_json::json!(["00"])).contains("no claim named \"mrdt\""));
    assert!(why(|json| json["values"]["mr_enclave"] = serde_json::json!(["00"])).contains("no claim named"));
    assert!(why(|json| json["values"]["mrtd"] = serde_json::json!(["00"])).contains("has 1 bytes, the claim has 48"));
    assert!(why(|json| json["values"]["mrtd"] = serde_json::json!([])).contains("1 to 64 different values"));
    assert!(why(|json| json["values"] = serde_json::json!({})).contains("values must have"));
    assert!(why(|json| json["values"]["mrtd"][1] = json["values"]["mrtd"][0].clone()).contains("different"));
    assert!(why(|json| json["values"]["mrtd"][0] = "zz".into()).contains("hex"));
    assert!(why(|json| json["tee"] = "sev".into()).contains("unknown variant"));
    assert!(why(|json| json["profile"]["vmm"] = "".into()).contains("printable"));
    assert!(why(|json| json["inputs"][0]["sha256"] = "00".into()).contains("64 hex digits"));
    assert!(why(|json| json["inputs"] = vec![json["inputs"][0].clone(); 65].into()).contains("at most 64"));
    assert!(why(|json| json["not_after"] = "tomorrow".into()).contains("UTC time"));
}

#[test]
fn a_name_that_comes_twice_is_refused() {
    let json = ReferenceValues::new(sample()).unwrap().to_json().unwrap();
    let value = "ff".repeat(48);
    let twice = json.replace("\"mrtd\":", &format!("\"mrtd\": [\"{value}\"], \"mrtd\":"));
    assert!(ReferenceValues::from_json(twice.as_bytes()).unwrap_err().to_string().contains("duplicate name \"mrtd\""));
}

#[test]
fn another_version_is_named_whatever_else_the_file_holds() {
    let error = ReferenceValues::from_json(br#"{"version":3,"shape":"new"}"#).unwrap_err();
    assert!(matches!(error, Error::Version { found: 3 }));
}

#[test]
fn a_csv_guest_has_the_claims_of_its_report() {
    for claim in ["measure", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "rtmr4", "user_pubkey_digest"] {
        assert_eq!(width(Tee::Csv, claim), Some(32), "{claim}");
    }
    assert_eq!((width(Tee::Csv, "vm_id"), width(Tee::Csv, "vm_version")), (Some(16), Some(16)));
    assert_eq!((width(Tee::Csv, "mrtd"), width(Tee::Tdx, "measure")), (None, None));
}

#[test]
fn oversized_and_broken_files_are_refused() {
    assert!(matches!(ReferenceValues::from_json(&vec![b' '; MAX_FILE + 1]), Err(Error::TooLarge(_))));
    let json = ReferenceValues::new(sample()).unwrap().to_json().unwrap().into_bytes();
    for len in 0..json.len() - 2 {
        assert!(ReferenceValues::from_json(&json[..len]).is_err(), "cut at {len}");
    }
    for place in 0..json.len() {
        let mut flipped = json.clone();
        flipped[place] ^= 1;
        // Digits may become other digits; what is accepted still obeys the format.
        if let Ok(values) = ReferenceValues::from_json(&flipped) {
            assert!(values.claims().all(|(claim, values)| {
                values.iter().all(|value| Some(value.as_bytes().len()) == width(Tee::Tdx, claim))
            }));
        }
    }
}

proptest! {
    #[test]
    fn values_round_trip(
        bytes in prop::collection::btree_set(prop::array::uniform32(any::<u8>()), 1..5),
        word in "[ -~]{1,40}",
        not_after in prop::option::of(0u64..4_000_000_000),
    ) {
        let mut parts = Parts::empty(Tee::Sgx);
        parts.values.insert("mr_enclave".into(), bytes.iter().map(|bytes| Value::from(&bytes[..])).collect());
        parts.profile.insert("enclave".into(), word);
        parts.not_after = not_after.map(UnixTime);
        let values = ReferenceValues::new(parts).unwrap();
        let json = values.to_json().unwrap();
        prop_assert_eq!(ReferenceValues::from_json(json.as_bytes()).unwrap(), values);
    }
}
