//! RA-TLS: evidence in an X.509 certificate (CCC's interoperable profile), and the exchange that follows the handshake.
//!
//! The certificate has the extension [`OID_TAGGED_EVIDENCE`], a CBOR array under a tag that names the evidence:
//!
//! ```text
//! 60000([quote: bstr, claims: bstr])      60001([TEE report, claims])      60002([legacy SGX report, claims])
//! claims = { "pubkey-hash": bstr .cbor [hash algorithm, hash of the certificate's SubjectPublicKeyInfo],
//!            ? "nonce": bstr, ? "tls-exporter": bstr, ? "receipt-key": bstr .cbor [algorithm, hash],
//!            ? "event-log-hash": bstr .cbor [algorithm, hash] }
//! report data = SHA-256(claims), then zeros
//! ```
//!
//! A certificate's evidence is as old as the certificate, and does not know the session it is shown in. The exchange
//! repairs both: the client sends a nonce to [`ATTEST_PATH`] on the same connection, and gets evidence whose claims hold
//! that nonce and the session's TLS exporter ([`EXPORTER_LABEL`], context = nonce), beside the certificate's key. It also
//! holds the hash of the event log beside it: registers vouch for a log's digests alone, not for the words that it has about
//! them. `tls-exporter`, `receipt-key` and `event-log-hash` are ours; other implementations skip claims that they do not know.

use crate::{
    Error,
    cbor::{self, Cbor},
    collateral::encode_pem,
    held_data::open_enclave_quote,
    kbs::{
        Message,
        encoding::{base64_standard, base64_standard_option},
    },
};
use const_oid::ObjectIdentifier;
use der::{AnyRef, Decode, Reader as _, SliceReader, Tag, TagNumber, asn1::OctetStringRef};
use serde::{Deserialize, Serialize};

/// `tcg-dice-TaggedEvidence`: the extension of CCC's interoperable RA-TLS profile.
pub const OID_TAGGED_EVIDENCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.5.4.9");
/// Gramine's extension before the profile: a raw quote whose report data is [`report_data`] of the key. (Gramine writes the head of an
/// object identifier into the identifier itself, so that 1.2.840.113741.1337.6 reads as this one.)
pub const OID_LEGACY_GRAMINE: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.6.9.42.840.113741.1337.6");
/// RATS-TLS's extension before the profile (`ecdsa_quote_oid` of its `oid.h`), which Gramine means too: a raw quote whose report data is
/// [`report_data`] of the key. Its quotes have zero bytes behind them.
pub const OID_LEGACY_RATS_TLS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1337.6");
/// The Intel SGX SDK's extension before the profile: a raw quote. Since the profile it is the same quote as beside it, which vouches for the
/// profile's claims; before, for a text form of the key that certificates do not have.
pub const OID_LEGACY_INTEL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
/// The Open Enclave SDK's first extension (`X509_OID_FOR_QUOTE_EXT` of its `internal/report.h`): a quote behind the header of a report, whose report
/// data is [`report_data`] of [`open_enclave_key`]. In certificates of the keys by which Azure's attestation service signs its tokens the quote stands
/// in an OCTET STRING of its own instead.
pub const OID_LEGACY_OPEN_ENCLAVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113556.10.1.1");

/// Where the exchange takes place.
pub const ATTEST_PATH: &str = "/sealwright/v0/attest";
/// The label of the TLS exporter (RFC 8446, section 7.5) that the exchange binds; its context is the nonce.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-sealwright-attested-channel";
/// Bytes of the exporter's value that the exchange binds.
pub const EXPORTER_LEN: usize = 32;
/// Bytes of the client's nonce.
pub const NONCE_LEN: usize = 32;
/// The longest certificate that is parsed, in bytes.
pub const MAX_CERTIFICATE: usize = 64 << 10;
/// The most claims that are parsed.
pub const MAX_CLAIMS: u64 = 64;

