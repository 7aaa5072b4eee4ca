//! The sealed file, version 1: a workload's file that is worth nothing without its key.
//!
//! ```text
//! offset  size  field
//!      0     8  magic                89 53 45 41 4c 0d 0a 1a  ("\x89SEAL\r\n\x1a")
//!      8     2  format version, little-endian: 1
//!     10     4  header length H, little-endian: at most 16 KiB
//!     14     H  header: a JSON object with exactly the members of [`Header`]
//!   14+H    32  header tag
//!   46+H        chunks 0, 1, ... : ciphertext, then a 16-byte tag each
//! ```
//!
//! Every chunk but the last holds `chunk_size` bytes of cleartext, the last one the rest; a file of no bytes has one empty
//! chunk. So the header determines where the file must end, and a file of another length is refused before any key is
//! asked for. How tags, nonces and keys are made is in `sealwright-channel`'s `seal`, in short (STREAM, as in age):
//!
//! ```text
//! header key  = HKDF-SHA-256(salt = file_id, ikm = file key, info = "sealwright sealed file 1: header")
//! chunk key   = HKDF-SHA-256(salt = file_id, ikm = file key, info = "sealwright sealed file 1: chunks")
//! header tag  = HMAC-SHA-256(header key, bytes 0 .. 14+H)
//! chunk i     = AES-256-GCM(chunk key, nonce = i as 11 bytes big-endian || (1 if last else 0), aad = header tag)
//! ```
//!
//! The nonce holds a chunk at its place and says which is the last, the header tag ties the chunks to their header, and
//! `file_id` gives each file keys of its own, even where several files share one key of the broker.

use crate::{
    Digest, Error, Kind, Reader,
    aael::RuntimeEvent,
    kbs::{MAX_SEGMENT, ResourcePath},
};
use serde::{Deserialize, Serialize};

/// The first bytes of every sealed file. Like PNG's, they show damage by transfers that rewrite text.
pub const MAGIC: [u8; 8] = *b"\x89SEAL\r\n\x1a";
/// The version of the format that this module reads and writes.
pub const FORMAT_VERSION: u16 = 1;
/// Bytes before the header.
pub const PREFIX_LEN: usize = 14;
/// The longest header, in bytes.
pub const MAX_HEADER: usize = 16 << 10;
/// Bytes of the header tag.
pub const HEADER_TAG_LEN: usize = 32;
/// Bytes of a chunk's tag.
pub const CHUNK_TAG_LEN: usize = 16;
/// The chunk size that is written unless another one is asked for.
pub const DEFAULT_CHUNK_SIZE: u32 = 64 << 10;
/// The smallest chunk size, in bytes of cleartext.
pub const MIN_CHUNK_SIZE: u32 = 1 << 10;
/// The largest chunk size, in bytes of cleartext: what sealing and unsealing hold in memory at once.
pub const MAX_CHUNK_SIZE: u32 = 8 << 20;
/// The largest cleartext, in bytes.
pub const MAX_CLEARTEXT: u64 = 1 << 40;
/// The largest version: the largest integer that every JSON reader keeps exactly (RFC 8259, section 6).
pub const MAX_VERSION: u64 = (1 << 53) - 1;
/// The longest name of a model, and of a kind, in bytes.
pub const MAX_NAME: usize = MAX_SEGMENT;

/// What a sealed file says about itself. Readable without the key, and authenticated with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Bytes of cleartext in each chunk but the last.
    pub chunk_size: u32,
    /// Bytes of cleartext in the whole file.
    pub cleartext_len: u64,
    /// Random, and new for every file that is written.
    pub file_id: Digest<32>,
    /// Where the file key is: written as `kbs:///repository/type/tag`.
    #[serde(with = "uri")]
    pub key: ResourcePath,
    /// What is inside, for instance `onnx`: letters, digits, `_`, `-` and inner dots.
    pub kind: String,
    /// The name under which it is served: letters, digits, `_`, `-` and inner dots.
    pub name: String,
    /// The version under which it is served, at most [`MAX_VERSION`].
    pub version: u64,
}

