#![no_main]

use sealwright_wire::tcg2::{AlgorithmId, Content, Log, Writer};
use sealwright_wire::tcg12::SpecId;
use sealwright_wire::uefi::{FileNames, LoadOption, SignatureList};

// The first four bytes are the event's type, the rest its data.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((event_type, data)) = input.split_first_chunk::<4>() else { return };
    let mut writer = Writer::new(0, &[AlgorithmId::SHA1]).unwrap();
    if writer.event(7, u32::from_le_bytes(*event_type), &[&[0; 20]], data).is_err() {
        return;
    }
    let log = Log::parse(writer.as_bytes()).unwrap();
    for event in log.events() {
        let _ = event.digested();
        SpecId::from_record(&event);
        match event.content() {
            Content::Variable(variable) => {
                SignatureList::all(variable.data).flatten().for_each(|list| list.signatures().for_each(drop));
                if let Ok(option) = LoadOption::parse(variable.data) {
                    option.file_path_list().text(FileNames::Called);
                }
            }
            Content::Image(image) => drop(image.device_path().text(FileNames::Bare)),
            Content::PartitionTable(table) => table.partitions().for_each(|partition| drop(partition.name())),
            _ => {}
        }
    }
});