/// A certificate that may carry evidence, borrowed from its DER. Nothing in it has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// `SubjectPublicKeyInfo` exactly as the certificate has it: what a `pubkey-hash` is the hash of.
    pub spki: &'a [u8],
    /// The content of `subjectPublicKey`: a point, or for RSA `RSAPublicKey` of RFC 8017, which RATS-TLS hashes in place of the whole.
    pub key: &'a [u8],
    /// The evidence in its extensions.
    pub evidence: CertificateEvidence<'a>,
}

/// The evidence of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateEvidence<'a> {
    /// The profile's extension is there. Its content is not parsed yet; if it turns out bad, there is nothing to fall back to.
    Tagged(&'a [u8]),
    /// Only an extension from before the profile is there: a raw quote, which names no claims.
    Legacy {
        /// Which extension.
        oid: ObjectIdentifier,
        /// The quote.
        quote: &'a [u8],
    },
    /// No extension that this implementation knows.
    Absent,
}

impl<'a> Certificate<'a> {
    /// Finds the key and the evidence of a certificate (RFC 5280, section 4.1) by parsing it, not by searching its bytes.
    ///
    /// # Errors
    /// When the DER is no certificate, or an extension with evidence is there twice.
    pub fn parse(der: &'a [u8]) -> Result<Self, Error> {
        if der.len() > MAX_CERTIFICATE {
            return Err(Error::too_long("certificate", 0, MAX_CERTIFICATE, der.len()));
        }
        Self::from_der(der).map_err(|error| {
            let offset = error.position().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
            Error::unexpected("certificate", offset, "DER of an X.509 certificate", error)
        })?
    }

    /// The outer error is DER's, the inner one says what this profile refuses.
    fn from_der(bytes: &'a [u8]) -> Result<Result<Self, Error>, der::Error> {
        let mut outer = SliceReader::new(bytes)?;
        let mut fields = SliceReader::new(sequence(&mut outer)?)?;
        outer.finish()?;
        let mut tbs = SliceReader::new(sequence(&mut fields)?)?;
        let _signature_algorithm = sequence(&mut fields)?;
        let _signature = AnyRef::decode(&mut fields)?.decode_as::<der::asn1::BitStringRef<'_>>()?;
        fields.finish()?;

        let _version = context(&mut tbs, 0)?;
        let _serial_number = AnyRef::decode(&mut tbs)?;
        let _signature = sequence(&mut tbs)?;
        let _issuer = sequence(&mut tbs)?;
        let _validity = sequence(&mut tbs)?;
        let _subject = sequence(&mut tbs)?;
        let spki = tbs.tlv_bytes()?;
        let mut key_info = SliceReader::new(sequence(&mut SliceReader::new(spki)?)?)?;
        let _algorithm = sequence(&mut key_info)?;
        let key = <der::asn1::BitStringRef<'_>>::decode(&mut key_info)?;
        key_info.finish()?;
        let key = key.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        let (_issuer_id, _subject_id) = (context(&mut tbs, 1)?, context(&mut tbs, 2)?);
        let extensions = context(&mut tbs, 3)?;
        tbs.finish()?;

        let evidence = match extensions {
            Some(extensions) => find_evidence(extensions)?,
            None => Ok(CertificateEvidence::Absent),
        };
        Ok(evidence.map(|evidence| Self { spki, key, evidence }))
    }
}

/// The content of the next element, which must be a SEQUENCE.
fn sequence<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    let any = AnyRef::decode(reader)?;
    der::Tagged::tag(&any).assert_eq(Tag::Sequence)?;
    Ok(any.value())
}

/// The content of the next element if it has this context-specific tag, whatever its form.
fn context<'a>(reader: &mut SliceReader<'a>, number: u32) -> Result<Option<&'a [u8]>, der::Error> {
    if reader.is_finished() {
        return Ok(None);
    }
    match Tag::peek(reader)? {
        Tag::ContextSpecific { number: found, .. } if found == TagNumber(number) => {
            Ok(Some(AnyRef::decode(reader)?.value()))
        }
        _ => Ok(None),
    }
}

