//! Sealing and unsealing files: the cryptography of the format that `sealwright_wire::sealed` lays out.
//!
//! [`unseal`] hands out nothing before all of a file has been authenticated: the header by its tag, each chunk under a nonce that
//! holds its place and says whether it is the last, and with the header tag as associated data. [`unseal_to`], for files that do
//! not fit in memory, writes each chunk once it is authentic, and says at the end whether the file was whole.

use crate::Secret;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    constant_time, digest,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    hmac,
    rand::{self},
};
use sealwright_verify::hash;
use sealwright_wire::{
    Digest,
    kbs::ResourcePath,
    sealed::{CHUNK_TAG_LEN, DEFAULT_CHUNK_SIZE, Geometry, HEADER_TAG_LEN, Header, Prelude, SealedFile},
};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Bytes of a file key.
pub const KEY_LEN: usize = 32;

const HEADER_INFO: &[u8] = b"sealwright sealed file 1: header";
const CHUNK_INFO: &[u8] = b"sealwright sealed file 1: chunks";

/// Why a file could not be sealed or unsealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no sealed file of a known version, or chunks are missing, cut or too many.
    #[error("not a whole sealed file: {0}")]
    Format(#[from] sealwright_wire::Error),
    /// The key has another length than [`KEY_LEN`].
    #[error("a file key has {KEY_LEN} bytes, this one has {0}")]
    KeyLength(usize),
    /// The header tag is not the one that this key makes.
    #[error("the header does not authenticate: it was altered, or this is not the key that sealed the file")]
    Header,
    /// A chunk is not the one that was sealed at this place.
    #[error("chunk {index} of {chunks} does not authenticate: it was altered, or belongs to another place or file")]
    Chunk {
        /// The chunk's place, from 0.
        index: u64,
        /// How many chunks the file has.
        chunks: u64,
    },
    /// The input did not have the announced length.
    #[error("the input was announced with {announced} bytes and {found}")]
    Length {
        /// What the header says.
        announced: u64,
        /// What was found instead.
        found: &'static str,
    },
    /// The input could not be read.
    #[error("reading: {0}")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("writing: {0}")]
    Write(#[source] io::Error),
    /// The file does not fit in this machine's memory, or the cryptographic library gave no random bytes.
    #[error("{0}")]
    Resources(&'static str),
}

/// What is about to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The name under which it will be served.
    pub name: String,
    /// The version under which it will be served.
    pub version: u64,
    /// What it is, for instance `onnx`.
    pub kind: String,
    /// Where the file key will be.
    pub key: ResourcePath,
    /// Bytes of cleartext.
    pub cleartext_len: u64,
    /// Bytes of cleartext in a chunk; [`DEFAULT_CHUNK_SIZE`] when `None`.
    pub chunk_size: Option<u32>,
}

/// What a sealed file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What the file says about itself.
    pub header: Header,
    /// SHA-384 of the whole sealed file: what a workload measures before it asks for the key.
    pub sha384: Digest<48>,
}

/// A new random file key.
///
/// # Errors
/// When the system has no random bytes.
pub fn new_key() -> Result<Secret, Error> {
    let mut key = vec![0; KEY_LEN];
    fill_random(&mut key)?;
    Ok(Secret::new(key))
}

/// Seals everything that `cleartext` yields and writes it to `sealed`, in memory of one chunk. After an error the output is
/// worthless: write to a temporary file and rename it.
///
/// # Errors
/// When the contents are outside the format's limits, the key has another length, reading or writing fails, or the input
/// has another length than announced.
pub fn seal(mut cleartext: impl Read, sealed: impl Write, key: &Secret, contents: &Contents) -> Result<Sealed, Error> {
    let mut file_id = Digest([0; 32]);
    fill_random(&mut file_id.0)?;
    seal_as(&mut cleartext, sealed, key, header(contents, file_id))
}

