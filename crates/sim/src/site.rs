//! One simulated site: a vendor, a platform, and the trust domains that run on it.

use crate::{
    Error,
    platform::Platform,
    tcb::{self, Enclave as IntelEnclave, History, Lists},
    td::{self, Domain, QuoteFormat, TdConfig},
    vendor::{Revocation, Vendor},
};
use sealwright_evidence::{Backend, Collected, Measurement};
use sealwright_wire::{
    Tee,
    aael::RuntimeEvent,
    collateral::{Bundle, QveBundle, TcbInfoId, TcbStatus},
    quote::Body,
    sgx,
    tdx::TdReport,
    time::UnixTime,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use zerocopy::FromZeros;

/// The most machines that run at one site.
pub const MAX_TDS: usize = 16;
/// Collateral older than this is issued anew when somebody asks for it, in seconds.
pub(crate) const REISSUE_AFTER: u64 = 86_400;

/// Where a site takes the time from.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// The clock of the operating system.
pub fn system_clock() -> Clock {
    Arc::new(|| UnixTime(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs())))
}

/// A clock that stands still, for tests and for evidence of another day.
pub fn fixed_clock(at: UnixTime) -> Clock {
    Arc::new(move || at)
}

/// A site. Its keys live in this value's memory alone and are wiped when the last copy is dropped; copies share everything.
#[derive(Clone)]
pub struct Site(Arc<Inner>);

struct Inner {
    clock: Clock,
    vendor: Vendor,
    platform: Platform,
    published: Mutex<Published>,
    domains: Mutex<BTreeMap<String, Arc<Domain>>>,
}

/// What the vendor has published, and what it will.
struct Published {
    history: History,
    revoked: Vec<Revocation>,
    /// Grows with each list, as RFC 5280 demands.
    crl_number: u64,
    issued: UnixTime,
    tdx: Bundle,
    sgx: Bundle,
    qve: QveBundle,
}

/// A site as its operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The platform's model, in hex.
    pub fmspc: String,
    /// The TCB evaluation data number of the vendor's newest TCB info.
    pub evaluation_number: u32,
    /// Whether the platform has the newest security versions.
    pub platform_up_to_date: bool,
    /// Whether the platform's present certificate is revoked.
    pub pck_revoked: bool,
    /// The machines that run.
    pub tds: Vec<TdStatus>,
}

/// A machine as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TdStatus {
    /// Its name.
    pub name: String,
    /// Whether the host may read it.
    pub debug: bool,
    /// The layout of its quotes.
    pub quote: QuoteFormat,
}

/// An SGX enclave of which the site shall make a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclave {
    /// MRENCLAVE.
    pub mr_enclave: [u8; 32],
    /// MRSIGNER.
    pub mr_signer: [u8; 32],
    /// ISVPRODID.
    pub isv_prod_id: u16,
    /// ISVSVN.
    pub isv_svn: u16,
    /// The DEBUG attribute.
    pub debug: bool,
}

/// The layout of an SGX enclave's quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SgxFormat {
    /// Version 3.
    #[default]
    V3,
    /// Version 4.
    V4,
    /// Version 5.
    V5,
}

impl SgxFormat {
    const fn version(self) -> u16 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
            Self::V5 => 5,
        }
    }
}