/// Walks `Extensions` (RFC 5280, section 4.1.2.9): the profile's extension wins over one from before it.
fn find_evidence(extensions: &[u8]) -> Result<Result<CertificateEvidence<'_>, Error>, der::Error> {
    let mut wrapper = SliceReader::new(extensions)?;
    let mut list = SliceReader::new(sequence(&mut wrapper)?)?;
    wrapper.finish()?;
    let (mut tagged, mut legacy) = (None, None);
    let mut seen = Vec::new();
    while !list.is_finished() {
        let mut extension = SliceReader::new(sequence(&mut list)?)?;
        let oid = ObjectIdentifier::decode(&mut extension)?;
        if Tag::peek(&extension)? == Tag::Boolean {
            bool::decode(&mut extension)?;
        }
        let value = <&OctetStringRef>::decode(&mut extension)?.as_bytes();
        extension.finish()?;
        let found = match legacy_quote(oid, value) {
            Some(quote) => CertificateEvidence::Legacy { oid, quote },
            None if oid == OID_TAGGED_EVIDENCE => CertificateEvidence::Tagged(value),
            None => continue,
        };
        if seen.contains(&oid) {
            return Ok(Err(Error::unexpected("extensions", 0, "one extension of a kind with evidence", "two")));
        }
        seen.push(oid);
        let place = if oid == OID_TAGGED_EVIDENCE { &mut tagged } else { &mut legacy };
        place.get_or_insert(found);
    }
    Ok(Ok(tagged.or(legacy).unwrap_or(CertificateEvidence::Absent)))
}

/// The quote in an extension from before the profile, if this is one. A value that has none of its extension's forms is taken for the quote.
pub fn legacy_quote(oid: ObjectIdentifier, value: &[u8]) -> Option<&[u8]> {
    match oid {
        OID_LEGACY_GRAMINE | OID_LEGACY_RATS_TLS | OID_LEGACY_INTEL => Some(value),
        OID_LEGACY_OPEN_ENCLAVE => {
            let of_azure = || <&OctetStringRef>::from_der(value).ok().map(OctetStringRef::as_bytes);
            open_enclave_quote(value).or_else(of_azure).or(Some(value))
        }
        _ => None,
    }
}

/// What the Open Enclave SDK hashes of a key: its PEM, and the zero byte that ends a text in C (`oe_cert_write_public_key_pem`).
pub fn open_enclave_key(spki: &[u8]) -> Vec<u8> {
    let mut text = encode_pem("PUBLIC KEY", spki).into_bytes();
    text.push(0);
    text
}

/// What the first element of tagged evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// Tag 60000: a quote.
    Quote,
    /// Tag 60001: a TEE report, which only the same machine can check.
    TeeReport,
    /// Tag 60002: an SGX report in its legacy form, which only the same machine can check.
    LegacySgxReport,
}

impl EvidenceKind {
    const fn tag(self) -> u64 {
        match self {
            Self::Quote => 60_000,
            Self::TeeReport => 60_001,
            Self::LegacySgxReport => 60_002,
        }
    }
}

/// The content of [`OID_TAGGED_EVIDENCE`], and of the exchange's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaggedEvidence<'a> {
    /// What `evidence` is.
    pub kind: EvidenceKind,
    /// The quote or report.
    pub evidence: &'a [u8],
    /// CBOR of [`Claims`], exactly the bytes whose SHA-256 the report data must begin with.
    pub claims: &'a [u8],
}

impl<'a> TaggedEvidence<'a> {
    /// Reads the CBOR. Only definite lengths are accepted, and nothing behind the array.
    ///
    /// # Errors
    /// When the tag is unknown or the array has another shape.
    pub fn parse(cbor: &'a [u8]) -> Result<Self, Error> {
        let mut cbor = Cbor::new(cbor);
        let kind = match cbor.tag("tag")? {
            60_000 => EvidenceKind::Quote,
            60_001 => EvidenceKind::TeeReport,
            60_002 => EvidenceKind::LegacySgxReport,
            other => return Err(Error::unexpected("tag", 0, "60000, 60001 or 60002", other)),
        };
        cbor.elements("tagged evidence", 2)?;
        let evidence = cbor.bytes("evidence")?;
        let claims = cbor.bytes("claims")?;
        cbor.end("tagged evidence")?;
        Ok(Self { kind, evidence, claims })
    }

