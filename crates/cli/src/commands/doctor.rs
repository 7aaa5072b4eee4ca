use crate::output::{Outcome, Output};
use anyhow::Result;
use sealwright_evidence::machine::{Finding, Group, Machine};
use std::fmt::{self, Display};

/// `sealwright doctor`.
pub(crate) fn run(output: Output) -> Result<Outcome> {
    let machine = Machine::look();
    output.result(&machine, Text(&machine))?;
    Ok(Outcome::Yes)
}

struct Text<'a>(&'a Machine);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kernel) = &self.0.kernel {
            writeln!(f, "kernel {kernel}\n")?;
        }
        self.0.findings.iter().try_for_each(|finding| describe(finding, f))?;
        if self.0.has(Group::Tee) {
            return Ok(());
        }
        writeln!(f, "\nThis machine offers no TEE to its programs.")?;
        if cfg!(feature = "simulator") {
            writeln!(f, "To work with a simulated TDX machine: sealwright demo, sealwright sim boot.")?;
        }
        Ok(())
    }
}

fn describe(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mark = if finding.present { "yes" } else { "no " };
    writeln!(f, "{mark}  {}  ({})", finding.what, finding.path.display())?;
    match (&finding.detail, finding.present) {
        (Some(detail), true) => writeln!(f, "       {detail}"),
        (None, true) => Ok(()),
        (_, false) => writeln!(f, "       needed for {}; {}", finding.needed_for, finding.remedy),
    }
}
