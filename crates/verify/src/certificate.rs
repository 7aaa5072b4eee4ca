//! X.509 certificates (RFC 5280), version 3, each read as its vendor's [`Profile`] has it.
//!
//! Signatures are checked and names compared over the bytes as received, never over a re-encoding.

use crate::crypto::{Algorithm, Hash, KeyKind, Point, PublicKey};
use crate::{Error, Part, SIMULATION, window::Window};
use der::asn1::{BitStringRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::flagset::FlagSet;
use der::{Decode, Reader, Sequence, SliceReader, TagMode, TagNumber};
use sealwright_wire::{Error as WireError, pck, pck::PckExtension, snp, time::UnixTime};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};

/// SubjectPublicKeyInfo of a P-256 key up to its point: id-ecPublicKey, prime256v1, a BIT STRING of 65 bytes (RFC 5480, 2).
#[rustfmt::skip]
pub const P256_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// What the certificates and revocation lists of one PKI look like.
#[derive(Debug)]
pub(crate) struct Profile {
    /// How they may be signed.
    pub(crate) algorithms: &'static [Algorithm],
    /// The same in words.
    pub(crate) signed: &'static str,
    /// The keys that certificates may have.
    pub(crate) keys: &'static [KeyKind],
    /// The same in words.
    pub(crate) keyed: &'static str,
    /// Extensions that are looked at beside basic constraints and key usage; any other that is critical makes a certificate unusable
    /// (RFC 5280, 4.2).
    pub(crate) extensions: &'static [ObjectIdentifier],
    /// What the common name of the root contains.
    pub(crate) root: &'static str,
    /// The same in words.
    pub(crate) rooted: &'static str,
}

impl Profile {
    /// Intel's provisioning PKI (Intel SGX PCK Certificate and CRL Profile Specification): ECDSA P-256 with SHA-256 throughout.
    pub(crate) const INTEL: &'static Self = &Self {
        algorithms: &[Algorithm::EcdsaSha256],
        signed: "signature algorithm ecdsa-with-SHA256",
        keys: &[KeyKind::P256],
        keyed: "an uncompressed P-256 public key",
        extensions: &[pck::SGX_EXTENSION],
        root: "SGX Root CA",
        rooted: "common name containing \"SGX Root CA\"",
    };

    /// AMD's key distribution service (57230, chapter "Certificates"): RSASSA-PSS with SHA-384 throughout, over RSA keys of CAs and P-384
    /// keys of chips.
    pub(crate) const AMD: &'static Self = &Self {
        algorithms: &[Algorithm::RsaPss(Hash::Sha384)],
        signed: "signature algorithm RSASSA-PSS with SHA-384 and a salt of 48 bytes",
        keys: &[KeyKind::Rsa, KeyKind::P384],
        keyed: "an RSA or an uncompressed P-384 public key",
        extensions: &snp::EXTENSIONS,
        root: "ARK-",
        rooted: "common name containing \"ARK-\"",
    };

    /// The PKI of AWS Nitro enclaves (AWS Nitro Enclaves NSM API, "Verifying the root of trust"): ECDSA P-384 with SHA-384 throughout.
    pub(crate) const NITRO: &'static Self = &Self {
        algorithms: &[Algorithm::EcdsaSha384],
        signed: "signature algorithm ecdsa-with-SHA384",
        keys: &[KeyKind::P384],
        keyed: "an uncompressed P-384 public key",
        extensions: &[],
        root: "aws.nitro-enclaves",
        rooted: "common name containing \"aws.nitro-enclaves\"",
    };

    /// The PKI of NVIDIA's devices: ECDSA P-384 with SHA-384 throughout.
    pub(crate) const NVIDIA: &'static Self = &Self {
        algorithms: &[Algorithm::EcdsaSha384],
        signed: "signature algorithm ecdsa-with-SHA384",
        keys: &[KeyKind::P384],
        keyed: "an uncompressed P-384 public key",
        extensions: &[],
        root: "NVIDIA Device Identity CA",
        rooted: "common name containing \"NVIDIA Device Identity CA\"",
    };

    /// The PKIs that certify attestation keys of TPMs (TCG EK Credential Profile, and those who follow it for attestation keys): RSA with
    /// PKCS#1, or ECDSA. Their roots have any name, so that they must be declared as such.
    pub(crate) const TPM: &'static Self = &Self {
        algorithms: &[
            Algorithm::RsaPkcs1(Hash::Sha256),
            Algorithm::RsaPkcs1(Hash::Sha384),
            Algorithm::RsaPkcs1(Hash::Sha512),
            Algorithm::EcdsaSha256,
            Algorithm::EcdsaSha384,
        ],
        signed: "an RSA PKCS#1 or ECDSA signature with SHA-256, SHA-384 or SHA-512",
        keys: &[KeyKind::Rsa, KeyKind::P256, KeyKind::P384],
        keyed: "an RSA, P-256 or P-384 public key",
        extensions: &[EXTENDED_KEY_USAGE, SUBJECT_ALT_NAME],
        root: "",
        rooted: "a common name",
    };

    /// The PKIs whose roots are told by their common names.
    pub(crate) const ALL: [&'static Self; 4] = [Self::INTEL, Self::AMD, Self::NITRO, Self::NVIDIA];
}

