//! What the simulated vendor says about security versions: TCB info of the platform model, identities of its quoting enclaves.
//!
//! Security versions advance in *generations*. Generation `g` has each moving component at its base plus `g`. A platform is
//! built at the vendor's newest generation; a TCB recovery adds a generation, by which everything older turns `OutOfDate` with
//! one more advisory, until the platform is updated.

use crate::{
    Error,
    vendor::{COLLATERAL_LIFE, Vendor},
};
use sealwright_wire::{
    collateral::{
        Bundle, Component, QeId, QeIdentity, QeTcb, QeTcbLevel, QveBundle, Tcb, TcbInfo, TcbInfoId, TcbLevel,
        TcbStatus, TdxModule, TdxModuleIdentity, TdxModuleLevel, TdxModuleTcb,
    },
    time::UnixTime,
};
use serde::Serialize;

/// The model of every simulated platform. Real ones do not begin with these bytes.
pub const FMSPC: [u8; 6] = [0x5e, 0xa1, 0x00, 0x00, 0x00, 0x01];
/// The provisioning certification enclave of every simulated platform.
pub(crate) const PCE_ID: [u8; 2] = [0, 0];
/// Its security version.
pub(crate) const PCE_SVN: u16 = 13;
/// The TCB evaluation data number of generation 0.
const FIRST_EVALUATION: u32 = 15;
/// The newest generation that components of one byte can express.
const LAST_GENERATION: u8 = 200;
const DAY: u64 = 86_400;
/// Why a platform is rated as it is.
const RATING_ADVISORY: &str = "SEALWRIGHT-SIM-SA-00000";

