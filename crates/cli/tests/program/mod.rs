//! Runs the real program.
// Each test file uses its own part of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a run said.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The JSON that it printed.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in {:?} ({})", self.stdout, self.stderr))
    }
}

/// The program, to be given arguments.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sealwright"))
}

/// Runs the program to its end.
pub(crate) fn sealwright<S: AsRef<OsStr>>(args: &[S]) -> Run {
    let Output { status, stdout, stderr } = command().args(args).output().expect("the program starts");
    Run {
        code: status.code().expect("the program ends by itself"),
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
    }
}

/// Runs the program with a standard output that nobody reads, and gives its exit code and standard error.
pub(crate) fn unread<S: AsRef<OsStr>>(args: &[S]) -> (i32, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let Output { status, stderr, .. } =
        command().args(args).stdout(writer).stderr(Stdio::piped()).output().expect("the program starts");
    (status.code().expect("the program ends by itself"), String::from_utf8(stderr).expect("text"))
}

/// A service that runs until this is dropped.
pub(crate) struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a service and waits until it is ready; gives the address that it writes into its ready file.
pub(crate) fn service<S: AsRef<OsStr>>(args: &[S], ready_file: &Path) -> (Service, String) {
    service_logging_to(Stdio::null(), args, ready_file)
}

/// The same, whose log goes elsewhere.
pub(crate) fn service_logging_to<S: AsRef<OsStr>>(
    log: impl Into<Stdio>,
    args: &[S],
    ready_file: &Path,
) -> (Service, String) {
    let mut service = command();
    service.args(args).arg("--exit-with-stdin").arg("--ready-file").arg(ready_file);
    // The pipe closes with this process, however it ends.
    let child = service.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
    let mut service = Service(child.expect("the program starts"));
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Ok(ready) = std::fs::read_to_string(ready_file) {
            return (service, ready);
        }
        assert!(Instant::now() < deadline, "the service is not ready");
        assert!(service.0.try_wait().unwrap().is_none(), "the service ended");
        std::thread::sleep(Duration::from_millis(10));
    }
}