/// What the common name of a root must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// One of its own PKI.
    OfPki,
    /// Any but one of another PKI: the root was declared to be of its PKI.
    Declared,
}

/// Largest certificate that is read, in bytes; Intel's have under 1.3 KB.
pub(crate) const MAX_CERTIFICATE: usize = 16 << 10;

/// What a signed structure of X.509 is made of: the bytes that were signed, and the signature.
pub(crate) struct SignedFrame<'a> {
    pub(crate) tbs: &'a [u8],
    /// Its AlgorithmIdentifier in DER, which stands in the signed bytes too.
    pub(crate) identifier: &'a [u8],
    pub(crate) algorithm: Algorithm,
    pub(crate) signature: &'a [u8],
}

impl<'a> SignedFrame<'a> {
    /// Splits `SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }`.
    pub(crate) fn parse(part: Part, der: &'a [u8], rules: &Profile) -> Result<Self, Error> {
        let (tbs, identifier, signature) =
            sequence(part, der, |inner| Ok((inner.tlv_bytes()?, inner.tlv_bytes()?, BitStringRef::decode(inner)?)))?;
        let algorithm = Algorithm::from_der(identifier).filter(|algorithm| rules.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| profile(part, rules.signed, hex::encode(identifier)))?;
        let signature =
            signature.as_bytes().ok_or_else(|| profile(part, "a signature of whole bytes", "unused bits".into()))?;
        Ok(Self { tbs, identifier, algorithm, signature })
    }
}

/// Reads one SEQUENCE that is all of `der`.
pub(crate) fn sequence<'a, T>(
    part: Part,
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> Result<T, der::Error>,
) -> Result<T, Error> {
    let whole = |der| -> Result<T, der::Error> {
        let mut reader = SliceReader::new(der)?;
        let fields = reader.sequence(read)?;
        reader.finish()?;
        Ok(fields)
    };
    whole(der).map_err(|error| malformed(part, &error))
}

/// One extension, borrowed (RFC 5280, 4.1.2.9).
#[derive(Sequence)]
pub(crate) struct Extension<'a> {
    pub(crate) id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    pub(crate) critical: bool,
    pub(crate) value: &'a OctetStringRef,
}

pub(crate) fn malformed(part: Part, error: &der::Error) -> Error {
    let at = error.position().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    Error::Malformed { part, source: WireError::unexpected(part.name(), at, "X.509 in DER", error) }
}

pub(crate) const fn profile(part: Part, rule: &'static str, found: String) -> Error {
    Error::Profile { part, rule, found }
}

/// Seconds since 1970 of an X.509 time.
pub(crate) fn seconds(time: Time) -> UnixTime {
    UnixTime(time.to_unix_duration().as_secs())
}

/// A name in DER as text (RFC 4514).
pub(crate) fn name_text(name: &[u8]) -> String {
    Name::from_der(name).map_or_else(|_| hex::encode(name), |name| name.to_string())
}

/// A certificate whose form has been checked; its signature has not, until [`issued_by`](Self::issued_by) says so.
#[derive(Debug)]
pub(crate) struct Certificate {
    part: Part,
    profile: &'static Profile,
    der: Vec<u8>,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    signature: Vec<u8>,
    serial: Vec<u8>,
    /// Both names in DER.
    issuer: Vec<u8>,
    subject: Vec<u8>,
    validity: Validity,
    key_info: Vec<u8>,
    key: PublicKey,
    role: Role,
    extensions: Vec<(ObjectIdentifier, Vec<u8>)>,
}

/// What basic constraints (RFC 5280, 4.2.1.9) and key usage (4.2.1.3) allow a certificate's key.
#[derive(Clone, Copy, Debug)]
struct Role {
    is_ca: bool,
    /// How many CAs may follow between this one and the last certificate.
    path_length: Option<u8>,
    usage: Option<KeyUsage>,
}

impl Role {
    fn allows(&self, usage: impl Into<FlagSet<KeyUsages>>) -> bool {
        self.usage.is_some_and(|allowed| allowed.0.contains(usage))
    }
}

/// The fields of a TBSCertificate (RFC 5280, 4.1) that are looked at, borrowed.
struct Fields<'a> {
    version: Option<u8>,
    serial: IntRef<'a>,
    algorithm: &'a [u8],
    issuer: &'a [u8],
    validity: Validity,
    subject: &'a [u8],
    key_info: &'a [u8],
    extensions: Vec<Extension<'a>>,
}

