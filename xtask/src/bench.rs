//! `cargo xtask bench`: runs the benchmarks and writes the one table of their medians, `docs/benchmarks.md`.
//!
//! Rivals run in the same run as ours, so that what counts is a ratio; absolute times depend on the machine and its load.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only write the table again from what was measured before.
    #[arg(long)]
    table_only: bool,
    /// Also build the default members from nothing, in a folder of its own, and time it.
    #[arg(long)]
    clean_build: bool,
}

/// A comparison that users of this project care about: both sides by their criterion names.
struct Ratio {
    what: &'static str,
    ours: &'static str,
    /// Together.
    against: &'static [&'static str],
    target: Target,
}

/// What the comparison should come to.
enum Target {
    /// `against` takes at least so many times as long as `ours`.
    Faster(f64),
    /// `ours` takes at most so many times as long as `against`.
    AtMost(f64),
    /// `ours` takes at most so many microseconds more than `against`.
    MoreByAtMost(f64),
    /// Nothing was promised; the figure explains another.
    Told,
}

/// A clean build takes at most so many seconds, on a machine where [`YARDSTICK`] takes [`YARDSTICK_SECONDS`].
const BUILD_TARGET: f64 = 300.0;
/// The largest crate of the build but for the cryptography. How long it takes tells how fast the machine is just now.
const YARDSTICK: &str = "rten";
const YARDSTICK_SECONDS: f64 = 48.0;

const RATIOS: [Ratio; 15] = [
    Ratio {
        what: "verify the real TDX v4 quote, collateral and platform verified before (two signatures), against dcap-qvl 0.7.1",
        ours: "verify/tdx-v4/sealwright warm, first quote",
        against: &["verify/tdx-v4/dcap-qvl"],
        target: Target::Faster(5.0),
    },
    Ratio {
        what: "the same, against these two signatures alone",
        ours: "verify/tdx-v4/sealwright warm, first quote",
        against: &["verify/tdx-v4/its two signatures"],
        target: Target::AtMost(1.3),
    },
    Ratio {
        what: "verify a further quote of its quoting enclave (one signature), against dcap-qvl 0.7.1",
        ours: "verify/tdx-v4/sealwright warm",
        against: &["verify/tdx-v4/dcap-qvl"],
        target: Target::Faster(5.0),
    },
    Ratio {
        what: "verify it for the first time, against dcap-qvl 0.7.1",
        ours: "verify/tdx-v4/sealwright cold",
        against: &["verify/tdx-v4/dcap-qvl"],
        target: Target::Faster(1.2),
    },
    Ratio {
        what: "verify 10,000 quotes of SGX, TDX 1.0 and TDX 1.5 with two threads, against one",
        ours: "verify/10,000 mixed quotes/two threads",
        against: &["verify/10,000 mixed quotes/one thread"],
        target: Target::Faster(1.8),
    },
    Ratio {
        what: "verify a real SEV-SNP report with its whole chain, against sev 8.0 without OpenSSL",
        ours: "verify/snp/sealwright chain and report",
        against: &["verify/snp/sev chain and report"],
        target: Target::Faster(6.0),
    },
    Ratio {
        what: "the same, the key verified before",
        ours: "verify/snp/sealwright report",
        against: &["verify/snp/sev report"],
        target: Target::Faster(4.0),
    },
    Ratio {
        what: "verify a real Hygon CSV report of a known chip (two SM2 signatures), against two bare verifications of OpenSSL's",
        ours: "verify/csv/sealwright report",
        against: &["verify/csv/openssl, two signatures"],
        target: Target::Faster(1.0),
    },
    Ratio {
        what: "read an event log and replay its three banks, against eventlog-rs 0.1.7, which replays one",
        ours: "event log/three banks/sealwright",
        against: &["event log/three banks/eventlog-rs"],
        target: Target::Faster(5.0),
    },
    Ratio {
        what: "the same, against the bare hashes of its extends",
        ours: "event log/three banks replayed",
        against: &["event log/bare extends"],
        target: Target::AtMost(1.5),
    },
    Ratio {
        what: "read and replay a real CCEL in its area of 1 MiB, nearly all of it padding, against eventlog-rs 0.1.7",
        ours: "event log/a real CCEL/sealwright",
        against: &["event log/a real CCEL/eventlog-rs"],
        target: Target::Told,
    },
    Ratio {
        what: "/auth and /attest on a kept-alive connection, server CPU, against the sum of its own cryptography",
        ours: "handshake/server cpu",
        against: &["handshake/its cryptography"],
        target: Target::AtMost(2.0),
    },
    Ratio {
        what: "the same, against that cryptography and a bare server: the same stack, bytes and durable line, nothing else",
        ours: "handshake/server cpu",
        against: &["handshake/its cryptography, but for TLS", "handshake/a bare server"],
        target: Target::Told,
    },
    Ratio {
        what: "a prediction over RA-TLS, kept alive, against the same call in process",
        ours: "predict/over ra-tls",
        against: &["predict/in process"],
        target: Target::MoreByAtMost(150.0),
    },
    Ratio {
        what: "the same, against that call and as many bare bytes over loopback to another thread and back",
        ours: "predict/over ra-tls",
        against: &["predict/in process", "predict/bytes to another thread and back"],
        target: Target::Told,
    },
];

