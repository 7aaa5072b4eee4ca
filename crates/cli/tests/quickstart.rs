//! The quickstart, pasted: every command of `docs/quickstart.md`, in its order, in one shell, with the real program. What is changed is
//! where it listens, so that it gets in nobody's way, and that it waits where a person would look whether a service is up.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::symlink, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

/// What a shell needs to go on only when a service is up, and to end with all of them.
const PRELUDE: &str = r#"
set -eu
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
until_up() { # COMMAND...: for a minute at most
    for _ in $(seq 600); do if "$@" 2>/dev/null; then return; fi; sleep 0.1; done
    echo "not up: $*" >&2
    exit 1
}
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }
command -v curl >/dev/null || curl() { echo "no curl"; }
"#;

/// The commands of a page: its indented lines.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.strip_prefix("    "))
}

/// The three addresses of the page, and free ones in their place.
fn elsewhere(script: &str) -> (String, [u16; 3]) {
    let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    let moved = ["8443", "8501", "8080"].iter().zip(ports);
    let script = moved.fold(script.to_owned(), |script, (from, to)| {
        assert!(script.contains(&format!(":{from}")), "{from}");
        script.replace(&format!(":{from}"), &format!(":{to}"))
    });
    (script, ports)
}

/// The page as a script that waits for each service.
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
    let (text, [broker, server, proxy]) = elsewhere(&lines.collect::<Vec<_>>().join("\n"));
    let mut waits = [
        "until_up test -S site/td.sock".to_owned(),
        format!("until_up listening {broker}"),
        format!("until_up listening {server}"),
        format!("until_up listening {proxy}"),
    ]
    .into_iter();
    let waiting = text.lines().flat_map(|line| {
        let wait = line.ends_with('&').then(|| waits.next().expect("a service that the page does not have"));
        [Some(line.to_owned()), wait].into_iter().flatten()
    });
    let script = waiting.collect::<Vec<_>>().join("\n");
    assert_eq!(waits.next(), None, "the page has four services");
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
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script(&page)).current_dir(&here).env("PATH", path).stdin(Stdio::null()).process_group(0);
    let output = shell.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for said in
        ["a secret", "450 of 450 answers are the expected ones", "a measured workload gave this answer", "OutOfDate"]
    {
        assert!(stdout.contains(said), "{said:?} is missing in:\n{stdout}\n{stderr}");
    }
}
