//! How machines measure, against answers that others computed, and the generated files against others' tools.

use crate::{boot, files, firmware, hob, mrtd, pe};
use proptest::prelude::*;
use sealwright_wire::Digest;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "../../wire/tests/support/mod.rs"]
mod support;

fn predict_vectors() -> Option<PathBuf> {
    support::vectors().map(|vectors| vectors.join("predict"))
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn mrtd_is_what_independent_programs_compute() {
    let Some(folder) = predict_vectors().map(|predict| predict.join("tdx")) else { return };
    for (name, answer) in json(&folder.join("expected.json")).as_object().unwrap() {
        let image = fs::read(folder.join(name)).unwrap();
        let sections = firmware::sections(&image).unwrap();
        assert_eq!(mrtd::mrtd(&sections).to_string(), answer["mrtd_single"], "{name}");
        let cfv = firmware::only(&sections, firmware::kind::CFV, "CFV").unwrap();
        assert_eq!(crate::measured::sha384(&[cfv.data]).to_string(), answer["cfv_sha384"], "{name}");
    }
}

#[test]
fn hand_off_blocks_are_those_of_real_machines() {
    let Some(folder) = predict_vectors().map(|predict| predict.join("tdx")) else { return };
    for case in json(&folder.join("td-hob.json")).as_array().unwrap() {
        let base = case["td_hob_base"].as_u64().unwrap();
        let sections: Vec<_> =
            case["sections"].as_array().unwrap().iter().map(|section| memory(section, base)).collect();
        let ram = case["memory_mib"].as_u64().unwrap() << 20;
        let name = case["file"].as_str().unwrap();
        let bytes = hob::hand_off_blocks(&sections, base, ram).unwrap();
        assert_eq!(bytes, fs::read(folder.join(name)).unwrap(), "{name}");
    }
}

fn memory(section: &serde_json::Value, hob: u64) -> firmware::Section<'static> {
    let gpa = section[0].as_u64().unwrap();
    let kind = if gpa == hob { firmware::kind::TD_HOB } else { firmware::kind::TEMP_MEM };
    firmware::Section { data: &[], gpa, memory_size: section[1].as_u64().unwrap(), kind, attributes: 0 }
}

fn image_digest(image: &[u8]) -> Result<Digest<48>, sealwright_wire::Error> {
    pe::hashed(image).map(|parts| crate::measured::sha384(&parts))
}

#[test]
fn image_digests_are_those_of_firmware() {
    let Some(folder) = predict_vectors().map(|predict| predict.join("pe")) else { return };
    let answers = json(&folder.join("expected.json"));
    let images: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let images: Vec<_> = images.iter().filter(|path| path.extension().is_some_and(|end| end == "efi")).collect();
    assert!(!images.is_empty());
    for image in images {
        let name = image.file_name().unwrap().to_str().unwrap();
        let digest = image_digest(&fs::read(image).unwrap()).unwrap();
        assert_eq!(digest.to_string(), answers[name]["firmware_sha384"], "{name}");
    }
}

/// With the usual memory layout and 2 GiB, the first event of a machine is that of real TDX guests; later ones are constants of
/// OVMF that real logs hold too.
#[test]
fn constants_of_the_boot_are_those_of_real_logs() {
    let booted = boot::boot(&files::generate("constants"), 2 << 30).unwrap();
    let log = sealwright_wire::tcg2::Log::parse(booted.measured.log()).unwrap();
    let digests: Vec<_> = log.events().map(|event| hex::encode(event.digests.iter().next().unwrap().1)).collect();
    for (index, start) in [
        (0, "0b8772e5"),
        (3, "6f2e3cbc"),
        (4, "d607c0ef"),
        (5, "08a74f89"),
        (6, "18cc6e01"),
        (7, "394341b7"),
        (9, "1dd6f7b4"),
    ] {
        assert!(digests[index].starts_with(start), "event {index} is {}", digests[index]);
    }
}

#[test]
fn the_same_seed_gives_the_same_files_and_another_seed_others() {
    let (one, again, other) = (files::generate("one"), files::generate("one"), files::generate("other"));
    assert_eq!(one, again);
    let measure = |files| {
        let booted = boot::boot(files, 2 << 30).unwrap();
        [&[booted.mrtd], booted.measured.rtmrs().as_slice()].concat()
    };
    let (one, other) = (measure(&one), measure(&other));
    assert!((0..4).all(|register| one[register] != other[register]), "MRTD and RTMR0 to RTMR2 all differ");
    assert_eq!((one[4], other[4]), (Digest::ZERO, Digest::ZERO));
}

#[test]
fn every_input_of_the_boot_is_measured_somewhere() {
    let measure = |change: &dyn Fn(&mut files::BootFiles)| {
        let mut files = files::generate("inputs");
        change(&mut files);
        let booted = boot::boot(&files, 2 << 30).unwrap();
        (booted.mrtd, *booted.measured.rtmrs())
    };
    let (mrtd, rtmrs) = measure(&|_| {});
    let changed = |change: &dyn Fn(&mut files::BootFiles)| {
        let (other_mrtd, others) = measure(change);
        (other_mrtd != mrtd, [0, 1, 2].map(|index| others[index] != rtmrs[index]))
    };
    // A byte of the boot volume is measured by the TDX module, one of the configuration volume by the firmware.
    assert_eq!(changed(&|files| files.firmware[0x2_0000] ^= 1), (true, [false; 3]));
    assert_eq!(changed(&|files| files.firmware[0x1000] ^= 1), (false, [true, false, false]));
    assert_eq!(changed(&|files| files.kernel[0x2000] ^= 1), (false, [false, true, false]));
    assert_eq!(changed(&|files| files.initrd = None), (false, [false, false, true]));
    assert_eq!(changed(&|files| files.initrd.as_mut().unwrap().push(0)), (false, [false, false, true]));
    assert_eq!(changed(&|files| files.command_line.push('x')), (false, [false, false, true]));
    assert_eq!(changed(&|files| files.acpi = Some([vec![1], vec![2], vec![3]])), (false, [true, false, false]));
}