impl Header {
    /// Checks the members against the format's limits.
    ///
    /// # Errors
    /// When a size or a name is outside of them.
    pub fn check(&self) -> Result<(), Error> {
        if !(MIN_CHUNK_SIZE..=MAX_CHUNK_SIZE).contains(&self.chunk_size) {
            return Err(Error::unexpected("chunk_size", PREFIX_LEN, "1 KiB to 8 MiB", self.chunk_size));
        }
        if self.cleartext_len > MAX_CLEARTEXT {
            return Err(Error::unexpected("cleartext_len", PREFIX_LEN, "at most 1 TiB", self.cleartext_len));
        }
        if self.version > MAX_VERSION {
            return Err(Error::unexpected("version", PREFIX_LEN, "at most 2^53 - 1", self.version));
        }
        check_name("kind", &self.kind)?;
        check_name("name", &self.name)
    }

    /// The bytes that the header tag authenticates: everything from the magic to the end of the header.
    ///
    /// # Errors
    /// When [`Header::check`] fails.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let json = serde_json_canonicalizer::to_vec(self)
            .map_err(|error| Error::unexpected("header", PREFIX_LEN, "a value that JSON can write", error))?;
        let too_long = || Error::too_long("header", PREFIX_LEN, MAX_HEADER, json.len());
        let len = u32::try_from(json.len()).ok().filter(|_| json.len() <= MAX_HEADER).ok_or_else(too_long)?;
        Ok([&MAGIC[..], &FORMAT_VERSION.to_le_bytes(), &len.to_le_bytes(), &json].concat())
    }

    /// Where the chunks lie.
    pub fn geometry(&self) -> Geometry {
        Geometry { chunk_size: u64::from(self.chunk_size.max(MIN_CHUNK_SIZE)), cleartext_len: self.cleartext_len }
    }
}

/// Checks a model's name, or a kind, against the format's limits.
///
/// # Errors
/// When it is empty, too long, or has another character than letters, digits, `_`, `-` and inner dots.
pub fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    if name.len() > MAX_NAME {
        return Err(Error::too_long(field, PREFIX_LEN, MAX_NAME, name.len()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.bytes().next().is_some_and(plain) && name.bytes().all(|byte| plain(byte) || byte == b'.') {
        return Ok(());
    }
    Err(Error::unexpected(field, PREFIX_LEN, "letters, digits, '_', '-' and inner dots", name.escape_default()))
}

/// How a cleartext is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    chunk_size: u64,
    cleartext_len: u64,
}

impl Geometry {
    /// Bytes of cleartext in the whole file.
    pub const fn cleartext_len(&self) -> u64 {
        self.cleartext_len
    }

    /// How many chunks there are: at least one.
    pub const fn chunks(&self) -> u64 {
        let chunks = self.cleartext_len.div_ceil(self.chunk_size);
        if chunks == 0 { 1 } else { chunks }
    }

    /// Whether this is the index of the last chunk.
    pub const fn is_last(&self, index: u64) -> bool {
        index == self.chunks().saturating_sub(1)
    }

    /// Bytes of cleartext in the chunk with this index; `None` behind the last.
    pub fn cleartext_of(&self, index: u64) -> Option<usize> {
        let before = index.checked_mul(self.chunk_size)?;
        let left = self.cleartext_len.checked_sub(before)?;
        if index >= self.chunks() {
            return None;
        }
        usize::try_from(left.min(self.chunk_size)).ok()
    }

    /// Bytes of all chunks, each with its tag.
    pub fn sealed_len(&self) -> Option<u64> {
        self.chunks().checked_mul(CHUNK_TAG_LEN_U64)?.checked_add(self.cleartext_len)
    }

    /// Bytes of a chunk that is not the last, with its tag.
    const fn full_chunk(&self) -> u64 {
        self.chunk_size.saturating_add(CHUNK_TAG_LEN_U64)
    }
}

const CHUNK_TAG_LEN_U64: u64 = CHUNK_TAG_LEN as u64;

/// Everything before the chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prelude<'a> {
    /// What the file says about itself. Not authenticated yet.
    pub header: Header,
    /// The bytes that `tag` authenticates.
    pub authenticated: &'a [u8],
    /// The header tag.
    pub tag: &'a [u8; HEADER_TAG_LEN],
}