impl Site {
    /// Founds a site: makes the vendor's and the platform's keys and publishes the first collateral, valid from now on.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn found(clock: Clock) -> Result<Self, Error> {
        let now = clock();
        let history = History::until(now);
        let vendor = Vendor::found(now)?;
        let platform = Platform::provision(&vendor, history.newest(), now)?;
        let published = publish(&vendor, &platform, history, Vec::new(), 1, now)?;
        let domains = Mutex::default();
        Ok(Self(Arc::new(Inner { clock, vendor, platform, published: Mutex::new(published), domains })))
    }

    /// The vendor's root certificate in DER: the trust anchor of this site and of no other.
    pub fn root(&self) -> &[u8] {
        self.0.vendor.root_certificate()
    }

    /// The collateral for quotes of `tee`, as last published; issued anew when it is more than a day old.
    ///
    /// # Errors
    /// When this site has no quotes of that TEE, or the cryptographic library fails.
    pub fn collateral(&self, tee: Tee) -> Result<Bundle, Error> {
        let published = self.current()?;
        match tee {
            Tee::Tdx => Ok(published.tdx.clone()),
            Tee::Sgx => Ok(published.sgx.clone()),
            other => Err(Error::Config { field: "tee", expected: "tdx or sgx", found: other.name().to_owned() }),
        }
    }

    /// The identity of the vendor's quote verification enclave; issued anew when it is more than a day old.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn qve_identity(&self) -> Result<QveBundle, Error> {
        Ok(self.current()?.qve.clone())
    }

    /// A report of the quote verification enclave, as it makes one over the result of a verification: over `report_data`.
    pub fn qve_report(&self, report_data: &[u8; 64]) -> sgx::ReportBody {
        sgx::ReportBody { report_data: *report_data, ..IntelEnclave::qve().report(self.0.platform.generation()) }
    }

    /// What is published, issued anew when it is too old.
    fn current(&self) -> Result<MutexGuard<'_, Published>, Error> {
        let mut published = lock(&self.0.published);
        let now = (self.0.clock)();
        if now.0 > published.issued.0.saturating_add(REISSUE_AFTER) {
            self.publish_again(&mut published, |_| Ok(()))?;
        }
        Ok(published)
    }

    /// Boots a machine.
    ///
    /// # Errors
    /// When a file does not boot, the name is taken or malformed, or [`MAX_TDS`] machines run.
    pub fn boot(&self, config: &TdConfig) -> Result<Td, Error> {
        let domain = Arc::new(Domain::boot(config, self.0.platform.generation())?);
        let mut domains = lock(&self.0.domains);
        if domains.contains_key(&config.name) {
            return Err(Error::TdExists(config.name.clone()));
        }
        if domains.len() >= MAX_TDS {
            return Err(Error::TooManyTds { limit: MAX_TDS });
        }
        domains.insert(config.name.clone(), Arc::clone(&domain));
        Ok(Td { site: self.clone(), domain })
    }

    /// The running machine of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn td(&self, name: &str) -> Result<Td, Error> {
        let domains = lock(&self.0.domains);
        let domain = domains.get(name).ok_or_else(|| Error::UnknownTd(name.to_owned()))?;
        Ok(Td { site: self.clone(), domain: Arc::clone(domain) })
    }

    /// Stops a machine. Handles to it go on answering until they are dropped.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn stop(&self, name: &str) -> Result<(), Error> {
        lock(&self.0.domains).remove(name).map(drop).ok_or_else(|| Error::UnknownTd(name.to_owned()))
    }

    /// A TCB recovery: the vendor publishes TCB info with a higher evaluation number, in which this platform's level is
    /// `OutOfDate` until [`update_platform`](Self::update_platform). Gives the new evaluation number.
    ///
    /// # Errors
    /// After 200 recoveries, or when the cryptographic library fails.
    pub fn age_tcb(&self) -> Result<u32, Error> {
        let mut published = lock(&self.0.published);
        let now = (self.0.clock)();
        self.publish_again(&mut published, |next| next.history.recover(now))?;
        Ok(published.history.evaluation_number())
    }

    /// The vendor publishes TCB info in which a platform with the newest security versions has this status, with an advisory; the next recovery begins
    /// anew.
    ///
    /// # Errors
    /// For a status that TCB info cannot have (relaunch is advised by verifiers), or when the cryptographic library fails.
    pub fn rate(&self, status: TcbStatus) -> Result<(), Error> {
        let mut published = lock(&self.0.published);
        self.publish_again(&mut published, |next| next.history.rate(status))
    }

    /// The vendor publishes TCB info that lists the newest security versions alone: a platform which has older ones is not supported any more.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn forget_old_levels(&self) -> Result<(), Error> {
        let mut published = lock(&self.0.published);
        self.publish_again(&mut published, |next| {
            next.history.forget();
            Ok(())
        })
    }

    /// Installs the newest security versions: the platform gets a new certificate. Machines that run were launched before,
    /// which their quotes go on saying; boot them again to have them up to date.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn update_platform(&self) -> Result<(), Error> {
        let newest = lock(&self.0.published).history.newest();
        self.0.platform.update(&self.0.vendor, newest, (self.0.clock)())
    }

    /// The vendor publishes a revocation list with the platform's present certificate on it.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn revoke_pck(&self) -> Result<(), Error> {
        let mut published = lock(&self.0.published);
        let revocation = Revocation { serial: self.0.platform.serial(), at: (self.0.clock)() };
        self.publish_again(&mut published, |next| {
            next.revoked.push(revocation);
            Ok(())
        })
    }

    /// What an operator wants to know.
    pub fn status(&self) -> Status {
        let published = lock(&self.0.published);
        let serial = self.0.platform.serial();
        let td = |domain: &Arc<Domain>| TdStatus {
            name: domain.name().to_owned(),
            debug: domain.debug(),
            quote: domain.format(),
        };
        Status {
            fmspc: hex::encode_upper(tcb::FMSPC),
            evaluation_number: published.history.evaluation_number(),
            platform_up_to_date: self.0.platform.generation() == published.history.newest(),
            pck_revoked: published.revoked.iter().any(|revocation| revocation.serial == serial),
            tds: lock(&self.0.domains).values().map(td).collect(),
        }
    }

    /// Writes what a relying party needs into `directory`: `root.der`, `collateral.json` (TDX), `collateral-sgx.json`. Each
    /// file is replaced as a whole.
    ///
    /// # Errors
    /// When the directory cannot be made or written, or the cryptographic library fails.
    pub fn publish(&self, directory: &Path) -> Result<(), Error> {
        fs::create_dir_all(directory).map_err(Error::io("make directory", directory))?;
        let json = |tee| -> Result<String, Error> {
            self.collateral(tee)?.to_json().map_err(|source| Error::File { file: "collateral", source })
        };
        replace(directory, "root.der", self.root())?;
        replace(directory, "collateral.json", json(Tee::Tdx)?.as_bytes())?;
        replace(directory, "collateral-sgx.json", json(Tee::Sgx)?.as_bytes())
    }

    /// A quote of version 3 over the report of an SGX enclave.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn sgx_quote(&self, enclave: &Enclave, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
        self.sgx_quote_as(SgxFormat::V3, enclave, report_data)
    }

    /// A quote of one of the layouts over the report of an SGX enclave.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn sgx_quote_as(&self, format: SgxFormat, enclave: &Enclave, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
        let mut report = sgx::ReportBody::new_zeroed();
        report.cpu_svn = self.0.platform.generation().sgx_components();
        // Initialised, 64-bit; DEBUG; XFRM x87 and SSE.
        report.attributes[0] = 0x05 | if enclave.debug { 0x02 } else { 0 };
        report.attributes[8] = 0x03;
        report.mr_enclave = enclave.mr_enclave;
        report.mr_signer = enclave.mr_signer;
        report.isv_prod_id = enclave.isv_prod_id.into();
        report.isv_svn = enclave.isv_svn.into();
        report.report_data = *report_data;
        self.0.platform.quote(format.version(), Body::Sgx(&report))
    }

    /// A quote over a report of one of the site's machines ([`Td::td_report`]), as a host's quoting service makes it for whoever hands it one.
    ///
    /// # Errors
    /// When this site's platform did not make the report, the layout has more than a report says (extended TDX 1.5), or the cryptographic library
    /// fails.
    pub fn quote_report(&self, report: &TdReport, format: QuoteFormat) -> Result<Vec<u8>, Error> {
        td::sign(&self.0.platform, format, report, None)
    }

    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.0.clock)
    }

    /// Publishes anew after `change`; when anything fails, what was published before stays.
    fn publish_again(
        &self,
        published: &mut Published,
        change: impl FnOnce(&mut Draft) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut draft = Draft { history: published.history.clone(), revoked: published.revoked.clone() };
        change(&mut draft)?;
        let (vendor, platform, now) = (&self.0.vendor, &self.0.platform, (self.0.clock)());
        *published = publish(vendor, platform, draft.history, draft.revoked, published.crl_number + 1, now)?;
        Ok(())
    }
}

