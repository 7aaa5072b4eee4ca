//! Programs in C and C++ against the header and both libraries.

#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use sealwright_evidence::Backend;
use sealwright_sim::{Site, TdConfig, files, fixed_clock};
use sealwright_verify::{
    any::{Request, Root, Supplied, Verdict},
    nitro::Freshness,
    snp::Revocation,
};
use sealwright_wire::{Tee, time::UnixTime};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = include_str!("../include/sealwright.h");
const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"];

/// What the static library needs of the system, as `rustc --print native-static-libs` says.
const SYSTEM: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// How a program gets the library.
#[derive(Clone, Copy, Debug)]
enum Linked {
    Shared,
    Static,
    /// The program loads it while it runs.
    ByItself,
}

/// The folder in which the tests and the libraries that cargo built for them lie.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Builds a program from a file of this package, for the test that asks.
fn built(compiler: &[&str], source: &str, linked: Linked) -> PathBuf {
    let source = Path::new(PACKAGE).join(source);
    let test = std::thread::current().name().unwrap().to_owned();
    let name = format!("{test}-{}-{linked:?}", source.file_name().unwrap().to_str().unwrap());
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = libraries();
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).args(STRICT).arg("-I").arg(Path::new(PACKAGE).join("include"));
    command.arg(source).arg("-o").arg(&program);
    match linked {
        Linked::Shared => command.arg(folder.join("libsealwright.so")).arg(format!("-Wl,-rpath,{}", folder.display())),
        Linked::Static => command.arg(folder.join("libsealwright.a")).args(SYSTEM),
        Linked::ByItself => command.arg("-ldl"),
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn c(source: &str, linked: Linked) -> PathBuf {
    built(&["cc", "-std=c99"], source, linked)
}

fn run(program: &Path, words: &[String]) -> Output {
    Command::new(program).args(words).output().unwrap()
}

fn must_succeed(program: &Path, words: &[String]) {
    let output = run(program, words);
    assert!(output.status.success(), "{program:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// What the header declares as functions, without spaces: `boolsealwright_verdict_accepted(constsealwright_verdict*verdict)`.
fn prototypes() -> Vec<String> {
    let code: String = HEADER.split("/*").filter_map(|part| part.split_once("*/")).map(|(_, code)| code).collect();
    let declarations = code.split(';').filter_map(|declaration| declaration.strip_suffix(')'));
    let declarations = declarations.filter_map(|declaration| declaration.rsplit(['#', '}', '{']).next());
    let names = declarations.map(|declaration| {
        let words = declaration.split_whitespace().filter(|word| *word != "SEALWRIGHT_MUST_USE");
        format!("{})", words.collect::<String>())
    });
    names.filter(|prototype| prototype.contains("sealwright_")).collect()
}

/// The functions' names.
fn declared() -> BTreeSet<String> {
    let head = |prototype: &String| prototype.split('(').next().unwrap().to_owned();
    let name = |head: String| head[head.rfind("sealwright_").unwrap()..].to_owned();
    prototypes().iter().map(head).map(name).collect()
}

/// The symbols that a library defines for others.
fn defined(arguments: &[&str], library: &str) -> BTreeSet<String> {
    let output = Command::new("nm").args(arguments).arg(libraries().join(library)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect()
}

#[test]
fn header_and_libraries_name_the_same_functions() {
    assert!(declared().len() > 20, "{:?}", declared());
    // Of the shared library nothing else is to be seen.
    assert_eq!(defined(&["-D", "--defined-only"], "libsealwright.so"), declared());
    let mut of_archive = defined(&["-g", "--defined-only"], "libsealwright.a");
    of_archive.retain(|name| name.starts_with("sealwright_"));
    assert_eq!(of_archive, declared());
}

#[test]
fn header_and_source_give_functions_the_same_arguments() {
    const TYPES: [(&str, &str); 13] = [
        ("*mut *mut Verdict", "sealwright_verdict **"),
        ("*mut *mut c_char", "char **"),
        ("*const Request", "const sealwright_request *"),
        ("*mut Request", "sealwright_request *"),
        ("*const Verdict", "const sealwright_verdict *"),
        ("*mut Verdict", "sealwright_verdict *"),
        ("*const c_void", "const void *"),
        ("*const c_char", "const char *"),
        ("*mut c_char", "char *"),
        ("*const u8", "const uint8_t *"),
        ("*mut usize", "size_t *"),
        ("usize", "size_t "),
        ("u64", "uint64_t "),
    ];
    let in_c = |rust: &str| match rust.trim() {
        "()" => "void".to_owned(),
        "bool" => "bool".to_owned(),
        "i32" => "sealwright_result".to_owned(),
        other => TYPES.iter().find(|(rust, _)| *rust == other).unwrap_or_else(|| panic!("{other} is new")).1.to_owned(),
    };
    let written = include_str!("../src/abi.rs").split("#[unsafe(no_mangle)]").skip(1).map(|function| {
        let (_, function) = function.split_once("extern \"C\" fn ").unwrap();
        let (signature, _) = function.split_once(" {").unwrap();
        let (signature, returned) = signature.split_once("->").unwrap_or((signature, "()"));
        let (name, arguments) = signature.trim().strip_suffix(')').unwrap().split_once('(').unwrap();
        let arguments = arguments.split(',').filter_map(|argument| argument.split_once(':'));
        let arguments: Vec<_> = arguments.map(|(name, kind)| format!("{}{}", in_c(kind), name.trim())).collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(",") };
        format!("{}{name}({arguments})", in_c(returned)).replace(' ', "").replace("sealwright_result", "int32_t")
    });
    let declared: BTreeSet<_> = prototypes().iter().map(|each| each.replace("sealwright_result", "int32_t")).collect();
    assert_eq!(written.collect::<BTreeSet<_>>(), declared);
}

#[test]
fn every_function_is_called_by_a_program_in_c() {
    let programs = [include_str!("misuse.c"), include_str!("verdicts.c")].concat();
    for function in declared() {
        let named = |end: &str| programs.contains(&format!("{function}{end}"));
        assert!(named("(") || named(","), "{function}");
    }
}

#[test]
fn misuse_gets_an_answer_and_never_a_crash() {
    for linked in [Linked::Shared, Linked::Static] {
        must_succeed(&c("tests/misuse.c", linked), &[]);
    }
}

// A skipped test has nowhere else to say so.
#[allow(clippy::print_stderr)]
#[test]
fn the_header_is_cpp_too() {
    if Command::new("c++").arg("--version").output().is_err() {
        eprintln!("skipped: no C++ compiler");
        return;
    }
    for linked in [Linked::Shared, Linked::Static] {
        must_succeed(&built(&["c++", "-std=c++11"], "tests/header.cpp", linked), &[]);
    }
}

#[test]
fn a_verdict_is_read_through_every_function_and_by_several_threads() {
    let Some(vectors) = support::vectors() else { return };
    for linked in [Linked::Shared, Linked::Static] {
        let program = c("tests/verdicts.c", linked);
        for case in intel() {
            let facts = serde_json::to_value(case.verdict(&vectors)).unwrap();
            let report_data = facts["facts"]["report_data"].as_str().unwrap().to_owned();
            let [quote, collateral] = case.quote_and_collateral(&vectors);
            must_succeed(&program, &[quote, collateral, case.at().to_string(), report_data]);
        }
    }
}

#[test]
fn a_thread_that_used_the_library_outlives_its_being_closed() {
    let Some(vectors) = support::vectors() else { return };
    let [_, case] = intel();
    let library = libraries().join("libsealwright.so").to_str().unwrap().to_owned();
    let [quote, collateral] = case.quote_and_collateral(&vectors);
    let words = [library, quote, collateral, case.at().to_string()];
    must_succeed(&c("tests/unloaded.c", Linked::ByItself), &words);
}

/// A case of the command line's table: evidence, what is given beside it, and the right answer.
struct Case(Value);

impl Case {
    /// The members that name files, and what the example calls them.
    const FILES: [(&str, &str); 10] = [
        ("collateral", "--collateral"),
        ("anchors", "--anchor"),
        ("event_log", "--event-log"),
        ("ima", "--ima"),
        ("cel", "--cel"),
        ("signature", "--signature"),
        ("pcrs", "--pcrs"),
        ("key", "--key"),
        ("vtpm_quote", "--vtpm-quote"),
        ("td_quote", "--td-quote"),
    ];

    /// A member's one text, or its list of them.
    fn texts(&self, member: &str) -> Vec<&str> {
        match &self.0[member] {
            Value::Null => Vec::new(),
            Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap()).collect(),
            text => vec![text.as_str().unwrap()],
        }
    }

    fn files(&self, member: &str, vectors: &Path) -> Vec<PathBuf> {
        self.texts(member).iter().map(|file| vectors.join(file)).collect()
    }

    fn quote_and_collateral(&self, vectors: &Path) -> [String; 2] {
        ["evidence", "collateral"].map(|member| self.files(member, vectors)[0].to_str().unwrap().to_owned())
    }

    fn at(&self) -> u64 {
        self.0["at"].as_u64().unwrap()
    }

    /// What the library in Rust says.
    fn verdict(&self, vectors: &Path) -> Verdict {
        let read = |member| -> Vec<Vec<u8>> {
            self.files(member, vectors).iter().map(|file| std::fs::read(file).unwrap()).collect()
        };
        let one = |member| read(member).pop();
        let mut supplied = Supplied::default();
        for file in read("collateral") {
            supplied.add(&file).unwrap();
        }
        let names = self.files("anchors", vectors).into_iter().map(|file| file.to_str().unwrap().to_owned());
        let roots: Vec<_> = names.zip(read("anchors")).collect();
        let (event_log, ima, cel, key) = (one("event_log"), one("ima"), one("cel"), one("key"));
        let (signature, pcrs) = (one("signature"), one("pcrs"));
        let (vtpm_quote, td_quote) = (one("vtpm_quote"), one("td_quote"));
        let mut request = Request {
            roots: roots.iter().map(|(name, bytes)| Root { name, bytes }).collect(),
            event_log: event_log.as_deref(),
            ima: ima.as_deref(),
            cel: cel.as_deref(),
            signature: signature.as_deref(),
            pcrs: pcrs.as_deref(),
            key: key.as_deref(),
            vtpm_quote: vtpm_quote.as_deref(),
            td_quote: td_quote.as_deref(),
            ..Request::new(&supplied, UnixTime(self.at()))
        };
        let mut demanded = None;
        let mut words = self.texts("words").into_iter();
        while let Some(word) = words.next() {
            match word {
                "--without-crl" => request.revocation = Revocation::IfPresent,
                "--require" => demanded = Some(words.next().unwrap().parse().unwrap()),
                "--max-age" => {
                    let max_age = words.next().unwrap().parse().unwrap();
                    request.freshness = Freshness { max_age, ..request.freshness };
                }
                other => panic!("{other} is new: say what it does"),
            }
        }
        Verdict::of(request.verify(&one("evidence").unwrap()), demanded).unwrap()
    }

    /// What the example is asked.
    fn words(&self, vectors: &Path) -> Vec<String> {
        let path = |file: &PathBuf| file.to_str().unwrap().to_owned();
        let mut words: Vec<_> = self.files("evidence", vectors).iter().map(path).collect();
        words.extend(["--at".to_owned(), self.at().to_string()]);
        for (member, option) in Self::FILES {
            words.extend(self.files(member, vectors).iter().flat_map(|file| [option.to_owned(), path(file)]));
        }
        words.extend(self.texts("words").into_iter().map(str::to_owned));
        words
    }

    /// Holds what the library said against the right answer, of which nothing may go unread.
    fn check(&self, verdict: &Value) {
        for (member, wanted) in self.0.as_object().unwrap() {
            match member.as_str() {
                "tee" => assert_eq!(&verdict["facts"]["tee"], wanted, "{}", self.0),
                "code" => assert_eq!(&verdict["reason"]["code"], wanted, "{}", self.0),
                "facts" => {
                    for (pointer, wanted) in wanted.as_object().unwrap() {
                        assert_eq!(verdict["facts"].pointer(pointer), Some(wanted), "{}", self.0);
                    }
                }
                "evidence" | "at" | "words" | "exit" => {}
                file => assert!(Self::FILES.iter().any(|(member, _)| *member == file), "{file} is new"),
            }
        }
    }
}

/// The quotes of SGX and TDX that Intel signed.
fn intel() -> [Case; 2] {
    [("sgx", "sgx_quote", 1_750_416_960), ("tdx", "tdx_quote", 1_750_414_560)].map(|(tee, quote, at)| {
        let folder = format!("quote/{tee}/dcap-qvl-{tee}-quote");
        Case(json!({
            "evidence": format!("{folder}/{quote}"), "collateral": format!("{folder}/collateral.json"),
            "at": at, "exit": 0, "tee": tee,
        }))
    })
}

/// What the command line's table has no case of: logs, and a TPM's key that is named twice.
fn with_logs() -> [Case; 3] {
    let [_, Case(mut foreign_log)] = intel();
    foreign_log["event_log"] = "eventlog/ccel/evidence-api/ccel_data.bin".into();
    foreign_log["exit"] = 1.into();
    foreign_log["code"] = "event-log-mismatch".into();
    foreign_log.as_object_mut().unwrap().remove("tee");
    let mut key = json!({
        "evidence": "tpm-quote/swtpm/q.msg", "signature": "tpm-quote/swtpm/q.sig", "pcrs": "tpm-quote/swtpm/q.pcrs",
        "anchors": "tpm-quote/swtpm/ak.pem", "key": "tpm-quote/swtpm/ak.pem", "at": 1_750_414_560, "exit": 0,
    });
    let named_twice = Case(key.clone());
    key["ima"] = "eventlog/ccel/evidence-api/ima_log.bin".into();
    [Case(foreign_log), named_twice, Case(key)]
}

#[test]
fn the_example_answers_about_evidence_of_every_kind_as_the_library_does() {
    let Some(vectors) = support::vectors() else { return };
    let table: Value = serde_json::from_str(include_str!("../../../crates/cli/tests/vectors.json")).unwrap();
    let programs = [Linked::Shared, Linked::Static].map(|linked| c("examples/verify.c", linked));
    for case in table["verify"].as_array().unwrap().iter().cloned().map(Case).chain(intel()).chain(with_logs()) {
        let words = case.words(&vectors);
        let wanted = serde_json::to_string(&case.verdict(&vectors)).unwrap();
        for program in &programs {
            let output = run(program, &words);
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), wanted, "{words:?}");
            assert_eq!(output.status.code().map(Value::from).as_ref(), Some(&case.0["exit"]), "{words:?}");
        }
        case.check(&serde_json::from_str(&wanted).unwrap());
    }
}

