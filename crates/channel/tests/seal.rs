//! Sealed files that were altered. Each case is named after its defect, and the error says which chunk has it.

use proptest::prelude::*;
use sealwright_channel::{
    Secret,
    seal::{Contents, Error, measure, new_key, seal, sha384, sha384_of, unseal, unseal_to},
};
use sealwright_wire::{
    kbs::ResourcePath,
    sealed::{CHUNK_TAG_LEN, MIN_CHUNK_SIZE, Prelude},
};
use std::io::{self, Read, Write};

const CHUNK: usize = MIN_CHUNK_SIZE as usize;
const SEALED_CHUNK: usize = CHUNK + CHUNK_TAG_LEN;

fn contents(len: usize) -> Contents {
    Contents {
        name: "wine".into(),
        version: 1,
        kind: "onnx".into(),
        key: ResourcePath::parse("default/model-key/wine").unwrap(),
        cleartext_len: len as u64,
        chunk_size: Some(MIN_CHUNK_SIZE),
    }
}

fn cleartext(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

fn sealed(len: usize, key: &Secret) -> Vec<u8> {
    let mut written = Vec::new();
    let done = seal(cleartext(len).as_slice(), &mut written, key, &contents(len)).unwrap();
    assert_eq!(done.sha384, sha384(&written));
    assert_eq!(measure(written.as_slice()).unwrap(), done);
    written
}

/// What unsealing says, with the places of a chunk's beginning and the header's end at hand.
fn refusal(len: usize, alter: impl FnOnce(&mut Vec<u8>, usize)) -> Error {
    let key = new_key().unwrap();
    let mut bytes = sealed(len, &key);
    let start = Prelude::parse(&bytes).unwrap().len();
    alter(&mut bytes, start);
    let (whole, streamed) = (unseal(&bytes, &key), unseal_to(bytes.as_slice(), io::sink(), &key));
    let (Err(error), Err(streamed)) = (whole, streamed) else { panic!("an altered file was unsealed") };
    assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&streamed), "{error}; streamed: {streamed}");
    error
}

fn chunk_of(error: &Error) -> u64 {
    match error {
        Error::Chunk { index, .. } => *index,
        other => panic!("{other}"),
    }
}

#[test]
fn whole_files_come_back() {
    let key = new_key().unwrap();
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5] {
        let opened = unseal(&sealed(len, &key), &key).unwrap();
        assert_eq!(opened.cleartext.as_slice(), cleartext(len), "{len}");
        assert_eq!(opened.header.name, "wine");
        let mut streamed = Vec::new();
        let header = unseal_to(Trickling(&sealed(len, &key)), &mut streamed, &key).unwrap();
        assert_eq!((header.name.as_str(), streamed), ("wine", cleartext(len)), "{len}");
    }
}

/// Gives a few bytes at a time.
struct Trickling<'a>(&'a [u8]);

impl Read for Trickling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let few = buffer.len().min(700);
        self.0.read(&mut buffer[..few])
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_not_called_altered() {
    let key = new_key().unwrap();
    let bytes = sealed(3 * CHUNK, &key);
    let broken = bytes[..bytes.len() / 2].chain(Broken);
    assert!(matches!(unseal_to(broken, io::sink(), &key), Err(Error::Read(_))));
    assert!(matches!(unseal_to(bytes.as_slice(), Broken, &key), Err(Error::Write(_))));
    assert!(matches!(measure(bytes.as_slice().chain(Broken)), Err(Error::Read(_))));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is broken"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is broken"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn flipped_bit_in_a_chunk() {
    for chunk in 0..4 {
        for at in [0, CHUNK / 2, SEALED_CHUNK - 1] {
            let error = refusal(4 * CHUNK, |bytes, start| bytes[start + chunk * SEALED_CHUNK + at] ^= 0x10);
            assert_eq!(chunk_of(&error), chunk as u64);
        }
    }
}

#[test]
fn every_byte_of_a_small_file_flipped() {
    let key = new_key().unwrap();
    let bytes = sealed(20, &key);
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(unseal(&altered, &key).is_err(), "byte {at}");
        assert!(unseal_to(altered.as_slice(), io::sink(), &key).is_err(), "byte {at}, streamed");
    }
}