/// What a publication says, before it is signed.
struct Draft {
    history: History,
    revoked: Vec<Revocation>,
}

fn publish(
    vendor: &Vendor,
    platform: &Platform,
    history: History,
    revoked: Vec<Revocation>,
    crl_number: u64,
    now: UnixTime,
) -> Result<Published, Error> {
    let lists =
        Lists { root_crl: vendor.root_crl(crl_number, now)?, pck_crl: vendor.pck_crl(crl_number, &revoked, now)? };
    let tdx = tcb::bundle(vendor, &history, platform.td_enclave(), TcbInfoId::Tdx, &lists, now)?;
    let sgx = tcb::bundle(vendor, &history, platform.sgx_enclave(), TcbInfoId::Sgx, &lists, now)?;
    let qve = tcb::qve_bundle(vendor, &history, &IntelEnclave::qve(), lists.root_crl, now)?;
    Ok(Published { history, revoked, crl_number, issued: now, tdx, sgx, qve })
}

/// Writes beside the file and moves it into place, so that a reader sees the old file or the new one.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let (path, draft) = (directory.join(name), directory.join(format!(".{name}.{}", std::process::id())));
    let write = || -> io::Result<()> {
        fs::write(&draft, bytes)?;
        fs::rename(&draft, &path)
    };
    write().map_err(Error::io("write", &path))
}

