//! `sealwright sim ...`: a simulated site as a process of its own.

use crate::args::{SimBoot, SimCommand, SimFiles, SimTcb, SimTd, TdFiles};
use crate::fields::Fields;
use crate::output::{Outcome, Output};
use crate::service::{self, ReadyFile};
use anyhow::{Context, Result, bail};
use sealwright_sim::{BootFiles, BootRequest, Control, QuoteFormat, Server, Site, TdConfig, files, system_clock};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The operator's socket in a site's directory.
const CONTROL: &str = "control.sock";
/// The name of the trust domain that a site boots first.
const FIRST: &str = "td";
const MIB: u64 = 1 << 20;

/// Runs one of the verbs.
pub(crate) async fn run(command: &SimCommand, output: Output) -> Result<Outcome> {
    match command {
        SimCommand::Files(args) => generate(args, output),
        SimCommand::Boot(args) => boot(args, output).await,
        SimCommand::Td(args) => boot_another(args, output),
        SimCommand::Tcb(args) => change_tcb(args, output),
    }
}

/// Where the files of a trust domain are.
struct Paths {
    firmware: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    cmdline: PathBuf,
}

impl Paths {
    fn in_dir(dir: &Path) -> Self {
        Self {
            firmware: dir.join("firmware.fd"),
            kernel: dir.join("kernel.efi"),
            initrd: dir.join("initrd.cpio"),
            cmdline: dir.join("cmdline"),
        }
    }

    fn command_line(&self) -> Result<String> {
        let bytes = crate::files::read(&self.cmdline, 64 << 10)?;
        let text = String::from_utf8(bytes).with_context(|| format!("{} is no text", self.cmdline.display()))?;
        Ok(text.trim_end_matches('\n').to_owned())
    }
}

fn generate(args: &SimFiles, output: Output) -> Result<Outcome> {
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let paths = Paths::in_dir(&args.dir);
    let Paths { firmware, kernel, initrd, cmdline } = &paths;
    let there = [firmware, kernel, initrd, cmdline].into_iter().find(|path| path.exists());
    if let Some(there) = there.filter(|_| !args.force) {
        bail!("{} is there already; --force replaces it", there.display());
    }
    let made = files::generate(&args.seed);
    crate::files::replace(&paths.firmware, &made.firmware)?;
    crate::files::replace(&paths.kernel, &made.kernel)?;
    crate::files::replace(&paths.initrd, made.initrd.as_deref().unwrap_or_default())?;
    crate::files::replace(&paths.cmdline, made.command_line.as_bytes())?;
    let fields = Fields::new()
        .with("firmware", paths.firmware.display().to_string())
        .with("kernel", paths.kernel.display().to_string())
        .with("initrd", paths.initrd.display().to_string())
        .with("cmdline", paths.cmdline.display().to_string());
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

async fn boot(args: &SimBoot, output: Output) -> Result<Outcome> {
    let ready = ReadyFile::new(args.ready_file.as_deref())?;
    service::log_to_stderr(output);
    // Whoever can reach a machine's socket can measure into its registers.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&args.dir);
    made.with_context(|| format!("cannot make {}", args.dir.display()))?;
    let server = Server::start(Site::found(system_clock())?, &args.dir.join(CONTROL), Some(args.dir.clone()))?;
    let socket = args.dir.join(format!("{FIRST}.sock"));
    server.boot(&td_config(&args.td)?, &socket)?;
    let stop = service::stop_signal(args.exit_with_stdin, &ready)?;
    ready.ready(&socket.display().to_string())?;
    let handle = server.stop_handle();
    let serving = tokio::task::spawn_blocking(move || server.wait());
    tokio::select! {
        () = stop => handle.request(),
        () = ended(&serving) => {}
    }
    serving.await.context("the site failed")?;
    Ok(Outcome::Yes)
}

/// Returns when the operator has ended the site through its socket.
async fn ended(serving: &tokio::task::JoinHandle<()>) {
    while !serving.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn td_config(td: &TdFiles) -> Result<TdConfig> {
    let paths = Paths::in_dir(&td.files);
    let files = BootFiles {
        firmware: crate::files::read(&paths.firmware, u64::try_from(sealwright_sim::MAX_FIRMWARE)?)?,
        kernel: crate::files::read(&paths.kernel, u64::try_from(sealwright_sim::MAX_KERNEL)?)?,
        initrd: Some(crate::files::read(&paths.initrd, u64::try_from(sealwright_sim::MAX_INITRD)?)?),
        command_line: paths.command_line()?,
        acpi: None,
    };
    let mut config = TdConfig::new(FIRST, files);
    config.ram = td.ram.saturating_mul(MIB);
    config.debug = td.debug;
    Ok(config)
}

fn control(dir: &Path) -> Result<Control> {
    Control::connect(dir.join(CONTROL)).with_context(|| format!("no site runs in {}", dir.display()))
}

fn boot_another(args: &SimTd, output: Output) -> Result<Outcome> {
    let absolute = |path: &Path| path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
    let paths = Paths::in_dir(&absolute(&args.td.files)?);
    let socket = absolute(&args.dir)?.join(format!("{}.sock", args.name));
    let request = BootRequest {
        name: args.name.clone(),
        socket: socket.clone(),
        command_line: paths.command_line()?,
        firmware: paths.firmware,
        kernel: paths.kernel,
        initrd: Some(paths.initrd),
        acpi: None,
        ram: args.td.ram.saturating_mul(MIB),
        debug: args.td.debug,
        quote: QuoteFormat::default(),
    };
    control(&args.dir)?.boot(&request)?;
    let fields = Fields::new().with("name", args.name.as_str()).with("socket", socket.display().to_string());
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}

fn change_tcb(args: &SimTcb, output: Output) -> Result<Outcome> {
    let control = control(&args.dir)?;
    if args.downgrade {
        control.age_tcb()?;
    } else if args.revoke {
        control.revoke_pck()?;
    } else {
        control.update_platform()?;
    }
    if let Some(dir) = &args.output {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        control.publish(&dir.canonicalize()?)?;
    }
    let status = control.status()?;
    let fields = Fields::new()
        .with("fmspc", status.fmspc)
        .with("tcb_evaluation_number", status.evaluation_number)
        .with("platform_up_to_date", status.platform_up_to_date)
        .with("pck_revoked", status.pck_revoked);
    output.result(&fields, &fields)?;
    Ok(Outcome::Yes)
}