#[test]
fn every_length_of_a_small_file_cut() {
    let key = new_key().unwrap();
    let bytes = sealed(20, &key);
    for length in 0..bytes.len() {
        assert!(matches!(unseal(&bytes[..length], &key), Err(Error::Format(_))), "cut at {length}");
        assert!(matches!(measure(&bytes[..length]), Err(Error::Format(_))), "cut at {length}, measured");
    }
}

#[test]
fn truncated_last_chunk() {
    let error = refusal(3 * CHUNK, |bytes, _| bytes.truncate(bytes.len() - 1));
    assert!(error.to_string().contains("the end of the file in chunk 2"), "{error}");
}

#[test]
fn dropped_last_chunk() {
    let error = refusal(3 * CHUNK, |bytes, _| bytes.truncate(bytes.len() - SEALED_CHUNK));
    assert!(error.to_string().contains("the end of the file in chunk 2"), "{error}");
}

/// The header is changed so that the shorter file has the right length: then the header tag is wrong.
#[test]
fn dropped_last_chunk_and_the_header_knows() {
    let error = refusal(3 * CHUNK, |bytes, start| {
        let header = String::from_utf8(bytes[14..start - 32].to_vec()).unwrap();
        let shorter = header.replace("3072", "2048");
        assert_ne!(header, shorter);
        bytes.splice(14..start - 32, shorter.into_bytes());
        bytes.truncate(bytes.len() - SEALED_CHUNK);
    });
    assert!(matches!(error, Error::Header), "{error}");
}

#[test]
fn extended_by_a_byte() {
    let error = refusal(3 * CHUNK, |bytes, _| bytes.push(0));
    assert!(error.to_string().contains("end of the last chunk"), "{error}");
}

#[test]
fn reordered_chunks() {
    let error = refusal(4 * CHUNK, |bytes, start| {
        let (left, right) = bytes[start..].split_at_mut(2 * SEALED_CHUNK);
        left[SEALED_CHUNK..].swap_with_slice(&mut right[..SEALED_CHUNK]);
    });
    assert_eq!(chunk_of(&error), 1);
}

#[test]
fn repeated_chunk() {
    let error = refusal(4 * CHUNK, |bytes, start| {
        let first = bytes[start..start + SEALED_CHUNK].to_vec();
        bytes[start + 2 * SEALED_CHUNK..start + 3 * SEALED_CHUNK].copy_from_slice(&first);
    });
    assert_eq!(chunk_of(&error), 2);
}

#[test]
fn last_chunk_in_the_middle() {
    let error = refusal(4 * CHUNK, |bytes, start| {
        let last = bytes[start + 3 * SEALED_CHUNK..].to_vec();
        bytes[start..start + SEALED_CHUNK].copy_from_slice(&last);
    });
    assert_eq!(chunk_of(&error), 0);
}

/// The same key, the same name, the same cleartext: still two files that cannot be mixed.
#[test]
fn chunk_of_another_file_under_the_same_key() {
    let key = new_key().unwrap();
    let (mut bytes, other) = (sealed(4 * CHUNK, &key), sealed(4 * CHUNK, &key));
    let at = Prelude::parse(&bytes).unwrap().len() + SEALED_CHUNK;
    bytes[at..at + SEALED_CHUNK].copy_from_slice(&other[at..at + SEALED_CHUNK]);
    let Err(error) = unseal(&bytes, &key) else { panic!("a mixed file was unsealed") };
    assert_eq!(chunk_of(&error), 1);
}