/// Where benchmarks are: the folder of a workspace, and what `cargo bench` is told there.
const SUITES: [(&str, &[&str]); 2] = [("bench/peers", &[]), (".", &["--workspace", "--benches"])];

/// Medians in nanoseconds, by criterion's name.
type Medians = BTreeMap<String, f64>;

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// Runs everything and writes `docs/benchmarks.md`.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let page = root.join("docs/benchmarks.md");
    let build = if options.clean_build { Some(time_clean_build(root)?) } else { None };
    if !options.table_only {
        SUITES.iter().try_for_each(|(folder, args)| bench(&root.join(folder), args))?;
    }
    let mut medians = Medians::new();
    for folder in [target(root), root.join("bench/peers/target")] {
        collect(&folder.join("criterion"), &mut medians)?;
    }
    ensure!(!medians.is_empty(), "nothing was measured");
    let build = build.or_else(|| previous_build(&page));
    fs::write(&page, table(&medians, build.as_deref(), &machine())).with_context(|| format!("{}", page.display()))?;
    eprintln!("wrote {}", page.display());
    Ok(())
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn bench(folder: &Path, args: &[&str]) -> Result<()> {
    let status = Command::new(crate::cargo()).arg("bench").arg("--locked").args(args).current_dir(folder).status()?;
    ensure!(status.success(), "cargo bench in {}: {status}", folder.display());
    Ok(())
}

/// What the page says of a clean build: how long it takes, and the yardstick before and after it.
fn time_clean_build(root: &Path) -> Result<String> {
    let before = time_build_from_nothing(root, &["--package", YARDSTICK])?;
    let all = time_build_from_nothing(root, &[])?;
    let after = time_build_from_nothing(root, &["--package", YARDSTICK])?;
    Ok(build_line(all, f64::midpoint(before, after)))
}

/// Seconds that `cargo build --release` takes with nothing built before.
fn time_build_from_nothing(root: &Path, args: &[&str]) -> Result<f64> {
    let folder = target(root).join("clean-build");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut cargo = Command::new(crate::cargo());
    cargo.args(["build", "--release", "--locked"]).args(args).env("CARGO_TARGET_DIR", &folder).current_dir(root);
    let begun = Instant::now();
    let status = cargo.status()?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(status.success(), "cargo build: {status}");
    fs::remove_dir_all(&folder)?;
    Ok(seconds)
}

const BUILD_LINE: &str = "`cargo build --release` of the default members from nothing: ";

fn build_line(all: f64, yardstick: f64) -> String {
    let (ratio, most) = (all / yardstick, BUILD_TARGET / YARDSTICK_SECONDS);
    format!(
        "{BUILD_LINE}{all:.0} s (`cargo xtask bench --clean-build`); at most {BUILD_TARGET} s: {}. The crate `{YARDSTICK}` alone took {yardstick:.0} s \
         in the same minutes, so all of it is {ratio:.2} times that; where the target was set it took {YARDSTICK_SECONDS} s, and the target is {most} \
         times that: {}.",
        verdict(all <= BUILD_TARGET),
        verdict(ratio <= most)
    )
}

/// What the page already says of a clean build.
fn previous_build(page: &Path) -> Option<String> {
    let text = fs::read_to_string(page).ok()?;
    text.lines().find(|line| line.starts_with(BUILD_LINE)).map(str::to_owned)
}

