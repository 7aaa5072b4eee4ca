//! tpm2-tools and swtpm, unmodified, against `sealwright-verify` and `sealwright-sim`: quotes of our own making are accepted and refused by
//! `tpm2_checkquote` as they are by us, simulated ones too, and quotes of a TPM that this project did not write are accepted by us. Skipped where
//! the programs are not installed (Debian: `tpm2-tools`, `swtpm`). Where the two differ on purpose, the difference is stated here. Logs are in
//! `tpm2_eventlog.rs`.

#[path = "../../../crates/verify/tests/machine/mod.rs"]
mod machine;
mod programs;

use machine::{Ak, Kind, Machine, at};
use programs::{folder, installed};
use sealwright_sim::tpm::{self as sim, Scheme};
use sealwright_sim::{files, fixed_clock};
use sealwright_verify::tpm::{AttestationKey, Evidence};
use sealwright_verify::{Anchor, Anchors, Error, Facts, tpm};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::{PcrSelection, Signature, tools};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Whether `tpm2_checkquote` accepts the files of a quote.
fn checkquote(folder: &Path, hash: AlgorithmId, nonce: &[u8]) -> bool {
    let output = Command::new("tpm2_checkquote")
        .current_dir(folder)
        .args(["-u", "ak.pub", "-m", "quote.msg", "-s", "quote.sig", "-f", "quote.pcrs"])
        .args(["-g", &hash.to_string(), "-q", &hex(nonce)])
        .output()
        .unwrap();
    output.status.success()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the files that `tpm2_createak` and `tpm2_quote` would have written.
fn write(machine: &Machine, folder: &Path) {
    let (message, signature) = machine.quote();
    fs::write(folder.join("ak.pub"), machine.area()).unwrap();
    fs::write(folder.join("quote.msg"), message).unwrap();
    fs::write(folder.join("quote.sig"), signature).unwrap();
    fs::write(folder.join("quote.pcrs"), machine.pcr_file()).unwrap();
}

/// A machine whose PCR file the tool can read: it wants every selected PCR in the file.
fn readable(kind: Kind) -> Machine {
    let mut machine = Machine::new(kind);
    machine.select = vec![PcrSelection::new(AlgorithmId::SHA256, 0..24), PcrSelection::new(AlgorithmId::SHA384, [7])];
    machine
}

/// A change to the machine.
type Change = fn(&mut Machine);

#[test]
fn quotes_of_our_own_get_the_same_verdict() {
    if !installed(&["tpm2_checkquote"]) {
        return;
    }
    let folder = folder("ours");
    for kind in [Kind::RsaSsa, Kind::RsaSsa512, Kind::P256, Kind::P384] {
        let changes: [(&str, Change, bool); 4] = [
            ("as it is", |_| {}, true),
            ("another key", |machine| machine.signer = Some(Ak::new(Kind::P256)), false),
            ("another digest", |machine| machine.pcr_digest = Some(vec![0; 32]), false),
            ("one bank only", |machine| machine.select.truncate(1), true),
        ];
        for (name, change, accepted) in changes {
            let mut machine = readable(kind);
            change(&mut machine);
            write(&machine, &folder);
            assert_eq!(machine.verify().is_ok(), accepted, "{kind:?}, {name}: ours");
            assert_eq!(checkquote(&folder, machine.hash, b"challenge"), accepted, "{kind:?}, {name}: theirs");
        }
        // The challenge: they compare it, we hand it to the caller.
        let machine = readable(kind);
        write(&machine, &folder);
        assert!(!checkquote(&folder, machine.hash, b"another"), "{kind:?}");
        assert_eq!(machine.verify().unwrap().report_data(), b"challenge");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_tpm2_checkquote_lets_pass_and_we_do_not() {
    if !installed(&["tpm2_checkquote"]) {
        return;
    }
    let folder = folder("lax");
    // A key that signs whatever it is given: not restricted, or not made by its TPM.
    for bits in [0x0004_0032, 0x0005_0012] {
        let mut machine = readable(Kind::P256);
        machine.attributes = sealwright_wire::tpm::Attributes(bits);
        write(&machine, &folder);
        assert!(
            checkquote(&folder, machine.hash, b"challenge"),
            "refused by tpm2_checkquote now, move it to the others"
        );
        assert_eq!(machine.verify().unwrap_err().code(), "attestation-key-attributes");
    }
    // What no TPM made: tpm2_checkquote looks at the magic since 5.7 (CVE-2024-29038).
    let mut forged = readable(Kind::P256);
    forged.message = |message| message[0] = 0;
    assert_eq!(forged.verify().unwrap_err().code(), "malformed-evidence");
    // A key of nobody.
    let mut stranger = readable(Kind::P256);
    stranger.anchors = Anchors::none();
    write(&stranger, &folder);
    assert!(checkquote(&folder, stranger.hash, b"challenge"));
    assert_eq!(stranger.verify().unwrap_err().code(), "attestation-key-not-enrolled");
    fs::remove_dir_all(folder).unwrap();
}

/// Writes the files that `tpm2_createak` and `tpm2_quote` would have written on a simulated machine.
fn write_simulated(machine: &sim::Machine, quote: &sim::Quote, folder: &Path) {
    fs::write(folder.join("ak.pub"), machine.ak_public().unwrap()).unwrap();
    fs::write(folder.join("quote.msg"), &quote.message).unwrap();
    fs::write(folder.join("quote.sig"), &quote.signature).unwrap();
    fs::write(folder.join("quote.pcrs"), quote.pcr_file().unwrap()).unwrap();
}

#[test]
fn the_simulator_s_quotes_are_accepted_and_changed_ones_refused() {
    if !installed(&["tpm2_checkquote"]) {
        return;
    }
    let folder = folder("simulated");
    let site = sim::Site::found(sim::KeyKind::P256, fixed_clock(at())).unwrap();
    for (scheme, hash) in [
        (Scheme::RsaSsa, AlgorithmId::SHA256),
        (Scheme::EcdsaP256, AlgorithmId::SHA256),
        (Scheme::EcdsaP384, AlgorithmId::SHA384),
    ] {
        let config = sim::MachineConfig::new(files::generate("peers"));
        let machine = site.machine(sim::MachineConfig { ak: sim::AkTemplate::new(scheme), ..config }).unwrap();
        let selection = [AlgorithmId::SHA1, AlgorithmId::SHA256].map(|bank| PcrSelection::new(bank, 0..24));
        let quote = machine.quote(&selection, b"challenge").unwrap();
        write_simulated(&machine, &quote, &folder);
        assert!(checkquote(&folder, hash, b"challenge"), "{scheme:?}");
        assert!(!checkquote(&folder, hash, b"another"), "{scheme:?}");
        let mut changed = quote.clone();
        // A digit of the clock.
        let behind_challenge = 4 + 2 + 2 + 34 + 2 + b"challenge".len();
        changed.message[behind_challenge] ^= 1;
        write_simulated(&machine, &changed, &folder);
        assert!(!checkquote(&folder, hash, b"challenge"), "{scheme:?}");
        let mut file = quote.pcr_file().unwrap();
        write_simulated(&machine, &quote, &folder);
        let first_digest = 4 + 16 * 8 + 4 + 4 + 2;
        file[first_digest] ^= 1;
        fs::write(folder.join("quote.pcrs"), file).unwrap();
        assert!(!checkquote(&folder, hash, b"challenge"), "{scheme:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A software TPM in a process of its own, ended with the value.
struct SoftwareTpm {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl SoftwareTpm {
    fn start(name: &str) -> Self {
        let folder = folder(name);
        fs::create_dir_all(folder.join("state")).unwrap();
        // The tools expect the control channel at the next port.
        let port = (0..50).find_map(|_| {
            let server = TcpListener::bind("127.0.0.1:0").ok()?;
            let port = server.local_addr().ok()?.port();
            TcpListener::bind(("127.0.0.1", port.checked_add(1)?)).ok().map(|_| port)
        });
        let port = port.expect("two free ports in a row");
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--server", &format!("type=tcp,port={port}"), "--ctrl", &format!("type=tcp,port={}", port + 1)])
            .args(["--tpmstate", &format!("dir={}", folder.join("state").display())])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tpm = Self { process, port, folder };
        let up = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            tpm.try_run("tpm2_createek", &["-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub"])
        });
        assert!(up, "swtpm does not answer");
        tpm
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let output = Command::new(program)
            .current_dir(&self.folder)
            .env("TPM2TOOLS_TCTI", format!("swtpm:port={}", self.port))
            .args(arguments)
            .output()
            .unwrap();
        output.status.success()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.try_run(program, arguments), "{program} {arguments:?}");
    }

    /// A new attestation key and a quote of it, as files.
    fn quote(&self, key: &str, scheme: &str, hash: &str, nonce: &str) {
        self.run("tpm2_flushcontext", &["-t"]);
        self.run(
            "tpm2_createak",
            &["-C", "ek.ctx", "-c", "ak.ctx", "-G", key, "-g", hash, "-s", scheme, "-u", "ak.pub", "-n", "ak.name"],
        );
        self.run("tpm2_flushcontext", &["-t"]);
        let selection = "sha256:0,1,2,3,4,5,6,7,16+sha384:16+sha1:3";
        let what = ["-c", "ak.ctx", "-g", hash, "--scheme", scheme, "-l", selection, "-q", nonce];
        let files = ["-m", "quote.msg", "-s", "quote.sig", "-o", "quote.pcrs"];
        self.run("tpm2_quote", &[what.as_slice(), &files].concat());
    }

    fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.folder.join(file)).unwrap()
    }

    fn verify(&self, anchors: &Anchors) -> Result<Facts, Error> {
        let (_, pcrs) = tools::read_pcrs(&self.read("quote.pcrs")).unwrap();
        let (message, signature, public) = (self.read("quote.msg"), self.read("quote.sig"), self.read("ak.pub"));
        let evidence = Evidence {
            message: &message,
            signature: Signature::parse(&signature).unwrap(),
            pcrs: &pcrs,
            key: AttestationKey::Public(&public),
            event_log: None,
            ima: None,
            cel: None,
        };
        tpm::verify(&evidence, anchors, at())
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn quotes_of_a_software_tpm_are_accepted_by_both() {
    if !installed(&["tpm2_checkquote", "tpm2_createak", "tpm2_quote", "swtpm"]) {
        return;
    }
    let tpm = SoftwareTpm::start("swtpm");
    tpm.run("tpm2_pcrextend", &[&format!("16:sha256={},sha384={}", "11".repeat(32), "22".repeat(48))]);
    for (key, scheme, hash, theirs) in [
        ("rsa", "rsassa", "sha256", true),
        ("rsa", "rsassa", "sha512", true),
        // The TPM salts with as many bytes as the hash has; tpm2_checkquote 5.4 wants as many as fit and refuses.
        ("rsa", "rsapss", "sha256", false),
        ("ecc256", "ecdsa", "sha256", true),
        ("ecc384", "ecdsa", "sha384", true),
        // A pair of curve and hash that X.509 does not have.
        ("ecc384", "ecdsa", "sha256", true),
    ] {
        let name = format!("{key} {scheme} {hash}");
        tpm.quote(key, scheme, hash, "00112233445566778899aabbccddeeff");
        let nonce = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(checkquote(&tpm.folder, AlgorithmId::from_name(hash).unwrap(), &nonce), theirs, "{name}");
        let anchors = Anchors::none().with(Anchor::attestation_key_area("swtpm", &tpm.read("ak.pub")).unwrap());
        let facts = tpm.verify(&anchors).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(facts.report_data(), nonce, "{name}");
        let claims = facts.claims().tpm().unwrap();
        assert_eq!((claims.scheme, claims.hash.as_str()), (scheme, hash), "{name}");
        assert_eq!(claims.ak_name.as_deref(), Some(hex(&tpm.read("ak.name")).as_str()), "{name}: the TPM's own name");
        assert_ne!(claims.pcr(16), Some([0; 32].as_slice()), "{name}");
        assert_eq!(tpm.verify(&Anchors::vendor()).unwrap_err().code(), "attestation-key-not-enrolled", "{name}");
    }
}

#[test]
fn an_endorsement_key_is_no_attestation_key() {
    if !installed(&["tpm2_createek", "swtpm"]) {
        return;
    }
    let tpm = SoftwareTpm::start("ek");
    let error = Anchor::attestation_key_area("ek", &tpm.read("ek.pub")).unwrap_err();
    assert_eq!(error.code(), "attestation-key-attributes", "{error}");
}
