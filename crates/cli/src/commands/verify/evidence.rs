//! Each kind of evidence, with what its verification takes.

use super::Refused;
use super::supplied::{Supplied, key_info, tpm_anchor};
use crate::args;
use crate::inspect::MAX_FILE;
use crate::kind::{Kind, base64_text};
use crate::pem;
use anyhow::{Context, Result, bail};
use sealwright_verify::cca::Enrolled;
use sealwright_verify::nitro::Freshness;
use sealwright_verify::snp::Revocation;
use sealwright_verify::tpm::AttestationKey;
use sealwright_verify::{Anchors, Collateral, Error, Facts, Part, az_vtpm, cca, csv, nitro, nvidia, snp, tpm};
use sealwright_wire::cca::Store;
use sealwright_wire::collateral::encode_pem_chain;
use sealwright_wire::quote::{CertificationData, Quote};
use sealwright_wire::snp::{Report, SigningKey};
use sealwright_wire::time::UnixTime;
use sealwright_wire::tpm::{Signature, tools};
use sealwright_wire::{Error as WireError, Evidence, hcl};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Facts, or why there are none.
pub(super) type Verdict = std::result::Result<Facts, Refused>;

/// The logs that came along.
type Logs = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What the command line says beside the evidence itself.
pub(super) struct Request<'a> {
    args: &'a args::Verify,
    supplied: Supplied,
    at: UnixTime,
}

impl<'a> Request<'a> {
    pub(super) fn new(args: &'a args::Verify, at: UnixTime) -> Result<Self> {
        let supplied = Supplied::read(args.collateral.iter().map(PathBuf::as_path))?;
        Ok(Self { args, supplied, at })
    }

    /// Verifies evidence of a kind.
    pub(super) fn verify(&self, kind: Kind, evidence: &[u8]) -> Result<Verdict> {
        self.check_logs(kind)?;
        match kind {
            Kind::Quote => self.quote(evidence),
            Kind::Snp => self.snp(evidence, None),
            Kind::Csv => self.csv(evidence),
            Kind::Tpm => self.tpm_files(evidence),
            Kind::TpmJson => self.tpm_json(evidence),
            Kind::AzVtpm => self.az_vtpm(evidence),
            Kind::Nitro => self.nitro(evidence),
            Kind::Cca => self.cca(evidence),
            Kind::Nvidia => self.nvidia(evidence),
        }
    }

    /// A log that would not be looked at must not seem to have been.
    fn check_logs(&self, kind: Kind) -> Result<()> {
        let of_tpm = matches!(kind, Kind::Tpm | Kind::TpmJson | Kind::AzVtpm);
        let has_registers = of_tpm || matches!(kind, Kind::Quote | Kind::Csv);
        if self.args.event_log.is_some() && !has_registers {
            bail!(args::nonsense(format!("--event-log: a {} has no registers that a log explains", kind.name())));
        }
        if self.args.ima.is_some() && !of_tpm {
            bail!(args::nonsense(
                "--ima is for the quotes of TPMs; `eventlog replay --ima --quote` is for those of trust domains"
            ));
        }
        Ok(())
    }

    /// The named roots; the vendors' where none is named.
    fn anchors(&self) -> Result<Anchors> {
        let Some((first, others)) = self.args.anchors.split_first() else { return Ok(Anchors::vendor()) };
        let anchors = Anchors::none().with(crate::trust::anchor(first)?);
        others.iter().try_fold(anchors, |anchors, path| Ok(anchors.with(crate::trust::anchor(path)?)))
    }

    fn file(path: Option<&Path>) -> Result<Option<Vec<u8>>> {
        path.map(|path| crate::files::read(path, MAX_FILE)).transpose()
    }

    /// A file that this kind of evidence does not go without.
    fn needed(path: Option<&Path>, what: &str) -> Result<Vec<u8>> {
        match Self::file(path)? {
            Some(bytes) => Ok(bytes),
            None => bail!(args::nonsense(what)),
        }
    }

    fn quote(&self, bytes: &[u8]) -> Result<Verdict> {
        let Some(bundle) = &self.supplied.intel else {
            bail!(args::nonsense("a quote needs --collateral FILE: Intel's, as one JSON document"));
        };
        let (anchors, event_log) = (self.anchors()?, Self::file(self.args.event_log.as_deref())?);
        let quote = match Quote::parse(bytes) {
            Ok(quote) => quote,
            Err(error) => return Ok(Err(Error::malformed_quote(error).into())),
        };
        let simulated = match &quote.certification {
            CertificationData::PckChain(pem) => anchors.above(pem).ok().as_ref().map(super::is_simulated),
            _ => None,
        };
        let evidence = Evidence { quote, event_log: event_log.as_deref() };
        let facts = Collateral::verify(bundle, &anchors, self.at)
            .and_then(|collateral| sealwright_verify::verify(&evidence, &collateral, self.at));
        Ok(facts.map_err(|error| Refused { error, simulated }))
    }

