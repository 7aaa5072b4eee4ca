//! A signing key whose certificate has been verified, and the reports that it signs.

use super::{Collateral, Error as Reason, SnpClaims};
use crate::certificate::{Certificate, Profile, profile};
use crate::crypto::FixedKey384;
use crate::{Claims, Error, Facts, Part, hash, window::Window};
use sealwright_wire::snp::{AttestationReport, Product, Report, SigningKey, Tcb, Tcbs, VMPL_HOST, VekExtensions};
use sealwright_wire::time::UnixTime;

/// A verified VCEK or VLEK: one signing key under one set of collateral. A report costs its one signature.
#[derive(Debug)]
pub struct Vek {
    collateral: Collateral,
    extensions: VekExtensions,
    key: FixedKey384,
    /// The certificate's own dates.
    certified: Window,
    window: Window,
}

impl Vek {
    pub(super) fn new(collateral: &Collateral, der: &[u8], at: UnixTime) -> Result<Self, Error> {
        let verified = &*collateral.0;
        let part = part(verified.kind);
        let vek = Certificate::parse(part, der, Profile::AMD)?;
        check_name(part, &vek)?;
        vek.issued_by(&verified.ca)?;
        if let Some(crl) = &verified.crl {
            crl.check(&vek)?;
        }
        let certified = vek.window();
        let window = verified.window.and(certified);
        window.check(at)?;
        let extensions = VekExtensions::read(|id| vek.extension(id));
        let extensions = extensions.map_err(|source| Error::Malformed { part, source })?;
        check_extensions(part, verified.product, &extensions)?;
        let key = FixedKey384::new(vek.p384()?)
            .ok_or_else(|| profile(part, "a point on P-384 as public key", hex::encode(vek.key_info())))?;
        Ok(Self { collateral: collateral.clone(), extensions, key, certified, window })
    }

    /// The collateral under which the key was verified.
    pub const fn collateral(&self) -> &Collateral {
        &self.collateral
    }

    /// What the key's certificate says.
    pub const fn extensions(&self) -> &VekExtensions {
        &self.extensions
    }

    /// The first and the last second at which the certificate itself is valid, whatever its collateral says.
    pub const fn certified(&self) -> (UnixTime, UnixTime) {
        (self.certified.from(), self.certified.until())
    }

    /// The last second at which the certificate and its collateral are valid.
    pub const fn expires(&self) -> UnixTime {
        self.window.until()
    }

    /// Verifies a report of this key: its signature, and that report and certificate agree on the kind of key, the chip, the product and
    /// the security versions, each of which is no lower than the specification allows.
    ///
    /// # Errors
    /// When the report is not signed, or by another key; when anything in it was changed; when the host made it for itself; when it is
    /// about another machine than the certificate; or when `at` is outside the window of certificate and collateral.
    pub fn verify(&self, report: &Report<'_>, at: UnixTime) -> Result<Facts, Error> {
        let verified = &*self.collateral.0;
        self.window.check(at)?;
        self.check_signer(report.body)?;
        let tcbs = report.body.tcbs(verified.product);
        // Before the signature, which is then another key's: the reader should hear why.
        self.check_chip(report.body)?;
        if let Ok(tcbs) = &tcbs {
            check_certified(&self.extensions.tcb, &tcbs.reported)?;
        }
        if !self.key.verify(report.signed(), &report.body.signature.to_be_bytes()) {
            return Err(Error::Signature { part: Part::Report, signer: verified.kind.name() });
        }
        let tcbs = tcbs.map_err(|source| Error::Malformed { part: Part::Report, source })?;
        self.check(report.body, &tcbs)?;
        Ok(Facts {
            tee: AttestationReport::TEE,
            anchor: verified.anchor.clone(),
            at,
            collateral_expires: self.window.until(),
            tcb: None,
            debug: Some(report.body.guest_policy().debug()),
            report_data: report.body.report_data.to_vec(),
            evidence_sha384: hash::sha384(&[report.without_trailing()]),
            quote_version: None,
            trailing_bytes: report.trailing.len(),
            claims: Claims::Snp(SnpClaims::new(report.body, &tcbs, self)),
            log: None,
        })
    }

    /// SIGNING_KEY: the report must say that a key of this kind signed it. A firmware that may not sign leaves the signature zero.
    fn check_signer(&self, report: &AttestationReport) -> Result<(), Error> {
        let (expected, signer) = (self.collateral.0.kind, report.signer());
        if signer.signing_key() == SigningKey::None || report.signature.to_be_bytes() == [0; 96] {
            return Err(Reason::Unsigned { mask_chip_key: signer.mask_chip_key() }.into());
        }
        if signer.signing_key() != expected {
            let found = signer.signing_key().name();
            return Err(Reason::SigningKey { expected: expected.name(), found }.into());
        }
        Ok(())
    }

    fn check(&self, report: &AttestationReport, tcbs: &Tcbs) -> Result<(), Error> {
        if report.vmpl.get() == VMPL_HOST {
            return Err(Reason::HostReport.into());
        }
        check_cpuid(report, self.collateral.0.product)?;
        check_order(("REPORTED_TCB", &tcbs.reported), ("COMMITTED_TCB", &tcbs.committed))?;
        check_order(("COMMITTED_TCB", &tcbs.committed), ("CURRENT_TCB", &tcbs.current))?;
        if report.committed.ordered() > report.current.ordered() {
            let text = |(major, minor, build)| format!("{major}.{minor}.{build}");
            let (committed, current) = (text(report.committed.ordered()), text(report.current.ordered()));
            return Err(Reason::FirmwareOrder { committed, current }.into());
        }
        Ok(())
    }

