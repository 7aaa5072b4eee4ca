//! Hygon CSV: HRK, HSK, CEK, PEK, report, each signed by the one before with SM2 and SM3. Hygon's certificates have no dates, and no
//! revocation lists exist: what was true of a chip once is true for ever, and the facts say so.
//!
//! Nothing in a CEK names its chip. What ties a report to a chip is the serial number under which Hygon's service was asked for the CEK
//! ([`Chip::for_serial_number`]).

mod claims;
mod error;
mod root;

pub use claims::{CsvClaims, CsvExtendedClaims, CsvOwner, CsvPolicy};
pub use error::CsvError;
pub(crate) use root::Root;

use crate::certificate::profile;
use crate::facts::Log;
use crate::sm2::Key;
use crate::{AnchorId, Anchors, Claims, Error, Facts, Part, hash, replay};
use claims::Signed;
use hmac::{Hmac, KeyInit, Mac};
use sealwright_wire::csv::{
    ALGORITHM_SM2_SIGN, Body, CaCertificate, Certificate, HskCek, PublicKey, Report, Signature, Signer, SignerForm,
    TeeInfo, Usage,
};
use sealwright_wire::{Tee, time::UnixTime};
use sm3::Sm3;
use std::sync::OnceLock;
use zerocopy::IntoBytes;

/// The last second of what has no end (RFC 5280, 4.1.2.5): 9999-12-31T23:59:59Z.
const NO_END: UnixTime = UnixTime(253_402_300_799);

/// A chip whose certificates have been verified: serves every report that its CEK vouches for.
///
/// A report costs two signatures, its PEK's and its own. The first PEK is remembered once verified, and further reports that carry the same
/// certificate cost their own signature alone.
#[derive(Debug)]
pub struct Chip {
    anchor: AnchorId,
    cek: Key,
    serial_number: Option<String>,
    owner: Option<Key>,
    /// The first PEK that was verified.
    platform: OnceLock<Platform>,
}

/// A verified PEK: its certificate and its key, decoded.
#[derive(Debug)]
struct Platform {
    pek: Certificate,
    key: Key,
    owner: CsvOwner,
}

impl Chip {
    /// Verifies what Hygon's service hands out for a chip, its HSK and CEK in a row, against the anchors.
    ///
    /// # Errors
    /// When a certificate is malformed, of another usage, not signed by the one before, or the root is not among the anchors.
    pub fn verify(hsk_cek: &[u8], anchors: &Anchors) -> Result<Self, Error> {
        let HskCek { hsk, cek } = parse_hsk_cek(hsk_cek)?;
        let anchor = check_hsk(hsk, anchors)?;
        let (x, y) = hsk.public_key.coordinates().unwrap_or_default();
        let hsk_key = Key::new(&x, &y, hsk.user_id()).ok_or_else(|| no_point(Part::Hsk, &hsk.public_key))?;
        check_role(Part::Cek, cek, Usage::CEK, "key usage CEK")?;
        if cek.version.get() > 1 && cek.signer_id != hsk.key_id {
            let (expected, found) = (hex::encode(hsk.key_id), hex::encode(cek.signer_id));
            return Err(Error::Issuer { part: Part::Cek, expected, found });
        }
        let signature = signature_by(Part::Cek, cek, Usage::HSK)?;
        let signature = signature.ok_or_else(|| unsigned(Part::Cek, "a signature by a HSK", cek))?;
        check_signature(Part::Cek, cek.signed(), signature, Part::Hsk, &hsk_key)?;
        let cek = key_of(Part::Cek, cek)?;
        Ok(Self { anchor, cek, serial_number: None, owner: None, platform: OnceLock::new() })
    }

    /// The same chip, said to be the one with this serial number: the one that Hygon's service was asked for. Reports of another are refused.
    #[must_use]
    pub fn for_serial_number(mut self, serial_number: &str) -> Self {
        self.serial_number = Some(serial_number.to_owned());
        self
    }

