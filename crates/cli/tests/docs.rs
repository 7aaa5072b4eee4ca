//! The pages of `docs/` whose commands are on public files: each command is run as it stands there, and prints what stands below it, where a line
//! `...` stands for any lines.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use std::fs;
use std::path::Path;

const PAGES: [&str; 3] = ["inspect.md", "verify.md", "eventlog.md"];

/// The files as the pages name them, and where they are among the vectors.
const FILES: [(&str, &str); 14] = [
    ("tdx_quote", "quote/tdx/dcap-qvl-tdx-quote/tdx_quote"),
    ("collateral.json", "quote/tdx/dcap-qvl-tdx-quote/collateral.json"),
    ("report_milan.hex", "snp/sev/report_milan.hex"),
    ("vcek_milan.der", "snp/sev/vcek_milan.der"),
    ("ask.pem", "snp/sev/roots/milan/ask.pem"),
    ("ark.pem", "snp/sev/roots/milan/ark.pem"),
    ("gramine-cert.pem", "ratls/gramine-cert.pem"),
    ("ccel_data.bin", "eventlog/ccel/evidence-api/ccel_data.bin"),
    ("ima_log.bin", "eventlog/ccel/evidence-api/ima_log.bin"),
    ("hcl-report.bin", "vtpm/az-snp-vtpm/hcl-report.bin"),
    ("tpm-quote-v1.json", "vtpm/az-snp-vtpm/tpm-quote-v1.json"),
    ("vcek.pem", "vtpm/az-snp-vtpm/vcek.pem"),
    ("tdreport_for_test.dat", "quote/tdx/tdreport/tdreport_for_test.dat"),
    ("quote.bin", "eventlog/ccel/evidence-api/quote.bin"),
];

/// A command of a page, and the lines below it.
#[derive(Debug, Default)]
struct Example {
    words: Vec<String>,
    printed: Vec<String>,
}

/// The commands in the indented blocks of a page. An empty line belongs to a block whose next line is indented.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (line.strip_prefix("    "), inside) {
            (Some(code), _) if code.starts_with("$ sealwright ") => {
                let words = code.split_whitespace().skip(2).map(str::to_owned).collect();
                examples.push(Example { words, printed: Vec::new() });
                inside = true;
            }
            (Some(code), true) => examples.last_mut().unwrap().printed.push(code.to_owned()),
            (None, true) if line.is_empty() => examples.last_mut().unwrap().printed.push(String::new()),
            (None, _) => inside = false,
            (Some(_), false) => {}
        }
    }
    for example in &mut examples {
        while example.printed.last().is_some_and(String::is_empty) {
            example.printed.pop();
        }
    }
    examples
}

/// Whether lines are those of an example.
fn matches(wanted: &[String], found: &[&str]) -> bool {
    match wanted {
        [] => found.is_empty(),
        [dots, rest @ ..] if dots == "..." => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        [line, rest @ ..] => found.first() == Some(&line.as_str()) && matches(rest, &found[1..]),
    }
}

#[test]
fn the_commands_of_the_pages_print_what_the_pages_say() {
    let Some(vectors) = support::vectors() else { return };
    let desk = tempfile::tempdir().unwrap();
    for (name, file) in FILES {
        fs::copy(vectors.join(file), desk.path().join(name)).unwrap();
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for page in PAGES {
        let examples = examples(&fs::read_to_string(docs.join(page)).unwrap());
        assert!(examples.len() >= 2, "{page}");
        for Example { words, printed } in examples {
            let output = program::command().current_dir(&desk).args(&words).output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let found: Vec<_> = text.trim_end().lines().collect();
            assert!(matches(&printed, &found), "{page}: {words:?}\nprints\n{text}\nand not\n{}", printed.join("\n"));
        }
    }
}

#[test]
fn an_example_is_told_from_another() {
    let page = "text\n\n    $ sealwright a b\n    one\n\n    two\n\n    $ sealwright c\n    ...\n    three\n\nmore\n\n    none\n";
    let examples = examples(page);
    assert_eq!(examples.len(), 2);
    assert_eq!(examples[0].words, ["a", "b"]);
    assert_eq!(examples[0].printed, ["one", "", "two"]);
    assert!(matches(&examples[1].printed, &["x", "y", "three"]) && matches(&examples[1].printed, &["three"]));
    assert!(!matches(&examples[1].printed, &["three", "x"]) && !matches(&examples[0].printed, &["one", "two"]));
}
