//! Each kind of evidence, with what its verification takes.

use super::{Beside, Error, Kind, Missing, Request, Root, kind::decoded};
use crate::{
    Anchor, AnchorId, AnchorKind, Anchors, Collateral, Error as VerifyError, Facts, Part, az_vtpm,
    cca::{self, Enrolled},
    csv, held_data, nitro, nvidia, pem, ratls, snp,
    tpm::{self, AttestationKey},
};
use sealwright_wire::{
    Error as WireError, Evidence, Tee,
    cca::{PlatformKey, Store},
    collateral::encode_pem_chain,
    csv as csv_wire, hcl,
    held_data::HeldData,
    quote::{CertificationData, Quote},
    snp::{Report, SigningKey},
    tpm::{Evidence as TpmEvidence, PcrValues, Public, Signature, tools},
};
use x509_cert::{Certificate, der::Decode, spki::SubjectPublicKeyInfoRef};

/// What makes an anchor of a name and a certificate in DER.
type MakeAnchor = fn(&str, &[u8]) -> Result<Anchor, VerifyError>;

impl Request<'_> {
    /// Verifies evidence that is known to be of a kind.
    ///
    /// # Errors
    /// As [`Request::verify`].
    pub fn verify_as(&self, kind: Kind, evidence: &[u8]) -> Result<Facts, Error> {
        let [event_log, ima, cel, signature, pcrs, vtpm_quote, td_quote] =
            [self.event_log, self.ima, self.cel, self.signature, self.pcrs, self.vtpm_quote, self.td_quote]
                .map(|beside| beside.map(decoded));
        let request = Request {
            event_log: event_log.as_deref(),
            ima: ima.as_deref(),
            cel: cel.as_deref(),
            signature: signature.as_deref(),
            pcrs: pcrs.as_deref(),
            vtpm_quote: vtpm_quote.as_deref(),
            td_quote: td_quote.as_deref(),
            ..self.clone()
        };
        request.judge(kind, evidence)
    }

    /// With everything in its own bytes.
    fn judge(&self, kind: Kind, evidence: &[u8]) -> Result<Facts, Error> {
        self.check_beside(kind, evidence)?;
        match kind {
            Kind::Quote => self.quote(evidence),
            Kind::Snp => self.snp(evidence, None),
            Kind::Csv => self.csv(evidence),
            Kind::Tpm => self.tpm_files(evidence),
            Kind::TpmQuote => self.tpm_quote(evidence),
            Kind::TpmJson => self.tpm_json(evidence),
            Kind::AzVtpm => self.az_vtpm(evidence),
            Kind::HclReport => self.hcl_report(evidence),
            Kind::Nitro => self.nitro(evidence),
            Kind::Cca => Ok(cca::verify(evidence, &self.enrolled()?, self.at)?),
            Kind::Nvidia => self.nvidia(evidence),
            Kind::Ratls => {
                let quote = ratls::check_certificate(evidence)?.quote;
                self.parsed_quote(kind, quote)
            }
            Kind::HeldData => self.held_data(evidence),
        }
    }

    /// Whether all that came along is of use for this kind of evidence.
    fn check_beside(&self, kind: Kind, evidence: &[u8]) -> Result<(), Error> {
        let in_files = matches!(kind, Kind::Tpm | Kind::HclReport);
        let of_tpm = in_files || matches!(kind, Kind::TpmJson | Kind::TpmQuote | Kind::AzVtpm);
        let of_td = matches!(kind, Kind::Quote | Kind::Ratls) && !is_of_enclave(kind, evidence);
        let of_csv = kind == Kind::Csv && !is_without_registers(evidence);
        let given = [
            (Beside::EventLog, self.event_log.is_some(), of_tpm || of_td || of_csv),
            (Beside::Ima, self.ima.is_some(), of_tpm || of_td),
            (Beside::Cel, self.cel.is_some(), of_tpm || of_td),
            (Beside::Signature, self.signature.is_some(), in_files),
            (Beside::Pcrs, self.pcrs.is_some(), in_files),
            (Beside::Key, self.key.is_some(), matches!(kind, Kind::Tpm | Kind::TpmQuote)),
            (Beside::VtpmQuote, self.vtpm_quote.is_some(), kind == Kind::HclReport),
            (Beside::TdQuote, self.td_quote.is_some(), kind == Kind::HclReport),
        ];
        if let Some((beside, ..)) = given.into_iter().find(|(_, given, of_use)| *given && !of_use) {
            return Err(Error::Unused { kind, beside });
        }
        if let Some(beside) = self.supplied.unused(kind) {
            return Err(Error::Unused { kind, beside });
        }
        // Registers of a TD that hold the list's lines hold the firmware's events before them.
        if of_td && self.ima.is_some() && self.event_log.is_none() {
            return Err(missing(kind, Missing::EventLog));
        }
        Ok(())
    }

    /// The named roots; the vendors' where none is named.
    fn anchors(&self) -> Result<Anchors, Error> {
        self.anchors_by(Anchor::from_certificate)
    }

    /// The same, of which those whose common name tells no PKI are declared to be of the evidence's.
    fn anchors_or(&self, declared: MakeAnchor) -> Result<Anchors, Error> {
        self.anchors_by(|name, der| Anchor::from_certificate(name, der).or_else(|_| declared(name, der)))
    }

    fn anchors_by(&self, anchor: impl Fn(&str, &[u8]) -> Result<Anchor, VerifyError>) -> Result<Anchors, Error> {
        if self.roots.is_empty() {
            return Ok(Anchors::vendor());
        }
        self.roots.iter().try_fold(Anchors::none(), |anchors, root| {
            let anchor = anchor(root.name, &pem::certificate(root.bytes));
            Ok(anchors.with(anchor.map_err(|error| root.is_no("root certificate", &error))?))
        })
    }

    fn quote(&self, bytes: &[u8]) -> Result<Facts, Error> {
        self.parsed_quote(Kind::Quote, Quote::parse(bytes).map_err(VerifyError::malformed_quote)?)
    }

    /// The quote of evidence of a kind.
    fn parsed_quote(&self, kind: Kind, quote: Quote<'_>) -> Result<Facts, Error> {
        let bundle = self.supplied.intel(kind, &quote)?;
        let anchors = self.anchors()?;
        let root = match &quote.certification {
            CertificationData::PckChain(pem) => anchors.above(pem).ok(),
            _ => None,
        };
        let evidence = Evidence { quote, event_log: self.event_log, ima: self.ima, cel: self.cel };
        Collateral::verify(&bundle, &anchors, self.at)
            .and_then(|collateral| crate::verify(&evidence, &collateral, self.at))
            .map_err(|error| refused_under(root.as_ref(), error))
    }

    /// What a quote vouches for, held against it first: whoever gives the wrong data learns so without collateral.
    fn held_data(&self, json: &[u8]) -> Result<Facts, Error> {
        let document = HeldData::from_json(json).map_err(malformed(Part::HeldData))?;
        let quote = Quote::parse(&document.quote).map_err(VerifyError::malformed_quote)?;
        held_data::check(&document, &quote).map_err(VerifyError::from)?;
        self.parsed_quote(Kind::HeldData, quote)
    }

    /// A report; `vek` is the certificate of its key, where that came with it.
    fn snp(&self, bytes: &[u8], vek: Option<&[u8]>) -> Result<Facts, Error> {
        let report = Report::parse(bytes).map_err(malformed(Part::Report))?;
        let kind = match report.body.signer().signing_key() {
            // Refused by the verifier, whatever comes with it.
            SigningKey::None => SigningKey::Vcek,
            kind => kind,
        };
        let vek = vek.map_or_else(|| self.supplied.vek(kind, report.body), Ok)?;
        let bundle = self.supplied.snp(vek)?;
        let anchors = self.anchors()?;
        let root = snp::root(&bundle, &anchors).ok();
        snp::Collateral::verify(&bundle, &anchors, self.revocation, self.at)
            .and_then(|collateral| snp::verify(&report, vek, &collateral, self.at))
            .map_err(|error| refused_under(root.as_ref(), error))
    }

    /// A report under the certificates of its chip, as the vendor hands them out for the chip's serial number.
    fn csv(&self, bytes: &[u8]) -> Result<Facts, Error> {
        let hsk_cek = self.supplied.hygon.hsk_cek()?;
        let report = csv_wire::Report::parse(bytes).map_err(malformed(Part::CsvReport))?;
        let anchors = self.anchors()?;
        let root = csv::root(&hsk_cek, &anchors).ok();
        let hrk = self.supplied.hygon.hrk.as_deref();
        csv::Chip::verify(&hsk_cek, &anchors)
            .and_then(|chip| hrk.map_or(Ok(()), |hrk| chip.check_root(hrk)).map(|()| chip))
            .and_then(|chip| chip.verify_report(&report, self.event_log, self.at))
            .map_err(|error| refused_under(root.as_ref(), error))
    }

    /// A quote, its signature and its PCRs as tpm2-tools write them.
    fn tpm_files(&self, message: &[u8]) -> Result<Facts, Error> {
        let (signature, pcrs) = self.signature_and_pcrs(Kind::Tpm)?;
        self.tpm(Kind::Tpm, message, signature, &pcrs)
    }

    /// What belongs to a quote of a TPM and stands in files of its own.
    fn signature_and_pcrs(&self, kind: Kind) -> Result<(Signature<'_>, PcrValues), Error> {
        let needed = |bytes: Option<_>, what| bytes.ok_or_else(|| missing(kind, what));
        let (signature, pcrs) = (needed(self.signature, Missing::Signature)?, needed(self.pcrs, Missing::Pcrs)?);
        let signature = tools::read_signature(signature).map_err(malformed(Part::TpmQuote))?;
        Ok((signature, read_pcrs(pcrs)?))
    }

    /// A quote with its signature and PCRs in one file.
    fn tpm_quote(&self, bytes: &[u8]) -> Result<Facts, Error> {
        let quote = hcl::Quote::parse(bytes).map_err(malformed(Part::TpmQuote))?;
        let pcrs = quote.values().map_err(malformed(Part::TpmQuote))?;
        self.tpm(Kind::TpmQuote, &quote.message, quote.signature(), &pcrs)
    }

    /// A quote under the key that is named for it, or certified.
    fn tpm(&self, kind: Kind, message: &[u8], signature: Signature<'_>, pcrs: &PcrValues) -> Result<Facts, Error> {
        let (anchors, key_info) = (self.tpm_anchors()?, self.tpm_key_info(kind)?);
        let chain = &self.supplied.certificates;
        let (key, root) = match &key_info {
            Some(key_info) => (AttestationKey::KeyInfo(key_info), None),
            None => {
                let key = AttestationKey::Certified { chain, public: None, crls: self.supplied.crls.as_slice() };
                (key, chain.last().and_then(|root| tpm::root(root, &anchors).ok()))
            }
        };
        let Self { event_log, ima, cel, .. } = *self;
        let evidence = tpm::Evidence { message, signature, pcrs, key, event_log, ima, cel };
        tpm::verify(&evidence, &anchors, self.at).map_err(|error| refused_under(root.as_ref(), error))
    }

    /// The key that signed, where it is named by itself and not by certificates.
    fn tpm_key_info(&self, kind: Kind) -> Result<Option<Vec<u8>>, Error> {
        if self.key.is_none() && !self.supplied.certificates.is_empty() {
            return Ok(None);
        }
        let named = self.key.map(|bytes| Root { name: "the attestation key", bytes });
        let Some(key) = named.or_else(|| self.roots.first().copied()) else {
            return Err(missing(kind, Missing::AttestationKey));
        };
        if let Some(key_info) = public_key(key.bytes) {
            return Ok(Some(key_info));
        }
        let area = Public::without_size(key.bytes).and_then(Public::parse).and_then(|public| public.key_info());
        area.map(Some).map_err(|error| key.is_no("public key or public area", &error))
    }

    /// Roots of CAs that certify attestation keys, and keys themselves. No vendor's is built in.
    fn tpm_anchors(&self) -> Result<Anchors, Error> {
        self.roots.iter().try_fold(Anchors::none(), |anchors, root| {
            let certificate = pem::certificate(root.bytes);
            let anchor = match (Certificate::from_der(&certificate), public_key(root.bytes)) {
                (Ok(_), _) => Anchor::tpm_ca(root.name, &certificate),
                (_, Some(key_info)) => Anchor::attestation_key(root.name, &key_info),
                _ => Anchor::attestation_key_area(root.name, root.bytes),
            };
            let expected = "root certificate, public key or public area";
            Ok(anchors.with(anchor.map_err(|error| root.is_no(expected, &error))?))
        })
    }

    fn tpm_json(&self, json: &[u8]) -> Result<Facts, Error> {
        let malformed = malformed(Part::TpmQuote);
        let evidence = TpmEvidence::from_json(json).map_err(&malformed)?;
        let pcrs = evidence.tpm_quote.values().map_err(&malformed)?;
        let evidence = tpm::Evidence {
            message: &evidence.tpm_quote.message,
            signature: Signature::parse(&evidence.tpm_quote.signature).map_err(&malformed)?,
            pcrs: &pcrs,
            key: AttestationKey::KeyInfo(&evidence.ak_public),
            event_log: self.event_log,
            ima: self.ima,
            cel: self.cel,
        };
        Ok(tpm::verify(&evidence, &self.tpm_anchors()?, self.at)?)
    }

    /// A guest of Azure in one document.
    fn az_vtpm(&self, json: &[u8]) -> Result<Facts, Error> {
        let evidence = hcl::Evidence::from_json(json).map_err(malformed(Part::HclReport))?;
        let pcrs = evidence.tpm_quote.values().map_err(malformed(Part::TpmQuote))?;
        let vcek = evidence.vcek_der().map_err(malformed(Part::Vcek))?;
        let guest = az_vtpm::Evidence {
            hcl_report: &evidence.hcl_report,
            message: &evidence.tpm_quote.message,
            signature: evidence.tpm_quote.signature(),
            pcrs: &pcrs,
            event_log: self.event_log,
            ima: self.ima,
            cel: self.cel,
        };
        let no_quote = || VerifyError::from(az_vtpm::Error::NoQuote).into();
        self.az_guest(&guest, vcek.as_deref(), evidence.td_quote.as_deref(), no_quote)
    }

    /// A guest of Azure in files of their own: its paravisor's report, and the quotes beside it.
    fn hcl_report(&self, hcl_report: &[u8]) -> Result<Facts, Error> {
        let no_quote = || missing(Kind::HclReport, Missing::VtpmQuote);
        let quote = self.vtpm_quote.ok_or_else(no_quote)?;
        let report = hcl::Report::parse(hcl_report).map_err(malformed(Part::HclReport))?;
        if self.td_quote.is_some() && report.report_type.hardware() == Some(Tee::Snp) {
            return Err(Error::Unused { kind: Kind::HclReport, beside: Beside::TdQuote });
        }
        let parts;
        let (message, signature, pcrs) = if Kind::of(quote) == Some(Kind::Tpm) {
            let (signature, pcrs) = self.signature_and_pcrs(Kind::HclReport)?;
            (quote, signature, pcrs)
        } else {
            if let Some(beside) = self.signature.and(Some(Beside::Signature)).or(self.pcrs.and(Some(Beside::Pcrs))) {
                return Err(Error::Unused { kind: Kind::TpmQuote, beside });
            }
            parts = hcl::Quote::parse(quote).map_err(malformed(Part::TpmQuote))?;
            (&*parts.message, parts.signature(), parts.values().map_err(malformed(Part::TpmQuote))?)
        };
        let (event_log, ima, cel) = (self.event_log, self.ima, self.cel);
        let guest = az_vtpm::Evidence { hcl_report, message, signature, pcrs: &pcrs, event_log, ima, cel };
        self.az_guest(&guest, None, self.td_quote, || missing(Kind::HclReport, Missing::TdQuote))
    }

    /// The hardware's report first, then what hangs on it.
    fn az_guest(
        &self,
        guest: &az_vtpm::Evidence<'_>,
        vcek: Option<&[u8]>,
        td_quote: Option<&[u8]>,
        no_quote: impl Fn() -> Error,
    ) -> Result<Facts, Error> {
        let report = hcl::Report::parse(guest.hcl_report).map_err(malformed(Part::HclReport))?;
        let below = self.of_hardware();
        let hardware = match (td_quote, report.report_type.hardware()) {
            (Some(quote), _) => below.quote(quote)?,
            (None, Some(Tee::Snp)) => below.snp(report.hardware_report, vcek)?,
            // Anything else in the place of an SEV-SNP report would be called a bad one of these.
            (None, Some(_)) => return Err(no_quote()),
            (None, None) => {
                let found = report.report_type.name();
                return Err(VerifyError::from(az_vtpm::Error::NoHardware { found }).into());
            }
        };
        let root = hardware.anchor().clone();
        az_vtpm::verify(guest, hardware).map_err(|error| refused_under(Some(&root), error))
    }

    /// For the hardware's report below a vTPM, whose logs are the vTPM's.
    fn of_hardware(&self) -> Self {
        Self { event_log: None, ima: None, cel: None, ..self.clone() }
    }

    /// The platforms' keys that are named, each by itself or in a store.
    fn enrolled(&self) -> Result<Vec<Enrolled>, Error> {
        let mut enrolled = Vec::new();
        for root in &self.roots {
            let platforms = root.platforms();
            enrolled
                .extend(platforms.map_err(|error| root.is_no("platform's key (JWK) or store of such keys", &error))?);
        }
        Ok(enrolled)
    }

    fn nitro(&self, document: &[u8]) -> Result<Facts, Error> {
        Ok(nitro::verify(document, &self.anchors_or(Anchor::nitro_root)?, self.at, self.freshness)?)
    }

    fn nvidia(&self, report: &[u8]) -> Result<Facts, Error> {
        if self.supplied.certificates.is_empty() {
            return Err(missing(Kind::Nvidia, Missing::DeviceChain));
        }
        let chain = encode_pem_chain(&self.supplied.certificates);
        let crls: Vec<&[u8]> = self.supplied.crls.as_slice().iter().map(Vec::as_slice).collect();
        let anchors = self.anchors_or(Anchor::nvidia_root)?;
        Ok(nvidia::verify(report, chain.as_bytes(), &crls, &anchors, self.at)?)
    }
}