    /// The same chip, of which only those reports are believed whose PEK this owner's certificate authority signed as well.
    ///
    /// # Errors
    /// When the certificate is none of an OCA, or not signed by itself.
    pub fn for_owner(mut self, oca: &[u8]) -> Result<Self, Error> {
        let oca = Certificate::parse(oca).map_err(|source| Error::Malformed { part: Part::Oca, source })?;
        check_role(Part::Oca, oca, Usage::OCA, "key usage OCA")?;
        let key = key_of(Part::Oca, oca)?;
        let signature = signature_by(Part::Oca, oca, Usage::OCA)?;
        let signature = signature.ok_or_else(|| unsigned(Part::Oca, "a signature by itself", oca))?;
        check_signature(Part::Oca, oca.signed(), signature, Part::Oca, &key)?;
        // What was remembered was not held against this owner.
        self.platform = OnceLock::new();
        self.owner = Some(key);
        Ok(self)
    }

    /// The root above the chip.
    pub const fn anchor(&self) -> &AnchorId {
        &self.anchor
    }

    /// A HRK's certificate that came along must be that of the root above the chip.
    pub(crate) fn check_root(&self, hrk: &[u8]) -> Result<(), Error> {
        let root = Root::parse(hrk)?;
        let sha256 = hash::sha256(&[&root.key_info()]);
        if sha256 == self.anchor.sha256 {
            return Ok(());
        }
        let trusted = format!("{} with key SHA-256 {}", self.anchor.name, self.anchor.sha256);
        Err(Error::UntrustedRoot {
            found: format!("HRK {}", hex::encode(root.key_id())),
            sha256: sha256.to_string(),
            trusted,
        })
    }

    /// Verifies a report of this chip: PEK, signature, signer block, registers, and the event log against the registers. The time is stated in
    /// the facts; nothing here depends on it.
    ///
    /// # Errors
    /// When anything in the report was changed, it is of another chip, RTMR0 is not the launch digest, the log does not explain the registers,
    /// or a report without registers came with a log.
    pub fn verify_report(&self, report: &Report<'_>, event_log: Option<&[u8]>, at: UnixTime) -> Result<Facts, Error> {
        let signer = report.plain_signer().map_err(|source| Error::Malformed { part: Part::CsvReport, source })?;
        let owner = self.check_signatures(&report.body, &signer.pek)?;
        let info = report.tee_info();
        check_algorithm(&info)?;
        let mac = check_mac(report, &info)?;
        let serial_number = self.check_serial_number(&signer)?;
        let log = check_registers(&report.body, event_log)?;
        let signed = Signed { serial_number, chip_id: self.serial_number.clone(), mac, owner };
        Ok(Facts {
            tee: Tee::Csv,
            anchor: self.anchor.clone(),
            at,
            collateral_expires: NO_END,
            tcb: None,
            debug: Some(!info.policy().nodbg()),
            report_data: info.report_data.to_vec(),
            evidence_sha384: hash::sha384(&[report.raw]),
            quote_version: None,
            trailing_bytes: if report.padding.iter().all(|byte| *byte == 0) { 0 } else { report.padding.len() },
            claims: Claims::Csv(CsvClaims::new(&report.body, &info, &signer.pek, signed)),
            log: log.map(Log::Rtmrs),
        })
    }

    /// CEK -> PEK -> report.
    fn check_signatures(&self, body: &Body<'_>, pek: &Certificate) -> Result<CsvOwner, Error> {
        let check = |platform: &Platform| {
            check_signature(Part::CsvReport, body.signed(), body.signature(), Part::Pek, &platform.key)?;
            Ok(platform.owner)
        };
        if let Some(known) = self.platform.get().filter(|known| known.pek == *pek) {
            return check(known);
        }
        let platform = self.check_pek(pek)?;
        let owner = check(&platform)?;
        // The first one stays: who alternates pays for it.
        drop(self.platform.set(platform));
        Ok(owner)
    }

