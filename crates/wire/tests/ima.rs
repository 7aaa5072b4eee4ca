//! IMA lists: real ones in both forms, every template's line, and the bytes that template digests are over.

mod support;

use aws_lc_rs::digest;
use sealwright_wire::ima::{self, Entry, Form};
use sealwright_wire::tcg2::AlgorithmId;
use serde_json::Value;
use std::fs;

fn hash(algorithm: AlgorithmId, bytes: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        AlgorithmId::SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        AlgorithmId::SHA256 => &digest::SHA256,
        _ => &digest::SHA384,
    };
    digest::digest(hash, bytes).as_ref().to_vec()
}

fn le32(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap().to_le_bytes()
}

fn line(text: &str) -> Result<Entry<'_>, sealwright_wire::Error> {
    ima::ascii(text.as_bytes()).unwrap().next().unwrap()
}

fn recomputes(entry: &Entry<'_>) -> bool {
    let algorithm = if entry.template_digest.len() == 48 { AlgorithmId::SHA384 } else { AlgorithmId::SHA1 };
    hash(algorithm, &entry.template_data()) == *entry.template_digest
}

#[test]
fn every_template_of_the_vectors_recomputes() {
    let Some(vectors) = support::vectors() else { return };
    let text = fs::read(vectors.join("eventlog/ima/keylime/entries.json")).unwrap();
    let entries: Value = serde_json::from_slice(&text).unwrap();
    for (name, entry) in entries["valid"].as_object().unwrap() {
        let parsed = line(entry["line"].as_str().unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(recomputes(&parsed), "{name}");
    }
    for (name, text) in entries["invalid"].as_object().unwrap() {
        assert!(line(text.as_str().unwrap()).is_err(), "{name}");
    }
}

#[test]
fn recorded_lists_agree_in_both_forms() {
    let Some(vectors) = support::vectors() else { return };
    for boot in ["ima", "ng"] {
        let folder = vectors.join("tpm-quote/qemu-swtpm").join(boot);
        let (ascii, binary) =
            (fs::read(folder.join("ima_ascii")).unwrap(), fs::read(folder.join("ima_binary")).unwrap());
        let ascii: Vec<_> = ima::ascii(&ascii).unwrap().collect::<Result<_, _>>().unwrap();
        let entries: Vec<_> = ima::binary(&binary, 20).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!((ascii.len(), entries.len()), (56, 56));
        assert_eq!(ascii, entries, "{boot}");
        assert!(entries.iter().all(recomputes), "{boot}");
        assert_eq!(entries[0].path(), Some(&b"boot_aggregate"[..]));
    }
}

#[test]
fn lists_of_other_hashes_are_read_and_violations_seen() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/ima/keylime");
    let expected: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for (name, answers) in expected.as_object().unwrap() {
        let bytes = fs::read(folder.join(name)).unwrap();
        // The digests of SM3 and of the unknown algorithm have sizes that no list of Linux has, or a hash that this test does not.
        let entries: Result<Vec<_>, _> = ima::ascii(&bytes).unwrap().collect();
        let entries = entries.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (entry, answer) in entries.iter().zip(answers.as_array().unwrap()) {
            assert_eq!(entry.path().unwrap(), answer["path"].as_str().unwrap().as_bytes());
            let (algorithm, digest) = entry.file_digest().unwrap();
            assert_eq!(
                (algorithm, hex::encode(digest).as_str()),
                (answer["digest_alg"].as_str().unwrap(), answer["digest"].as_str().unwrap())
            );
            assert_eq!(recomputes(entry), answer["template_digest_recomputes"] == true, "{name}");
            assert_eq!(entry.is_violation(), answer["template_digest"].as_str().unwrap().bytes().all(|c| c == b'0'));
        }
    }
}

#[test]
fn a_real_guests_line_recomputes_with_sha384() {
    let Some(vectors) = support::vectors() else { return };
    let list = fs::read(vectors.join("eventlog/ccel/evidence-api/ima_log.bin")).unwrap();
    let entries: Vec<_> = ima::ascii(&list).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!((entries.len(), entries[0].pcr), (1, 2));
    assert!(recomputes(&entries[0]));
}