impl Root<'_> {
    /// The keys of platforms in it.
    fn platforms(&self) -> Result<Vec<Enrolled>, VerifyError> {
        let malformed = |source| VerifyError::Malformed { part: Part::CcaPlatformKey, source };
        if self.bytes.trim_ascii_start().starts_with(b"{") {
            let key = PlatformKey::from_json(self.bytes).map_err(malformed)?;
            return Ok(vec![Enrolled::by_key(self.name, &key.key())?]);
        }
        Store::from_json(self.bytes).map_err(malformed)?.0.iter().map(Enrolled::from_entry).collect()
    }

    fn is_no(&self, expected: &'static str, error: &impl ToString) -> Error {
        Error::Root { name: self.name.to_owned(), expected, reason: error.to_string() }
    }
}

const fn missing(kind: Kind, missing: Missing) -> Error {
    Error::Missing { kind, missing }
}

fn malformed(part: Part) -> impl Fn(WireError) -> Error {
    move |source| VerifyError::Malformed { part, source }.into()
}

/// Whether a quote is of SGX, which has no registers that a log tells of.
fn is_of_enclave(kind: Kind, evidence: &[u8]) -> bool {
    let quote = kind.hardware(evidence);
    quote.is_some_and(|(_, quote)| Quote::parse(&quote).is_ok_and(|quote| quote.body.td().is_none()))
}