    /// The PEK's signatures: the CEK's, and the owner's where one was named.
    fn check_pek(&self, pek: &Certificate) -> Result<Platform, Error> {
        check_role(Part::Pek, pek, Usage::PEK, "key usage PEK")?;
        let by_chip = signature_by(Part::Pek, pek, Usage::CEK)?;
        let by_chip = by_chip.ok_or_else(|| unsigned(Part::Pek, "a signature by a CEK", pek))?;
        check_signature(Part::Pek, pek.signed(), by_chip, Part::Cek, &self.cek)?;
        let by_owner = signature_by(Part::Pek, pek, Usage::OCA)?;
        let owner = match (&self.owner, by_owner) {
            (None, None) => CsvOwner::None,
            (None, Some(_)) => CsvOwner::Unverified,
            (Some(_), None) => return Err(unsigned(Part::Pek, "a signature by an OCA", pek)),
            (Some(key), Some(signature)) => {
                check_signature(Part::Pek, pek.signed(), signature, Part::Oca, key)?;
                CsvOwner::Verified
            }
        };
        Ok(Platform { pek: *pek, key: key_of(Part::Pek, pek)?, owner })
    }

    /// The serial number in the signer block, which must be that for which the CEK was fetched.
    fn check_serial_number(&self, signer: &Signer) -> Result<String, Error> {
        let text = signer.serial_number.split(|byte| *byte == 0).next().unwrap_or_default();
        let padded = signer.serial_number.iter().skip(text.len()).all(|byte| *byte == 0);
        let found = match str::from_utf8(text) {
            Ok(text) if padded && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                text.to_owned()
            }
            _ => {
                let found = hex::encode(signer.serial_number);
                return Err(profile(Part::CsvReport, "a serial number in ASCII, padded with zeros", found));
            }
        };
        match &self.serial_number {
            Some(expected) if *expected != found => {
                Err(Error::Csv(CsvError::OtherChip { expected: expected.clone(), found }))
            }
            _ => Ok(found),
        }
    }
}

/// The anchor above a chip's certificates, whatever else is to be said of them.
pub(crate) fn root(hsk_cek: &[u8], anchors: &Anchors) -> Result<AnchorId, Error> {
    check_hsk(parse_hsk_cek(hsk_cek)?.hsk, anchors)
}

fn parse_hsk_cek(bytes: &[u8]) -> Result<HskCek<'_>, Error> {
    HskCek::parse(bytes).map_err(|source| Error::Malformed {
        part: if source.offset < size_of::<CaCertificate>() { Part::Hsk } else { Part::Cek },
        source,
    })
}

/// The HSK must be of an anchor's key.
fn check_hsk(hsk: &CaCertificate, anchors: &Anchors) -> Result<AnchorId, Error> {
    if hsk.usage() != Usage::HSK {
        return Err(profile(Part::Hsk, "key usage HSK", hsk.usage().to_string()));
    }
    let mut named = anchors.hrks().filter(|(root, _)| *root.key_id() == hsk.signer_id).peekable();
    if named.peek().is_none() {
        let trusted: Vec<_> = anchors.hrks().map(|(_, id)| id.name.as_str()).collect();
        let trusted = if trusted.is_empty() { "none".to_owned() } else { trusted.join(", ") };
        return Err(Error::Csv(CsvError::UnknownRoot { key_id: hex::encode(hsk.signer_id), trusted }));
    }
    // Key ids are given, not computed: two anchors may have the same.
    let signed_by = |root: &Root| {
        let key = root.key().ok_or(Error::Signature { part: Part::Hsk, signer: Part::Hrk.name() })?;
        check_signature(Part::Hsk, hsk.signed(), &hsk.signature, Part::Hrk, &key)
    };
    let signer = named.find(|(root, _)| signed_by(root).is_ok());
    signer.map(|(_, id)| id.clone()).ok_or(Error::Signature { part: Part::Hsk, signer: Part::Hrk.name() })
}

fn check_signature(part: Part, signed: &[u8], signature: &Signature, signer: Part, key: &Key) -> Result<(), Error> {
    let holds = signature.numbers().is_some_and(|(r, s)| key.verify(signed, &r, &s));
    if holds { Ok(()) } else { Err(Error::Signature { part, signer: signer.name() }) }
}

/// A certificate of this usage, whose key signs.
fn check_role(part: Part, certificate: &Certificate, usage: Usage, rule: &'static str) -> Result<(), Error> {
    if certificate.usage() != usage {
        return Err(profile(part, rule, certificate.usage().to_string()));
    }
    let algorithm = certificate.algorithm.get();
    if algorithm != ALGORITHM_SM2_SIGN {
        return Err(profile(part, "algorithm 4 (SM2 signature)", algorithm.to_string()));
    }
    Ok(())
}