/// Which SGX components move with the generation, by index.
const SGX_MOVING: [usize; 2] = [0, 1];
const SGX_BASE: [u8; 16] = [2, 2, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
const SGX_WORDS: [(usize, &str, Option<&str>); 7] = [
    (0, "BIOS", Some("Early Microcode Update")),
    (1, "OS/VMM", Some("SGX Late Microcode Update")),
    (2, "OS/VMM", Some("TXT SINIT")),
    (3, "BIOS", None),
    (4, "BIOS", None),
    (5, "BIOS", None),
    (7, "OS/VMM", Some("SEAMLDR ACM")),
];
/// Component 0 is the TDX module's minor version, 1 its major version, 2 the late microcode.
const TDX_MOVING: [usize; 2] = [0, 2];
const TDX_BASE: [u8; 16] = [3, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const TDX_WORDS: [(usize, &str, Option<&str>); 3] = [
    (0, "OS/VMM", Some("TDX Module")),
    (1, "OS/VMM", Some("TDX Module")),
    (2, "OS/VMM", Some("TDX Late Microcode Update")),
];
const MODULE_ID: &str = "TDX_01";

/// The state of security versions at some time: how many generations there were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u8);

impl Generation {
    /// SGX TCB components 1 to 16, which are also the simulated CPUSVN.
    pub(crate) fn sgx_components(self) -> [u8; 16] {
        self.advance(SGX_BASE, &SGX_MOVING)
    }

    /// TEE_TCB_SVN.
    pub(crate) fn tee_tcb_svn(self) -> [u8; 16] {
        self.advance(TDX_BASE, &TDX_MOVING)
    }

    fn advance(self, mut components: [u8; 16], moving: &[usize]) -> [u8; 16] {
        moving.iter().for_each(|index| components[*index] += self.0);
        components
    }
}

/// One quoting enclave as its identity describes it.
pub(crate) struct Enclave {
    pub(crate) id: QeId,
    pub(crate) mr_signer: [u8; 32],
    pub(crate) isv_prod_id: u16,
    pub(crate) isv_svn: u16,
}

/// ATTRIBUTES of quoting enclaves: initialised, 64-bit, provisioning key; XFRM as real ones have it.
pub(crate) const QE_ATTRIBUTES: [u8; 16] = [0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0];

/// When each generation was published; the last one is the vendor's newest.
#[derive(Clone, Debug)]
pub(crate) struct History {
    published: Vec<UnixTime>,
    /// What the vendor says of the newest one.
    rating: TcbStatus,
    /// How often it has said something else of a generation that was there.
    ratings: u32,
    /// The oldest generation that is still listed.
    oldest: u8,
}

impl History {
    /// Two older generations and today's.
    pub(crate) fn until(now: UnixTime) -> Self {
        let ago = |days: u64| UnixTime(now.0.saturating_sub(days * DAY) / DAY * DAY);
        let published = vec![ago(730), ago(365), ago(30)];
        Self { published, rating: TcbStatus::UpToDate, ratings: 0, oldest: 0 }
    }

    pub(crate) fn newest(&self) -> Generation {
        Generation(u8::try_from(self.published.len() - 1).unwrap_or(LAST_GENERATION))
    }

    /// The TCB evaluation data number.
    pub(crate) fn evaluation_number(&self) -> u32 {
        FIRST_EVALUATION + u32::from(self.newest().0) + self.ratings
    }

    /// The vendor rates platforms of the newest generation anew.
    pub(crate) fn rate(&mut self, status: TcbStatus) -> Result<(), Error> {
        if matches!(status, TcbStatus::TDRelaunchAdvised | TcbStatus::TDRelaunchAdvisedConfigurationNeeded) {
            let expected = "a status that TCB info may have: relaunch is advised by verifiers";
            return Err(Error::Config { field: "status", expected, found: status.to_string() });
        }
        self.rating = status;
        self.ratings += 1;
        Ok(())
    }

    /// The vendor lists the newest generation alone from now on.
    pub(crate) fn forget(&mut self) {
        self.oldest = self.newest().0;
        self.ratings += 1;
    }

    /// A TCB recovery: weaknesses of the newest generation become known, and a newer one fixes them.
    pub(crate) fn recover(&mut self, now: UnixTime) -> Result<(), Error> {
        if self.newest().0 >= LAST_GENERATION {
            let found = format!("generation {}", self.newest().0);
            return Err(Error::Config { field: "TCB recovery", expected: "at most 200 generations", found });
        }
        self.published.push(UnixTime(now.0 / DAY * DAY));
        self.rating = TcbStatus::UpToDate;
        Ok(())
    }

    /// Every generation that is listed with its date, status and advisories, newest first, which has this rating.
    fn levels(&self, rating: TcbStatus) -> impl Iterator<Item = (Generation, UnixTime, TcbStatus, Vec<String>)> {
        let newest = self.newest();
        (self.oldest..=newest.0).rev().zip(self.published.iter().rev()).map(move |(number, date)| {
            let status = if number == newest.0 { rating } else { TcbStatus::OutOfDate };
            let later = (number + 1..=newest.0).map(|later| format!("SEALWRIGHT-SIM-SA-{later:05}"));
            let own = (status == rating && rating != TcbStatus::UpToDate).then(|| RATING_ADVISORY.to_owned());
            (Generation(number), *date, status, own.into_iter().chain(later).collect())
        })
    }

    fn tcb_info(&self, tee: TcbInfoId, now: UnixTime) -> TcbInfo {
        let tdx = tee == TcbInfoId::Tdx;
        TcbInfo {
            id: tee,
            version: 3,
            issue_date: now,
            next_update: now.plus(COLLATERAL_LIFE),
            fmspc: FMSPC,
            pce_id: PCE_ID,
            tcb_type: 0,
            tcb_evaluation_data_number: self.evaluation_number(),
            tdx_module: tdx.then_some(TdxModule { mrsigner: [0; 48], attributes: [0; 8], attributes_mask: [0xff; 8] }),
            tdx_module_identities: if tdx { vec![self.module_identity()] } else { Vec::new() },
            tcb_levels: self.tcb_levels(tdx),
        }
    }

    fn module_identity(&self) -> TdxModuleIdentity {
        // Ratings are of platforms: their module is as good as its version.
        let levels = self.levels(TcbStatus::UpToDate).map(|(generation, tcb_date, tcb_status, advisory_ids)| {
            let isvsvn = u16::from(generation.tee_tcb_svn()[0]);
            TdxModuleLevel { tcb: TdxModuleTcb { isvsvn }, tcb_date, tcb_status, advisory_ids }
        });
        TdxModuleIdentity {
            id: MODULE_ID.to_owned(),
            mrsigner: [0; 48],
            attributes: [0; 8],
            attributes_mask: [0xff; 8],
            tcb_levels: levels.collect(),
        }
    }

    fn tcb_levels(&self, tdx: bool) -> Vec<TcbLevel> {
        let level = |(generation, tcb_date, tcb_status, advisory_ids): (Generation, _, _, _)| {
            // As in real TCB info, the module's own version counts in its identity, not here.
            let mut tdx_components = generation.tee_tcb_svn();
            tdx_components[1] = 0;
            let tcb = Tcb {
                sgxtcbcomponents: components(generation.sgx_components(), &SGX_WORDS),
                pcesvn: PCE_SVN,
                tdxtcbcomponents: tdx.then(|| components(tdx_components, &TDX_WORDS)),
            };
            TcbLevel { tcb, tcb_date, tcb_status, advisory_ids }
        };
        self.levels(self.rating).map(level).collect()
    }
}

fn components(svns: [u8; 16], words: &[(usize, &str, Option<&str>)]) -> [Component; 16] {
    let mut components = svns.map(|svn| Component::new(u16::from(svn)));
    for (index, category, kind) in words {
        components[*index].category = Some((*category).into());
        components[*index].kind = kind.map(Into::into);
    }
    components
}

fn qe_identity(enclave: &Enclave, history: &History, now: UnixTime) -> QeIdentity {
    let level = |isvsvn, tcb_date, tcb_status, advisory_ids| QeTcbLevel {
        tcb: QeTcb { isvsvn },
        tcb_date,
        tcb_status,
        advisory_ids,
    };
    QeIdentity {
        id: enclave.id,
        version: 2,
        issue_date: now,
        next_update: now.plus(COLLATERAL_LIFE),
        tcb_evaluation_data_number: history.evaluation_number(),
        miscselect: [0; 4],
        miscselect_mask: [0xff; 4],
        attributes: [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        attributes_mask: [0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        mrsigner: enclave.mr_signer,
        isvprodid: enclave.isv_prod_id,
        tcb_levels: vec![
            level(enclave.isv_svn, history.published[1], TcbStatus::UpToDate, Vec::new()),
            level(1, history.published[0], TcbStatus::OutOfDate, vec!["SEALWRIGHT-SIM-SA-00001".to_owned()]),
        ],
    }
}

/// The certificates and lists that go into every bundle.
pub(crate) struct Lists {
    pub(crate) root_crl: Vec<u8>,
    pub(crate) pck_crl: Vec<u8>,
}

/// The collateral for quotes of one TEE, signed now.
pub(crate) fn bundle(
    vendor: &Vendor,
    history: &History,
    enclave: &Enclave,
    id: TcbInfoId,
    lists: &Lists,
    now: UnixTime,
) -> Result<Bundle, Error> {
    let (tcb_info, tcb_info_signature) = signed(vendor, &history.tcb_info(id, now))?;
    let (qe_identity, qe_identity_signature) = signed(vendor, &qe_identity(enclave, history, now))?;
    Ok(Bundle {
        pck_crl_issuer_chain: vendor.platform_ca_chain(),
        root_ca_crl: lists.root_crl.clone(),
        pck_crl: lists.pck_crl.clone(),
        tcb_info_issuer_chain: vendor.tcb_signer_chain(),
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain: vendor.tcb_signer_chain(),
        qe_identity,
        qe_identity_signature,
        pck_certificate_chain: None,
    })
}

/// The identity of the quote verification enclave, signed now.
pub(crate) fn qve_bundle(
    vendor: &Vendor,
    history: &History,
    enclave: &Enclave,
    root_crl: Vec<u8>,
    now: UnixTime,
) -> Result<QveBundle, Error> {
    let (qve_identity, qve_identity_signature) = signed(vendor, &qe_identity(enclave, history, now))?;
    let qve_identity_issuer_chain = vendor.tcb_signer_chain();
    Ok(QveBundle { root_ca_crl: root_crl, qve_identity_issuer_chain, qve_identity, qve_identity_signature })
}

fn signed<T: Serialize>(vendor: &Vendor, document: &T) -> Result<(String, [u8; 64]), Error> {
    let text = serde_json::to_string(document)?;
    let signature = vendor.sign(&text)?;
    Ok((text, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_turns_what_was_newest_out_of_date_with_an_advisory() {
        let mut history = History::until(UnixTime(1_800_000_000));
        let platform = history.newest();
        history.recover(UnixTime(1_800_000_000)).unwrap();
        let levels: Vec<_> = history.levels(TcbStatus::UpToDate).collect();
        assert_eq!(levels.len(), 4);
        assert_eq!(levels[0].2, TcbStatus::UpToDate);
        let (generation, _, status, advisories) = &levels[1];
        assert_eq!((*generation, *status), (platform, TcbStatus::OutOfDate));
        assert_eq!(*advisories, ["SEALWRIGHT-SIM-SA-00003"]);
        assert_eq!(levels[3].3.len(), 3, "the oldest has one advisory per recovery since");
    }

    #[test]
    fn recoveries_end_before_a_component_overflows() {
        let mut history = History::until(UnixTime(1_800_000_000));
        let count =
            std::iter::repeat_with(|| history.recover(UnixTime(1_800_000_000))).take_while(Result::is_ok).count();
        assert_eq!(count, 198);
        history.newest().sgx_components();
        history.newest().tee_tcb_svn();
    }
}
