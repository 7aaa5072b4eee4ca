//! `sealwright seal` and `sealwright unseal`. Both work in memory of one chunk, whatever the size of the model.

use crate::args;
use crate::explain;
use crate::fields::Fields;
use crate::files::{self, Pending, Unnamed};
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use sealwright_channel::Secret;
use sealwright_channel::seal::{self, Contents, Error, Sealed};
use sealwright_wire::sealed::LoadModel;

/// What a model is called in a sealed file's header.
const KIND: &str = "onnx";
/// Readable by its owner alone.
const PRIVATE: u32 = 0o600;

/// Seals a model; its key goes into a file or to a broker, and nowhere else.
pub(crate) async fn seal(args: &args::Seal, output: Output) -> Result<Outcome> {
    let key = seal::new_key()?;
    let mut pending = Pending::beside(&args.output)?;
    let sealed = seal_into(&mut pending, args, &key)?;
    // The key first: a sealed file whose key nobody keeps is lost.
    if let Err(error) = keep(&key, args, &sealed).await {
        return explain::refused_administrator(error, output);
    }
    pending.replace()?;
    let fields = Fields::new()
        .with("sealed", args.output.display().to_string())
        .with("name", args.name.as_str())
        .with("version", args.model_version)
        .with("key", args.key_uri.uri())
        .with("sha384", sealed.sha384.to_string());
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

fn seal_into(pending: &mut Pending, args: &args::Seal, key: &Secret) -> Result<Sealed> {
    let shown = args.model.display();
    let model = files::open(&args.model)?;
    let contents = Contents {
        name: args.name.clone(),
        version: args.model_version,
        kind: KIND.to_owned(),
        key: args.key_uri.clone(),
        cleartext_len: model.get_ref().metadata().with_context(|| format!("cannot read {shown}"))?.len(),
        chunk_size: None,
    };
    seal::seal(model, pending.writer(), key, &contents).with_context(|| format!("cannot seal {shown}"))
}

/// Puts the key where the user wants it.
async fn keep(key: &Secret, args: &args::Seal, sealed: &Sealed) -> Result<()> {
    if let Some(file) = &args.key_out {
        files::create(file, key.expose(), PRIVATE)?;
    }
    if let Some(target) = args.target() {
        let client = super::broker::connect(&target)?;
        let model = LoadModel::new(&sealed.header, sealed.sha384);
        let requires = super::broker::having_measured(&[model])?;
        let put = client.put_secret(&args.key_uri, key.expose(), &requires, None).await;
        put.context("the broker did not take the key, so nothing is sealed")?;
    }
    Ok(())
}

/// Opens a sealed file; the content gets a name only when all of it is authentic.
pub(crate) fn unseal(args: &args::Unseal, output: Output) -> Result<Outcome> {
    let sealed = files::open(&args.file)?;
    let key = Secret::new(files::read(&args.key, 4096)?);
    let mut opened = Unnamed::beside(&args.output)?;
    let header = match seal::unseal_to(sealed, opened.writer(), &key) {
        Ok(header) => header,
        Err(error @ (Error::Read(_) | Error::Write(_) | Error::Resources(_))) => return Err(error.into()),
        Err(error) => {
            let reason = error.to_string();
            let fields = Fields::new().with("unsealed", false).with("reason", reason.as_str());
            output.result(&fields, format!("no: {reason}\n"))?;
            return Ok(Outcome::No);
        }
    };
    opened.create()?;
    let fields = Fields::new()
        .with("unsealed", args.output.display().to_string())
        .with("name", header.name.as_str())
        .with("version", header.version)
        .with("bytes", header.cleartext_len);
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}
