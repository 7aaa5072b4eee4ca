//! The simulated vendor: its certificate authorities and what they sign (Intel SGX PCK Certificate and Certificate Revocation
//! List Profile Specification). Common names are Intel's, because verifiers tell the certificates apart by them; the
//! organisation is [`ORGANISATION`] in each, so that nobody takes one for Intel's.

use crate::{Error, key::Key};
use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CustomExtension,
    DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SerialNumber, SigningKey,
};
use sealwright_wire::{collateral::encode_pem_chain, time::UnixTime};
use time::OffsetDateTime;

/// The organisation in every certificate of a simulated vendor. Verifiers treat a root with this organisation as a
/// simulation, whatever they were told.
pub const ORGANISATION: &str = "Sealwright Simulation";
/// Where simulated vendors are.
pub(crate) const LOCALITY: &str = "No Hardware";
/// How long certificates are valid, in seconds.
const CERTIFICATE_LIFE: u64 = 10 * 365 * 86_400;
/// How long collateral and revocation lists are valid, in seconds.
pub(crate) const COLLATERAL_LIFE: u64 = 30 * 86_400;
/// 1.2.840.113741.1.13.1
const SGX_EXTENSION: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

/// Points nowhere, by RFC 6761.
const ROOT_CRL_URL: &str = "https://certificates.sealwright.invalid/SimulatedRootCA.der";
const PCK_CRL_URL: &str = "https://api.sealwright.invalid/sgx/certification/v4/pckcrl?ca=platform&encoding=der";

/// A key with its certificate.
pub(crate) struct Authority<K = Key> {
    key: K,
    params: CertificateParams,
    certificate: Vec<u8>,
}

impl<K: SigningKey> Authority<K> {
    /// One that signs its own certificate.
    pub(crate) fn root(key: K, params: CertificateParams) -> Result<Self, Error> {
        let certificate = params.signed_by(&key, &Issuer::from_params(&params, &key))?.der().to_vec();
        Ok(Self { key, params, certificate })
    }

    /// One that this one certifies.
    pub(crate) fn below(&self, key: K, params: CertificateParams) -> Result<Self, Error> {
        let certificate = params.signed_by(&key, &self.issuer())?.der().to_vec();
        Ok(Self { key, params, certificate })
    }

    pub(crate) fn issuer(&self) -> Issuer<'_, &K> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// Its certificate in DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its certificate's serial number.
    pub(crate) fn serial(&self) -> Result<SerialNumber, Error> {
        serial_of(&self.params)
    }
}

/// The root CA, the CA of platforms, and the signer of TCB information.
pub(crate) struct Vendor {
    root: Authority,
    platform_ca: Authority,
    tcb_signer: Authority,
}

/// A certificate that was withdrawn.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) serial: SerialNumber,
    pub(crate) at: UnixTime,
}

/// A platform's certificate with its serial number.
pub(crate) struct PckCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) serial: SerialNumber,
}

impl Vendor {
    /// Makes the keys and their certificates, valid from `now` on.
    pub(crate) fn found(now: UnixTime) -> Result<Self, Error> {
        let root = Authority::root(Key::generate()?, params("Intel SGX Root CA", ca(1), ROOT_CRL_URL, now)?)?;
        let platform_ca = params("Intel SGX PCK Platform CA", ca(0), ROOT_CRL_URL, now)?;
        let tcb_signer = params("Intel SGX TCB Signing", IsCa::ExplicitNoCa, ROOT_CRL_URL, now)?;
        let platform_ca = root.below(Key::generate()?, platform_ca)?;
        Ok(Self { platform_ca, tcb_signer: root.below(Key::generate()?, tcb_signer)?, root })
    }

    /// The root's certificate in DER.
    pub(crate) fn root_certificate(&self) -> &[u8] {
        &self.root.certificate
    }

