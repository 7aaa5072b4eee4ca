//! The simulated AMD: its root, the authorities of both kinds of key, and the keys that it certifies (57230). Common names are AMD's, because
//! verifiers tell the certificates apart by them; the organisation is [`ORGANISATION`] in each, so that nobody takes one for AMD's.

use super::{
    key::{CaKey, VekKey},
    x509::{Issuer, List, Subject, ca_extensions, plain},
};
use crate::{
    Clock, Error,
    site::{REISSUE_AFTER, lock},
    vendor::{COLLATERAL_LIFE, LOCALITY, ORGANISATION},
};
use sealwright_wire::{
    collateral::encode_pem_chain,
    snp::{Bundle, HwId, Product, SigningKey, Tcb, VekExtensions},
    time::UnixTime,
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::{Arc, Mutex},
};
use x509_cert::{
    ext::pkix::{KeyUsage, KeyUsages},
    name::Name,
};

const YEAR: u64 = 365 * 86_400;
/// How long the certificates of ARK, ASK and ASVK are valid, in seconds.
const CA_LIFE: u64 = 25 * YEAR;
/// The same of a VCEK's.
const VCEK_LIFE: u64 = 7 * YEAR;
/// The same of a VLEK's.
const VLEK_LIFE: u64 = YEAR;
/// AMD gives all VCEKs and VLEKs this serial number.
const VEK_SERIAL: u32 = 0;

/// A simulated AMD for one product line. Its keys live in this value's memory alone and are wiped when the last copy is dropped; copies share
/// everything.
#[derive(Clone)]
pub struct Vendor(Arc<Inner>);

struct Inner {
    clock: Clock,
    product: Product,
    ark: Authority,
    ask: Authority,
    asvk: Authority,
    published: Mutex<Published>,
    veks: Mutex<Veks>,
}

/// Every key that was asked for, by whose it is and for which TCB_VERSION it was derived.
type Veks = BTreeMap<(Holder, [u8; 8]), Arc<Vek>>;

/// A certificate authority.
struct Authority {
    name: Name,
    serial: u32,
    key: CaKey,
    certificate: Vec<u8>,
}

/// The revocation list and what is on it.
struct Published {
    revoked: Vec<(u32, UnixTime)>,
    number: u64,
    issued: UnixTime,
    crl: Vec<u8>,
}

/// Whose a signing key is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A VCEK's chip, by its identity.
    Chip(Vec<u8>),
    /// A VLEK's cloud, by its cspID.
    Cloud(String),
}

impl Holder {
    pub(super) const fn kind(&self) -> SigningKey {
        match self {
            Self::Chip(_) => SigningKey::Vcek,
            Self::Cloud(_) => SigningKey::Vlek,
        }
    }
}

/// A VCEK or VLEK.
pub(super) struct Vek {
    pub(super) key: VekKey,
    pub(super) certificate: Vec<u8>,
}

impl Vendor {
    /// Makes the three authorities' keys, which takes seconds, and publishes the first revocation list, valid from now on.
    ///
    /// # Errors
    /// When the cryptographic library fails, or the clock is beyond the times that certificates can name.
    pub fn found(clock: Clock, product: Product) -> Result<Self, Error> {
        let now = clock();
        let line = product.name();
        let ark = Authority::root(&format!("ARK-{line}"), 0x1_0000, line, now)?;
        let ask = ark.below(&format!("SEV-{line}"), 0x1_0001, &crl_url("vcek", line), now)?;
        let asvk = ark.below(&format!("SEV-VLEK-{line}"), 0x1_0101, &crl_url("vlek", line), now)?;
        let published = Mutex::new(Published::issue(&ark, Vec::new(), 1, now)?);
        Ok(Self(Arc::new(Inner { clock, product, ark, ask, asvk, published, veks: Mutex::default() })))
    }

    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.0.clock)
    }

    /// The product line.
    pub fn product(&self) -> Product {
        self.0.product
    }

    /// The ARK's certificate in DER: the trust anchor of this vendor's platforms and of no others.
    pub fn root_certificate(&self) -> &[u8] {
        &self.0.ark.certificate
    }

    /// The collateral for keys of one kind, as last published; the revocation list is issued anew when it is more than a day old.
    ///
    /// # Errors
    /// When `kind` is none, or the cryptographic library fails.
    pub fn bundle(&self, kind: SigningKey) -> Result<Bundle, Error> {
        let ca = &self.ca(kind)?.certificate;
        let cert_chain = encode_pem_chain(&[ca, &self.0.ark.certificate]);
        Ok(Bundle { cert_chain, crl: Some(self.crl()?) })
    }

    /// Withdraws the authority of one kind of key, ASK or ASVK: the next revocation list names it.
    ///
    /// # Errors
    /// When `kind` is none, or the cryptographic library fails.
    pub fn withdraw(&self, kind: SigningKey) -> Result<(), Error> {
        let (serial, now) = (self.ca(kind)?.serial, (self.0.clock)());
        let mut published = lock(&self.0.published);
        let mut revoked = published.revoked.clone();
        if revoked.iter().all(|(other, _)| *other != serial) {
            revoked.push((serial, now));
        }
        *published = Published::issue(&self.0.ark, revoked, published.number + 1, now)?;
        Ok(())
    }

    /// The certificates of ASK or ASVK and of ARK.
    pub(super) fn chain(&self, kind: SigningKey) -> Result<[&[u8]; 2], Error> {
        Ok([&self.ca(kind)?.certificate, &self.0.ark.certificate])
    }

    /// The key of this holder for this TCB, the same whenever it is asked for.
    pub(super) fn vek(&self, holder: &Holder, tcb: Tcb) -> Result<Arc<Vek>, Error> {
        let mut veks = lock(&self.0.veks);
        match veks.entry((holder.clone(), tcb.encode(self.0.product).0)) {
            Entry::Occupied(vek) => Ok(Arc::clone(vek.get())),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(self.derive(holder, tcb)?)))),
        }
    }

    fn derive(&self, holder: &Holder, tcb: Tcb) -> Result<Vek, Error> {
        let (kind, key) = (holder.kind(), VekKey::generate()?);
        let extensions = extensions(self.0.product, holder, tcb)?.to_extensions();
        let extensions = extensions.map_err(Error::file("VCEK or VLEK certificate"))?;
        let now = (self.0.clock)();
        let life = if kind == SigningKey::Vlek { VLEK_LIFE } else { VCEK_LIFE };
        let certificate = self.ca(kind)?.issuer().certify(Subject {
            name: &name(&format!("SEV-{}", kind.name()))?,
            serial: VEK_SERIAL,
            validity: (now, now.plus(life)),
            key_info: &key.key_info()?,
            extensions: extensions.into_iter().map(plain).collect::<Result<_, _>>()?,
        })?;
        Ok(Vek { key, certificate })
    }

    fn ca(&self, kind: SigningKey) -> Result<&Authority, Error> {
        match kind {
            SigningKey::Vcek => Ok(&self.0.ask),
            SigningKey::Vlek => Ok(&self.0.asvk),
            SigningKey::None => {
                Err(Error::Config { field: "kind of key", expected: "VCEK or VLEK", found: kind.name().to_owned() })
            }
        }
    }

    fn crl(&self) -> Result<Vec<u8>, Error> {
        let mut published = lock(&self.0.published);
        let now = (self.0.clock)();
        if now.0 > published.issued.0.saturating_add(REISSUE_AFTER) {
            *published = Published::issue(&self.0.ark, published.revoked.clone(), published.number + 1, now)?;
        }
        Ok(published.crl.clone())
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vendor").field("product", &self.0.product).finish_non_exhaustive()
    }
}

