//! The quickstart, pasted: every command of `docs/quickstart.md`, one right after the other, in one shell, with the real program. What is
//! changed is where it listens, so that it gets in nobody's way.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

/// What a shell needs to stop at a failure, and to end with all services. It waits for nothing: the page does.
const PRELUDE: &str = r#"
set -eu
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
command -v curl >/dev/null || curl() { echo "no curl"; }
"#;

/// The commands of a page: its indented lines.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.strip_prefix("    "))
}

/// The script with free addresses in the place of the page's three.
fn elsewhere(script: &str) -> String {
    let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let moved = ["8443", "8501", "8080"].iter().zip(ports);
    moved.fold(script.to_owned(), |script, (from, to)| {
        assert!(script.contains(&format!(":{from}")), "{from}");
        script.replace(&format!(":{from}"), &format!(":{to}"))
    })
}

/// The page as a script.
fn script(page: &str) -> String {
    // The first three lines build the program and make the directory.
    let (mut lines, build): (Vec<_>, Vec<_>) = (commands(page).skip(3).collect(), commands(page).take(3).collect());
    assert_eq!(
        build,
        ["cargo build --release", r#"export PATH="$PWD/target/release:$PATH""#, "mkdir quickstart && cd quickstart"]
    );
    let refused = lines.pop().unwrap();
    assert!(refused.starts_with("sealwright verify quote.bin"), "{refused}");
    // `init` writes where the broker listens by default, which is what the page relies on.
    let init = "sealwright broker init broker --anchor site/root.der";
    let listens = format!("{init} --listen 127.0.0.1:8443");
    let lines = lines.into_iter().map(|line| if line == init { listens.as_str() } else { line });
    let script = elsewhere(&lines.collect::<Vec<_>>().join("\n"));
    format!("{PRELUDE}{script}\nif {refused}; then echo 'NOT REFUSED'; exit 1; fi\n")
}

#[test]
fn every_command_of_the_quickstart_does_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/quickstart.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("quickstart");
    fs::create_dir(&here).unwrap();
    symlink(root.join("solutions").canonicalize().unwrap(), folder.path().join("solutions")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sealwright")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    // A page that waits for what never comes ends too, with all that it started.
    let mut shell = Command::new("timeout");
    shell.args(["-k", "10", "300", "bash", "-c"]).arg(script(&page));
    let output = shell.current_dir(&here).env("PATH", path).stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for said in
        ["a secret", "450 of 450 answers are the expected ones", "a measured workload gave this answer", "OutOfDate"]
    {
        assert!(stdout.contains(said), "{said:?} is missing in:\n{stdout}\n{stderr}");
    }
}