#[test]
fn the_program_of_the_page_answers_as_the_page_says() {
    let Some(vectors) = support::vectors() else { return };
    let page = include_str!("../../../docs/c.md");
    let (_, program) = page.split_once("```c\n").unwrap();
    let (program, answers) = program.split_once("```").unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("check.c"), program).unwrap();
    for (case, tee) in intel().iter().zip(["sgx", "tdx"]) {
        let [quote, collateral] = case.quote_and_collateral(&vectors);
        std::fs::copy(quote, folder.join(format!("{tee}_quote"))).unwrap();
        std::fs::copy(collateral, folder.join(format!("{tee}.json"))).unwrap();
    }
    let program = c(folder.join("check.c").to_str().unwrap(), Linked::Shared);
    let mut lines = answers.lines().map(str::trim);
    let mut asked = 0;
    while let Some(line) = lines.next() {
        let Some(words) = line.strip_prefix("$ ./check ") else { continue };
        let output = Command::new(&program).args(words.split(' ')).current_dir(&folder).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), lines.next().unwrap(), "{words}");
        asked += 1;
    }
    assert_eq!(asked, 4);
}

#[test]
fn a_simulators_evidence_with_its_log_is_believed_under_its_root_and_always_called_simulated() {
    const NOW: u64 = 1_795_132_800;
    let site = Site::found(fixed_clock(UnixTime(NOW))).unwrap();
    let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    let evidence = td.evidence(&[0x5a; 64]).unwrap();
    let mut changed = evidence.quote.clone();
    changed[600] ^= 1;
    let collateral = site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let program = c("examples/verify.c", Linked::Shared);
    let beside = [
        ("--anchor", file("site.der", site.root())),
        ("--collateral", file("site.json", collateral.as_bytes())),
        ("--event-log", file("site.ccel", &evidence.event_log.unwrap())),
        ("--at", NOW.to_string()),
    ];
    for (quote, exit) in [(file("quote", &evidence.quote), 0), (file("changed", &changed), 1)] {
        let mut words = vec![quote];
        words.extend(beside.iter().flat_map(|(option, value)| [(*option).to_owned(), value.clone()]));
        let output = run(&program, &words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{stderr}");
        assert!(stderr.starts_with("SIMULATED"), "{stderr}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["simulated"], true);
        assert_eq!(printed["genuine"], exit == 0);
        assert!(exit != 0 || printed["facts"]["log"]["present"] == true, "{printed}");
    }
}

#[test]
fn the_example_says_what_cannot_be_judged() {
    let Some(vectors) = support::vectors() else { return };
    let program = c("examples/verify.c", Linked::Shared);
    let path = |file: &str| vectors.join(file).to_str().unwrap().to_owned();
    let quote = path("quote/tdx/dcap-qvl-tdx-quote/tdx_quote");
    let bundle = path("quote/tdx/dcap-qvl-tdx-quote/collateral.json");
    for (words, exit, said) in [
        (vec![quote.as_str()], 2, "needs Intel's collateral"),
        (vec![&quote, "--collateral", &quote], 3, "neither collateral"),
        (vec![&quote, "--collateral", &bundle, "--collateral", &bundle], 3, "a second one"),
        (vec![&quote, "--collateral", &bundle, "--anchor", &quote], 3, "is no root certificate"),
        (vec![&quote, "--collateral", &bundle, "--ima", &quote], 2, "before the IMA list"),
        (vec![&quote, "--collateral", &bundle, "--require", "Revoked"], 2, "revoked platform"),
        (vec![&quote, "--collateral", "nowhere"], 3, "nowhere cannot be read"),
        (vec![&quote, "--at", "noon"], 2, "usage"),
        (vec![&quote, "--at"], 2, "usage"),
        (vec![], 2, "usage"),
    ] {
        let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
        let output = run(&program, &words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
