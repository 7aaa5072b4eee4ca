//! `sealwright demo`, as a user runs it.

mod program;

use program::{Run, command, sealwright};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Names of the attempts that must be refused, and the code of the reason that each must be given.
const REFUSALS: [(&str, &str); 8] = [
    ("another kernel", "measurement-differs"),
    ("a machine that its host can debug", "debug-on"),
    ("a flipped bit in the sealed model", "not-released"),
    ("evidence of yesterday, for another nonce", "report-data-differs"),
    ("a relay with its own TLS key before the genuine server", "channel-key-mismatch"),
    ("a broker that trusts hardware vendors' roots only", "untrusted-root"),
    ("a platform with an outdated TCB", "tcb-not-accepted"),
    ("a platform whose PCK certificate is revoked", "certificate-revoked"),
];

/// The demo, to be given arguments. The folder for its files is the test's.
fn demo(args: &[&str]) -> Command {
    let mut demo = command();
    demo.arg("demo").args(args).stdin(Stdio::null());
    demo
}

/// What the demo tells.
static TOLD: LazyLock<Value> = LazyLock::new(|| {
    let run = sealwright(&["demo", "--json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    run.json()
});

/// The check that failed, of an explanation.
fn failed(explanation: &Value) -> &Value {
    let checks = explanation["checks"].as_array().unwrap();
    checks.iter().find(|check| check["outcome"] == "failed").unwrap()
}

#[test]
fn the_demo_shows_the_whole_story_and_refuses_every_attempt_with_its_reason() {
    let told = &*TOLD;
    assert_eq!(told["passed"], true);
    assert_eq!(told["steps"].as_array().map(Vec::len), Some(6));
    let refusals = told["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), REFUSALS.len());
    for (refusal, (attempt, code)) in refusals.iter().zip(REFUSALS) {
        assert_eq!(refusal["attempt"], attempt);
        assert_eq!(refusal["refused"], true, "{attempt}");
        let failed = failed(&refusal["explanation"]);
        assert_eq!(failed["code"], code, "{attempt}");
        for member in ["claim", "expected", "actual", "source", "remedy"] {
            assert!(!failed[member].as_str().unwrap().is_empty(), "{attempt}: no {member}");
        }
        assert_eq!(refusal["remedy"], failed["remedy"], "{attempt} does not say what to do");
    }
}

#[test]
fn refusals_under_the_simulated_root_say_so_in_their_first_line() {
    let told = &*TOLD;
    for refusal in told["refusals"].as_array().unwrap() {
        // The root itself is what that broker refuses: nothing stands under it there.
        let vendors_only = refusal["attempt"] == "a broker that trusts hardware vendors' roots only";
        let reason = refusal["reason"].as_str().unwrap();
        assert_eq!(reason.starts_with("NO, under a SIMULATED root (root): "), !vendors_only, "{reason}");
        assert_eq!(refusal["explanation"]["simulated"], !vendors_only, "{reason}");
    }
}

#[test]
fn another_kernel_differs_in_the_register_of_the_kernel_alone() {
    let told = &*TOLD;
    let checks = told["refusals"][0]["explanation"]["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["claim"], "tdx.rtmr1");
    let [expected, actual] = ["expected", "actual"].map(|member| failed[0][member].as_str().unwrap());
    assert!(expected.len() == 96 && actual.len() == 96 && expected != actual, "{:?}", failed[0]);
}

#[test]
fn a_flipped_bit_shows_both_digests_from_the_brokers_record() {
    let told = &*TOLD;
    let recorded = &told["refusals"][2]["recorded"][0];
    assert_eq!(recorded["event"], "release");
    assert_eq!(recorded["reasons"][0]["code"], "runtime-event-not-accepted");
    let digest = |member: &str| {
        let text = recorded["reasons"][0][member].as_str().unwrap();
        text.split("sha384:").nth(1).and_then(|rest| rest.get(..96)).unwrap().to_owned()
    };
    assert_ne!(digest("expected"), digest("actual"));
    let people = sealwright(&["demo"]).stdout;
    assert!(people.contains("on the broker's record, for its administrator [runtime-event-not-accepted]"), "{people}");
    let shown = |word: &str| people.lines().any(|line| line.trim_start().starts_with(word) && line.contains("sha384:"));
    assert!(shown("found ") && shown("expected "), "{people}");
}

/// The detail of this name in a step, counted from 1.
fn detail<'a>(told: &'a Value, step: usize, what: &str) -> &'a Value {
    let details = told["steps"][step - 1]["details"].as_array().unwrap();
    let found = details.iter().find(|detail| detail["what"] == what);
    &found.unwrap_or_else(|| panic!("no {what:?} at step {step}"))["value"]
}

/// What the demo tells, with everything behind it.
static EXPLAINED: LazyLock<Value> = LazyLock::new(|| sealwright(&["demo", "--json", "--explain"]).json());

#[test]
fn explain_shows_the_evidence_and_the_facts_of_the_machine_that_booted() {
    let told = &*EXPLAINED;
    let reference = &detail(told, 1, "reference values")["values"];
    let quoted = &detail(told, 1, "evidence")["fields"]["body"];
    let facts = &detail(told, 1, "claims")["facts"];
    for register in ["mrtd", "rtmr0", "rtmr1", "rtmr2"] {
        assert_eq!(quoted[register], reference[register][0], "{register}");
        assert_eq!(facts["tdx"][register], reference[register][0], "{register}");
    }
    assert_eq!(facts["anchor"]["kind"], "simulated");
    assert_eq!(facts["tcb"]["status"], "UpToDate");
}

#[test]
fn explain_shows_the_policy_and_what_it_judged() {
    let told = &*EXPLAINED;
    let policy = detail(told, 2, "policy")[0]["text"].as_str().unwrap();
    assert!(policy.contains("package policy"), "{policy}");
    assert_eq!(detail(told, 3, "sealed file")["fields"]["name"], "digits");

    let quoted = &detail(told, 4, "evidence")["fields"]["body"];
    let claims = detail(told, 4, "claims");
    let evidence = &claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"];
    assert_eq!(evidence["tdx"]["rtmr3"], quoted["rtmr3"]);
    assert_eq!(evidence["log"]["runtime"][0]["operation"], "LoadModel");
    let decisions = detail(told, 4, "the broker's decisions").as_array().unwrap();
    assert!(decisions.iter().any(|line| line["event"] == "release" && line["verdict"] == "yes"), "{decisions:?}");
}

#[test]
fn explain_shows_what_the_client_was_shown_and_how_it_judged() {
    let told = &*EXPLAINED;
    let quoted = &detail(told, 5, "evidence")["fields"]["body"];
    let facts = detail(told, 5, "claims");
    assert_eq!(facts["report_data"], quoted["report_data"]);
    assert_eq!(facts["tdx"]["mrtd"], quoted["mrtd"]);
    assert_eq!(detail(told, 5, "verdict")["verdict"], "yes");
    assert_eq!(detail(told, 5, "receipt")["accepted"], true);
    assert_eq!(failed(detail(told, 5, "why it stopped"))["code"], "quote-signature");
}

#[test]
fn explain_shows_the_evidence_of_each_refusal_and_what_can_be_said_of_it() {
    let told = &*EXPLAINED;
    let refusals = told["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), REFUSALS.len());
    for refusal in refusals {
        let (quoted, claims) = (&refusal["evidence"]["fields"]["body"], &refusal["claims"]);
        let attempt = refusal["attempt"].as_str().unwrap();
        assert_eq!(quoted["mrtd"].as_str().map(str::len), Some(96), "{attempt}");
        match claims["genuine"].as_bool() {
            Some(true) => assert_eq!(claims["facts"]["tdx"]["rtmr1"], quoted["rtmr1"], "{attempt}"),
            _ => assert_eq!(claims["reason"]["code"], failed(&refusal["explanation"])["code"], "{attempt}"),
        }
    }
    assert_eq!(refusals[1]["claims"]["facts"]["debug"], true);
    assert_eq!(refusals[6]["claims"]["facts"]["tcb"]["status"], "OutOfDate");
    let people = sealwright(&["demo", "--explain"]).stdout;
    let digest = failed(&refusals[0]["explanation"])["expected"].as_str().unwrap().to_owned();
    assert!(people.contains(&format!("expected  {digest}")), "{people}");
}

#[test]
fn two_demos_can_run_at_once() {
    let start = || command().args(["demo", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let both = [start(), start()];
    for demo in both {
        let output = demo.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Runs a command that must succeed, in a folder.
fn done_in(dir: &Path, args: &[&str]) -> Run {
    let output = command().current_dir(dir).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let run = Run { code: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    assert_eq!(run.code, 0, "{args:?}: {}{}", run.stdout, run.stderr);
    run
}

#[test]
fn keep_keeps_everything_and_an_occupied_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let kept = kept.to_str().unwrap();
    let told = sealwright(&["demo", "--keep", kept]);
    assert_eq!(told.code, 0);
    assert!(
        told.stdout.contains(&format!("is kept in {kept}")) && !told.stdout.contains("goes with"),
        "{}",
        told.stdout
    );
    for file in ["reference.json", "digits.sealed", "receipt/receipt.jws", "site/root.der", "broker/audit.jsonl"] {
        assert!(Path::new(kept).join(file).is_file(), "{file}");
    }
    let again = sealwright(&["demo", "--keep", kept]);
    assert_eq!(again.code, 3);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
}

#[test]
fn a_kept_receipt_verifies_after_the_vendor_has_published_newer_collateral() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path();
    done_in(kept, &["demo", "--keep", "."]);
    let at_the_time = std::fs::read(kept.join("receipt/collateral/tdx.json")).unwrap();
    assert_ne!(at_the_time, std::fs::read(kept.join("site/collateral.json")).unwrap(), "the last step publishes");
    let receipt = "receipt verify receipt/receipt.jws --evidence receipt/evidence.json --request receipt/request.bin \
                   --response receipt/response.bin --collateral receipt/collateral --anchor site/root.der \
                   --reference reference.json --model-file digits.sealed --json";
    let verified = done_in(kept, &receipt.split_whitespace().collect::<Vec<_>>()).json();
    assert_eq!(verified["accepted"], true);
}

#[test]
fn keep_keeps_evidence_explanation_and_token() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path();
    done_in(kept, &["demo", "--keep", "."]);
    let attempts = std::fs::read_dir(kept.join("attempts")).unwrap().map(|entry| entry.unwrap().path());
    let mut attempts: Vec<_> = attempts.collect();
    // The eight refusals, and the tampered evidence of the step before.
    assert_eq!(attempts.len(), REFUSALS.len() + 1, "{attempts:?}");
    for attempt in &attempts {
        let explanation = std::fs::read(attempt.join("explanation.json")).unwrap();
        let explanation: Value = serde_json::from_slice(&explanation).unwrap();
        assert_eq!(explanation["verdict"], "no", "{attempt:?}");
    }
    attempts.extend(["machine", "server", "client"].map(|shown| kept.join("evidence").join(shown)));
    for shown in &attempts {
        let shown = shown.to_str().unwrap();
        let replay = format!("eventlog replay {shown}/ccel.bin --quote {shown}/quote.bin");
        done_in(kept, &replay.split_whitespace().collect::<Vec<_>>());
        let runtime = std::fs::read_to_string(format!("{shown}/runtime.log")).unwrap();
        assert_eq!(runtime.contains("sealwright LoadModel {"), !shown.ends_with("machine"), "{shown}: {runtime}");
    }
    let token = std::fs::read_to_string(kept.join("evidence/server/token.jwt")).unwrap();
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
}

/// What an administrator does with the broker of a demo that is kept in `dir`.
fn administer(dir: &Path, verb: &str) -> Run {
    let url = std::fs::read_to_string(dir.join("broker.ready")).unwrap();
    let args = format!("{verb} --broker broker --url {url}");
    done_in(dir, &args.split_whitespace().collect::<Vec<_>>())
}

/// Registers what the other kernel measures as good, and lets the model's key go to whatever model was measured.
fn be_careless(dir: &Path) {
    done_in(dir, &["sim", "files", "careless", "--seed", "not the kernel that was predicted"]);
    let cmdline = std::fs::read_to_string(dir.join("td/cmdline")).unwrap();
    let predict = "predict tdx --firmware td/firmware.fd --kernel careless/kernel.efi --initrd td/initrd.cpio --ram 2G \
                   --vmm sealwright-sim-1 --firmware-profile sealwright-sim-1 -o careless.json --cmdline";
    let predict: Vec<_> = predict.split_whitespace().chain([cmdline.trim_end()]).collect();
    done_in(dir, &predict);
    administer(dir, "broker reference set careless careless.json");
    let secret = format!("--broker broker --url {}", std::fs::read_to_string(dir.join("broker.ready")).unwrap());
    let get = format!("broker secret get {secret} default/model-key/digits");
    let key = command().current_dir(dir).args(get.split_whitespace()).output().unwrap().stdout;
    std::fs::write(dir.join("careless.key"), key).unwrap();
    administer(dir, "broker secret put default/model-key/digits careless.key");
}

#[test]
fn whoever_gets_the_key_is_named_and_the_demo_says_no() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let mut running = demo(&["--pause", "--keep", kept.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut enter = running.stdin.take().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = Vec::new();
    // The sixth step waits until the administrator has been careless.
    for _ in 1..6 {
        told.extend(lines.by_ref().take_while(|line| !line.contains("press Enter")));
        if told.iter().any(|line| line.starts_with("5. ")) {
            be_careless(&kept);
        }
        enter.write_all(b"\n").unwrap();
    }
    told.extend(lines);
    let told = told.join("\n");
    assert_eq!(running.wait().unwrap().code(), Some(1), "{told}");
    for (attempt, _) in REFUSALS {
        let through = ["another kernel", "a flipped bit in the sealed model"].contains(&attempt);
        let line = format!("   {}  {attempt}", if through { "NOT REFUSED" } else { "refused" });
        assert!(told.lines().any(|told| told == line), "{line:?} is not in {told}");
    }
    assert!(told.contains("FAILED: ") && told.contains("6 of 8 attempts refused"), "{told}");
    assert!(told.contains(&format!("is kept in {}", kept.display())), "{told}");
    assert!(kept.join("attempts/another-kernel/quote.bin").is_file());
}

#[test]
fn a_demo_that_fails_keeps_what_it_made_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let running = demo(&["--pause", "--keep", kept.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = running.unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("press Enter")).unwrap();
    // Without a machine there is nothing that the next steps could do.
    std::fs::remove_file(kept.join("site/root.der")).unwrap();
    // Closed standard input presses every Enter.
    drop(running.stdin.take());
    lines.for_each(drop);
    let output = running.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains(&format!("is kept in {}", kept.display())), "{error}");
    assert!(kept.join("reference.json").is_file());
}

/// Runs the demo in a temporary directory of its own, in a process group of its own, as a shell does.
fn demo_in(temporary: &Path, keep: bool) -> Child {
    let mut demo = demo(&[]);
    if keep {
        demo.arg("--keep").arg(temporary.join("kept"));
    }
    demo.env("TMPDIR", temporary).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap()
}

/// Processes whose working files are in this directory. Whoever has ended and was not waited for has no command line any more.
fn processes_in(temporary: &Path) -> Vec<String> {
    let temporary = temporary.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process = entry.ok()?.file_name().into_string().ok()?;
        let line = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(temporary).then_some(process)
    });
    processes.collect()
}

/// Sends a signal to processes. Some may have ended already.
fn signal<S: AsRef<str>>(signal: Signal, processes: &[S]) {
    for process in processes {
        let process = Pid::from_raw(process.as_ref().parse().unwrap()).unwrap();
        let _ = kill_process(process, signal);
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not in 30 seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Looks at what is left of a demo that was interrupted, perhaps while it began.
fn left_by_interrupted(temporary: &Path, mut demo: Child, begins: bool, when: &str) {
    wait_until("the demo ends", || demo.try_wait().unwrap().is_some());
    wait_until("no process is left", || processes_in(temporary).is_empty());
    let left: Vec<_> = std::fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    let Output { status, stderr, .. } = demo.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&stderr);
    // Where these tests run as a shell's job in the background, SIGINT is ignored until the demo begins to wait for it.
    if begins && status.success() && error.is_empty() {
        return;
    }
    assert!(left.is_empty(), "{when}: {left:?}, {status}, {error}");
    // Before it waits for signals it has made nothing yet, and ends as programs do.
    let at_once = status.signal() == Some(Signal::INT.as_raw());
    assert!(at_once || error == "sealwright: interrupted\n", "{when}: {status}, {error}");
}

#[test]
fn ctrl_c_at_any_moment_leaves_no_process_and_no_key() {
    // From before the first process to the middle of the refusals.
    for milliseconds in [0, 30, 120, 300, 600, 1_000, 1_800] {
        for keep in [false, true] {
            let temporary = tempfile::tempdir().unwrap();
            let demo = demo_in(temporary.path(), keep);
            std::thread::sleep(Duration::from_millis(milliseconds));
            // To the whole group, as a terminal does.
            let group = Pid::from_child(&demo);
            let _ = kill_process_group(group, Signal::INT);
            let when = format!("after {milliseconds} ms, --keep: {keep}");
            left_by_interrupted(temporary.path(), demo, milliseconds <= 30, &when);
        }
    }
}

/// Whoever interrupts every process of this program at once, as a service manager does, still interrupts the demo: that its commands
/// have failed by then is no failure of the demo's, of which it would keep everything.
#[test]
fn an_interrupted_demo_whose_processes_end_first_keeps_nothing() {
    for milliseconds in (100..1_900).step_by(150) {
        let temporary = tempfile::tempdir().unwrap();
        let demo = demo_in(temporary.path(), true);
        let main = demo.id().to_string();
        std::thread::sleep(Duration::from_millis(milliseconds));
        signal(Signal::STOP, &[&main]);
        let others = || processes_in(temporary.path()).into_iter().filter(|process| *process != main);
        wait_until("all its processes have ended", || {
            let others: Vec<_> = others().collect();
            signal(Signal::INT, &others);
            others.is_empty()
        });
        signal(Signal::INT, &[&main]);
        signal(Signal::CONT, &[&main]);
        left_by_interrupted(temporary.path(), demo, false, &format!("after {milliseconds} ms"));
    }
}

#[test]
fn a_killed_demo_leaves_no_process() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = demo_in(temporary.path(), false);
    let mut begun = [0; 512];
    let _ = demo.stdout.as_mut().unwrap().read(&mut begun).unwrap();
    wait_until("services run", || processes_in(temporary.path()).len() > 1);
    signal(Signal::KILL, &[demo.id().to_string()]);
    demo.wait().unwrap();
    wait_until("no process is left", || processes_in(temporary.path()).is_empty());
}

#[test]
fn a_demo_whose_output_nobody_reads_leaves_no_process_and_no_key() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = demo_in(temporary.path(), false);
    let mut first = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut first).unwrap();
    // The reader is gone, as after `| head -1`.
    wait_until("the demo ends", || demo.try_wait().unwrap().is_some());
    wait_until("no process is left", || processes_in(temporary.path()).is_empty());
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
