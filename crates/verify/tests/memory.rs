//! What judging hostile bytes costs in memory: a few times as much as was handed in, whatever is in it.

#[path = "../../wire/tests/support/counting.rs"]
mod counting;
#[path = "../../wire/tests/memory/inputs.rs"]
mod inputs;

use counting::peak;
use inputs::Input;
use sealwright_verify::any::{Kind, Request, Supplied};
use sealwright_verify::replay::{self, Boot, Replay};
use sealwright_wire::cel;
use sealwright_wire::tcg2::{AlgorithmId, Log, UefiVariable, Writer, event_type::*};
use sealwright_wire::time::UnixTime;
use sealwright_wire::tpm::PcrValues;
use sealwright_wire::uefi::ImageLoad;
use sealwright_wire::{aael::RuntimeEvent, tcg2::Guid};
use sha2::{Digest, Sha256, Sha384};

/// How many times its length an input may cost.
const TIMES: usize = 16;
/// What it may cost besides, in bytes: 24 registers of five banks, and their names.
const BESIDES: usize = 32 << 10;
/// How long a log is.
const SIZE: usize = 256 << 10;
/// The same, as a list of signatures states it.
const LISTED: u32 = 256 << 10;

/// What judges bytes, under its name; whether it could.
type Judge = (&'static str, fn(&[u8]) -> bool);

const JUDGES: [Judge; 15] = [
    ("its kind", |bytes| Kind::of_text(bytes).is_some()),
    ("collateral", |bytes| Supplied::default().add(bytes).is_ok()),
    ("evidence", |bytes| Request::new(&Supplied::default(), UnixTime(0)).verify(bytes).is_ok()),
    ("replay", |bytes| replay::replay(bytes).is_ok()),
    ("replay of a canonical log", |bytes| cel::Log::parse(bytes).is_ok_and(|log| replay::replay_cel(&log).is_ok())),
    ("replay of a list", |bytes| Replay::of_banks([AlgorithmId::SHA256]).join_ima(bytes).is_ok()),
    ("replay with a list", |bytes| replay::replay_with_ima(&tdx_log(&[]), bytes).is_ok()),
    ("a trust domain's log", |bytes| replay::check_tdx(bytes, &[[0; 48]; 4]).is_ok()),
    ("a trust domain's list", |bytes| {
        replay::check_tdx_logs(Some(&tdx_log(&[])), Some(bytes), None, &[[0; 48]; 4]).is_ok()
    }),
    ("a CSV guest's log", |bytes| replay::check_csv(bytes, &[[0; 32]; 4]).is_ok()),
    ("a TPM's log", |bytes| replay::check_pcrs(Some(bytes), None, None, &PcrValues::new()).is_ok()),
    ("a TPM's canonical log", |bytes| replay::check_pcrs(None, None, Some(bytes), &PcrValues::new()).is_ok()),
    ("a trust domain's canonical log", |bytes| replay::check_tdx_logs(None, None, Some(bytes), &[[0; 48]; 4]).is_ok()),
    ("a TPM's list", |bytes| replay::check_pcrs(None, Some(bytes), None, &PcrValues::new()).is_ok()),
    ("a boot", |bytes| {
        let every: Vec<u32> = (0..24).collect();
        Log::parse(bytes).is_ok_and(|log| {
            log.banks().first().is_some_and(|bank| Boot::read(&log, bank.algorithm(), &every) != Boot::default())
        })
    }),
];

/// A log of a trust domain with runtime events of these words.
fn tdx_log(words: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(0, &[AlgorithmId::SHA384]).unwrap();
    for word in words {
        let data = RuntimeEvent::new("a", "b", word).unwrap().to_data();
        writer.event(4, EV_EVENT_TAG, &[Sha384::digest(&data).as_slice()], &data).unwrap();
    }
    writer.as_bytes().to_vec()
}

/// A log of one event after another, each measured.
fn boot_log(events: impl IntoIterator<Item = (u32, Vec<u8>)>) -> Vec<u8> {
    let mut writer = Writer::new(0, &[AlgorithmId::SHA256]).unwrap();
    for (event_type, data) in events {
        let measured = data.strip_prefix(b"grub_cmd: ").unwrap_or(&data);
        writer.event(7, event_type, &[Sha256::digest(measured).as_slice()], &data).unwrap();
    }
    writer.as_bytes().to_vec()
}

/// What a boot tells most of with least: its name, and its one event, which is repeated.
fn stories() -> Vec<(&'static str, Vec<u8>)> {
    let small = |event_type, data: &[u8]| boot_log(vec![(event_type, data.to_vec()); SIZE / (54 + data.len())]);
    let owners = |size: u32| {
        let list = |size: u32| [&[0; 16][..], &(28 + size).to_le_bytes(), &[0; 4], &16u32.to_le_bytes()].concat();
        [list(size), vec![0; size as usize]].concat()
    };
    let database = |data: Vec<u8>| {
        boot_log([(EV_EFI_VARIABLE_DRIVER_CONFIG, UefiVariable::encode(Guid::IMAGE_SECURITY_DATABASE, "db", &data))])
    };
    let option = UefiVariable::encode(Guid::GLOBAL_VARIABLE, "Boot0000", &[0; 8]);
    let order = UefiVariable::encode(Guid::GLOBAL_VARIABLE, "BootOrder", &[0; SIZE]);
    let authority = UefiVariable::encode(Guid([0; 16]), "x", &[]);
    vec![
        ("files", small(EV_IPL, b"/")),
        ("commands", small(EV_IPL, b"grub_cmd: a")),
        ("initrds", small(EV_IPL, b"grub_cmd: initrd /")),
        ("lists of shim's", small(EV_IPL, b"MokList")),
        ("images", small(EV_EFI_BOOT_SERVICES_APPLICATION, &ImageLoad::encode(0, 0, &[]))),
        ("images from somewhere", small(EV_EFI_BOOT_SERVICES_APPLICATION, &ImageLoad::encode(0, 0, &[255, 255, 4, 0]))),
        ("options", small(EV_EFI_VARIABLE_BOOT, &option)),
        ("an order", boot_log([(EV_EFI_VARIABLE_BOOT, order)])),
        ("authorities", small(EV_EFI_VARIABLE_AUTHORITY, &authority)),
        ("a database of owners", database(owners(LISTED))),
        ("a database of lists", database(owners(16).repeat(SIZE / 44))),
        ("one command", boot_log([(EV_IPL, [b"grub_cmd: initrd ".to_vec(), b"/ ".repeat(SIZE / 2)].concat())])),
        (
            "one command of a file",
            boot_log([
                (EV_IPL, b"/\0".to_vec()),
                (EV_IPL, [b"grub_cmd: initrd ".to_vec(), b"/ ".repeat(SIZE / 2)].concat()),
            ]),
        ),
        ("actions", small(EV_EFI_ACTION, b"a")),
    ]
}

/// Gives an input to every judge, and the names of those that could judge it.
fn judged_by_all(name: &str, bytes: &[u8], dearer: &mut Vec<String>) -> Vec<&'static str> {
    let mut could = Vec::new();
    for (judge, read) in JUDGES {
        let (taken, most) = peak(|| read(bytes));
        if most > TIMES * bytes.len() + BESIDES {
            dearer.push(format!("{judge} holds {most} bytes for {} of {name}", bytes.len()));
        }
        could.extend(taken.then_some(judge));
    }
    could
}

#[test]
fn a_hostile_input_costs_at_most_sixteen_times_its_length_whoever_judges_it() {
    let mut dearer = Vec::new();
    for Input { name, bytes, taken_by } in inputs::all() {
        let could = judged_by_all(&name, &bytes, &mut dearer);
        assert!(!taken_by.contains(&"cel") || could.contains(&"replay of a canonical log"), "{name}");
        assert!(!taken_by.contains(&"tcg2") || could.contains(&"replay"), "{name}");
    }
    assert!(dearer.is_empty(), "{}", dearer.join("\n"));
}

#[test]
fn what_a_log_tells_costs_at_most_sixteen_times_its_length() {
    let mut dearer = Vec::new();
    for (name, log) in stories() {
        assert!(log.len() > SIZE / 2, "{name}");
        assert!(judged_by_all(name, &log, &mut dearer).contains(&"replay"), "{name}");
    }
    let runtime = tdx_log(&vec!["c"; SIZE / 80]);
    assert!(judged_by_all("runtime events", &runtime, &mut dearer).contains(&"replay"));
    assert!(dearer.is_empty(), "{}", dearer.join("\n"));
}
