//! What there is to say of evidence, in one shape for all who ask.

use super::Error;
use crate::{AnchorKind, Error as VerifyError, Facts, TcbStatus};
use sealwright_wire::collateral::ParseStatusError;
use serde::Serialize;

/// The answer about evidence. As JSON it is what `sealwright verify --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether the vendor vouches for it.
    pub genuine: bool,
    /// Whether it is genuine at a status that is good enough.
    pub accepted: bool,
    /// Whether it comes from a simulator; `None` where no root that it names is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,
    /// What it proves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Why it is not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Verdict {
    /// The verdict on what came of a request. Without a demand, every TCB status is good enough but `Revoked`; with one, evidence without a status is
    /// not. What a revoked platform signs is nobody's word, whatever is asked for.
    ///
    /// # Errors
    /// When the request could not be judged, which is no verdict.
    pub fn of(result: Result<Facts, Error>, demanded: Option<TcbStatus>) -> Result<Self, Error> {
        match result {
            Ok(facts) => {
                let accepted = match facts.tcb() {
                    Some(tcb) => accepts(tcb.status, demanded.unwrap_or(UNDEMANDING)),
                    None => demanded.is_none(),
                };
                let simulated = Some(facts.anchor().kind == AnchorKind::Simulated);
                Ok(Self { genuine: true, accepted, simulated, facts: Some(facts), reason: None })
            }
            Err(Error::Refused { error, simulated }) => {
                let reason = Some(Reason::from(&error));
                Ok(Self { genuine: false, accepted: false, simulated, facts: None, reason })
            }
            Err(unusable) => Err(unusable),
        }
    }
}

/// The worst status at which a platform's signatures still mean something.
pub const UNDEMANDING: TcbStatus = TcbStatus::OutOfDateConfigurationNeeded;

/// The status of this name (Intel's spelling) as the worst one that is good enough.
///
/// # Errors
/// When there is none of this name, or it is `Revoked`: what a revoked platform signs cannot be believed.
pub fn demand(name: &str) -> Result<TcbStatus, NoDemand> {
    match name.parse()? {
        TcbStatus::Revoked => Err(NoDemand::Revoked),
        status => Ok(status),
    }
}

/// Why a status cannot be demanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoDemand {
    /// There is none of this name.
    #[error(transparent)]
    Unknown(#[from] ParseStatusError),
    /// It is one that is never good enough.
    #[error("what a revoked platform signs cannot be believed")]
    Revoked,
}

fn accepts(status: TcbStatus, worst: TcbStatus) -> bool {
    status <= worst && status != TcbStatus::Revoked
}

/// A refusal's parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A stable word, see [`VerifyError::code`].
    pub code: &'static str,
    /// What the refusal is about.
    pub claim: &'static str,
    /// What would have been believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The reason for people.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl From<&VerifyError> for Reason {
    fn from(error: &VerifyError) -> Self {
        Self {
            code: error.code(),
            claim: error.claim(),
            expected: error.expected(),
            actual: error.actual(),
            message: error.to_string(),
            remedy: error.remedy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_but_revoked_can_be_demanded() {
        for status in TcbStatus::ALL {
            let demanded = demand(status.name());
            assert_eq!(demanded.is_err(), status == TcbStatus::Revoked, "{status}");
            assert!(demanded.is_err() || demanded == Ok(status));
        }
        assert!(matches!(demand("uptodate"), Err(NoDemand::Unknown(_))));
    }

    #[test]
    fn a_revoked_platform_is_refused_whatever_is_asked_for() {
        for worst in TcbStatus::ALL {
            assert!(!accepts(TcbStatus::Revoked, worst), "{worst}");
            assert!(accepts(TcbStatus::UpToDate, worst), "{worst}");
        }
        assert!(!accepts(TcbStatus::OutOfDate, TcbStatus::TDRelaunchAdvised));
    }
}
