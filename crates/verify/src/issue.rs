//! Which of two issues of the same collateral is the newer one, by what its issuers sign.

use crate::Part;
use sealwright_wire::{Digest, time::UnixTime};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a revocation list (RFC 5280, 5.2.3), big-endian: at most 20 octets, never lower than that of the list before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CrlNumber(Digest<20>);

impl CrlNumber {
    /// The number of these octets, unless they are too many.
    pub(crate) fn from_be_bytes(octets: &[u8]) -> Option<Self> {
        let mut number = [0; 20];
        let start = number.len().checked_sub(octets.len())?;
        number.get_mut(start..)?.copy_from_slice(octets);
        Some(Self(Digest(number)))
    }
}

/// Hex without leading zeros.
impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let short = digits.trim_start_matches('0');
        write!(f, "0x{}", if short.is_empty() { "0" } else { short })
    }
}

/// One issue of a revocation list. Intel gives each of its lists the number 1; of two with the same number the later one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CrlIssue {
    /// Its number.
    pub number: CrlNumber,
    /// When it was issued (`thisUpdate`).
    pub at: UnixTime,
}

impl fmt::Display for CrlIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {} of {}", self.number, self.at)
    }
}

/// One issue of collateral, in which each part counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Issue {
    /// TCB evaluation data number of the TCB info.
    pub tcb_info: u32,
    /// TCB evaluation data number of the QE identity.
    pub qe_identity: u32,
    /// The root CA's revocation list.
    pub root_crl: CrlIssue,
    /// The PCK CA's revocation list.
    pub pck_crl: CrlIssue,
}

impl Issue {
    /// The part that is older than in `seen`, in words: collateral that takes back a TCB recovery or a revocation which `seen` had.
    pub fn taken_back(&self, seen: &Self) -> Option<String> {
        let documents =
            [(Part::TcbInfo, self.tcb_info, seen.tcb_info), (Part::QeIdentity, self.qe_identity, seen.qe_identity)];
        let lists = [(Part::RootCrl, self.root_crl, seen.root_crl), (Part::PckCrl, self.pck_crl, seen.pck_crl)];
        let lower = documents.iter().find(|(_, number, seen)| number < seen);
        let lower = lower.map(|(part, number, seen)| {
            format!("the TCB evaluation data number of its {} is {number}, lower than {seen}", part.name())
        });
        let older = || {
            let older = lists.iter().find(|(_, issue, seen)| issue < seen);
            older.map(|(part, issue, seen)| format!("its {} is {issue}, older than {seen}", part.name()))
        };
        lower.or_else(older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(number: &[u8], at: u64) -> CrlIssue {
        CrlIssue { number: CrlNumber::from_be_bytes(number).unwrap(), at: UnixTime(at) }
    }

    #[test]
    fn lists_are_ordered_by_number_then_by_date() {
        let ascending =
            [list(&[], 9), list(&[1], 3), list(&[1], 4), list(&[2], 1), list(&[1, 0], 0), list(&[1; 20], 0)];
        assert!(ascending.is_sorted_by(|one, other| one < other));
        assert!(CrlNumber::from_be_bytes(&[1; 21]).is_none());
        let texts = ascending.map(|issue| issue.number.to_string());
        assert_eq!(texts[..2], ["0x0", "0x1"]);
        assert_eq!(texts[4], "0x100");
    }

    #[test]
    fn each_part_counts_for_itself() {
        let seen = Issue { tcb_info: 17, qe_identity: 17, root_crl: list(&[1], 5), pck_crl: list(&[1], 5) };
        assert_eq!(seen.taken_back(&seen), None);
        assert_eq!(Issue { tcb_info: 18, pck_crl: list(&[1], 6), ..seen }.taken_back(&seen), None);
        for (older, part) in [
            (Issue { tcb_info: 16, qe_identity: 18, ..seen }, "TCB info"),
            (Issue { tcb_info: 18, qe_identity: 16, ..seen }, "QE identity"),
            (Issue { tcb_info: 18, root_crl: list(&[1], 4), ..seen }, "root CA CRL"),
            (Issue { tcb_info: 18, pck_crl: list(&[0], 6), ..seen }, "PCK CRL"),
        ] {
            let text = older.taken_back(&seen).unwrap();
            assert!(text.contains(part), "{text}");
        }
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Issue>(&json).unwrap(), seen);
    }
}