    /// A certificate for a platform's certification key. `extension` is the value of the SGX extension.
    pub(crate) fn certify(&self, key: &Key, extension: Vec<u8>, now: UnixTime) -> Result<PckCertificate, Error> {
        let mut params = params("Intel SGX PCK Certificate", IsCa::ExplicitNoCa, PCK_CRL_URL, now)?;
        params.custom_extensions = vec![CustomExtension::from_oid_content(&SGX_EXTENSION, extension)];
        let der = params.signed_by(key, &self.platform_ca.issuer())?.der().to_vec();
        Ok(PckCertificate { der, serial: serial_of(&params)? })
    }

    /// The chain of a platform's certificate in PEM: certificate, Platform CA, root.
    pub(crate) fn pck_chain(&self, certificate: &[u8]) -> String {
        encode_pem_chain(&[certificate, &self.platform_ca.certificate, &self.root.certificate])
    }

    /// The chain of the Platform CA in PEM: Platform CA, root.
    pub(crate) fn platform_ca_chain(&self) -> String {
        encode_pem_chain(&[&self.platform_ca.certificate, &self.root.certificate])
    }

    /// The chain of the TCB signer in PEM: signer, root.
    pub(crate) fn tcb_signer_chain(&self) -> String {
        encode_pem_chain(&[&self.tcb_signer.certificate, &self.root.certificate])
    }

    /// The root's revocation list in DER; it withdraws nothing.
    pub(crate) fn root_crl(&self, number: u64, now: UnixTime) -> Result<Vec<u8>, Error> {
        revocation_list(&self.root, number, &[], now)
    }

    /// The Platform CA's revocation list in DER.
    pub(crate) fn pck_crl(&self, number: u64, revoked: &[Revocation], now: UnixTime) -> Result<Vec<u8>, Error> {
        revocation_list(&self.platform_ca, number, revoked, now)
    }

    /// The TCB signer's signature over a document, as (r, s).
    pub(crate) fn sign(&self, document: &str) -> Result<[u8; 64], Error> {
        self.tcb_signer.key.sign(document.as_bytes())
    }
}

pub(crate) const fn ca(path_length: u8) -> IsCa {
    IsCa::Ca(BasicConstraints::Constrained(path_length))
}

/// What all certificates of a simulated vendor say, valid from `now` on; `crl` is where their issuer's revocation list would be.
pub(crate) fn params(common_name: &str, is_ca: IsCa, crl: &str, now: UnixTime) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.not_before = date(now);
    params.not_after = date(now.plus(CERTIFICATE_LIFE));
    params.serial_number = Some(serial_number()?);
    params.distinguished_name = name(common_name);
    params.key_usages = match is_ca {
        IsCa::Ca(_) => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
        IsCa::NoCa | IsCa::ExplicitNoCa => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment],
    };
    params.is_ca = is_ca;
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![crl.to_owned()] }];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name.push(DnType::OrganizationName, ORGANISATION);
    name.push(DnType::LocalityName, LOCALITY);
    name
}

/// 20 random bytes of which the first is neither zero nor negative: DER has one encoding of it.
fn serial_number() -> Result<SerialNumber, Error> {
    let mut serial = [0; 20];
    rand::fill(&mut serial).map_err(|_| Error::Crypto("draw a serial number"))?;
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

/// The serial number of a certificate that is made with `params`.
pub(crate) fn serial_of(params: &CertificateParams) -> Result<SerialNumber, Error> {
    params.serial_number.clone().ok_or(Error::Crypto("number a certificate"))
}

/// The authority's revocation list in DER.
pub(crate) fn revocation_list<K: SigningKey>(
    authority: &Authority<K>,
    number: u64,
    revoked: &[Revocation],
    now: UnixTime,
) -> Result<Vec<u8>, Error> {
    let revoked = revoked.iter().map(|revocation| RevokedCertParams {
        serial_number: revocation.serial.clone(),
        revocation_time: date(revocation.at),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date(now),
        next_update: date(now.plus(COLLATERAL_LIFE)),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(&authority.issuer())?.der().to_vec())
}

/// The certificate library's type for a point in time.
pub(crate) fn date(at: UnixTime) -> OffsetDateTime {
    let seconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::seconds(seconds))
}