/// The header that these contents get. The file id is never the caller's to choose: two files with the same id and key
/// would be encrypted under the same nonces.
fn header(contents: &Contents, file_id: Digest<32>) -> Header {
    Header {
        chunk_size: contents.chunk_size.unwrap_or(DEFAULT_CHUNK_SIZE),
        cleartext_len: contents.cleartext_len,
        file_id,
        key: contents.key.clone(),
        kind: contents.kind.clone(),
        name: contents.name.clone(),
        version: contents.version,
    }
}

fn seal_as(cleartext: &mut impl Read, sealed: impl Write, key: &Secret, header: Header) -> Result<Sealed, Error> {
    let authenticated = header.encode()?;
    let keys = Keys::derive(key, &header)?;
    let tag = keys.header_tag(&authenticated);
    let mut output = Hashing { inner: sealed, hash: digest::Context::new(&digest::SHA384) };
    output.write(&authenticated)?;
    output.write(&tag)?;
    let geometry = header.geometry();
    let mut chunk = Zeroizing::new(Vec::with_capacity(header.chunk_size as usize + CHUNK_TAG_LEN));
    for index in 0..geometry.chunks() {
        read_chunk(cleartext, &mut chunk, geometry, index)?;
        keys.seal_chunk(index, geometry.is_last(index), &tag, &mut chunk)?;
        output.write(&chunk)?;
    }
    expect_end(cleartext, header.cleartext_len)?;
    output.inner.flush().map_err(Error::Write)?;
    Ok(Sealed { header, sha384: finish(output.hash) })
}

/// Fills the buffer with the cleartext of one chunk.
fn read_chunk(cleartext: &mut impl Read, chunk: &mut Vec<u8>, geometry: Geometry, index: u64) -> Result<(), Error> {
    let len = geometry.cleartext_of(index).ok_or(Error::Resources("a chunk does not fit in memory"))?;
    chunk.clear();
    chunk.resize(len, 0);
    let announced = geometry.cleartext_len();
    cleartext.read_exact(chunk).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Length { announced, found: "has fewer" },
        _ => Error::Read(error),
    })
}