    /// CHIP_ID is the certified chip's, or zero where the host masks it (MASK_CHIP_ID of SNP_CONFIG): the key itself is of that chip alone.
    fn check_chip(&self, report: &AttestationReport) -> Result<(), Error> {
        let Some(hwid) = &self.extensions.hwid else { return Ok(()) };
        if report.chip_id == *hwid.chip_id() || report.chip_id == [0; 64] {
            return Ok(());
        }
        let (certified, reported) = (hwid.to_string(), hex::encode(report.chip_id));
        Err(Reason::ChipId { certified, reported }.into())
    }
}

/// Verifies one report with everything behind it: the certificate (DER) of the key that signed it, then the report. Where more reports of
/// the key are to come, keep the [`Vek`].
///
/// # Errors
/// As [`Collateral::vek`] and [`Vek::verify`].
pub fn verify(report: &Report<'_>, vek: &[u8], collateral: &Collateral, at: UnixTime) -> Result<Facts, Error> {
    collateral.vek(vek, at)?.verify(report, at)
}

const fn part(kind: SigningKey) -> Part {
    match kind {
        SigningKey::Vlek => Part::Vlek,
        SigningKey::Vcek | SigningKey::None => Part::Vcek,
    }
}

/// Exactly the name of its kind: the name of a VLEK's CA contains that of a VLEK.
fn check_name(part: Part, vek: &Certificate) -> Result<(), Error> {
    let (name, rule) = match part {
        Part::Vlek => ("SEV-VLEK", "common name \"SEV-VLEK\""),
        _ => ("SEV-VCEK", "common name \"SEV-VCEK\""),
    };
    let found = vek.common_name()?.unwrap_or_default();
    if found == name { Ok(()) } else { Err(profile(part, rule, found)) }
}

/// What a certificate of this kind and product must say, whatever the report.
fn check_extensions(part: Part, product: Product, extensions: &VekExtensions) -> Result<(), Error> {
    let has = (extensions.hwid.is_some(), extensions.csp_id.is_some());
    match (part, has) {
        (Part::Vlek, (false, true)) | (Part::Vcek, (true, false)) => {}
        (Part::Vlek, _) => return Err(profile(part, "a cspID and no hwID", identities(has))),
        _ => return Err(profile(part, "a hwID and no cspID", identities(has))),
    }
    if Product::from_product_name(&extensions.product_name) != Some(product) {
        let found = extensions.product_name.clone();
        return Err(Reason::Product { claim: "productName", expected: product.name(), found }.into());
    }
    if let Some(version) = extensions.reserved_spl.iter().flatten().find(|version| **version != 0) {
        return Err(profile(part, "spl_4 to spl_7 zero", version.to_string()));
    }
    match (product, extensions.tcb.fmc) {
        (Product::Turin, None) => Err(profile(part, "an fmcSPL, as of Turin", "none".into())),
        (Product::Milan | Product::Genoa, Some(fmc)) if fmc != 0 => {
            Err(profile(part, "no fmcSPL before Turin", fmc.to_string()))
        }
        _ => Ok(()),
    }
}

fn identities((hwid, csp_id): (bool, bool)) -> String {
    match (hwid, csp_id) {
        (true, true) => "both",
        (true, false) => "a hwID",
        (false, true) => "a cspID",
        (false, false) => "neither",
    }
    .to_owned()
}

/// From version 3 on a report names its processor, which must be of the product line whose root vouches for it.
fn check_cpuid(report: &AttestationReport, product: Product) -> Result<(), Error> {
    let Some((family, model, _)) = report.cpuid() else { return Ok(()) };
    let found = Product::from_cpuid(family, model);
    if found == Some(product) {
        return Ok(());
    }
    let name = found.map_or("no product known here", Product::name);
    let found = format!("family {family:#04x}, model {model:#04x} ({name})");
    Err(Reason::Product { claim: "CPUID", expected: product.name(), found }.into())
}

/// The key was derived for the versions that its certificate names: a report must state these, each of them.
fn check_certified(certified: &Tcb, reported: &Tcb) -> Result<(), Error> {
    for ((component, certified), (_, reported)) in certified.components().into_iter().zip(reported.components()) {
        if certified != reported {
            return Err(Reason::CertifiedTcb { component, certified, reported }.into());
        }
    }
    Ok(())
}

/// No component of the first may be above that of the second (56860, sections "TCB Version" and "SNP_COMMIT", "SNP_CONFIG").
fn check_order(lower: (&'static str, &Tcb), upper: (&'static str, &Tcb)) -> Result<(), Error> {
    for ((component, value), (_, limit)) in lower.1.components().into_iter().zip(upper.1.components()) {
        if value > limit {
            return Err(Reason::TcbOrder { component, claim: lower.0, found: value, above: upper.0, limit }.into());
        }
    }
    Ok(())
}
