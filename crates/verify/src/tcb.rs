//! How good a platform is, by TCB info: the selection of levels and the convergence of statuses as Intel's quote
//! verification library does them (Intel TDX DCAP quote verification, steps 4.1.2.5.1 and 4.1.2.5.2; TD relaunch in
//! 4.1.2.5.1.20).

use crate::{Error, Part, TcbStatus};
use sealwright_wire::collateral::{
    Component, QeIdentity, QeTcbLevel, Tcb as LevelTcb, TcbInfo, TdxModuleIdentity, TdxModuleLevel,
};
use sealwright_wire::{pck, time::UnixTime};
use std::{cmp::Reverse, fmt};

/// Security versions that a quote and its PCK certificate state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versions<'a> {
    /// Those of the certificate.
    pub(crate) platform: &'a pck::Tcb,
    /// TEE_TCB_SVN of a trust domain.
    pub(crate) tdx: Option<&'a [u8; 16]>,
}

/// The verdict on one set of security versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evaluation {
    /// Platform, module and quoting enclave together.
    pub(crate) status: TcbStatus,
    pub(crate) advisories: Vec<String>,
    /// The oldest of the dates.
    pub(crate) date: UnixTime,
    pub(crate) platform: TcbStatus,
    pub(crate) module: Option<TcbStatus>,
}

/// Puts all levels into the order in which they are tried, highest first, whatever order the documents have.
pub(crate) fn sort_levels(info: &mut TcbInfo, qe_identity: &mut QeIdentity) {
    info.tcb_levels.sort_by_key(|level| Reverse(rank(&level.tcb)));
    for module in &mut info.tdx_module_identities {
        module.tcb_levels.sort_by_key(|level| Reverse(level.tcb.isvsvn));
    }
    sort_qe_levels(qe_identity);
}

/// The same for an enclave's identity alone.
pub(crate) fn sort_qe_levels(identity: &mut QeIdentity) {
    identity.tcb_levels.sort_by_key(|level| Reverse(level.tcb.isvsvn));
}

type Svns = [u16; 16];

fn rank(tcb: &LevelTcb) -> (Svns, u16, Option<Svns>) {
    (svns(&tcb.sgxtcbcomponents), tcb.pcesvn, tcb.tdxtcbcomponents.as_ref().map(svns))
}

fn svns(components: &[Component; 16]) -> Svns {
    components.each_ref().map(|component| component.svn)
}

/// Finds the highest level that the versions meet and lets the module's and the quoting enclave's verdicts weigh in.
pub(crate) fn evaluate(info: &TcbInfo, versions: Versions<'_>, qe: &QeTcbLevel) -> Result<Evaluation, Error> {
    let level = info.tcb_levels.iter().find(|level| meets(versions, &level.tcb));
    let level = level.ok_or_else(|| no_level(info, versions))?;
    let module = match versions.tdx {
        None | Some([_, 0, ..]) => None,
        Some([minor, major, ..]) => Some(module_level(info, *major, *minor)?),
    };
    let mut advisories = Vec::new();
    let module_advisories = module.iter().flat_map(|level| &level.advisory_ids);
    for advisory in level.advisory_ids.iter().chain(&qe.advisory_ids).chain(module_advisories) {
        if !advisories.contains(advisory) {
            advisories.push(advisory.clone());
        }
    }
    let module_status = module.map(|level| level.tcb_status);
    let dates = [Some(level.tcb_date), Some(qe.tcb_date), module.map(|level| level.tcb_date)];
    Ok(Evaluation {
        status: converge(level.tcb_status, &[Some(qe.tcb_status), module_status]),
        advisories,
        date: dates.into_iter().flatten().min().unwrap_or(level.tcb_date),
        platform: level.tcb_status,
        module: module_status,
    })
}

/// Whether every version is at least the level's.
fn meets(versions: Versions<'_>, level: &LevelTcb) -> bool {
    (versions.tdx.is_none() || level.tdxtcbcomponents.is_some()) && shortfalls(versions, level).next().is_none()
}

/// One security version that is below what a level needs.
struct Shortfall {
    what: What,
    have: u16,
    need: u16,
}

/// Which security version. Components count from 1, as TCB info names them.
enum What {
    Sgx(usize),
    PceSvn,
    Tdx(usize),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sgx(component) => write!(f, "SGX TCB component {component}"),
            Self::PceSvn => f.write_str("PCESVN"),
            Self::Tdx(component) => write!(f, "TDX TCB component {component}"),
        }
    }
}

