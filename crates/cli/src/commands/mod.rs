//! One file per verb.

pub(crate) mod attest;
pub(crate) mod broker;
pub(crate) mod collateral;
pub(crate) mod definition;
#[cfg(feature = "simulator")]
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod eventlog;
pub(crate) mod inspect;
pub(crate) mod policy_worker;
pub(crate) mod predict;
pub(crate) mod query;
pub(crate) mod receipt;
pub(crate) mod seal;
pub(crate) mod serve;
#[cfg(feature = "simulator")]
pub(crate) mod sim;
pub(crate) mod verify;
