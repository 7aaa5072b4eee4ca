//! Whether a CCEL explains the runtime registers of a CSV report.

use super::tdx::{Machine, check};
use super::{Error, Replayed};
use sealwright_wire::tcg2::{AlgorithmId, Log};

/// The names of CSV's runtime registers that logs extend; the log's MR index of each is its number. RTMR0 is the launch digest.
pub const CSV_RTMR_NAMES: [&str; 4] = ["rtmr1", "rtmr2", "rtmr3", "rtmr4"];

/// Compares a CCEL with RTMR1 to RTMR4 of a CSV report, as [`super::check_tdx`] does with the registers of TDX. Here RTMR4, which runtime
/// events extend, is the one that may hold what no record tells.
///
/// # Errors
/// When the log is not readable, has no SM3 digest of an event, extends something else than the four registers, has a runtime event that
/// its digest does not confirm, or a register differs.
pub fn check_csv(log: &[u8], rtmrs: &[[u8; 32]; 4]) -> Result<Replayed, Error> {
    let machine = Machine {
        algorithm: AlgorithmId::SM3_256,
        names: CSV_RTMR_NAMES,
        expected: "1 to 4 for RTMR1 to RTMR4",
        quoted: rtmrs.each_ref().map(|rtmr| rtmr.as_slice().into()),
    };
    check(Some(&Log::parse(log)?), None, None, &machine)
}
