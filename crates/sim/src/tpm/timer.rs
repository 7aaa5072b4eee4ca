//! Clock and counters of a TPM (Part 1, "Timing Components"; `TPMS_CLOCK_INFO`).

use crate::Clock;
use sealwright_wire::{time::UnixTime, tpm::ClockInfo};

/// How many milliseconds pass between two times at which the clock is written to non-volatile memory, as the specification's code has it; at
/// most 2 to the 22nd are allowed.
const NV_CLOCK_UPDATE_INTERVAL: u64 = 1 << 12;

/// Counts the time in which the TPM is powered, and how often it was started.
pub(super) struct Timer {
    now: Clock,
    powered_on: UnixTime,
    /// What the clock showed then.
    base: u64,
    reset_count: u32,
    restart_count: u32,
    /// From what the clock must show on for it to be safe that it never showed more.
    safe_from: u64,
}

impl Timer {
    /// Of a TPM that is powered for the first time.
    pub(super) fn new(now: Clock) -> Self {
        let powered_on = now();
        Self { now, powered_on, base: 0, reset_count: 0, restart_count: 0, safe_from: 0 }
    }

    pub(super) fn now(&self) -> UnixTime {
        (self.now)()
    }

    pub(super) fn info(&self) -> ClockInfo {
        let clock = self.clock();
        ClockInfo {
            clock,
            reset_count: self.reset_count,
            restart_count: self.restart_count,
            safe: clock >= self.safe_from,
        }
    }

    /// A start with new PCRs behind an orderly shutdown without saved state.
    pub(super) fn reset(&mut self) {
        self.power_on(self.clock());
        self.reset_count = self.reset_count.saturating_add(1);
        self.restart_count = 0;
    }

    /// A start behind a shutdown with saved state.
    pub(super) fn restart(&mut self) {
        self.power_on(self.clock());
        self.restart_count = self.restart_count.saturating_add(1);
    }

    /// A loss of power, and a reset: the clock goes on from what was written last, and what it showed since then it shows again.
    pub(super) fn lose_power(&mut self) {
        let written = self.clock() / NV_CLOCK_UPDATE_INTERVAL * NV_CLOCK_UPDATE_INTERVAL;
        self.power_on(written);
        self.safe_from = written.saturating_add(NV_CLOCK_UPDATE_INTERVAL);
        self.reset();
    }

    fn clock(&self) -> u64 {
        let seconds = self.now().0.saturating_sub(self.powered_on.0);
        self.base.saturating_add(seconds.saturating_mul(1000))
    }

    fn power_on(&mut self, base: u64) {
        self.powered_on = self.now();
        self.base = base;
    }
}
