//! What came along with evidence: collateral, certificates and revocation lists, in whatever form their vendors hand them out.

use crate::inspect::MAX_FILE;
use crate::pem;
use anyhow::{Context, Result, bail};
use sealwright_verify::Anchor;
use sealwright_wire::collateral::{Bundle, encode_pem_chain, pem_chain};
use sealwright_wire::csv::HskCek;
use sealwright_wire::snp::{self, CertificateTable, SigningKey};
use sealwright_wire::tpm::Public;
use std::path::Path;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// All of it, sorted by what it is.
#[derive(Debug, Default)]
pub(super) struct Supplied {
    /// Intel's collateral.
    pub(super) intel: Option<Bundle>,
    /// Certificates in DER, in the order in which they came.
    pub(super) certificates: Vec<Vec<u8>>,
    /// Revocation lists in DER.
    pub(super) crls: Vec<Vec<u8>>,
    /// Hygon's certificates of one chip.
    pub(super) hsk_cek: Option<Vec<u8>>,
}

impl Supplied {
    /// Reads files of any of these kinds.
    pub(super) fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let mut supplied = Self::default();
        for path in paths {
            let bytes = crate::files::read(path, MAX_FILE)?;
            supplied.add(&bytes).with_context(|| format!("{} is no collateral", path.display()))?;
        }
        Ok(supplied)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let text = bytes.trim_ascii_start();
        if text.starts_with(b"{") {
            return self.add_json(text);
        }
        if text.starts_with(b"-----BEGIN X509 CRL-----") {
            let list = pem::revocation_list(text);
            CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&list)?;
            self.crls.push(list.into_owned());
            return Ok(());
        }
        if text.starts_with(b"-----BEGIN ") {
            return self.add_certificates(text);
        }
        if CertificateList::<x509_cert::certificate::Rfc5280>::from_der(bytes).is_ok() {
            self.crls.push(bytes.to_vec());
        } else if Certificate::from_der(bytes).is_ok() {
            self.certificates.push(bytes.to_vec());
        } else if HskCek::parse(bytes).is_ok() {
            if self.hsk_cek.replace(bytes.to_vec()).is_some() {
                bail!("a second one: name the certificates of this report's chip alone");
            }
        } else if let Some(certificates) = of_table(bytes) {
            self.certificates.extend(certificates);
        } else {
            bail!("neither collateral in JSON, nor a certificate, a revocation list or a host's certificate table");
        }
        Ok(())
    }

    /// Intel's bundle, or AMD's.
    fn add_json(&mut self, text: &[u8]) -> Result<()> {
        let intel = match Bundle::from_json(text) {
            Ok(bundle) => {
                if self.intel.replace(bundle).is_some() {
                    bail!("a second one: name the collateral of this quote's platform alone");
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let Ok(snp::Bundle { cert_chain, crl }) = snp::Bundle::from_json(text) else { return Err(intel.into()) };
        self.crls.extend(crl);
        self.add_certificates(cert_chain.as_bytes())
    }

    fn add_certificates(&mut self, pem: &[u8]) -> Result<()> {
        self.certificates.extend(pem_chain("certificates", pem)?);
        Ok(())
    }

    /// Certificates whose subject's common name is accepted.
    fn named(&self, accepts: impl Fn(&str) -> bool) -> Option<&Vec<u8>> {
        self.certificates.iter().find(|der| common_name(der).is_some_and(|name| accepts(&name)))
    }

    /// The certificate of the key that signs an SEV-SNP guest's reports.
    pub(super) fn vek(&self, kind: SigningKey) -> Result<&[u8]> {
        let name = if kind == SigningKey::Vlek { "SEV-VLEK" } else { "SEV-VCEK" };
        let found = self.named(|found| found == name);
        found.map(Vec::as_slice).with_context(|| format!("--collateral has no {} certificate", kind.name()))
    }

    /// The CA of that key, its root and the root's revocation list.
    pub(super) fn snp(&self, kind: SigningKey) -> Result<snp::Bundle> {
        let ark = self.named(|name| name.starts_with("ARK-")).context("--collateral has no ARK certificate")?;
        let product = common_name(ark).unwrap_or_default();
        let product = product.trim_start_matches("ARK-");
        let ca = match kind {
            SigningKey::Vlek => format!("SEV-VLEK-{product}"),
            SigningKey::Vcek | SigningKey::None => format!("SEV-{product}"),
        };
        let ca_certificate = self.named(|name| name == ca);
        let ca_certificate = ca_certificate.with_context(|| format!("--collateral has no certificate of {ca}"))?;
        Ok(snp::Bundle { cert_chain: encode_pem_chain(&[ca_certificate, ark]), crl: self.crls.first().cloned() })
    }
}

/// The certificates of a host's table; `None` when it is no table, or has none.
fn of_table(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let table = CertificateTable::parse(bytes).ok()?;
    let certificates = table.entries.iter().map(|entry| entry.data).filter(|der| Certificate::from_der(der).is_ok());
    let certificates: Vec<_> = certificates.map(<[u8]>::to_vec).collect();
    (!certificates.is_empty()).then_some(certificates)
}

fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    Some(name.value().into_owned())
}

/// What a TPM's quotes may stand on: the root of a CA that certifies attestation keys, or the key itself, as a public key in PEM or DER or as
/// its public area.
pub(super) fn tpm_anchor(path: &Path) -> Result<Anchor> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    let name = path.file_stem().map_or_else(|| "root".into(), |stem| stem.to_string_lossy());
    let certificate = pem::certificate(&bytes);
    let anchor = match (Certificate::from_der(&certificate), public_key(&bytes)) {
        (Ok(_), _) => Anchor::tpm_ca(&name, &certificate),
        (_, Some(key_info)) => Anchor::attestation_key(&name, &key_info),
        _ => Anchor::attestation_key_area(&name, &bytes),
    };
    anchor.with_context(|| format!("{} is no root certificate, public key or public area", path.display()))
}

/// SubjectPublicKeyInfo of the attestation key in a file.
pub(super) fn key_info(path: &Path) -> Result<Vec<u8>> {
    let bytes = crate::files::read(path, MAX_FILE)?;
    if let Some(key_info) = public_key(&bytes) {
        return Ok(key_info);
    }
    let area = Public::without_size(&bytes).and_then(Public::parse).and_then(|public| public.key_info());
    area.with_context(|| format!("{} is no public key or public area", path.display()))
}

/// A public key in PEM or DER, as DER.
fn public_key(bytes: &[u8]) -> Option<Vec<u8>> {
    let key = pem::public_key(bytes);
    SubjectPublicKeyInfoRef::from_der(&key).is_ok().then(|| key.into_owned())
}
