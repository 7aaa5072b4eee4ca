//! The simulated manufacturer: its certificate authorities, and what they say of its TPMs' keys (TCG EK Credential Profile).

use super::{
    key::{Key, KeyKind},
    machine::{Machine, MachineConfig},
};
use crate::{
    Clock, Error,
    vendor::{Authority, Revocation, ca, date, params, revocation_list, serial_of},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PublicKeyData, SerialNumber};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long the certificate of an attestation key is valid, in seconds: a year, of the authorities' ten.
pub const AK_LIFE: u64 = 365 * 86_400;
/// `tcg-kp-EKCertificate`
const EK_CERTIFICATE: [u64; 5] = [2, 23, 133, 8, 1];
/// `tcg-kp-AIKCertificate`
const AIK_CERTIFICATE: [u64; 5] = [2, 23, 133, 8, 3];
/// Points nowhere, by RFC 6761.
const ROOT_CRL_URL: &str = "https://certificates.sealwright.invalid/SimulatedTpmRootCA.der";
const CA_CRL_URL: &str = "https://certificates.sealwright.invalid/SimulatedTpmCA.der";

/// A manufacturer of TPMs. Its keys live in this value's memory alone and are wiped with it.
pub struct Site {
    clock: Clock,
    root: Authority<Key>,
    ca: Authority<Key>,
    withdrawn: Mutex<Withdrawn>,
}

/// What the authorities have withdrawn.
#[derive(Default)]
struct Withdrawn {
    authorities: Vec<Revocation>,
    keys: Vec<Revocation>,
    /// Grows with each pair of lists, as RFC 5280 demands.
    crl_number: u64,
}

/// The certificate of an attestation key.
#[derive(Clone, Debug)]
pub struct AkCertificate {
    chain: Vec<Vec<u8>>,
    serial: SerialNumber,
}

impl AkCertificate {
    /// Certificates in DER: the key's, the issuing authority's, the root's.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }
}

impl Site {
    /// Founds a manufacturer whose authorities have keys of this kind.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn found(kind: KeyKind, clock: Clock) -> Result<Self, Error> {
        let now = clock();
        let root = params("Simulated TPM Root CA", ca(1), ROOT_CRL_URL, now)?;
        let root = Authority::root(Key::generate(kind)?, root)?;
        let ca = params("Simulated TPM CA", ca(0), ROOT_CRL_URL, now)?;
        let ca = root.below(Key::generate(kind)?, ca)?;
        Ok(Self { clock, root, ca, withdrawn: Mutex::default() })
    }

    /// The root's certificate in DER: the trust anchor of this site and of no other.
    pub fn root(&self) -> &[u8] {
        self.root.certificate()
    }

    /// Makes a machine with a TPM of its own, certifies its endorsement key, and boots it for the first time.
    ///
    /// # Errors
    /// When a file does not boot, a bank is not one that a TPM has, the attestation key is none that a TPM makes, or the cryptographic
    /// library fails.
    pub fn machine(&self, config: MachineConfig) -> Result<Machine, Error> {
        let rsa = config.ek == KeyKind::Rsa;
        let certify = |key: &Key| {
            let mut params = self.leaf("Simulated TPM Endorsement Key", &EK_CERTIFICATE)?;
            // By which its owner gives it a secret (EK Credential Profile, "Key Usage").
            let usage = if rsa { KeyUsagePurpose::KeyEncipherment } else { KeyUsagePurpose::KeyAgreement };
            params.key_usages = vec![usage];
            self.issue(&params, key)
        };
        Machine::make(config, self.clock.clone(), certify)
    }

    /// Certifies a machine's attestation key for [`AK_LIFE`], as an authority does that has activated a credential with it.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn certify_ak(&self, machine: &Machine) -> Result<AkCertificate, Error> {
        let mut params = self.leaf("Simulated TPM Attestation Key", &AIK_CERTIFICATE)?;
        params.not_after = date((self.clock)().plus(AK_LIFE));
        Ok(AkCertificate { chain: self.issue(&params, machine.ak())?, serial: serial_of(&params)? })
    }

    /// Withdraws the certificate of an attestation key.
    pub fn revoke(&self, certificate: &AkCertificate) {
        let revocation = Revocation { serial: certificate.serial.clone(), at: (self.clock)() };
        self.withdrawn().keys.push(revocation);
    }

    /// Withdraws the certificate of the authority that certifies keys.
    ///
    /// # Errors
    /// Never for an authority that [`found`](Self::found) made.
    pub fn revoke_ca(&self) -> Result<(), Error> {
        let revocation = Revocation { serial: self.ca.serial()?, at: (self.clock)() };
        self.withdrawn().authorities.push(revocation);
        Ok(())
    }

    /// The revocation lists in DER, issued now: the root's, the issuing authority's.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn revocation_lists(&self) -> Result<[Vec<u8>; 2], Error> {
        let (now, mut withdrawn) = ((self.clock)(), self.withdrawn());
        withdrawn.crl_number += 1;
        Ok([
            revocation_list(&self.root, withdrawn.crl_number, &withdrawn.authorities, now)?,
            revocation_list(&self.ca, withdrawn.crl_number, &withdrawn.keys, now)?,
        ])
    }

    /// What a certificate for a TPM's key says.
    fn leaf(&self, name: &str, usage: &[u64]) -> Result<CertificateParams, Error> {
        let mut params = params(name, IsCa::ExplicitNoCa, CA_CRL_URL, (self.clock)())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(usage.to_vec())];
        Ok(params)
    }

    /// A certificate and those above it.
    fn issue(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Result<Vec<Vec<u8>>, Error> {
        let certificate = params.signed_by(key, &self.ca.issuer())?.der().to_vec();
        Ok(vec![certificate, self.ca.certificate().to_vec(), self.root().to_vec()])
    }

    fn withdrawn(&self) -> MutexGuard<'_, Withdrawn> {
        // Lists only grow, one entry at a time, so a panic elsewhere leaves nothing half done.
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}