impl<'a> Fields<'a> {
    fn parse(part: Part, tbs: &'a [u8]) -> Result<Self, Error> {
        sequence(part, tbs, |inner| {
            Ok(Self {
                version: inner.context_specific(TagNumber(0), TagMode::Explicit)?,
                serial: IntRef::decode(inner)?,
                algorithm: inner.tlv_bytes()?,
                issuer: inner.tlv_bytes()?,
                validity: Validity::decode(inner)?,
                subject: inner.tlv_bytes()?,
                key_info: inner.tlv_bytes()?,
                extensions: inner.context_specific(TagNumber(3), TagMode::Explicit)?.unwrap_or_default(),
            })
        })
    }

    /// The value of an extension.
    fn extension(&self, id: ObjectIdentifier) -> Option<&'a [u8]> {
        let extension = self.extensions.iter().find(|extension| extension.id == id)?;
        Some(extension.value.as_bytes())
    }

    /// Version 3, one signature algorithm inside and outside, each extension once, and none critical that is unknown here.
    fn check(&self, part: Part, identifier: &[u8], rules: &Profile) -> Result<(), Error> {
        if self.version != Some(2) {
            return Err(profile(part, "version 3", format!("{:?}", self.version)));
        }
        if self.algorithm != identifier {
            let rule = "the same signature algorithm inside as outside";
            return Err(profile(part, rule, hex::encode(self.algorithm)));
        }
        for (at, extension) in self.extensions.iter().enumerate() {
            let understood =
                [KEY_USAGE, BASIC_CONSTRAINTS].contains(&extension.id) || rules.extensions.contains(&extension.id);
            if extension.critical && !understood {
                return Err(profile(part, "no unknown critical extension", extension.id.to_string()));
            }
            if self.extensions.iter().take(at).any(|other| other.id == extension.id) {
                return Err(profile(part, "each extension once", extension.id.to_string()));
            }
        }
        Ok(())
    }

    /// Whose key it is.
    fn role(&self, part: Part) -> Result<Role, Error> {
        let constraints = self.extension(BASIC_CONSTRAINTS).map(BasicConstraints::from_der).transpose();
        let usage = self.extension(KEY_USAGE).map(KeyUsage::from_der).transpose();
        let (constraints, usage) =
            constraints.and_then(|constraints| Ok((constraints, usage?))).map_err(|error| malformed(part, &error))?;
        Ok(Role {
            is_ca: constraints.as_ref().is_some_and(|constraints| constraints.ca),
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            usage,
        })
    }
}

impl Certificate {
    pub(crate) fn parse(part: Part, der: &[u8], rules: &'static Profile) -> Result<Self, Error> {
        if der.len() > MAX_CERTIFICATE {
            let source = WireError::too_long(part.name(), 0, MAX_CERTIFICATE, der.len());
            return Err(Error::Malformed { part, source });
        }
        let frame = SignedFrame::parse(part, der, rules)?;
        let fields = Fields::parse(part, frame.tbs)?;
        fields.check(part, frame.identifier, rules)?;
        let key = PublicKey::from_der(fields.key_info).filter(|key| rules.keys.contains(&key.kind()));
        let key = key.ok_or_else(|| profile(part, rules.keyed, hex::encode(fields.key_info)))?;
        let extensions = fields.extensions.iter().map(|extension| (extension.id, extension.value.as_bytes().to_vec()));
        Ok(Self {
            part,
            profile: rules,
            der: der.to_vec(),
            tbs: frame.tbs.to_vec(),
            algorithm: frame.algorithm,
            signature: frame.signature.to_vec(),
            serial: fields.serial.as_bytes().to_vec(),
            issuer: fields.issuer.to_vec(),
            subject: fields.subject.to_vec(),
            validity: fields.validity,
            key_info: fields.key_info.to_vec(),
            key,
            role: fields.role(part)?,
            extensions: extensions.collect(),
        })
    }

    pub(crate) const fn part(&self) -> Part {
        self.part
    }

    pub(crate) const fn profile(&self) -> &'static Profile {
        self.profile
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key as a point of P-384, which every certificate of a VCEK or VLEK has.
    pub(crate) fn p384(&self) -> Result<&[u8; 97], Error> {
        match &self.key {
            PublicKey::P384(point) => Ok(point),
            _ => Err(profile(self.part, "a P-384 public key", hex::encode(&self.key_info))),
        }
    }

    /// The key as a point of P-256, which every certificate of Intel's has.
    pub(crate) fn p256(&self) -> Result<&Point, Error> {
        match &self.key {
            PublicKey::P256(point) => Ok(point),
            _ => Err(profile(self.part, "a P-256 public key", hex::encode(&self.key_info))),
        }
    }