    /// Writes the CBOR.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        cbor::write("tagged evidence", |encoder| {
            encoder.tag(minicbor::data::Tag::new(self.kind.tag()))?.array(2)?;
            encoder.bytes(self.evidence)?.bytes(self.claims)?;
            Ok(())
        })
    }
}

/// A hash algorithm by its number in IANA's registry of named information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// 1.
    Sha256,
    /// 7.
    Sha384,
    /// 8.
    Sha512,
}

impl HashAlgorithm {
    const fn number(self) -> u8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha384 => 7,
            Self::Sha512 => 8,
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The profile's `hash-entry`: of a public key's `SubjectPublicKeyInfo`, or of an event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashEntry<'a> {
    /// How it was hashed.
    pub algorithm: HashAlgorithm,
    /// The digest, as long as the algorithm makes it.
    pub digest: &'a [u8],
}

impl<'a> HashEntry<'a> {
    /// A SHA-256 hash, the one that we write.
    pub const fn sha256(digest: &'a [u8; 32]) -> Self {
        Self { algorithm: HashAlgorithm::Sha256, digest }
    }

    /// Reads the CBOR of a hash entry, which is all that is left.
    fn read(cbor: &mut Cbor<'a>) -> Result<Self, Error> {
        cbor.elements("hash entry", 2)?;
        let at = cbor.offset();
        let algorithm = match cbor.unsigned("hash algorithm")? {
            1 => HashAlgorithm::Sha256,
            7 => HashAlgorithm::Sha384,
            8 => HashAlgorithm::Sha512,
            other => return Err(Error::unexpected("hash algorithm", at, "1, 7 or 8", other)),
        };
        let at = cbor.offset();
        let digest = cbor.bytes("hash")?;
        cbor.end("hash entry")?;
        if digest.len() != algorithm.len() {
            return Err(Error::unexpected("hash", at, "as many bytes as the algorithm makes", digest.len()));
        }
        Ok(Self { algorithm, digest })
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        cbor::write("hash entry", |encoder| {
            encoder.array(2)?.u8(self.algorithm.number())?.bytes(self.digest)?;
            Ok(())
        })
    }
}

/// What the report data vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The key of the certificate.
    pub pubkey_hash: HashEntry<'a>,
    /// The other side's nonce, where it could give one.
    pub nonce: Option<&'a [u8]>,
    /// The TLS exporter of the session: [`EXPORTER_LEN`] bytes.
    pub tls_exporter: Option<&'a [u8]>,
    /// The key that signs receipts.
    pub receipt_key: Option<HashEntry<'a>>,
    /// The event log that is shown with the evidence.
    pub event_log: Option<HashEntry<'a>>,
}

impl<'a> Claims<'a> {
    /// Reads the CBOR map. Claims that are not known here are skipped; a known claim that is there twice is refused.
    ///
    /// # Errors
    /// When the CBOR is malformed, a known claim has another type, or `pubkey-hash` is missing.
    pub fn parse(cbor: &'a [u8]) -> Result<Self, Error> {
        let mut cbor = Cbor::new(cbor);
        let Some(count) = cbor.entries("claims")?.filter(|count| *count <= MAX_CLAIMS) else {
            return Err(Error::unexpected("claims", 0, "a map of at most 64 claims and definite length", "another"));
        };
        let mut claims = Partial::default();
        for _ in 0..count {
            claims.read_one(&mut cbor)?;
        }
        cbor.end("claims")?;
        let Some(pubkey_hash) = claims.pubkey_hash else {
            return Err(Error::unexpected("claims", 0, "the claim pubkey-hash", "none"));
        };
        Ok(Self {
            pubkey_hash,
            nonce: claims.nonce,
            tls_exporter: claims.tls_exporter,
            receipt_key: claims.receipt_key,
            event_log: claims.event_log,
        })
    }

