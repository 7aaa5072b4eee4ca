//! `sealwright collateral list`: what is kept, and how fresh it is.

use super::{open, upkeep};
use crate::args::CollateralList;
use crate::output::{Outcome, Output};
use anyhow::Result;
use sealwright_collateral::{Freshness, Standing};
use serde::Serialize;
use std::fmt;

/// What is printed.
#[derive(Serialize)]
struct Listed {
    bundles: Vec<Standing>,
    /// Other files that are not used.
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    file: String,
    reason: String,
}

/// Says no when something is stale, expired or not used: what is kept then needs somebody.
pub(super) fn run(args: &CollateralList, output: Output) -> Result<Outcome> {
    let at = crate::clock::now();
    let (store, report, _) = open(&args.store, at)?;
    let bundles = store.standings(&upkeep(&args.upkeep), at);
    let others = report.refused.into_iter().filter(|(file, _)| !bundles.iter().any(|bundle| bundle.file == *file));
    let refused: Vec<_> = others.map(|(file, reason)| Refused { file, reason }).collect();
    let good = refused.is_empty() && bundles.iter().all(|bundle| bundle.freshness <= Freshness::Due);
    let listed = Listed { bundles, refused };
    output.result(&listed, &listed)?;
    Ok(if good { Outcome::Yes } else { Outcome::No })
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bundles.is_empty() && self.refused.is_empty() {
            return writeln!(f, "nothing is kept");
        }
        for Standing {
            wanted, freshness, fetched, expires, evaluation_number, anchor, from, failures, refused, ..
        } in &self.bundles
        {
            writeln!(f, "{freshness:8} {wanted}")?;
            let number = evaluation_number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let anchor = anchor.as_deref().unwrap_or("-");
            writeln!(f, "         evaluation {number}, root {anchor}, expires {expires}")?;
            match from {
                Some(from) => writeln!(f, "         fetched {fetched} from {from}")?,
                None => writeln!(f, "         issued {fetched}, put here by hand")?,
            }
            if *failures > 0 {
                writeln!(f, "         {failures} failures in a row since")?;
            }
            if let Some(reason) = refused {
                writeln!(f, "         not used: {reason}")?;
            }
        }
        for Refused { file, reason } in &self.refused {
            writeln!(f, "not used {file}: {reason}")?;
        }
        Ok(())
    }
}
