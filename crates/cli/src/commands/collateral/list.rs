//! `sealwright collateral list`: what is kept, and how fresh it is.

use super::{open, upkeep};
use crate::args::CollateralList;
use crate::output::{Outcome, Output};
use anyhow::Result;
use sealwright_collateral::{Freshness, Item, Standing};
use serde::Serialize;
use std::fmt;

/// What is printed.
#[derive(Serialize)]
struct Listed {
    bundles: Vec<Standing>,
    items: Vec<Standing<Item>>,
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
    let upkeep = upkeep(&args.upkeep);
    let (bundles, items) = (store.standings(&upkeep, at), store.item_standings(&upkeep, at));
    let known =
        |file: &str| bundles.iter().any(|bundle| bundle.file == file) || items.iter().any(|item| item.file == file);
    let others = report.refused.into_iter().filter(|(file, _)| !known(file));
    let refused: Vec<_> = others.map(|(file, reason)| Refused { file, reason }).collect();
    let mut verdicts = bundles.iter().map(|bundle| bundle.freshness).chain(items.iter().map(|item| item.freshness));
    let good = refused.is_empty() && verdicts.all(|verdict| verdict <= Freshness::Due);
    let listed = Listed { bundles, items, refused };
    output.result(&listed, &listed)?;
    Ok(if good { Outcome::Yes } else { Outcome::No })
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bundles.is_empty() && self.items.is_empty() && self.refused.is_empty() {
            return writeln!(f, "nothing is kept");
        }
        self.bundles.iter().try_for_each(|bundle| show(f, bundle))?;
        self.items.iter().try_for_each(|item| show(f, item))?;
        for Refused { file, reason } in &self.refused {
            writeln!(f, "not used {file}: {reason}")?;
        }
        Ok(())
    }
}

fn show<W: fmt::Display>(f: &mut fmt::Formatter<'_>, standing: &Standing<W>) -> fmt::Result {
    let Standing {
        file, wanted, freshness, fetched, expires, evaluation_number, anchor, from, failures, refused, ..
    } = standing;
    writeln!(f, "{freshness:8} {wanted}")?;
    let number = evaluation_number.map_or_else(String::new, |number| format!("evaluation {number}, "));
    let anchor = anchor.as_deref().unwrap_or("-");
    writeln!(f, "         {number}root {anchor}, expires {expires}, in {file}")?;
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
    Ok(())
}