fn expect_end(cleartext: &mut impl Read, announced: u64) -> Result<(), Error> {
    loop {
        match cleartext.read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(Error::Length { announced, found: "has more" }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
}

/// A file that was unsealed and is whole.
pub struct Unsealed {
    /// What the file says about itself, authenticated.
    pub header: Header,
    /// The cleartext, wiped when dropped.
    pub cleartext: Zeroizing<Vec<u8>>,
}

/// Unseals a whole file in memory. Either all of it is authentic, or nothing is returned.
///
/// # Errors
/// When the bytes are no whole sealed file, or the header or a chunk does not authenticate under the key; the error names
/// the chunk.
pub fn unseal(sealed: &[u8], key: &Secret) -> Result<Unsealed, Error> {
    let file = SealedFile::parse(sealed)?;
    let Prelude { header, tag, .. } = &file.prelude;
    let keys = Keys::authenticated(key, &file.prelude)?;
    let geometry = header.geometry();
    let len = usize::try_from(header.cleartext_len)
        .map_err(|_| Error::Resources("the cleartext does not fit in this machine's memory"))?;
    let mut cleartext = Zeroizing::new(vec![0; len]);
    let mut rest = cleartext.as_mut_slice();
    for chunk in file.chunks() {
        let altered = Error::Chunk { index: chunk.index, chunks: geometry.chunks() };
        let len = chunk.sealed.len().saturating_sub(CHUNK_TAG_LEN);
        let (Some((sealed, chunk_tag)), Some((opened, after))) =
            (chunk.sealed.split_at_checked(len), rest.split_at_mut_checked(len))
        else {
            return Err(altered);
        };
        let nonce = nonce(chunk.index, chunk.last);
        keys.chunks.open_separate_gather(nonce, Aad::from(tag), sealed, chunk_tag, opened).map_err(|_| altered)?;
        rest = after;
    }
    Ok(Unsealed { header: header.clone(), cleartext })
}

/// Unseals a file of any size in memory of one chunk. Each chunk is authentic when it is written, and whether the file is whole
/// is known at its end alone: after an error the output is worthless, so write to a temporary file and rename it.
///
/// # Errors
/// Those of [`unseal`], and when reading or writing fails.
pub fn unseal_to(mut sealed: impl Read, mut cleartext: impl Write, key: &Secret) -> Result<Header, Error> {
    let beginning = beginning(&mut sealed)?;
    let prelude = Prelude::parse(&beginning)?;
    let keys = Keys::authenticated(key, &prelude)?;
    let geometry = prelude.header.geometry();
    let mut rest = beginning.get(prelude.len()..).unwrap_or_default().chain(sealed);
    let mut position = length(prelude.len());
    // Never grown: a reallocation would leave cleartext behind.
    let mut chunk = Zeroizing::new(Vec::with_capacity(prelude.header.chunk_size as usize + CHUNK_TAG_LEN));
    for index in 0..geometry.chunks() {
        let len = geometry.cleartext_of(index).ok_or(Error::Resources("a chunk does not fit in memory"))?;
        chunk.clear();
        chunk.resize(len + CHUNK_TAG_LEN, 0);
        let found = fill(&mut rest, &mut chunk)?;
        position += length(found);
        if found < chunk.len() {
            prelude.check_file_len(position)?;
        }
        let opened = keys.open_chunk(index, geometry, prelude.tag, &mut chunk)?;
        cleartext.write_all(opened).map_err(Error::Write)?;
    }
    prelude.check_file_len(position + length(fill(&mut rest, &mut [0])?))?;
    cleartext.flush().map_err(Error::Write)?;
    Ok(prelude.header)
}

/// Header and digest of a sealed file as it is read, in bounded memory. Nothing of it is authenticated, but it is whole.
///
/// # Errors
/// When it is no whole sealed file, or reading fails.
pub fn measure(mut sealed: impl Read) -> Result<Sealed, Error> {
    let beginning = beginning(&mut sealed)?;
    let prelude = Prelude::parse(&beginning)?;
    let (sha384, len) = digest_of(beginning.chain(sealed)).map_err(Error::Read)?;
    prelude.check_file_len(len)?;
    Ok(Sealed { header: prelude.header, sha384 })
}

/// Enough of a file to hold its prelude, or all of it.
fn beginning(sealed: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut beginning = vec![0; Prelude::MAX_LEN];
    let found = fill(sealed, &mut beginning)?;
    beginning.truncate(found);
    Ok(beginning)
}

/// Reads until the buffer is full or the input ends, and says how much there was.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
    Ok(filled)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// SHA-384 of a sealed file in memory: what its workload measures.
pub fn sha384(bytes: &[u8]) -> Digest<48> {
    hash::sha384(&[bytes])
}

/// SHA-384 of a sealed file as it is read, in bounded memory.
///
/// # Errors
/// Those of the reader.
pub fn sha384_of(reader: impl Read) -> io::Result<Digest<48>> {
    digest_of(reader).map(|(sha384, _)| sha384)
}

/// The digest of everything that comes, and how much that was.
fn digest_of(mut reader: impl Read) -> io::Result<(Digest<48>, u64)> {
    let mut hash = digest::Context::new(&digest::SHA384);
    let mut total = 0u64;
    let mut buffer = vec![0; DEFAULT_CHUNK_SIZE as usize];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((finish(hash), total)),
            Ok(len) => {
                hash.update(&buffer[..len]);
                total = total.saturating_add(length(len));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn finish(hash: digest::Context) -> Digest<48> {
    let mut sha384 = Digest([0; 48]);
    sha384.0.copy_from_slice(hash.finish().as_ref());
    sha384
}

fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    rand::fill(bytes).map_err(|_| Error::Resources("the system has no random bytes"))
}

/// The keys of one file.
struct Keys {
    header: hmac::Key,
    chunks: LessSafeKey,
}

impl Keys {
    fn derive(key: &Secret, header: &Header) -> Result<Self, Error> {
        if key.len() != KEY_LEN {
            return Err(Error::KeyLength(key.len()));
        }
        let prk = Salt::new(HKDF_SHA256, header.file_id.as_ref()).extract(key.expose());
        let chunks = UnboundKey::new(&AES_256_GCM, expand(&prk, CHUNK_INFO)?.as_ref())
            .map_err(|_| Error::Resources("the chunk key cannot be used"))?;
        let header = hmac::Key::new(hmac::HMAC_SHA256, expand(&prk, HEADER_INFO)?.as_ref());
        Ok(Self { header, chunks: LessSafeKey::new(chunks) })
    }

    /// The keys of a file whose header is authentic under them.
    fn authenticated(key: &Secret, prelude: &Prelude<'_>) -> Result<Self, Error> {
        let keys = Self::derive(key, &prelude.header)?;
        let tag = keys.header_tag(prelude.authenticated);
        constant_time::verify_slices_are_equal(&tag, prelude.tag).map_err(|_| Error::Header)?;
        Ok(keys)
    }

    fn header_tag(&self, authenticated: &[u8]) -> [u8; HEADER_TAG_LEN] {
        let mut tag = [0; HEADER_TAG_LEN];
        tag.copy_from_slice(hmac::sign(&self.header, authenticated).as_ref());
        tag
    }

    fn seal_chunk(&self, index: u64, last: bool, tag: &[u8], chunk: &mut Vec<u8>) -> Result<(), Error> {
        self.chunks
            .seal_in_place_append_tag(nonce(index, last), Aad::from(tag), chunk)
            .map_err(|_| Error::Resources("the cipher refused a chunk"))
    }

    /// Decrypts a chunk where it is.
    fn open_chunk<'a>(
        &self,
        index: u64,
        geometry: Geometry,
        tag: &[u8],
        chunk: &'a mut [u8],
    ) -> Result<&'a [u8], Error> {
        let altered = Error::Chunk { index, chunks: geometry.chunks() };
        let nonce = nonce(index, geometry.is_last(index));
        self.chunks.open_in_place(nonce, Aad::from(tag), chunk).map(|opened| &*opened).map_err(|_| altered)
    }
}

/// The chunk's index in eleven bytes, big-endian, and whether it is the last.
fn nonce(index: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

struct DerivedLen;

impl KeyType for DerivedLen {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

fn expand(prk: &Prk, info: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    prk.expand(&[info], DerivedLen)
        .and_then(|derived| derived.fill(key.as_mut_slice()))
        .map_err(|_| Error::Resources("a key cannot be derived"))?;
    Ok(key)
}

/// A writer that hashes what passes through it.
struct Hashing<W> {
    inner: W,
    hash: digest::Context,
}

impl<W: Write> Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.inner.write_all(bytes).map_err(Error::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest that `tests/seal_reference.py`, written from the format's description with Python's `cryptography`,
    /// gives for this key, file id and cleartext.
    #[test]
    fn an_independent_implementation_writes_the_same_file() {
        let key = Secret::new((0..32).collect());
        let cleartext: Vec<u8> = (0u32..2500).map(|at| u8::try_from(at % 253).unwrap()).collect();
        let contents = Contents {
            name: "wine".into(),
            version: 3,
            kind: "onnx".into(),
            key: ResourcePath::parse("default/model-key/wine").unwrap(),
            cleartext_len: 2500,
            chunk_size: Some(1024),
        };
        let mut written = Vec::new();
        let header = header(&contents, Digest([0x5a; 32]));
        let sealed = seal_as(&mut cleartext.as_slice(), &mut written, &key, header).unwrap();
        assert_eq!(sealed.sha384, sha384(&written));
        assert_eq!(
            sealed.sha384.to_string(),
            "471a8316b233523c1e4a1eaeb8ac2d7cf35ea26638fe5dc54e8813326ea13428fa6aa44c0f78dd9fbd121c2aca51dca9"
        );
        assert_eq!(unseal(&written, &key).unwrap().cleartext.as_slice(), cleartext);
    }
}