    /// A report; `vek` is the certificate of its key, where that came with it.
    fn snp(&self, bytes: &[u8], vek: Option<&[u8]>) -> Result<Verdict> {
        match Report::parse(bytes) {
            Ok(report) => self.snp_report(&report, vek),
            Err(source) => Ok(Err(Error::Malformed { part: Part::Report, source }.into())),
        }
    }

    fn snp_report(&self, report: &Report<'_>, vek: Option<&[u8]>) -> Result<Verdict> {
        let kind = match report.body.signer().signing_key() {
            // Refused by the verifier, whatever comes with it.
            SigningKey::None => SigningKey::Vcek,
            kind => kind,
        };
        let (bundle, vek) = (self.supplied.snp(kind)?, vek.map_or_else(|| self.supplied.vek(kind), Ok)?);
        let revocation = if self.args.without_crl { Revocation::IfPresent } else { Revocation::Required };
        let facts = snp::Collateral::verify(&bundle, &self.anchors()?, revocation, self.at)
            .and_then(|collateral| snp::verify(report, vek, &collateral, self.at));
        Ok(facts.map_err(Refused::from))
    }

    /// A report under the certificates of its chip, as the vendor hands them out for the chip's serial number.
    fn csv(&self, bytes: &[u8]) -> Result<Verdict> {
        let Some(hsk_cek) = &self.supplied.hsk_cek else {
            bail!(args::nonsense(
                "a CSV report needs --collateral FILE: HSK and CEK of its chip, as Hygon's service hands them out"
            ));
        };
        let report = match sealwright_wire::csv::Report::parse(bytes) {
            Ok(report) => report,
            Err(error) => return Ok(refused(Part::CsvReport, error)),
        };
        let (anchors, log) = (self.anchors()?, Self::file(self.args.event_log.as_deref())?);
        let facts =
            csv::Chip::verify(hsk_cek, &anchors).and_then(|chip| chip.verify_report(&report, log.as_deref(), self.at));
        Ok(facts.map_err(Refused::from))
    }

    /// A quote, its signature and its PCRs as tpm2-tools write them.
    fn tpm_files(&self, message: &[u8]) -> Result<Verdict> {
        let signature =
            Self::needed(self.args.signature.as_deref(), "a TPM's quote needs --signature FILE (TPMT_SIGNATURE)")?;
        let pcrs = Self::needed(
            self.args.pcrs.as_deref(),
            "a TPM's quote needs --pcrs FILE, as `tpm2_quote --pcr` writes it",
        )?;
        let signature = match Signature::parse(&signature) {
            Ok(signature) => signature,
            Err(error) => return Ok(refused(Part::TpmQuote, error)),
        };
        let pcrs = match tools::read_pcrs(&pcrs) {
            Ok((_, values)) => values,
            Err(binary) => match str::from_utf8(&pcrs).ok().and_then(|text| tools::read_yaml(text).ok()) {
                Some(values) => values,
                None => return Ok(refused(Part::TpmQuote, binary)),
            },
        };
        let keys = self.tpm_anchors()?;
        let key_info = self.tpm_key_info()?;
        let key = match &key_info {
            Some(key_info) => AttestationKey::KeyInfo(key_info),
            None => AttestationKey::Certified {
                chain: &self.supplied.certificates,
                public: None,
                crls: &self.supplied.crls,
            },
        };
        let (log, ima) = self.logs()?;
        let evidence =
            tpm::Evidence { message, signature, pcrs: &pcrs, key, event_log: log.as_deref(), ima: ima.as_deref() };
        Ok(tpm::verify(&evidence, &keys, self.at).map_err(Refused::from))
    }

    /// The key that signed, where it is named by itself and not by certificates.
    fn tpm_key_info(&self) -> Result<Option<Vec<u8>>> {
        if !self.supplied.certificates.is_empty() {
            return Ok(None);
        }
        match self.args.key.as_deref().or_else(|| self.args.anchors.first().map(PathBuf::as_path)) {
            Some(path) => key_info(path).map(Some),
            None => {
                bail!(args::nonsense(
                    "a TPM's quote needs --anchor KEY (its attestation key), or the key's certificates"
                ))
            }
        }
    }