/// Whether a report of CSV is of version 1, which has no registers.
fn is_without_registers(report: &[u8]) -> bool {
    csv_wire::Report::parse(report).is_ok_and(|report| matches!(report.body, csv_wire::Body::V1(_)))
}

/// A refusal of evidence that stands under a root.
fn refused_under(root: Option<&AnchorId>, error: VerifyError) -> Error {
    Error::Refused { error, simulated: root.map(|root| root.kind == AnchorKind::Simulated) }
}

/// The PCRs that a TPM's quote is over, whose values are in the evidence, or in `pcrs` beside it as tpm2-tools write them. Nothing is verified but that
/// these are the values: it is for those who look for the register that a log does not explain.
///
/// # Errors
/// When the evidence is of no TPM, its values are missing, malformed or not those that it is over.
pub fn quoted_pcrs(kind: Kind, evidence: &[u8], pcrs: Option<&[u8]>) -> Result<PcrValues, Error> {
    let malformed = |source| malformed(Part::TpmQuote)(source);
    let (message, values) = match kind {
        Kind::Tpm => {
            let pcrs = pcrs.ok_or_else(|| missing(kind, Missing::Pcrs))?;
            (evidence.to_vec(), read_pcrs(&decoded(pcrs))?)
        }
        Kind::TpmQuote => {
            let quote = hcl::Quote::parse(evidence).map_err(malformed)?;
            (quote.message.clone(), quote.values().map_err(malformed)?)
        }
        Kind::TpmJson => {
            let quote = TpmEvidence::from_json(evidence).map_err(malformed)?.tpm_quote;
            (quote.message.clone(), quote.values().map_err(malformed)?)
        }
        Kind::AzVtpm => {
            let quote = hcl::Evidence::from_json(evidence).map_err(malformed)?.tpm_quote;
            (quote.message.clone(), quote.values().map_err(malformed)?)
        }
        _ => return Err(Error::Unused { kind, beside: Beside::EventLog }),
    };
    Ok(tpm::quoted_pcrs(&message, &values)?)
}

/// PCRs in either form of tpm2-tools.
fn read_pcrs(bytes: &[u8]) -> Result<PcrValues, Error> {
    tools::read_pcrs(bytes).map(|(_, values)| values).or_else(|binary| {
        let yaml = str::from_utf8(bytes).ok().and_then(|text| tools::read_yaml(text).ok());
        yaml.ok_or_else(|| malformed(Part::Pcrs)(binary))
    })
}

/// A public key in PEM or DER, as DER.
fn public_key(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = pem::public_key(bytes);
    SubjectPublicKeyInfoRef::from_der(&key).is_ok().then(|| key.into_owned())
}
