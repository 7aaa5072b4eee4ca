//! Revocation lists that came along, by their issuers.

use x509_cert::{
    Certificate,
    certificate::Rfc5280,
    crl::CertificateList,
    der::{self, Decode, Encode, asn1::UintRef, oid::ObjectIdentifier},
};

/// 2.5.29.20 (RFC 5280, 5.2.3).
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// Lists in DER. An older one of an issuer never stands in for a newer one, in whichever order they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists(Vec<Vec<u8>>);

/// What a list says of itself, which nobody has verified.
struct Said {
    /// A name in DER.
    issuer: Vec<u8>,
    /// Of the issuer's common name.
    common_name: Option<String>,
    /// By what a list is newer than another: its number, which never falls, then its date.
    age: (Vec<u8>, u64),
}

impl Said {
    fn of(der: &[u8]) -> Result<Self, der::Error> {
        let list = CertificateList::<Rfc5280>::from_der(der)?.tbs_cert_list;
        let extensions = list.crl_extensions.iter().flatten();
        let number = extensions.filter(|extension| extension.extn_id == CRL_NUMBER).find_map(|extension| {
            let number = UintRef::from_der(extension.extn_value.as_bytes()).ok()?;
            let octets = number.as_bytes();
            // Of one length, so that they compare as numbers.
            Some([vec![0; 32usize.saturating_sub(octets.len())], octets.to_vec()].concat())
        });
        let common_name = list.issuer.common_name()?.map(|name| name.value().into_owned());
        let at = list.this_update.to_unix_duration().as_secs();
        Ok(Self { issuer: list.issuer.to_der()?, common_name, age: (number.unwrap_or_default(), at) })
    }
}

impl Lists {
    /// Adds a list.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn add(&mut self, der: Vec<u8>) -> Result<(), der::Error> {
        Said::of(&der)?;
        self.0.push(der);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order in which they came.
    pub(super) fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The newest one that this CA issued.
    pub(super) fn newest_of(&self, ca: &[u8]) -> Option<&[u8]> {
        let ca = Certificate::from_der(ca).ok()?;
        self.newest(&ca.tbs_certificate().subject().to_der().ok()?)
    }

    /// The newest one of this list's issuer, itself among them.
    pub(super) fn newest_with<'a>(&'a self, list: &'a [u8]) -> &'a [u8] {
        let Ok(kept) = Said::of(list) else { return list };
        match self.newest(&kept.issuer) {
            Some(other) if Said::of(other).is_ok_and(|other| other.age > kept.age) => other,
            _ => list,
        }
    }

    fn newest(&self, issuer: &[u8]) -> Option<&[u8]> {
        let said = self.0.iter().filter_map(|der| Some((der, Said::of(der).ok()?)));
        let issued = said.filter(|(_, said)| said.issuer == issuer);
        issued.max_by(|(_, one), (_, other)| one.age.cmp(&other.age)).map(|(der, _)| der.as_slice())
    }

    /// Whether the common name of each issuer is accepted.
    pub(super) fn all_of(&self, accepts: impl Fn(&str) -> bool) -> bool {
        let mut names = self.0.iter().filter_map(|der| Some(Said::of(der).ok()?.common_name));
        names.all(|name| name.is_some_and(|name| accepts(&name)))
    }
}