    /// Writes the CBOR map, its keys in the order of RFC 8949, section 4.2.1.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let pubkey_hash = self.pubkey_hash.encode()?;
        let receipt_key = self.receipt_key.as_ref().map(HashEntry::encode).transpose()?;
        let event_log = self.event_log.as_ref().map(HashEntry::encode).transpose()?;
        let members = [
            ("nonce", self.nonce),
            ("pubkey-hash", Some(pubkey_hash.as_slice())),
            ("receipt-key", receipt_key.as_deref()),
            ("tls-exporter", self.tls_exporter),
            ("event-log-hash", event_log.as_deref()),
        ];
        let present = || members.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        cbor::write("claims", |encoder| {
            encoder.map(u64::try_from(present().count()).unwrap_or(MAX_CLAIMS))?;
            for (name, value) in present() {
                encoder.str(name)?.bytes(value)?;
            }
            Ok(())
        })
    }
}

/// Claims while they are read.
#[derive(Default)]
struct Partial<'a> {
    pubkey_hash: Option<HashEntry<'a>>,
    nonce: Option<&'a [u8]>,
    tls_exporter: Option<&'a [u8]>,
    receipt_key: Option<HashEntry<'a>>,
    event_log: Option<HashEntry<'a>>,
}

impl<'a> Partial<'a> {
    fn read_one(&mut self, cbor: &mut Cbor<'a>) -> Result<(), Error> {
        const FIELD: &str = "claims";
        let at = cbor.offset();
        match cbor.name(FIELD)? {
            Some("pubkey-hash") => cbor::once(FIELD, at, &mut self.pubkey_hash, hash_entry(cbor, "pubkey-hash")?),
            Some("receipt-key") => cbor::once(FIELD, at, &mut self.receipt_key, hash_entry(cbor, "receipt-key")?),
            Some("event-log-hash") => cbor::once(FIELD, at, &mut self.event_log, hash_entry(cbor, "event-log-hash")?),
            Some("nonce") => cbor::once(FIELD, at, &mut self.nonce, cbor.bytes("nonce")?),
            Some("tls-exporter") => cbor::once(FIELD, at, &mut self.tls_exporter, cbor.bytes("tls-exporter")?),
            _ => cbor.skip(FIELD),
        }
    }
}

/// A byte string that wraps the CBOR of a hash entry.
fn hash_entry<'a>(cbor: &mut Cbor<'a>, field: &'static str) -> Result<HashEntry<'a>, Error> {
    HashEntry::read(&mut cbor.wrapped(field)?)
}

/// The report data that vouches for claims, or in certificates from before the profile for a key: their SHA-256, then zeros.
pub fn report_data(sha256: &[u8; 32]) -> [u8; 64] {
    let mut data = [0; 64];
    for (to, from) in data.iter_mut().zip(sha256) {
        *to = *from;
    }
    data
}

/// `POST` to [`ATTEST_PATH`]: the client asks for evidence that is fresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestRequest {
    /// [`NONCE_LEN`] random bytes, base64.
    #[serde(with = "base64_standard")]
    pub nonce: Vec<u8>,
}

impl Message for AttestRequest {
    const NAME: &'static str = "attest request";
    const LIMIT: usize = 1 << 10;
}

impl AttestRequest {
    /// The nonce, if it has the right length.
    ///
    /// # Errors
    /// When it has another length than [`NONCE_LEN`].
    pub fn nonce(&self) -> Result<&[u8; NONCE_LEN], Error> {
        let nonce = self.nonce.as_slice();
        nonce.try_into().map_err(|_| Error::unexpected("nonce", 0, "32 bytes", nonce.len()))
    }
}

/// The answer to [`AttestRequest`]. As a file it is the evidence that goes with receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestResponse {
    /// CBOR of [`TaggedEvidence`], base64.
    #[serde(with = "base64_standard")]
    pub evidence: Vec<u8>,
    /// The event log that explains the quote's registers, base64, or `null`.
    #[serde(default, with = "base64_standard_option")]
    pub event_log: Option<Vec<u8>>,
}

impl Message for AttestResponse {
    const NAME: &'static str = "attest response";
    const LIMIT: usize = 2 << 20;
}
