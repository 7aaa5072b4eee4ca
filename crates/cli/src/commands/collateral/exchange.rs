//! `sealwright collateral export` and `import`: one signed file between sites.

use super::{make, open, reason};
use crate::args::{CollateralExport, CollateralImport};
use crate::fields::Fields;
use crate::inspect::MAX_FILE;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use sealwright_appraise::{SigningKey, VerifyingKey};
use sealwright_collateral::exchange::{self, Contents};
use sealwright_collateral::{Error, Item, Kept, Wanted};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Writes everything that is kept into one signed file.
pub(super) fn export(args: &CollateralExport, output: Output) -> Result<Outcome> {
    let at = crate::clock::now();
    let (store, _, _) = open(&args.store, at)?;
    let key = key(&args.key)?;
    let contents = Contents { bundles: store.bundles(), items: store.articles() };
    let kid = key.public().thumbprint();
    let text = exchange::write(&contents, at, &kid, |message| key.sign(message))?;
    crate::files::replace(&args.output, text.as_bytes())?;
    let fields = Fields::new()
        .with("exported", args.output.display().to_string())
        .with("bundles", u64::try_from(contents.bundles.len())?)
        .with("items", u64::try_from(contents.items.len())?)
        .with("issued_at", at.to_string())
        .with("key", kid)
        .with("public_key", beside(&args.key).display().to_string());
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

/// The site's key; a new one, and the public key beside it, where there is none yet.
fn key(path: &Path) -> Result<SigningKey> {
    if path.exists() {
        let pem = Zeroizing::new(crate::files::read(path, MAX_FILE)?);
        let pem = std::str::from_utf8(&pem).unwrap_or_default();
        return SigningKey::from_pkcs8_pem(pem).with_context(|| format!("{} is no site's key", path.display()));
    }
    let key = SigningKey::generate()?;
    crate::files::create(path, key.to_pkcs8_pem()?.as_bytes(), 0o600)?;
    crate::files::replace(&beside(path), key.public().to_spki_pem()?.as_bytes())?;
    Ok(key)
}

/// Where the public key of a private one is.
fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// What became of one bundle or item.
#[derive(Serialize)]
struct Taken<W> {
    #[serde(flatten)]
    wanted: Option<W>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Fields>,
}

/// All of them.
#[derive(Serialize)]
struct Imported {
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<String>,
    bundles: Vec<Taken<Wanted>>,
    items: Vec<Taken<Item>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Fields>,
}

/// Takes what a signed file holds.
pub(super) fn import(args: &CollateralImport, output: Output) -> Result<Outcome> {
    let at = crate::clock::now();
    let pem = crate::files::read(&args.key, MAX_FILE)?;
    let key = VerifyingKey::from_spki_pem(&String::from_utf8_lossy(&pem))
        .with_context(|| format!("{} is no public key", args.key.display()))?;
    let file = crate::files::read(&args.file, MAX_FILE)?;
    let export = match exchange::read(&file, key.sec1()) {
        Ok(export) => export,
        Err(error) => {
            let reason = Some(reason(error.code(), &error, error.remedy()));
            let refused = Imported { issued_at: None, bundles: Vec::new(), items: Vec::new(), reason };
            output.result(&refused, &refused)?;
            return Ok(Outcome::No);
        }
    };
    let (store, _, _) = make(&args.store, at)?;
    let why = |error: Error| Some(reason(error.code(), &error, error.remedy()));
    let bundles = export.contents.bundles.iter().map(|bundle| match store.import(bundle, at) {
        Ok((wanted, kept)) => Taken { wanted: Some(wanted), kept: Some(kept), reason: None },
        Err(error) => Taken { wanted: None, kept: None, reason: why(error) },
    });
    let items = export.contents.items.iter().map(|article| {
        let (kept, reason) = match store.import_item(article, at) {
            Ok(kept) => (Some(kept), None),
            Err(error) => (None, why(error)),
        };
        Taken { wanted: Some(article.item.clone()), kept, reason }
    });
    let imported = Imported {
        issued_at: Some(export.issued_at.to_string()),
        bundles: bundles.collect(),
        items: items.collect(),
        reason: None,
    };
    output.result(&imported, &imported)?;
    let mut reasons =
        imported.bundles.iter().map(|taken| &taken.reason).chain(imported.items.iter().map(|taken| &taken.reason));
    Ok(if reasons.any(Option::is_some) { Outcome::No } else { Outcome::Yes })
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.reason {
            return write!(f, "refused\n\n{reason}");
        }
        self.bundles.iter().try_for_each(|taken| taken.show(f, Wanted::file))?;
        self.items.iter().try_for_each(|taken| taken.show(f, Item::file))
    }
}

impl<W: fmt::Display> Taken<W> {
    fn show(&self, f: &mut fmt::Formatter<'_>, file: fn(&W) -> String) -> fmt::Result {
        match (&self.wanted, self.kept, &self.reason) {
            (Some(wanted), Some(Kept::New), _) => writeln!(f, "kept: {wanted}, in {}", file(wanted)),
            (Some(wanted), Some(Kept::Unchanged), _) => writeln!(f, "unchanged: {wanted}"),
            (Some(wanted), _, Some(reason)) => write!(f, "refused: {wanted}\n\n{reason}"),
            (None, _, Some(reason)) => write!(f, "refused\n\n{reason}"),
            _ => Ok(()),
        }
    }
}