impl<'a> Prelude<'a> {
    /// The most bytes that a prelude has: enough of a file's beginning to parse one.
    pub const MAX_LEN: usize = PREFIX_LEN + MAX_HEADER + HEADER_TAG_LEN;

    /// Reads the beginning of a sealed file. What follows it is left alone.
    ///
    /// # Errors
    /// When the bytes are no sealed file of this version, or the header is not what the format allows.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::read(&mut Reader::new(bytes), bytes)
    }

    /// Bytes of the file before its first chunk.
    pub const fn len(&self) -> usize {
        self.authenticated.len().saturating_add(HEADER_TAG_LEN)
    }

    /// Never: a prelude has a magic.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Checks that a file of `file_len` bytes has all chunks that the header announces, and nothing behind them.
    ///
    /// # Errors
    /// When chunks are missing, cut or too many; the error names the chunk.
    pub fn check_file_len(&self, file_len: u64) -> Result<(), Error> {
        let chunks = file_len.saturating_sub(u64::try_from(self.len()).unwrap_or(u64::MAX));
        check_len(self.header.geometry(), self.len(), chunks)
    }

    fn read(reader: &mut Reader<'a>, bytes: &'a [u8]) -> Result<Self, Error> {
        let magic = reader.array::<8>("magic")?;
        if *magic != MAGIC {
            return Err(Error::unexpected("magic", 0, "89 53 45 41 4c 0d 0a 1a of a sealed file", hex::encode(magic)));
        }
        let version = reader.u16("format version")?;
        if version != FORMAT_VERSION {
            return Err(Error::unexpected("format version", MAGIC.len(), "1", version));
        }
        let at = reader.offset();
        let len = reader.len32("header length")?;
        if len > MAX_HEADER {
            return Err(Error::too_long("header length", at, MAX_HEADER, len));
        }
        let json = reader.bytes("header", len)?;
        let header: Header = serde_json::from_slice(json)
            .map_err(|error| Error::unexpected("header", PREFIX_LEN, "the members of this format", error))?;
        header.check()?;
        let authenticated = bytes.get(..reader.offset()).unwrap_or_default();
        Ok(Self { header, authenticated, tag: reader.array("header tag")? })
    }
}

/// A whole sealed file, borrowed from its bytes. Nothing in it is authenticated yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFile<'a> {
    /// Everything before the chunks.
    pub prelude: Prelude<'a>,
    chunks: &'a [u8],
}

/// One chunk of a sealed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Its place, from 0.
    pub index: u64,
    /// Whether it is the last.
    pub last: bool,
    /// Ciphertext and tag.
    pub sealed: &'a [u8],
}

impl<'a> SealedFile<'a> {
    /// Reads a sealed file and checks that its length is the one that its header determines.
    ///
    /// # Errors
    /// When the prelude is refused, or chunks are missing, cut or too many; the error names the chunk.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let prelude = Prelude::read(&mut reader, bytes)?;
        let chunks = reader.rest();
        prelude.check_file_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
        Ok(Self { prelude, chunks })
    }

    /// The chunk with this index; `None` behind the last.
    pub fn chunk(&self, index: u64) -> Option<Chunk<'a>> {
        let geometry = self.prelude.header.geometry();
        let len = geometry.cleartext_of(index)?.checked_add(CHUNK_TAG_LEN)?;
        let start = usize::try_from(index.checked_mul(geometry.full_chunk())?).ok()?;
        let sealed = self.chunks.get(start..start.checked_add(len)?)?;
        Some(Chunk { index, last: geometry.is_last(index), sealed })
    }

    /// All chunks in their order.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + '_ {
        (0..self.prelude.header.geometry().chunks()).map_while(|index| self.chunk(index))
    }
}

