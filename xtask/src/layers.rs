//! Which of our crates may know which: the table is in ARCHITECTURE.md, and this holds the manifests against it.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const PREFIX: &str = "sealwright-";

/// Crates in which time, network and collateral are arguments.
const PURE: [&str; 4] = ["wire", "verify", "predict", "appraise"];

/// What brings an async runtime, a network or a clock along. A pure crate must not have one of these anywhere in its tree.
const IMPURE: [&str; 22] = [
    "async-io",
    "async-std",
    "chrono",
    "curl",
    "embassy-executor",
    "futures-executor",
    "h2",
    "hyper",
    "isahc",
    "jiff",
    "mio",
    "polling",
    "quinn",
    "reqwest",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tonic",
    "ureq",
    "wasm-timer",
    "web-time",
];

/// A crate's allowed dependencies; `None` means all.
type Table = BTreeMap<String, Option<BTreeSet<String>>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency; `dev` and `build` otherwise.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

/// Checks the whole workspace.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let table = parse_table(&text)?;
    let metadata = metadata(root)?;
    let mut faults = forbidden_arrows(&table, &metadata);
    for pure in PURE {
        faults.extend(impurities(pure, &metadata));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    eprintln!("layers: {} crates hold to the table of ARCHITECTURE.md", table.len());
    Ok(())
}

fn metadata(root: &Path) -> Result<Metadata> {
    let output = Command::new(crate::cargo())
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata's answer")
}

/// The rows of the crate table: `` | `dir` | purpose | dependencies | ``. A package is named after the last folder of its path.
fn parse_table(text: &str) -> Result<Table> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.trim_end().strip_suffix('|')?.split('|').map(str::trim).collect();
        let [dir, _, allowed] = cells.as_slice() else { return None };
        let dir = dir.strip_prefix('`')?.strip_suffix('`')?;
        let name = dir.rsplit('/').next().unwrap_or(dir);
        Some((name.to_owned(), parse_allowed(allowed)))
    });
    let table: Table = rows.collect();
    ensure!(!table.is_empty(), "ARCHITECTURE.md has no crate table");
    Ok(table)
}

fn parse_allowed(cell: &str) -> Option<BTreeSet<String>> {
    match cell {
        "all" => None,
        "-" => Some(BTreeSet::new()),
        list => Some(list.split(',').map(|name| name.trim().to_owned()).collect()),
    }
}

fn forbidden_arrows(table: &Table, metadata: &Metadata) -> Vec<String> {
    let members = metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id));
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for package in members {
        let Some(name) = package.name.strip_prefix(PREFIX) else { continue };
        seen.insert(name);
        let Some(allowed) = table.get(name) else {
            faults.push(format!("{name}: not in the table of ARCHITECTURE.md"));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind.is_none()) {
            let Some(target) = dependency.name.strip_prefix(PREFIX) else { continue };
            if !allowed.contains(target) {
                faults.push(format!("{name} -> {target}: not an arrow of ARCHITECTURE.md"));
            }
        }
    }
    faults.extend(
        table
            .keys()
            .filter(|name| !seen.contains(name.as_str()))
            .map(|name| format!("{name}: in the table, but no such crate")),
    );
    faults
}

/// Every impure crate that a pure crate reaches through normal dependencies, with the path that reaches it.
fn impurities(pure: &str, metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let nodes: BTreeMap<_, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let start = names.iter().find(|(_, name)| name.strip_prefix(PREFIX) == Some(pure)).map(|(id, _)| *id);
    let mut queue: Vec<(&str, String)> = start.into_iter().map(|id| (id, pure.to_owned())).collect();
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    while let Some((id, path)) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        let name = names.get(id).copied().unwrap_or(id);
        if IMPURE.contains(&name) {
            faults.push(format!("{path}: {pure} must stay free of async runtimes, networks and clocks"));
        }
        let normal = nodes
            .get(id)
            .into_iter()
            .flat_map(|node| &node.deps)
            .filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        queue.extend(normal.map(|edge| {
            let target = names.get(edge.pkg.as_str()).copied().unwrap_or(&edge.pkg);
            (edge.pkg.as_str(), format!("{path} -> {target}"))
        }));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| dir | purpose | may depend on |\n|---|---|---|\n| `wire` | bytes | - |\n| `verify` | facts | wire |\n| `cli` | x | all |\n";

    fn workspace(dependencies: &[(&str, &[&str])], foreign: &[(&str, &str)]) -> Metadata {
        let id = |name: &str| format!("id:{name}");
        let package = |name: &str, targets: &[&str]| Package {
            id: id(name),
            name: name.to_owned(),
            dependencies: targets.iter().map(|target| Dependency { name: (*target).to_owned(), kind: None }).collect(),
        };
        let mut packages: Vec<_> = dependencies.iter().map(|(name, targets)| package(name, targets)).collect();
        packages.extend(foreign.iter().map(|(_, name)| package(name, &[])));
        let edges = |name: &str, targets: &[&str]| {
            let foreign = foreign.iter().filter(|(from, _)| *from == name).map(|(_, to)| *to);
            targets
                .iter()
                .copied()
                .chain(foreign)
                .map(|target| Edge { pkg: id(target), dep_kinds: vec![EdgeKind { kind: None }] })
                .collect()
        };
        Metadata {
            workspace_members: dependencies.iter().map(|(name, _)| id(name)).collect(),
            resolve: Resolve {
                nodes: dependencies
                    .iter()
                    .map(|(name, targets)| Node { id: id(name), deps: edges(name, targets) })
                    .collect(),
            },
            packages,
        }
    }

    #[test]
    fn an_arrow_against_the_river_is_refused() {
        let table = parse_table(TABLE).unwrap();
        let good = workspace(
            &[
                ("sealwright-wire", &[]),
                ("sealwright-verify", &["sealwright-wire"]),
                ("sealwright-cli", &["sealwright-verify"]),
            ],
            &[],
        );
        assert_eq!(forbidden_arrows(&table, &good), Vec::<String>::new());
        let bad = workspace(
            &[("sealwright-wire", &["sealwright-verify"]), ("sealwright-verify", &[]), ("sealwright-cli", &[])],
            &[],
        );
        assert_eq!(forbidden_arrows(&table, &bad), ["wire -> verify: not an arrow of ARCHITECTURE.md"]);
    }

    #[test]
    fn a_crate_outside_the_table_and_a_row_without_a_crate_are_refused() {
        let table = parse_table(TABLE).unwrap();
        let odd = workspace(&[("sealwright-wire", &[]), ("sealwright-verify", &[]), ("sealwright-utils", &[])], &[]);
        assert_eq!(
            forbidden_arrows(&table, &odd),
            ["utils: not in the table of ARCHITECTURE.md", "cli: in the table, but no such crate"]
        );
    }

    #[test]
    fn a_crate_elsewhere_has_its_path_in_the_table() {
        let table = parse_table("| dir | purpose | may depend on |\n|---|---|---|\n| `sdk/c` | C | wire |\n").unwrap();
        assert_eq!(table.get("c"), Some(&parse_allowed("wire")));
    }

    #[test]
    fn a_clock_deep_in_a_pure_tree_is_found_with_its_path() {
        let metadata = workspace(
            &[("sealwright-wire", &[]), ("sealwright-verify", &["sealwright-wire"])],
            &[("sealwright-wire", "chrono")],
        );
        assert_eq!(
            impurities("verify", &metadata),
            ["verify -> sealwright-wire -> chrono: verify must stay free of async runtimes, networks and clocks"]
        );
    }
}