/// What a level needs and the versions lack. Where a module identity judges the TDX module (major version above 0), the first
/// two TDX components are its business.
fn shortfalls(versions: Versions<'_>, level: &LevelTcb) -> impl Iterator<Item = Shortfall> {
    let platform = versions.platform;
    let skip = if versions.tdx.is_some_and(|svn| svn[1] > 0) { 2 } else { 0 };
    let sgx = (1..).zip(platform.components).zip(&level.sgxtcbcomponents);
    let sgx = sgx.map(|((at, have), need)| Shortfall { what: What::Sgx(at), have: have.into(), need: need.svn });
    let pce_svn = Shortfall { what: What::PceSvn, have: platform.pce_svn, need: level.pcesvn };
    let tdx = versions.tdx.into_iter().flatten().zip(level.tdxtcbcomponents.iter().flatten());
    let tdx = (1..).zip(tdx).skip(skip);
    let tdx = tdx.map(|(at, (have, need))| Shortfall { what: What::Tdx(at), have: u16::from(*have), need: need.svn });
    sgx.chain([pce_svn]).chain(tdx).filter(|shortfall| shortfall.have < shortfall.need)
}

/// What keeps platform, module and quoting enclave below the highest levels, in words.
pub(crate) fn below_highest(info: &TcbInfo, versions: Versions<'_>, qe: &QeIdentity, qe_svn: u16) -> Vec<String> {
    let words = |what: &dyn fmt::Display, have: u16, need: u16| {
        (have < need).then(|| format!("{what} is {have}, the highest level needs {need}"))
    };
    let platform = info.tcb_levels.first().into_iter().flat_map(|level| shortfalls(versions, &level.tcb));
    let platform = platform.filter_map(|shortfall| words(&shortfall.what, shortfall.have, shortfall.need));
    let module = versions.tdx.and_then(|[minor, major, ..]| {
        let level = info.module_identity(*major)?.tcb_levels.first()?;
        words(&"TDX module ISVSVN", u16::from(*minor), level.tcb.isvsvn)
    });
    let qe = qe.tcb_levels.first().and_then(|level| words(&"QE ISVSVN", qe_svn, level.tcb.isvsvn));
    platform.chain(module).chain(qe).collect()
}

/// The level of the TDX module with these versions.
fn module_level(info: &TcbInfo, major: u8, minor: u8) -> Result<&TdxModuleLevel, Error> {
    let identity = module_identity(info, major)?;
    let level = identity.tcb_levels.iter().find(|level| u16::from(minor) >= level.tcb.isvsvn);
    level.ok_or_else(|| Error::NotSupported {
        part: Part::TcbInfo,
        expected: match identity.tcb_levels.last() {
            Some(lowest) => format!("TDX module {} with ISVSVN {}", identity.id, lowest.tcb.isvsvn),
            None => format!("a level of TDX module {}", identity.id),
        },
        found: format!("TDX module {} with ISVSVN {minor}", identity.id),
    })
}

/// The identity of TDX modules of this major version.
pub(crate) fn module_identity(info: &TcbInfo, major: u8) -> Result<&TdxModuleIdentity, Error> {
    info.module_identity(major).ok_or_else(|| {
        let known: Vec<_> = info.tdx_module_identities.iter().map(|identity| identity.id.as_str()).collect();
        Error::TdxModule {
            field: "major version",
            expected: if known.is_empty() { "0".to_owned() } else { known.join(", ") },
            found: format!("TDX_{major:02X}"),
        }
    })
}

/// Only an outdated or revoked component weighs on the platform's status (4.1.2.5.1.4).
fn converge(platform: TcbStatus, components: &[Option<TcbStatus>]) -> TcbStatus {
    use TcbStatus as S;
    let any = |status| components.contains(&Some(status));
    match platform {
        _ if any(S::Revoked) => S::Revoked,
        S::UpToDate | S::SWHardeningNeeded if any(S::OutOfDate) => S::OutOfDate,
        S::ConfigurationNeeded | S::ConfigurationAndSWHardeningNeeded if any(S::OutOfDate) => {
            S::OutOfDateConfigurationNeeded
        }
        other => other,
    }
}