#[test]
fn header_of_another_file_under_the_same_key() {
    let key = new_key().unwrap();
    let (mut bytes, other) = (sealed(2 * CHUNK, &key), sealed(2 * CHUNK, &key));
    let start = Prelude::parse(&bytes).unwrap().len();
    bytes[..start].copy_from_slice(&other[..start]);
    let Err(error) = unseal(&bytes, &key) else { panic!("a mixed file was unsealed") };
    assert_eq!(chunk_of(&error), 0);
}

#[test]
fn renamed_model() {
    let error = refusal(CHUNK, |bytes, start| {
        let header = String::from_utf8(bytes[14..start - 32].to_vec()).unwrap();
        bytes.splice(14..start - 32, header.replace("\"wine\"", "\"beer\"").into_bytes());
    });
    assert!(matches!(error, Error::Header), "{error}");
}

#[test]
fn another_key() {
    let bytes = sealed(CHUNK, &new_key().unwrap());
    assert!(matches!(unseal(&bytes, &new_key().unwrap()), Err(Error::Header)));
    assert!(matches!(unseal(&bytes, &Secret::new(vec![0; 31])), Err(Error::KeyLength(31))));
}

#[test]
fn nothing_of_the_cleartext_is_in_the_file() {
    let needle = b"a weight that nobody may read";
    let mut model = cleartext(2 * CHUNK);
    model[CHUNK - 10..CHUNK - 10 + needle.len()].copy_from_slice(needle);
    let mut written = Vec::new();
    seal(model.as_slice(), &mut written, &new_key().unwrap(), &contents(2 * CHUNK)).unwrap();
    assert!(!written.windows(8).any(|window| needle.windows(8).any(|part| part == window)));
}

#[test]
fn input_of_another_length_than_announced() {
    let key = new_key().unwrap();
    for (announced, given, found) in [(10, 9, "fewer"), (10, 11, "more"), (CHUNK, 2 * CHUNK, "more"), (0, 1, "more")] {
        let error = seal(cleartext(given).as_slice(), io::sink(), &key, &contents(announced)).unwrap_err();
        assert!(matches!(error, Error::Length { .. }) && error.to_string().contains(found), "{error}");
    }
}

/// Yields one byte at a time, interrupted now and then, and counts what was asked for at once.
struct Trickle {
    left: usize,
    interrupt: bool,
    largest: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        self.left -= 1;
        buffer[0] = 7;
        Ok(1)
    }
}

/// A sink that remembers the largest write.
#[derive(Default)]
struct Largest(usize, u64);

impl Write for Largest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.max(bytes.len());
        self.1 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn sealing_streams_chunk_by_chunk() {
    let mut input = Trickle { left: 5 * CHUNK, interrupt: false, largest: 0 };
    let mut output = Largest::default();
    seal(&mut input, &mut output, &new_key().unwrap(), &contents(5 * CHUNK)).unwrap();
    assert_eq!((input.largest, output.0), (CHUNK, SEALED_CHUNK));
}

#[test]
fn digests_of_a_reader_and_of_memory_agree() {
    let bytes = cleartext(300_000);
    assert_eq!(sha384_of(bytes.as_slice()).unwrap(), sha384(&bytes));
}

#[test]
fn failed_reads_and_writes_are_told_apart() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no disk"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("disk full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let key = new_key().unwrap();
    assert!(matches!(seal(Broken, io::sink(), &key, &contents(5)), Err(Error::Read(_))));
    assert!(matches!(seal(&b"12345"[..], Broken, &key, &contents(5)), Err(Error::Write(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn round_trip(cleartext in prop::collection::vec(any::<u8>(), 0..4 * CHUNK)) {
        let key = new_key().unwrap();
        let mut written = Vec::new();
        seal(cleartext.as_slice(), &mut written, &key, &contents(cleartext.len())).unwrap();
        let opened = unseal(&written, &key).unwrap();
        prop_assert_eq!(opened.cleartext.as_slice(), cleartext);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(unseal(&bytes, &Secret::new(vec![1; 32])).is_err());
    }
}
