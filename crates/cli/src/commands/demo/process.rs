//! The demo's other processes: this same program, with another verb. None outlives a demo that ends: each is killed when its handle is
//! dropped. Where the demo itself is killed, services stop when their standard input closes, which the kernel does, and commands run to their
//! end, which is near.

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use serde_json::Value;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a service may take until it is ready.
const READY: Duration = Duration::from_secs(30);
/// How long a service may take to stop by itself.
const STOP: Duration = Duration::from_secs(5);
/// How long a command may take until it has answered.
const ANSWER: Duration = Duration::from_secs(60);
/// How often is looked whether a service is ready.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until every process that this one started has ended, for as long as the kernel may take to end one.
pub(super) async fn all_gone() {
    let until = Instant::now() + STOP;
    // Whoever is not ours any more has been waited for by its handle.
    while !matches!(rustix::process::wait(WaitOptions::NOHANG), Err(Errno::CHILD)) && Instant::now() < until {
        sleep(LOOK).await;
    }
}

/// Starts processes of this program.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    program: PathBuf,
    dir: PathBuf,
}

/// A service that runs until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    child: Child,
}

/// What a command that runs to its end has answered.
#[derive(Debug)]
pub(super) struct Answer {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

impl Launcher {
    /// Processes of this very program, with their ready files in `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        Ok(Self { program, dir: dir.to_owned() })
    }

    fn command<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // What a terminal sends to the demo's group is for the demo alone: it ends its processes itself, and knows why.
        command.process_group(0);
        command
    }

    /// Starts a service and waits until it is ready; returns what it wrote into its ready file.
    pub(super) async fn service<I, S>(&self, name: &'static str, args: I) -> Result<(Service, String)>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let files = Files::of(&self.dir, name);
        // Nobody reads a service's output while it runs: it must not fill a pipe.
        let mut command = self.stoppable(args, &files)?;
        let child = command.stdout(Stdio::null()).spawn().with_context(|| format!("cannot start the {name}"))?;
        let mut service = Service { name, child };
        let ready = service.wait_until_ready(&files.ready).await;
        match ready {
            Ok(ready) => Ok((service, ready)),
            Err(error) => Err(error.context(files.logged())),
        }
    }

    /// Starts a service that should not become ready, and returns its answer. `None` when it did become ready; then it is gone.
    pub(super) async fn expecting_refusal<I, S>(&self, name: &str, args: I) -> Result<Option<Answer>>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let files = Files::of(&self.dir, name);
        let child = self.stoppable(args, &files)?.spawn().with_context(|| format!("cannot start the {name}"))?;
        let answer = tokio::select! {
            answer = answer(child) => answer?,
            () = appears(&files.ready) => return Ok(None),
        };
        Ok(Some(Answer { stderr: files.logged(), ..answer }))
    }

    /// A service that logs into a file, says when it is ready, and stops when its standard input closes.
    fn stoppable<I, S>(&self, args: I, files: &Files) -> Result<Command>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command(args);
        command.args(["--exit-with-stdin", "--ready-file"]).arg(&files.ready);
        let log = std::fs::File::create(&files.log);
        command.stderr(log.with_context(|| format!("cannot create {}", files.log.display()))?);
        Ok(command)
    }

    /// Runs a command to its end.
    pub(super) async fn run<I, S>(&self, args: I) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        answer(self.command(args).spawn().context("cannot start a command")?).await
    }

    /// Runs a command that must succeed.
    pub(super) async fn done<I, S>(&self, args: I) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let answer = self.run(args).await?;
        match answer.status.code() {
            Some(0) => Ok(answer),
            _ => bail!("a command failed with {}: {}", answer.status, answer.stderr),
        }
    }
}

/// The files by which a service is known.
struct Files {
    /// There once it is ready.
    ready: PathBuf,
    /// What it says about itself.
    log: PathBuf,
}

impl Files {
    fn of(dir: &Path, name: &str) -> Self {
        Self { ready: dir.join(format!("{name}.ready")), log: dir.join(format!("{name}.log")) }
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default().trim().to_owned()
    }
}

/// Returns when the file is there.
async fn appears(file: &Path) {
    while !file.exists() {
        sleep(LOOK).await;
    }
}

/// Reads what a command says until it has ended.
async fn answer(mut child: Child) -> Result<Answer> {
    // The pipe to its standard input stays open until it has answered.
    let stdin = child.stdin.take();
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let reading = async {
        tokio::try_join!(read_to_end(&mut out, &mut stdout), read_to_end(&mut err, &mut stderr))?;
        child.wait().await
    };
    let status = tokio::time::timeout(ANSWER, reading).await.context("a command did not answer in time")??;
    drop(stdin);
    Ok(Answer { status, stdout, stderr: String::from_utf8_lossy(&stderr).trim().to_owned() })
}

/// Reads a stream that is a pipe to here, as not every one is.
async fn read_to_end(pipe: &mut Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    match pipe {
        Some(pipe) => pipe.read_to_end(into).await.map(drop),
        None => Ok(()),
    }
}

impl Service {
    async fn wait_until_ready(&mut self, ready_file: &Path) -> Result<String> {
        let deadline = Instant::now() + READY;
        loop {
            // The file is put in its place when it is complete.
            if let Ok(ready) = std::fs::read_to_string(ready_file) {
                return Ok(ready.trim().to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the {} ended with {status} before it was ready", self.name);
            }
            if Instant::now() >= deadline {
                bail!("the {} was not ready in {} seconds", self.name, READY.as_secs());
            }
            sleep(LOOK).await;
        }
    }

    /// Lets the service stop by itself, and kills it if it does not.
    pub(super) async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        match timeout_at(Instant::now() + STOP, self.child.wait()).await {
            Ok(status) => match status?.code() {
                Some(0) => Ok(()),
                code => bail!("the {} stopped with code {code:?}", self.name),
            },
            Err(_) => {
                self.child.kill().await?;
                bail!("the {} did not stop by itself", self.name)
            }
        }
    }
}

impl Answer {
    /// Whether the answer is a no with a reason, as opposed to a failure.
    pub(super) fn is_no(&self) -> bool {
        self.status.code() == Some(1)
    }

    /// The JSON that it printed.
    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.stdout).with_context(|| format!("a command answered no JSON: {}", self.stderr))
    }

    /// The JSON values that it printed, one a line.
    pub(super) fn json_lines(&self) -> Result<Vec<Value>> {
        let lines = self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("a line that is no JSON")).collect()
    }

    /// What it said about itself.
    pub(super) fn stderr(&self) -> &str {
        &self.stderr
    }
}