/// A running machine, as the workload in it sees it. The machine holds no key: its quotes are made by the site.
#[derive(Clone)]
pub struct Td {
    site: Site,
    domain: Arc<Domain>,
}

impl Td {
    /// The machine's name.
    pub fn machine(&self) -> &str {
        self.domain.name()
    }

    /// The site at which it runs.
    pub const fn site(&self) -> &Site {
        &self.site
    }

    /// A report over 64 bytes of the machine's choice (TDREPORT), which holds on its platform alone until it is made a quote.
    pub fn td_report(&self, report_data: &[u8; 64]) -> TdReport {
        self.domain.td_report(&self.site.0.platform, report_data)
    }

    pub(crate) fn collect(&self, report_data: &[u8; 64]) -> Result<Collected, Error> {
        self.domain.evidence(&self.site.0.platform, report_data)
    }

    pub(crate) fn measure(&self, event: &RuntimeEvent) -> Result<(), Error> {
        self.domain.extend(event)
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        self.domain.event_log()
    }

    pub(crate) fn registers(&self) -> Vec<Measurement> {
        self.domain.measurements()
    }
}

impl Backend for Td {
    fn name(&self) -> &'static str {
        crate::BACKEND
    }

    fn tee(&self) -> Tee {
        Tee::Tdx
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, sealwright_evidence::Error> {
        Ok(self.collect(report_data)?.quote)
    }

    fn event_log(&self) -> Result<Option<Vec<u8>>, sealwright_evidence::Error> {
        Ok(Some(self.log()))
    }

    fn measurements(&self) -> Result<Vec<Measurement>, sealwright_evidence::Error> {
        Ok(self.registers())
    }

    fn extend(&self, event: &RuntimeEvent) -> Result<(), sealwright_evidence::Error> {
        Ok(self.measure(event)?)
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Collected, sealwright_evidence::Error> {
        Ok(self.collect(report_data)?)
    }
}

impl From<Error> for sealwright_evidence::Error {
    fn from(error: Error) -> Self {
        Self::Backend { backend: crate::BACKEND, source: Box::new(error) }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl fmt::Debug for Td {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Td").field("machine", &self.machine()).finish_non_exhaustive()
    }
}

/// What a lock guards is replaced as a whole or not at all, so a panic elsewhere leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