fn key_of(part: Part, certificate: &Certificate) -> Result<Key, Error> {
    let point = certificate.public_key.coordinates();
    let key = point.and_then(|(x, y)| Key::new(&x, &y, certificate.user_id()));
    key.ok_or_else(|| no_point(part, &certificate.public_key))
}

fn no_point(part: Part, key: &PublicKey) -> Error {
    profile(part, "a point on the curve of SM2 as public key", hex::encode(key.as_bytes()))
}

fn unsigned(part: Part, rule: &'static str, certificate: &Certificate) -> Error {
    let found: Vec<_> =
        certificate.signatures.iter().filter_map(|place| place.usage()).map(|by| by.to_string()).collect();
    profile(part, rule, if found.is_empty() { "none".to_owned() } else { format!("by {}", found.join(" and ")) })
}

/// The signature by a key of this usage. Two of them leave open which one counts.
fn signature_by(part: Part, certificate: &Certificate, usage: Usage) -> Result<Option<&Signature>, Error> {
    let mut places = certificate.signatures.iter().filter(|place| place.usage() == Some(usage));
    let (first, second) = (places.next(), places.next());
    if second.is_some() {
        return Err(profile(part, "one signature by each key", format!("two by {usage}")));
    }
    match first {
        Some(place) if place.algorithm.get() != ALGORITHM_SM2_SIGN => {
            Err(profile(part, "signatures of algorithm 4 (SM2)", place.algorithm.to_string()))
        }
        place => Ok(place.map(|place| &place.signature)),
    }
}

/// What the report says of its own signature.
fn check_algorithm(info: &TeeInfo) -> Result<(), Error> {
    let usage = Usage(info.sig_usage.get());
    if usage != Usage::PEK {
        return Err(profile(Part::CsvReport, "signature usage PEK", usage.to_string()));
    }
    let algorithm = info.sig_algo.get();
    if algorithm != ALGORITHM_SM2_SIGN {
        return Err(profile(Part::CsvReport, "signature algorithm 4 (SM2)", algorithm.to_string()));
    }
    Ok(())
}

/// HMAC-SM3 over PEK, serial number and reserved bytes as the firmware wrote them, keyed by the guest's nonce. `false` where the reserved bytes
/// were wiped after the guest had checked it: then nobody can tell any more.
fn check_mac(report: &Report<'_>, info: &TeeInfo) -> Result<bool, Error> {
    let form = report.signer_form();
    let signer = match form {
        SignerForm::Firmware => *report.signer,
        SignerForm::Restored => report.signer.masked(report.body.anonce()),
    };
    let mac = Hmac::<Sm3>::new_from_slice(&info.mnonce).ok().map(|mut mac| {
        mac.update(signer.authenticated());
        mac.verify_slice(&signer.mac).is_ok()
    });
    let wiped = form == SignerForm::Restored && report.signer.reserved == [0; 32];
    match mac {
        Some(true) => Ok(true),
        _ if wiped => Ok(false),
        _ => Err(Error::Csv(CsvError::SignerMac)),
    }
}

/// RTMR0 is the launch digest, and the log explains the others.
fn check_registers(body: &Body<'_>, event_log: Option<&[u8]>) -> Result<Option<replay::Replayed>, Error> {
    match (body, event_log) {
        (Body::V1(_), None) => Ok(None),
        (Body::V1(_), Some(_)) => Err(Error::UnexpectedLog { tee: "csv (version 1)" }),
        (Body::V2(body), log) => {
            let [rtmr0, rtmr1, rtmr2, rtmr3, rtmr4] = body.rtmr;
            if rtmr0 != body.info.measure {
                let (expected, found) = (hex::encode(body.info.measure), hex::encode(rtmr0));
                return Err(Error::Csv(CsvError::LaunchRegister { expected, found }));
            }
            let replayed = log.map(|log| replay::check_csv(log, &[rtmr1, rtmr2, rtmr3, rtmr4]));
            replayed.transpose().map_err(|source| Error::EventLog { source: Box::new(source) })
        }
    }
}
