//! What a C program asks for, kept from call to call.

use crate::Verdict;
use crate::failure::{Code, Failure, guarded};
use sealwright_verify::{
    TcbStatus,
    any::{self, Root, Supplied},
    nitro::Freshness,
    snp::Revocation,
};
use sealwright_wire::time::UnixTime;

/// `sealwright_request`: what [`any::Request`] borrows, owned.
pub struct Request {
    at: UnixTime,
    supplied: Supplied,
    roots: Vec<(String, Vec<u8>)>,
    pub(crate) event_log: Option<Vec<u8>>,
    pub(crate) ima: Option<Vec<u8>>,
    pub(crate) cel: Option<Vec<u8>>,
    pub(crate) signature: Option<Vec<u8>>,
    pub(crate) pcrs: Option<Vec<u8>>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) vtpm_quote: Option<Vec<u8>>,
    pub(crate) td_quote: Option<Vec<u8>>,
    pub(crate) revocation: Revocation,
    pub(crate) freshness: Freshness,
    demanded: Option<TcbStatus>,
    /// The first setter that failed: what is verified without what it was to set is not what was asked for.
    spoilt: Option<Failure>,
}

impl Request {
    pub(crate) fn new(at: u64) -> Self {
        Self {
            at: UnixTime(at),
            supplied: Supplied::default(),
            roots: Vec::new(),
            event_log: None,
            ima: None,
            cel: None,
            signature: None,
            pcrs: None,
            key: None,
            vtpm_quote: None,
            td_quote: None,
            revocation: Revocation::Required,
            freshness: Freshness::default(),
            demanded: None,
            spoilt: None,
        }
    }

    /// Sets something, or spoils the request.
    pub(crate) fn change(&mut self, setting: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        let done = guarded(|| setting(self));
        if let Err(failure) = &done {
            self.spoilt.get_or_insert_with(|| failure.clone());
        }
        done
    }

    pub(crate) fn add_collateral(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.supplied.add(bytes)?)
    }

    pub(crate) fn add_root(&mut self, name: &str, bytes: &[u8]) {
        self.roots.push((name.to_owned(), bytes.to_vec()));
    }

    pub(crate) fn require(&mut self, status: &str) -> Result<(), Failure> {
        let status = any::demand(status).map_err(|error| Failure::new(Code::NotAStatus, error.to_string()))?;
        self.demanded = Some(status);
        Ok(())
    }

    pub(crate) fn verify(&self, evidence: &[u8]) -> Result<Verdict, Failure> {
        if let Some(failure) = &self.spoilt {
            return Err(failure.clone());
        }
        let verdict = any::Verdict::of(self.borrowed().verify(evidence), self.demanded)?;
        Verdict::new(&verdict)
    }

    fn borrowed(&self) -> any::Request<'_> {
        any::Request {
            roots: self.roots.iter().map(|(name, bytes)| Root { name, bytes }).collect(),
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            cel: self.cel.as_deref(),
            signature: self.signature.as_deref(),
            pcrs: self.pcrs.as_deref(),
            key: self.key.as_deref(),
            vtpm_quote: self.vtpm_quote.as_deref(),
            td_quote: self.td_quote.as_deref(),
            revocation: self.revocation,
            freshness: self.freshness,
            ..any::Request::new(&self.supplied, self.at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setter_that_panics_spoils_the_request() {
        let mut request = Request::new(0);
        request.change(|_| panic!("meant to be seen in the test's output")).unwrap_err();
        let failure = request.verify(b"evidence").map(drop).unwrap_err();
        assert_eq!(failure.code, Code::Internal);
    }

    #[test]
    fn requests_and_verdicts_may_go_from_thread_to_thread() {
        fn shared<T: Send + Sync>() {}
        shared::<Request>();
        shared::<Verdict>();
    }
}
