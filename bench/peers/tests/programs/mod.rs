//! Programs that somebody else installed, and folders for what they read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether programs can be run; says so where not.
// A skipped test has nowhere else to say so.
#[allow(clippy::print_stderr)]
pub(crate) fn installed(programs: &[&str]) -> bool {
    let runs = |program: &&str| {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok()
    };
    let missing: Vec<_> = programs.iter().filter(|program| !runs(program)).collect();
    if !missing.is_empty() {
        eprintln!("skipped: no {missing:?}");
    }
    missing.is_empty()
}

/// An empty folder of one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tpm2-tools-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}