    /// The firmware's log and the kernel's list.
    fn logs(&self) -> Result<Logs> {
        Ok((Self::file(self.args.event_log.as_deref())?, Self::file(self.args.ima.as_deref())?))
    }

    /// Roots of CAs that certify attestation keys, and keys themselves. No vendor's is built in.
    fn tpm_anchors(&self) -> Result<Anchors> {
        self.args.anchors.iter().try_fold(Anchors::none(), |anchors, path| Ok(anchors.with(tpm_anchor(path)?)))
    }

    fn tpm_json(&self, json: &[u8]) -> Result<Verdict> {
        let evidence = sealwright_wire::tpm::Evidence::from_json(json)?;
        let (pcrs, (log, ima)) = (evidence.tpm_quote.values()?, self.logs()?);
        let evidence = tpm::Evidence {
            message: &evidence.tpm_quote.message,
            signature: Signature::parse(&evidence.tpm_quote.signature)?,
            pcrs: &pcrs,
            key: AttestationKey::KeyInfo(&evidence.ak_public),
            event_log: log.as_deref(),
            ima: ima.as_deref(),
        };
        Ok(tpm::verify(&evidence, &self.tpm_anchors()?, self.at).map_err(Refused::from))
    }

    /// The hardware's report first, then what hangs on it.
    fn az_vtpm(&self, json: &[u8]) -> Result<Verdict> {
        let evidence = hcl::Evidence::from_json(json)?;
        let vcek = evidence.vcek.as_deref().map(certificate).transpose()?;
        let hardware = match (&evidence.td_quote, hcl::Report::parse(&evidence.hcl_report)) {
            (Some(quote), _) => self.quote(quote)?,
            (None, Ok(report)) => self.snp(report.hardware_report, vcek.as_deref())?,
            (None, Err(error)) => return Ok(refused(Part::HclReport, error)),
        };
        let hardware = match hardware {
            Ok(facts) => facts,
            Err(error) => return Ok(Err(error)),
        };
        let (pcrs, (log, ima)) = (evidence.tpm_quote.values()?, self.logs()?);
        let evidence = az_vtpm::Evidence {
            hcl_report: &evidence.hcl_report,
            message: &evidence.tpm_quote.message,
            signature: evidence.tpm_quote.signature(),
            pcrs: &pcrs,
            event_log: log.as_deref(),
            ima: ima.as_deref(),
        };
        Ok(az_vtpm::verify(&evidence, hardware).map_err(Refused::from))
    }

    fn nitro(&self, document: &[u8]) -> Result<Verdict> {
        let freshness = Freshness { max_age: self.args.max_age, ..Freshness::default() };
        Ok(nitro::verify(document, &self.anchors()?, self.at, freshness).map_err(Refused::from))
    }

    fn cca(&self, token: &[u8]) -> Result<Verdict> {
        let mut enrolled = Vec::new();
        for path in &self.args.anchors {
            let store = Store::from_json(&crate::files::read(path, MAX_FILE)?);
            let store = store.with_context(|| format!("{} is no store of platforms' keys", path.display()))?;
            for entry in &store.0 {
                enrolled.push(Enrolled::from_entry(entry)?);
            }
        }
        Ok(cca::verify(token, &enrolled, self.at).map_err(Refused::from))
    }

    fn nvidia(&self, report: &[u8]) -> Result<Verdict> {
        if self.supplied.certificates.is_empty() {
            bail!(args::nonsense("a GPU's report needs --collateral FILE: the device's certificate chain in PEM"));
        }
        let chain = encode_pem_chain(&self.supplied.certificates);
        let crls: Vec<&[u8]> = self.supplied.crls.iter().map(Vec::as_slice).collect();
        let verdict = nvidia::verify(report, chain.as_bytes(), &crls, &self.anchors()?, self.at);
        Ok(verdict.map_err(Refused::from))
    }
}

/// A certificate in PEM, or in base64 of DER in either alphabet, as DER.
fn certificate(text: &str) -> Result<Vec<u8>> {
    if let Cow::Owned(certificate) = pem::certificate(text.as_bytes()) {
        return Ok(certificate);
    }
    let text = text.replace('-', "+").replace('_', "/");
    base64_text(text.as_bytes()).context("the VCEK in the evidence is neither PEM nor base64")
}

fn refused(part: Part, source: WireError) -> Verdict {
    Err(Error::Malformed { part, source }.into())
}