#[test]
fn container_templates_of_ccnp_recompute() {
    let Some(vectors) = support::vectors() else { return };
    let text = fs::read_to_string(vectors.join("eventlog/cim/sample-output-for-container-eventlog.txt")).unwrap();
    let (mut digest, mut data, mut kind, mut checked) = (String::new(), Vec::new(), "", 0);
    let mut finish = |digest: &str, data: &[u8]| {
        // The log tool gives the fields without the line's head.
        let Ok(fields) = std::str::from_utf8(data) else { return };
        let list = format!("10 {digest} ima-cgpath {}", fields.trim_end_matches('\0').trim_end());
        if fields.contains("sha384:") {
            checked += usize::from(recomputes(&line(&list).unwrap()));
        }
    };
    for line in text.lines().map(|line| line.split("[INFO] ").nth(1).unwrap_or("")) {
        if line.starts_with("----") {
            finish(&digest, &data);
            (digest, data, kind) = (String::new(), Vec::new(), "");
        } else if line.starts_with("Digest[0]") {
            kind = "digest";
        } else if line.starts_with("Event:") {
            kind = "event";
        } else if let Some((_, dump)) = line.split_once("  ") {
            let bytes: Vec<u8> =
                dump.get(..47).unwrap_or(dump).split(' ').map_while(|hex| u8::from_str_radix(hex, 16).ok()).collect();
            match kind {
                "digest" => digest.push_str(&hex::encode(bytes)),
                "event" => data.extend(bytes),
                _ => {}
            }
        }
    }
    finish(&digest, &data);
    assert_eq!(checked, 77);
}

#[test]
fn paths_with_spaces_are_taken_apart_from_both_ends() {
    let zero = "00".repeat(20);
    let file = "11".repeat(32);
    let signed = format!("10 {zero} ima-sig sha256:{file} /a path/with  spaces 0302\n");
    let entry = line(&signed).unwrap();
    assert_eq!(entry.path(), Some(&b"/a path/with  spaces"[..]));
    assert_eq!(*entry.fields[2].data, [3, 2]);
    let modsig = format!("10 {zero} ima-modsig sha256:{file} /a b   ");
    let entry = line(&modsig).unwrap();
    assert_eq!((entry.path(), entry.fields.len()), (Some(&b"/a b"[..]), 5));
    let custom = format!("10 {zero} d-ngv2|n-ng|buf ima:sha256:{file} name 6e61");
    let entry = line(&custom).unwrap();
    assert_eq!((entry.file_digest().unwrap().0, &*entry.fields[2].data), ("sha256", &b"na"[..]));
    assert_eq!(*entry.fields[0].data, *[&b"ima:sha256:\0"[..], &[0x11; 32]].concat());
    let evm = format!("10 {zero} evm-sig sha256:{file} /a b 0302 security.ima|user.x 0100 aabb 0 1000 33188");
    let entry = line(&evm).unwrap();
    assert_eq!(
        (entry.path(), &*entry.fields[7].data, &*entry.fields[8].data),
        (Some(&b"/a b"[..]), &[0xe8, 3, 0, 0][..], &[0xa4, 0x81][..])
    );
}

#[test]
fn every_cut_and_flip_of_both_forms_is_no_panic_and_ends_after_an_error() {
    let ascii = format!(
        "10 {} ima-sig sha1:{} /usr/bin/a b 0302\n 2 {} ima {} x\n",
        "ab".repeat(20),
        "cd".repeat(20),
        "ef".repeat(32),
        "01".repeat(20)
    );
    let entries: Vec<_> = ima::ascii(ascii.as_bytes()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries.len(), 2);
    let mut binary = Vec::new();
    for entry in &entries {
        binary.extend(entry.pcr.to_le_bytes());
        binary.extend(&entry.template_digest[..20]);
        binary.extend(le32(entry.template.len()));
        binary.extend(entry.template.as_bytes());
        if entry.template == "ima" {
            binary.extend([&entry.fields[0].data[..], &1u32.to_le_bytes(), b"x"].concat());
        } else {
            let data = entry.template_data();
            binary.extend(le32(data.len()));
            binary.extend(data);
        }
    }
    assert_eq!(ima::binary(&binary, 20).unwrap().filter(Result::is_ok).count(), 2);
    for place in 0..ascii.len() {
        let mut flipped = ascii.clone().into_bytes();
        flipped[place] ^= 4;
        drain(ima::ascii(&flipped).unwrap());
        drain(ima::ascii(&ascii.as_bytes()[..place]).unwrap());
    }
    for place in 0..binary.len() {
        let mut flipped = binary.clone();
        flipped[place] ^= 0x81;
        drain(ima::binary(&flipped, 20).unwrap());
        drain(ima::binary(&binary[..place], 20).unwrap());
    }
}

fn drain<'a>(entries: impl Iterator<Item = Result<Entry<'a>, sealwright_wire::Error>>) {
    let mut failed = false;
    for entry in entries {
        assert!(!failed, "nothing follows an error");
        match entry {
            Ok(entry) => drop((entry.template_data(), entry.path().map(<[u8]>::len), entry.file_digest().is_some())),
            Err(_) => failed = true,
        }
    }
}

