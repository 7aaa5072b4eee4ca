//! What firmware says in its events: real logs are understood whole, written structures are read back, broken ones are told as opaque.

mod support;

use proptest::prelude::*;
use sealwright_wire::tcg2::{
    AlgorithmId, Content, Event, Grub, Guid, Log, TaggedEvent, UefiVariable, Writer, event_type::*,
};
use sealwright_wire::uefi::{
    CERT_SHA256, CERT_X509, DevicePath, FileNames, FirmwareBlob, ImageLoad, LoadOption, Node, Partition,
    PartitionTable, PartitionTableHeader, Signature, SignatureList, utf16_text,
};
use std::fs;
use std::path::{Path, PathBuf};
use zerocopy::FromZeros;

/// What an event of this type with this data says.
fn said<R>(mr_index: u32, event_type: u32, data: &[u8], look: impl FnOnce(Content<'_>) -> R) -> R {
    let mut writer = Writer::new(0, &[AlgorithmId::SHA384]).unwrap();
    writer.event(mr_index, event_type, &[&[0; 48]], data).unwrap();
    let log = Log::parse(writer.as_bytes()).unwrap();
    let event = log.events().next().unwrap();
    look(event.content())
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(logs(&path));
        } else if fs::read(&path).is_ok_and(|bytes| Log::parse(&bytes).is_ok_and(|log| log.event_count() > 0)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn events_of_real_logs_fit_the_structures_of_their_types() {
    let Some(vectors) = support::vectors() else { return };
    let (mut databases, mut signatures, mut images, mut tables, mut blobs, mut options) = (0, 0, 0, 0, 0, 0);
    for path in logs(&vectors.join("eventlog")) {
        let bytes = fs::read(&path).unwrap();
        for event in Log::parse(&bytes).unwrap().events() {
            let place = format!("{} record {}", path.display(), event.index);
            match event.content() {
                Content::Variable(variable) => {
                    let name = variable.name_text();
                    if event.event_type == EV_EFI_VARIABLE_DRIVER_CONFIG
                        && ["PK", "KEK", "db", "dbx"].contains(&name.as_str())
                    {
                        databases += 1;
                        for list in SignatureList::all(variable.data) {
                            let list = list.unwrap_or_else(|error| panic!("{place}: {error}"));
                            assert!([CERT_X509, CERT_SHA256].contains(&list.signature_type), "{place}");
                            signatures += list.signatures().count();
                        }
                    } else if name.len() == 8 && name.starts_with("Boot0") {
                        let option =
                            LoadOption::parse(variable.data).unwrap_or_else(|error| panic!("{place}: {error}"));
                        assert!(option.file_path_list().nodes().all(|node| node.is_ok()), "{place}");
                        options += 1;
                    }
                }
                Content::Image(image) => {
                    assert!(image.device_path().text(FileNames::Bare).is_some(), "{place}");
                    images += 1;
                }
                Content::PartitionTable(table) => {
                    assert_eq!(&table.header.signature, b"EFI PART", "{place}");
                    assert_eq!(table.partitions().count() as u64, table.number_of_partitions, "{place}");
                    tables += 1;
                }
                Content::FirmwareBlob(_) => blobs += 1,
                Content::Opaque => {
                    // Old versions of shim measure an authority of which the length leaves out a part.
                    let structured = [
                        EV_EFI_VARIABLE_DRIVER_CONFIG,
                        EV_EFI_BOOT_SERVICES_APPLICATION,
                        EV_EFI_GPT_EVENT,
                        EV_EFI_ACTION,
                    ];
                    assert!(!structured.contains(&event.event_type), "{place}: {}", event.data.escape_ascii());
                }
                _ => {}
            }
        }
    }
    let counts = [databases, signatures, images, tables, blobs, options];
    assert!(counts.iter().zip([60, 1_000, 50, 15, 15, 50]).all(|(seen, least)| *seen >= least), "{counts:?}");
}

#[test]
fn the_story_of_a_real_boot_is_read() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("eventlog/ccel/trustee/CCEL_data_grub")).unwrap();
    let log = Log::parse(&bytes).unwrap();
    let all: Vec<_> = log.events().map(|event| event.content()).collect();
    let has = |wanted: &dyn Fn(&Content<'_>) -> bool| all.iter().any(wanted);
    assert!(has(&|content| matches!(content, Content::Action("Exit Boot Services Returned with Success"))));
    assert!(has(&|content| matches!(content, Content::Separator(0))));
    assert!(
        has(&|content| matches!(content, Content::Initrd)) || has(&|content| matches!(content, Content::LoadOptions))
    );
    let shim = fs::read(vectors.join("eventlog/tpm/google/ubuntu-2404-amd-sevsnp.bin")).unwrap();
    let log = Log::parse(&shim).unwrap();
    let all: Vec<_> = log.events().map(|event| event.content()).collect();
    let line = all.iter().find_map(|content| match content {
        Content::Grub(Grub::KernelCommandLine, text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    });
    assert!(line.unwrap().starts_with("/vmlinuz-6.8.0-1010-gcp root=PARTUUID="));
    assert!(all.contains(&Content::ShimList("MokList")) && all.contains(&Content::File("/vmlinuz-6.8.0-1010-gcp")));
}

#[test]
fn words_of_boot_loaders_are_told_apart() {
    let utf16 = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    said(11, EV_IPL, &utf16(".linux"), |content| assert_eq!(content, Content::Section(".linux".into())));
    let line = "console=ttyS0 quiet";
    said(12, EV_IPL, &utf16(line), |content| assert_eq!(content, Content::Utf16(line.into())));
    said(8, EV_IPL, b"grub_cmd: set a=b\0", |content| assert_eq!(content, Content::Grub(Grub::Command, b"set a=b")));
    said(9, EV_IPL, b"(hd0,gpt1)/grub.cfg\0", |content| assert_eq!(content, Content::File("(hd0,gpt1)/grub.cfg")));
    said(14, EV_IPL, b"MokListX\0", |content| assert_eq!(content, Content::ShimList("MokListX")));
    said(4, EV_EFI_ACTION, b"\xff\xfe", |content| assert_eq!(content, Content::Opaque));
    let initrd = TaggedEvent::encode(TaggedEvent::LINUX_INITRD, b"Linux initrd\0").unwrap();
    said(9, EV_EVENT_TAG, &initrd, |content| assert_eq!(content, Content::Initrd));
    said(9, EV_EVENT_TAG, b"LOADED_IMAGE::LoadOptions\0", |content| assert_eq!(content, Content::LoadOptions));
    let payload = [&b"td_payload_info\0"[..], &8u32.to_le_bytes(), b"quiet\0\0\0"].concat();
    said(2, EV_PLATFORM_CONFIG_FLAGS, &payload, |content| assert_eq!(content, Content::Payload(b"quiet")));
    let cut = &payload[..payload.len() - 1];
    said(2, EV_PLATFORM_CONFIG_FLAGS, cut, |content| assert_eq!(content, Content::Opaque));
}

/// `PciRoot(0x0)/Pci(0x3,0x0)/HD(..)/File(..)` with every field set.
fn path() -> Vec<u8> {
    let disk =
        [&1u32.to_le_bytes()[..], &0x800u64.to_le_bytes(), &0x80000u64.to_le_bytes(), &[7; 16], &[2, 2]].concat();
    let file: Vec<u8> = "\\EFI\\BOOT\\X.EFI".encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    DevicePath::encode(&[
        Node { kind: 2, sub_kind: 1, data: &hex::decode("d041030a00000000").unwrap() },
        Node { kind: 1, sub_kind: 1, data: &[0, 3] },
        Node { kind: 4, sub_kind: 1, data: &disk },
        Node { kind: 4, sub_kind: 4, data: &file },
    ])
    .unwrap()
}

#[test]
fn device_paths_have_the_text_of_the_specification() {
    let bytes = path();
    let path = DevicePath(&bytes);
    let text =
        "PciRoot(0x0)/Pci(0x3,0x0)/HD(1,GPT,07070707-0707-0707-0707-070707070707,0x800,0x80000)/\\EFI\\BOOT\\X.EFI";
    assert_eq!(path.text(FileNames::Bare).unwrap(), text);
    assert!(path.text(FileNames::Called).unwrap().ends_with("/File(\\EFI\\BOOT\\X.EFI)"));
    assert_eq!(path.file().unwrap(), "\\EFI\\BOOT\\X.EFI");
    let text = |kind, sub_kind, data: &[u8]| {
        DevicePath(&DevicePath::encode(&[Node { kind, sub_kind, data }]).unwrap()).text(FileNames::Bare).unwrap()
    };
    assert_eq!(
        text(3, 23, &[&1u32.to_le_bytes()[..], &[0, 1, 2, 3, 4, 5, 6, 0xff]].concat()),
        "NVMe(0x1,00-01-02-03-04-05-06-FF)"
    );
    assert_eq!(text(3, 18, &[1, 0, 0xff, 0xff, 0, 0]), "Sata(1,65535,0)");
    assert_eq!(text(3, 24, b"http://boot/x"), "Uri(http://boot/x)");
    assert_eq!(text(3, 11, &[&[2; 32][..], &[1]].concat()), "MAC(020202020202,1)");
    assert_eq!(text(5, 1, &[2, 0, 0, 0, b'd', 0]), "BBS(HD,d,0x0)");
    assert_eq!(text(1, 4, &[&[9; 16][..], b"\xab"].concat()), "VenHw(09090909-0909-0909-0909-090909090909,ab)");
    assert_eq!(text(9, 9, &[1]), "Path(9,9,01)");
    assert_eq!(text(1, 1, &[1]), "Path(1,1,01)", "a node that is too short for its kind is its bytes");
    assert_eq!(DevicePath(&[]).text(FileNames::Bare).unwrap(), "");
    assert_eq!(DevicePath(&[1, 1]).text(FileNames::Bare), None);
    let two = [&bytes[..bytes.len() - 4], &[0x7f, 1, 4, 0], &bytes[..]].concat();
    assert_eq!(
        DevicePath(&two).text(FileNames::Bare).unwrap().matches(",PciRoot").count(),
        1,
        "instances have a comma between them"
    );
}

fn table() -> Vec<u8> {
    let mut header = PartitionTableHeader::new_zeroed();
    header.signature = *b"EFI PART";
    header.size_of_partition_entry = 128.into();
    let mut partition = Partition::new_zeroed();
    partition.partition_name[..4].copy_from_slice(&[b'e', 0, b's', 0]);
    PartitionTable::encode(&header, &[partition, partition])
}

#[test]
fn structures_are_read_back_and_cut_at_no_byte() {
    let list = SignatureList::encode(CERT_SHA256, &[(Guid([1; 16]), &[2; 32]), (Guid([3; 16]), &[4; 32])]).unwrap();
    let read: Vec<_> = SignatureList::all(&list).collect::<Result<_, _>>().unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(
        read[0].signatures().collect::<Vec<_>>(),
        [Signature { owner: Guid([1; 16]), data: &[2; 32] }, Signature { owner: Guid([3; 16]), data: &[4; 32] }]
    );
    assert!((1..list.len()).all(|len| SignatureList::all(&list[..len]).any(|list| list.is_err())));
    assert!(SignatureList::encode(CERT_X509, &[(Guid([1; 16]), &[1]), (Guid([1; 16]), &[1, 2])]).is_err());

    let gpt = table();
    let read = PartitionTable::parse(&gpt).unwrap();
    assert_eq!(read.partitions().map(Partition::name).collect::<Vec<_>>(), ["es", "es"]);
    assert!((0..gpt.len()).all(|len| PartitionTable::parse(&gpt[..len]).is_err()));
    let mut small = gpt.clone();
    small[84] = 127;
    assert!(PartitionTable::parse(&small).is_err());

    let bytes = LoadOption::encode(1, "disk", &path(), b"optional").unwrap();
    let option = LoadOption::parse(&bytes).unwrap();
    assert_eq!((utf16_text(option.description).as_str(), option.optional_data()), ("disk", &b"optional"[..]));
    assert_eq!(option.file_path_list().0, path());
    assert!((0..16).all(|len| LoadOption::parse(&bytes[..len]).is_err()));

    let bytes = ImageLoad::encode(0x1000, 0x2000, &path());
    assert_eq!(ImageLoad::parse(&bytes).unwrap().device_path().0, path());
    assert!((0..32).all(|len| ImageLoad::parse(&bytes[..len]).is_err()));

    let blob = FirmwareBlob { description: Some(b"fv"), base: 1, length: 2 };
    let bytes = blob.encode().unwrap();
    assert_eq!(FirmwareBlob::parse2(&bytes), Ok(blob));
    assert!((0..bytes.len()).all(|len| FirmwareBlob::parse2(&bytes[..len]).is_err()));
    let old = FirmwareBlob { description: None, ..blob };
    assert_eq!(FirmwareBlob::parse(&old.encode().unwrap()), Ok(old));
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let mut list = SignatureList::encode(CERT_SHA256, &[(Guid([1; 16]), &[2; 32])]).unwrap();
    let refused = |list: &[u8]| SignatureList::all(list).next().unwrap().is_err();
    assert!(!refused(&list));
    for (place, value) in [(16, u32::MAX), (16, 27), (16, 75), (20, 1), (24, 0), (24, 15), (24, 47)] {
        let before = list[place..place + 4].to_vec();
        list[place..place + 4].copy_from_slice(&value.to_le_bytes());
        assert!(refused(&list), "{value} at {place}");
        list[place..place + 4].copy_from_slice(&before);
    }
    let mut image = ImageLoad::encode(0, 0, &path());
    image[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(ImageLoad::parse(&image).unwrap().device_path().0, path(), "no more than there is");
    let mut gpt = table();
    gpt[92..100].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(PartitionTable::parse(&gpt).is_err());
}

fn drain(event: &Event<'_>) -> usize {
    match event.content() {
        Content::Variable(variable) => {
            let lists = SignatureList::all(variable.data).flatten().map(|list| list.signatures().count()).sum();
            let text = LoadOption::parse(variable.data)
                .ok()
                .and_then(|option| option.file_path_list().text(FileNames::Called));
            text.map_or(lists, |text| text.len())
        }
        Content::Image(image) => image.device_path().text(FileNames::Bare).map_or(0, |text| text.len()),
        Content::PartitionTable(table) => table.partitions().map(|partition| partition.name().len()).sum(),
        other => format!("{other:?}").len(),
    }
}

#[test]
fn every_flip_of_every_structure_is_no_panic() {
    let list = SignatureList::encode(CERT_SHA256, &[(Guid([1; 16]), &[2; 32])]).unwrap();
    let variable = UefiVariable::encode(Guid::IMAGE_SECURITY_DATABASE, "db", &list);
    let option = LoadOption::encode(1, "disk", &path(), b"optional").unwrap();
    let boot = UefiVariable::encode(Guid::GLOBAL_VARIABLE, "Boot0001", &option);
    let image = ImageLoad::encode(0, 0, &path());
    let mut writer = Writer::new(0, &[AlgorithmId::SHA1]).unwrap();
    for (event_type, data) in [
        (EV_EFI_VARIABLE_DRIVER_CONFIG, &variable),
        (EV_EFI_VARIABLE_BOOT, &boot),
        (EV_EFI_BOOT_SERVICES_APPLICATION, &image),
        (EV_EFI_GPT_EVENT, &table()),
    ] {
        writer.event(5, event_type, &[&[0; 20]], data).unwrap();
    }
    let bytes = writer.into_bytes();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            if let Ok(log) = Log::parse(&flipped) {
                assert!(log.events().map(|event| drain(&event)).sum::<usize>() < usize::MAX);
            }
        }
    }
}

proptest! {
    #[test]
    fn noise_says_nothing_and_never_panics(event_type in 0usize..12, data in prop::collection::vec(any::<u8>(), 0..300)) {
        let types = [
            EV_NO_ACTION, EV_SEPARATOR, EV_EVENT_TAG, EV_IPL, EV_EFI_VARIABLE_BOOT, EV_EFI_GPT_EVENT, EV_EFI_VARIABLE_AUTHORITY,
            EV_EFI_BOOT_SERVICES_APPLICATION, EV_EFI_PLATFORM_FIRMWARE_BLOB2, EV_PLATFORM_CONFIG_FLAGS, EV_POST_CODE, EV_EFI_ACTION,
        ];
        let mut writer = Writer::new(0, &[AlgorithmId::SHA384]).unwrap();
        writer.event(1, types[event_type], &[&[0; 48]], &data).unwrap();
        let log = Log::parse(writer.as_bytes()).unwrap();
        assert!(log.events().map(|event| drain(&event)).sum::<usize>() < usize::MAX);
        drop(DevicePath(&data).text(FileNames::Bare));
        SignatureList::all(&data).for_each(drop);
    }

    #[test]
    fn device_paths_round_trip(nodes in prop::collection::vec((1u8..6, 0u8..32, prop::collection::vec(any::<u8>(), 0..40)), 0..10)) {
        let nodes: Vec<_> = nodes.iter().map(|(kind, sub_kind, data)| Node { kind: *kind, sub_kind: *sub_kind, data }).collect();
        let bytes = DevicePath::encode(&nodes).unwrap();
        let path = DevicePath(&bytes);
        let read: Vec<_> = path.nodes().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&read[..nodes.len()], &nodes[..]);
        prop_assert!(path.text(FileNames::Bare).is_some());
    }
}