impl Authority {
    fn root(common_name: &str, serial: u32, line: &str, now: UnixTime) -> Result<Self, Error> {
        let (name, key) = (name(common_name)?, CaKey::generate()?);
        let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
        let key_info = key.key_info()?;
        let extensions = ca_extensions(&key_info, None, usage, &crl_url("vcek", line))?;
        let validity = (now, now.plus(CA_LIFE));
        let subject = Subject { name: &name, serial, validity, key_info: &key_info, extensions };
        let certificate = Issuer { name: &name, key: &key }.certify(subject)?;
        Ok(Self { name, serial, key, certificate })
    }

    /// Makes a key and certifies it as that of an authority.
    fn below(&self, common_name: &str, serial: u32, crl: &str, now: UnixTime) -> Result<Self, Error> {
        let (name, key, issuer) = (name(common_name)?, CaKey::generate()?, self.issuer());
        let key_info = key.key_info()?;
        let mut extensions = ca_extensions(&key_info, Some(0), KeyUsage(KeyUsages::KeyCertSign.into()), crl)?;
        extensions.push(issuer.authority_key_identifier()?);
        let validity = (now, now.plus(CA_LIFE));
        let certificate = issuer.certify(Subject { name: &name, serial, validity, key_info: &key_info, extensions })?;
        Ok(Self { name, serial, key, certificate })
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer { name: &self.name, key: &self.key }
    }
}

impl Published {
    fn issue(ark: &Authority, revoked: Vec<(u32, UnixTime)>, number: u64, now: UnixTime) -> Result<Self, Error> {
        let validity = (now, now.plus(COLLATERAL_LIFE));
        let crl = ark.issuer().revoke(&List { number, validity, revoked: &revoked })?;
        Ok(Self { revoked, number, issued: now, crl })
    }
}

fn name(common_name: &str) -> Result<Name, Error> {
    Ok(format!("CN={common_name},O={ORGANISATION},L={LOCALITY}").parse()?)
}

/// Points nowhere, by RFC 6761.
fn crl_url(kind: &str, line: &str) -> String {
    format!("https://kds.sealwright.invalid/{kind}/v1/{line}/crl")
}

/// What the certificate of a key says.
fn extensions(product: Product, holder: &Holder, tcb: Tcb) -> Result<VekExtensions, Error> {
    let (hwid, csp_id) = match holder {
        Holder::Chip(id) => (Some(hwid(product, id)?), None),
        Holder::Cloud(id) => (None, Some(id.clone())),
    };
    let product_name = match hwid {
        Some(_) => format!("{}-{}", product.name(), super::platform::STEPPING),
        None => product.name().to_owned(),
    };
    Ok(VekExtensions { struct_version: 1, product_name, tcb, reserved_spl: [Some(0); 4], hwid, csp_id })
}

/// Certificates in the field have it in both ways; here Turin's have the newer one.
fn hwid(product: Product, id: &[u8]) -> Result<HwId, Error> {
    HwId::new(id, product == Product::Turin).map_err(Error::file("chip"))
}