#[test]
fn lists_are_written_as_the_kernel_writes_them() {
    let Some(vectors) = support::vectors() else { return };
    for boot in ["ng", "ima"] {
        let folder = vectors.join("tpm-quote/qemu-swtpm").join(boot);
        let (ascii, binary) =
            (fs::read(folder.join("ima_ascii")).unwrap(), fs::read(folder.join("ima_binary")).unwrap());
        assert_eq!(Form::of(&ascii), Some(Form::Ascii));
        assert_eq!(Form::of(&binary), Some(Form::Binary { digest_size: 20 }));
        let lines: Vec<_> = ima::entries(&ascii).unwrap().collect::<Result<_, _>>().unwrap();
        let records: Vec<_> = ima::entries(&binary).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!((lines.len(), &lines), (56, &records), "both forms say the same");
        let (mut as_ascii, mut as_binary) = (Vec::new(), Vec::new());
        for entry in &records {
            entry.to_ascii(&mut as_ascii).unwrap();
            entry.to_binary(&mut as_binary);
        }
        assert!(as_ascii == ascii && as_binary == binary, "{boot}");
    }
    assert_eq!((Form::of(b""), Form::of(b"no list")), (Some(Form::Ascii), None));
}

/// Every template with its fields as they are hashed.
fn every_template() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let (file, path) = ([b"sha256:\0".as_slice(), &[7; 32]].concat(), b"/usr/bin/a b\0".to_vec());
    let v2 = [b"ima:sha256:\0".as_slice(), &[7; 32]].concat();
    let signature = vec![3, 2, 4];
    let numbers = [vec![0, 0, 0, 0], vec![0xe8, 3, 0, 0], vec![0xa4, 0x81]];
    let evm =
        [vec![file.clone(), path.clone(), signature.clone(), b"a|b\0".to_vec(), vec![1], vec![2]], numbers.to_vec()];
    let (dep, group) = (b"a:b\0".to_vec(), b"/kubepods.slice/x\0".to_vec());
    vec![
        ("ima", vec![vec![9; 20], b"/usr/bin/a b".to_vec()]),
        ("ima-ng", vec![file.clone(), path.clone()]),
        ("ima-sig", vec![file.clone(), path.clone(), signature.clone()]),
        ("ima-ngv2", vec![v2.clone(), path.clone()]),
        ("ima-sigv2", vec![v2, path.clone(), signature.clone()]),
        ("ima-buf", vec![file.clone(), path.clone(), b"key".to_vec()]),
        ("ima-modsig", vec![file.clone(), path.clone(), signature.clone(), file.clone(), signature.clone()]),
        ("evm-sig", evm.concat()),
        ("ima-dep-cgn", vec![dep.clone(), group.clone(), file.clone(), path.clone()]),
        ("ima-cgpath", vec![dep, group, file.clone(), path.clone()]),
        ("d-ng|n-ng|iuid", vec![file, path, vec![0xe8, 3, 0, 0]]),
    ]
}

#[test]
fn every_template_round_trips_in_both_forms_and_with_every_digest() {
    for (template, fields) in every_template() {
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        for algorithm in [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384] {
            let mut entry = Entry::new(10, template, &fields).unwrap();
            entry.template_digest = hash(algorithm, &entry.template_data()).into();
            let (mut ascii, mut binary) = (Vec::new(), Vec::new());
            for _ in 0..2 {
                entry.to_ascii(&mut ascii).unwrap();
                entry.to_binary(&mut binary);
            }
            for list in [&ascii, &binary] {
                let read: Vec<_> = ima::entries(list).unwrap().collect::<Result<_, _>>().unwrap();
                assert_eq!(read, [entry.clone(), entry.clone()], "{template} {algorithm}");
            }
        }
        assert!(Entry::new(10, template, &fields[1..]).is_err());
    }
    assert!(Entry::new(10, "ima-unknown", &[]).is_err() && Entry::new(10, "ima", &[b"short", b"x"]).is_err());
    let newline = Entry::new(10, "ima-ng", &[b"sha1:\0", b"/a\nb\0"]).unwrap();
    assert!(newline.to_ascii(&mut Vec::new()).is_err(), "a path with a newline would be two lines");
    let mut binary = Vec::new();
    newline.to_binary(&mut binary);
    let whole = [&binary[..4], &[0; 20], &binary[4..]].concat();
    assert_eq!(ima::entries(&whole).unwrap().next().unwrap().unwrap().path(), Some(&b"/a\nb"[..]), "and is one record");
}