#[test]
fn firmware_cut_or_flipped_anywhere_never_panics() {
    let image = files::firmware("hostile");
    let tail = image.len() - 0x600;
    for cut in (0..image.len()).step_by(4093).chain(tail..image.len()) {
        assert!(firmware::sections(&image[..cut]).is_err(), "cut at {cut}");
    }
    for at in tail..image.len() {
        for bit in 0..8 {
            let mut flipped = image.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(sections) = firmware::sections(&flipped) {
                let _ = hob::hand_off_blocks(&sections, 0x80_9000, 2 << 30);
            }
        }
    }
}

#[test]
fn a_kernel_cut_or_flipped_anywhere_never_panics() {
    let image = files::kernel("hostile");
    let answer = image_digest(&image).unwrap();
    for cut in (0..0x1000).chain((0x1000..image.len()).step_by(997)) {
        assert!(image_digest(&image[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..0x200 {
        let mut flipped = image.clone();
        flipped[at] ^= 0xff;
        assert_ne!(image_digest(&flipped).ok(), Some(answer).filter(|_| !unmeasured(at)), "byte {at}");
    }
}

/// The check sum, and the certificate table's place, are the bytes of a PE header that nobody measures.
fn unmeasured(at: usize) -> bool {
    let optional = 0x40 + 24;
    (optional + 64..optional + 68).contains(&at) || (optional + 144..optional + 152).contains(&at)
}

proptest! {
    #[test]
    fn arbitrary_bytes_boot_nothing_and_panic_nowhere(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut files = files::generate("arbitrary");
        prop_assert!(image_digest(&bytes).is_err() && firmware::sections(&bytes).is_err());
        files.firmware = bytes;
        prop_assert!(boot::boot(&files, 2 << 30).is_err());
    }
}

#[test]
fn memory_that_the_firmware_does_not_fit_is_refused() {
    let files = files::generate("memory");
    for ram in [0, 1 << 20, 2 << 30 | 1, u64::MAX, !0xfff] {
        assert!(boot::boot(&files, ram).is_err(), "{ram:#x}");
    }
    for ram in [0x82_0000, 0xafff_f000, 0xb000_0000, 1 << 46] {
        boot::boot(&files, ram).unwrap();
    }
}

/// Runs another's tool on a file; `None`, and a word about it, where the tool is not installed.
#[allow(clippy::print_stderr)] // a skipped check must not pass unseen
fn tool(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(output) => {
            Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
        }
        Err(error) => {
            eprintln!("skipped: {program} is not installed: {error}");
            None
        }
    }
}

#[test]
fn others_tools_recognise_the_generated_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("kernel"), files::kernel("tools")).unwrap();
    fs::write(path.join("initrd"), files::initrd("tools")).unwrap();
    if let Some(said) = tool("objdump", &["-h", "-b", "pei-x86-64", "kernel"], path) {
        assert!(said.contains(".setup") && said.contains(".text"), "{said}");
    }
    if let Some(said) = tool("file", &["kernel", "initrd"], path) {
        assert!(said.contains("kernel: Linux kernel x86 boot executable bzImage"), "{said}");
        assert!(said.contains("initrd: ASCII cpio archive (SVR4 with no CRC)"), "{said}");
    }
    if let Some(said) = tool("cpio", &["-t", "--quiet", "-F", "initrd"], path) {
        assert_eq!(said.lines().collect::<Vec<_>>(), ["etc", "etc/seed", "etc/content", "init"]);
    }
}

/// The Authenticode digest of an unsigned image whose length is a multiple of 8 is the firmware's.
#[test]
#[allow(clippy::print_stderr)] // a skipped check must not pass unseen
fn a_signing_tool_computes_the_kernels_digest() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = files::kernel("signing");
    assert_eq!(kernel.len() % 8, 0);
    fs::write(folder.path().join("kernel.efi"), &kernel).unwrap();
    let Some(said) = sign_and_verify(folder.path()) else { return };
    if !said.contains("message digest") {
        eprintln!("skipped: osslsigncode could not sign here: {said}");
        return;
    }
    let wanted = image_digest(&kernel).unwrap().to_string().to_uppercase();
    assert!(said.to_uppercase().contains(&wanted), "{said}");
}

fn sign_and_verify(folder: &Path) -> Option<String> {
    let request = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=throw-away",
        "-addext",
        "extendedKeyUsage=codeSigning",
    ];
    tool("openssl", &request, folder)?;
    let sign =
        ["sign", "-h", "sha384", "-certs", "cert.pem", "-key", "key.pem", "-in", "kernel.efi", "-out", "signed.efi"];
    tool("osslsigncode", &sign, folder)?;
    tool("osslsigncode", &["verify", "-CAfile", "cert.pem", "-in", "signed.efi"], folder)
}