    /// The value of an extension.
    pub(crate) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions.iter().find(|(other, _)| *other == id).map(|(_, value)| value.as_slice())
    }

    /// SubjectPublicKeyInfo in DER.
    pub(crate) fn key_info(&self) -> &[u8] {
        &self.key_info
    }

    /// The subject in DER.
    pub(crate) fn name(&self) -> &[u8] {
        &self.subject
    }

    /// The subject as text (RFC 4514).
    pub(crate) fn subject(&self) -> String {
        name_text(&self.subject)
    }

    pub(crate) fn serial(&self) -> &[u8] {
        &self.serial
    }

    pub(crate) fn window(&self) -> Window {
        Window::new(self.part, seconds(self.validity.not_before), seconds(self.validity.not_after))
    }

    /// Whether the subject's organisation is that of a simulated vendor.
    pub(crate) fn is_simulation(&self) -> bool {
        let name = Name::from_der(&self.subject);
        name.is_ok_and(|name| matches!(name.organization(), Ok(Some(name)) if name.value() == SIMULATION))
    }

    /// The subject's common name.
    pub(crate) fn common_name(&self) -> Result<Option<String>, Error> {
        let common = Name::from_der(&self.subject).and_then(|name| name.common_name());
        let common = common.map_err(|error| malformed(self.part, &error))?;
        Ok(common.map(|name| name.value().into_owned()))
    }

    /// The subject's common name must contain the phrase by which Intel tells its certificates apart.
    pub(crate) fn check_role(&self, rule: &'static str, phrase: &str) -> Result<(), Error> {
        match self.common_name()? {
            Some(name) if name.contains(phrase) => Ok(()),
            Some(name) => Err(profile(self.part, rule, name)),
            None => Err(profile(self.part, rule, "no common name".into())),
        }
    }

    /// It may sign certificates and revocation lists.
    pub(crate) fn check_ca(&self) -> Result<(), Error> {
        if self.role.is_ca && self.role.allows(KeyUsages::KeyCertSign | KeyUsages::CRLSign) {
            return Ok(());
        }
        let rule = "a CA's basic constraints and key usage keyCertSign and cRLSign";
        Err(profile(self.part, rule, "another use".into()))
    }

    /// It may sign certificates, and may have this many CAs below it before the last certificate (RFC 5280, 4.2.1.9). Not every such CA has
    /// revocation lists to sign.
    pub(crate) fn check_issuer(&self, below: usize) -> Result<(), Error> {
        if !self.role.is_ca || !self.role.allows(KeyUsages::KeyCertSign) {
            let rule = "a CA's basic constraints and key usage keyCertSign";
            return Err(profile(self.part, rule, "another use".into()));
        }
        match self.role.path_length {
            Some(most) if below > usize::from(most) => {
                let found = format!("{below} above a path length of {most}");
                Err(profile(self.part, "no more CAs below it than its path length allows", found))
            }
            _ => Ok(()),
        }
    }

    /// Its key signs statements, not certificates.
    pub(crate) fn check_end_entity(&self) -> Result<(), Error> {
        if !self.role.is_ca && self.role.allows(KeyUsages::DigitalSignature) {
            return Ok(());
        }
        Err(profile(self.part, "no CA, and key usage digitalSignature", "another use".into()))
    }

    /// Named as a root of its PKI, or of none where it was declared.
    pub(crate) fn check_root_name(&self, naming: Naming) -> Result<(), Error> {
        let tells_none =
            |name: String| naming == Naming::Declared && !Profile::ALL.iter().any(|pki| name.contains(pki.root));
        if self.common_name()?.is_some_and(tells_none) {
            return Ok(());
        }
        self.check_role(self.profile.rooted, self.profile.root)
    }

    /// A root: named as such, a CA, and signed by itself.
    pub(crate) fn check_root(&self, naming: Naming) -> Result<(), Error> {
        self.check_root_name(naming)?;
        self.check_ca()?;
        self.issued_by(self)
    }

    /// The issuer's name and signature.
    pub(crate) fn issued_by(&self, issuer: &Self) -> Result<(), Error> {
        if self.issuer != issuer.subject {
            let found = name_text(&self.issuer);
            return Err(Error::Issuer { part: self.part, expected: issuer.subject(), found });
        }
        if !issuer.key.verify(self.algorithm, &self.tbs, &self.signature) {
            return Err(Error::Signature { part: self.part, signer: issuer.part.name() });
        }
        Ok(())
    }

    /// The platform's identity and security versions.
    pub(crate) fn pck_extension(&self) -> Result<PckExtension, Error> {
        let Some(extension) = self.extension(pck::SGX_EXTENSION) else {
            return Err(profile(self.part, "the SGX extension 1.2.840.113741.1.13.1", "none".into()));
        };
        PckExtension::from_der(extension).map_err(|source| Error::Malformed { part: self.part, source })
    }
}