fn check_len(geometry: Geometry, offset: usize, found: u64) -> Result<(), Error> {
    let wanted = geometry.sealed_len().unwrap_or(u64::MAX);
    if found > wanted {
        let left = usize::try_from(found.saturating_sub(wanted)).unwrap_or(usize::MAX);
        let end = usize::try_from(wanted).unwrap_or(usize::MAX);
        return Err(Error {
            field: "end of the last chunk",
            offset: offset.saturating_add(end),
            kind: Kind::Trailing { left },
        });
    }
    if found == wanted {
        return Ok(());
    }
    let cut = found.checked_div(geometry.full_chunk()).unwrap_or(0);
    let place = format!("the end of the file in chunk {cut}");
    let start = usize::try_from(cut.saturating_mul(geometry.full_chunk())).unwrap_or(usize::MAX);
    Err(Error::unexpected("chunks", offset.saturating_add(start), "all chunks that the header announces", place))
}

/// The domain of the runtime event that measures a sealed file.
pub const EVENT_DOMAIN: &str = "sealwright";
/// The operation of the runtime event that measures a sealed file.
pub const EVENT_OPERATION: &str = "LoadModel";

/// What a workload measures into its runtime register before it asks for a sealed file's key: which file it is about to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadModel {
    /// SHA-384 of the whole sealed file: written as `sha384:` and hex.
    #[serde(with = "named_digest")]
    pub digest: Digest<48>,
    /// The name under which the model is served.
    pub name: String,
    /// The version under which it is served.
    pub version: u64,
}

impl LoadModel {
    /// The event of a file with this header and digest.
    pub fn new(header: &Header, sealed_sha384: Digest<48>) -> Self {
        Self { digest: sealed_sha384, name: header.name.clone(), version: header.version }
    }

    /// The content of the event: canonical JSON, which release policies compare as text.
    ///
    /// # Errors
    /// When the version is above [`MAX_VERSION`].
    pub fn content(&self) -> Result<String, Error> {
        if self.version > MAX_VERSION {
            return Err(Error::unexpected("version", 0, "at most 2^53 - 1", self.version));
        }
        serde_json_canonicalizer::to_string(self)
            .map_err(|error| Error::unexpected("LoadModel", 0, "a value that JSON can write", error))
    }

    /// The event as a runtime register and its log take it.
    ///
    /// # Errors
    /// When the name holds a control character or is too long for an event.
    pub fn event(&self) -> Result<RuntimeEvent, Error> {
        RuntimeEvent::new(EVENT_DOMAIN, EVENT_OPERATION, &self.content()?)
    }

    /// Reads an event back; `None` when it is about something else.
    ///
    /// # Errors
    /// When it is such an event, but its content has another shape.
    pub fn from_event(event: &RuntimeEvent) -> Option<Result<Self, Error>> {
        let ours = event.domain() == EVENT_DOMAIN && event.operation() == EVENT_OPERATION;
        ours.then(|| {
            serde_json::from_str(event.content())
                .map_err(|error| Error::unexpected("LoadModel", 0, "digest, name and version", error))
        })
    }
}

/// A digest with its algorithm in front.
mod named_digest {
    use super::Digest;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    const PREFIX: &str = "sha384:";

    pub(super) fn serialize<S: Serializer>(digest: &Digest<48>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{PREFIX}{digest}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest<48>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let hex = text.strip_prefix(PREFIX).ok_or_else(|| D::Error::custom("a digest begins with `sha384:`"))?;
        hex.parse().map_err(D::Error::custom)
    }
}

/// A resource path in its URI form.
mod uri {
    use super::ResourcePath;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(path: &ResourcePath, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&path.uri())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResourcePath, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        ResourcePath::parse_uri(&text).map_err(D::Error::custom)
    }
}