/// What a trust domain's status at launch is worth, given the platform's status now: it was launched on an outdated TCB that
/// was updated under it (4.1.2.5.1.20.2). A revoked platform stays revoked.
pub(crate) fn relaunch(launch: TcbStatus, now: TcbStatus) -> TcbStatus {
    use TcbStatus as S;
    let patched = matches!(
        now,
        S::UpToDate | S::SWHardeningNeeded | S::ConfigurationNeeded | S::ConfigurationAndSWHardeningNeeded
    );
    let configuration = matches!(now, S::ConfigurationNeeded | S::ConfigurationAndSWHardeningNeeded);
    match launch {
        _ if now == S::Revoked => S::Revoked,
        S::OutOfDate if patched && !configuration => S::TDRelaunchAdvised,
        S::OutOfDate | S::OutOfDateConfigurationNeeded if patched => S::TDRelaunchAdvisedConfigurationNeeded,
        other => other,
    }
}

/// The refusal of versions that are below every level, by what the lowest one needs.
fn no_level(info: &TcbInfo, versions: Versions<'_>) -> Error {
    let lacking: Vec<_> =
        info.tcb_levels.last().into_iter().flat_map(|lowest| shortfalls(versions, &lowest.tcb)).collect();
    let words = |word: &dyn Fn(&Shortfall) -> String| lacking.iter().map(word).collect::<Vec<_>>().join(", ");
    let (expected, found) = match lacking.as_slice() {
        [] => ("a level".to_owned(), "none in TCB info".to_owned()),
        _ => (
            words(&|shortfall| format!("{} >= {}", shortfall.what, shortfall.need)),
            words(&|shortfall| format!("{} = {}", shortfall.what, shortfall.have)),
        ),
    };
    Error::NotSupported { part: Part::TcbInfo, expected, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TcbStatus as S;

    #[test]
    fn an_outdated_component_weighs_as_intel_says() {
        for (platform, component, expected) in [
            (S::UpToDate, S::UpToDate, S::UpToDate),
            (S::UpToDate, S::OutOfDate, S::OutOfDate),
            (S::SWHardeningNeeded, S::OutOfDate, S::OutOfDate),
            (S::ConfigurationNeeded, S::OutOfDate, S::OutOfDateConfigurationNeeded),
            (S::ConfigurationAndSWHardeningNeeded, S::OutOfDate, S::OutOfDateConfigurationNeeded),
            (S::OutOfDate, S::OutOfDate, S::OutOfDate),
            (S::OutOfDateConfigurationNeeded, S::OutOfDate, S::OutOfDateConfigurationNeeded),
            (S::UpToDate, S::ConfigurationNeeded, S::UpToDate),
            (S::UpToDate, S::Revoked, S::Revoked),
            (S::Revoked, S::UpToDate, S::Revoked),
            (S::Revoked, S::OutOfDate, S::Revoked),
        ] {
            assert_eq!(converge(platform, &[Some(component), None]), expected, "{platform} with {component}");
            assert_eq!(
                converge(platform, &[Some(S::UpToDate), Some(component)]),
                expected,
                "{platform} with {component}"
            );
        }
    }

    #[test]
    fn an_update_under_a_running_domain_advises_to_relaunch() {
        for (launch, now, expected) in [
            (S::OutOfDate, S::UpToDate, S::TDRelaunchAdvised),
            (S::OutOfDate, S::SWHardeningNeeded, S::TDRelaunchAdvised),
            (S::OutOfDate, S::ConfigurationNeeded, S::TDRelaunchAdvisedConfigurationNeeded),
            (S::OutOfDate, S::ConfigurationAndSWHardeningNeeded, S::TDRelaunchAdvisedConfigurationNeeded),
            (S::OutOfDateConfigurationNeeded, S::UpToDate, S::TDRelaunchAdvisedConfigurationNeeded),
            (S::OutOfDate, S::OutOfDate, S::OutOfDate),
            (S::OutOfDateConfigurationNeeded, S::OutOfDate, S::OutOfDateConfigurationNeeded),
            (S::UpToDate, S::OutOfDate, S::UpToDate),
            (S::SWHardeningNeeded, S::UpToDate, S::SWHardeningNeeded),
            (S::Revoked, S::UpToDate, S::Revoked),
            (S::UpToDate, S::Revoked, S::Revoked),
        ] {
            assert_eq!(relaunch(launch, now), expected, "{launch} then {now}");
        }
    }
}