/// Gathers what criterion has stored below a folder.
fn collect(folder: &Path, medians: &mut Medians) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let (named, estimated) = (path.join("benchmark.json"), path.join("estimates.json"));
        if path.ends_with("new") && named.exists() && estimated.exists() {
            let benchmark: Benchmark = serde_json::from_slice(&fs::read(named)?)?;
            let estimates: Estimates = serde_json::from_slice(&fs::read(estimated)?)?;
            medians.insert(benchmark.full_id, estimates.median.point_estimate);
        } else {
            collect(&path, medians)?;
        }
    }
    Ok(())
}

/// Processor and compiler, as far as they tell.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    format!("{model}, {cores} cores, {}", String::from_utf8_lossy(&rustc).trim())
}

fn table(medians: &Medians, build: Option<&str>, machine: &str) -> String {
    let mut page = String::from(
        "# Benchmarks\n\nWritten by `cargo xtask bench`. Medians of criterion; both sides of a comparison ran in the same run. Absolute times\n\
         depend on the machine and on what else it does: quote the ratios.\n\n",
    );
    // Writing into a string cannot fail.
    let _ = writeln!(page, "Machine: {machine}.\n");
    if let Some(build) = build {
        let _ = writeln!(page, "{build}\n");
    }
    page.push_str("## Against others, and against the floor\n\n| what | ours | against | result | target |\n|---|---|---|---|---|\n");
    for ratio in &RATIOS {
        let _ = writeln!(page, "{}", row(ratio, medians));
    }
    page.push_str("\n## Everything that is measured\n\n| benchmark | median |\n|---|---|\n");
    for (name, median) in medians {
        let _ = writeln!(page, "| {name} | {} |", time(*median));
    }
    page
}

fn row(ratio: &Ratio, medians: &Medians) -> String {
    let against: Option<f64> = ratio.against.iter().map(|name| medians.get(*name)).sum();
    let (Some(ours), Some(against)) = (medians.get(ratio.ours), against) else {
        return format!("| {} | not measured | | | |", ratio.what);
    };
    let judged = |target: String, met| format!("{target}: {}", verdict(met));
    let (result, target) = match ratio.target {
        Target::Faster(target) => {
            (format!("{:.2}x as fast", against / ours), judged(format!("at least {target}x"), against / ours >= target))
        }
        Target::AtMost(target) => {
            (format!("{:.2}x", ours / against), judged(format!("at most {target}x"), ours / against <= target))
        }
        Target::MoreByAtMost(target) => {
            let more = (ours - against) / 1_000.0;
            (format!("{more:.0} us more"), judged(format!("at most {target} us more"), more <= target))
        }
        Target::Told => (format!("{:.2}x", ours / against), String::new()),
    };
    format!("| {} | {} | {} | {result} | {target} |", ratio.what, time(*ours), time(against))
}

const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1_000.0 => format!("{n:.0} ns"),
        n if n < 1_000_000.0 => format!("{:.1} us", n / 1_000.0),
        n => format!("{:.2} ms", n / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_the_target_is_met_and_where_we_lose() {
        let ratio = &RATIOS[0];
        let measured =
            |ours, against| Medians::from([(ratio.ours.to_owned(), ours), (ratio.against[0].to_owned(), against)]);
        assert!(
            row(ratio, &measured(100_000.0, 600_000.0))
                .ends_with("| 100.0 us | 600.0 us | 6.00x as fast | at least 5x: met |")
        );
        assert!(row(ratio, &measured(200_000.0, 600_000.0)).ends_with("3.00x as fast | at least 5x: **missed** |"));
        assert!(row(ratio, &Medians::new()).contains("not measured"));
    }

    #[test]
    fn the_build_time_survives_a_run_that_does_not_measure_it() {
        let line = build_line(310.2, 60.0);
        assert!(line.contains("310 s") && line.contains("at most 300 s: **missed**"), "{line}");
        assert!(line.contains("5.17 times that") && line.ends_with("6.25 times that: met."), "{line}");
        let page = table(&Medians::from([("a/b".to_owned(), 1.0)]), Some(&line), "a machine");
        let file = std::env::temp_dir().join(format!("sealwright-bench-{}.md", std::process::id()));
        fs::write(&file, page).unwrap();
        assert_eq!(previous_build(&file), Some(line));
        fs::remove_file(file).unwrap();
    }
}
