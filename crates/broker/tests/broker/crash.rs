//! A broker that is killed between two writes has everything that it acknowledged, and one that released a secret has no copy of it left.

use crate::desk::{Desk, path};
use sealwright_broker::{
    Broker, Config, Requires,
    admin::{Client, load_key},
    audit,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Names the folder of the broker that a child process of this test runs.
const CHILD: &str = "SEALWRIGHT_TEST_BROKER";

/// Not a test of its own: what the child processes below run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let broker = Broker::start(Config::load(&folder.join("broker.toml")).unwrap()).await.unwrap();
    let address = folder.join("address");
    fs::write(address.with_extension("new"), broker.local_addr().to_string()).unwrap();
    fs::rename(address.with_extension("new"), address).unwrap();
    // Whoever started this process ends it; if that one is gone, it ends by itself.
    tokio::time::sleep(Duration::from_secs(300)).await;
    drop(broker);
}

/// A broker in a process of its own.
struct Apart {
    process: Child,
    url: String,
}

impl Apart {
    async fn start(folder: &Path) -> Self {
        let address = folder.join("address");
        let _ = fs::remove_file(&address);
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_process", "--nocapture"])
            .env(CHILD, folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut apart = Self { process, url: String::new() };
        for _ in 0..600 {
            if let Ok(text) = fs::read_to_string(&address) {
                apart.url = format!("https://{text}");
                return apart;
            }
            assert!(apart.process.try_wait().unwrap().is_none(), "the broker did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the broker did not start in time");
    }

    fn admin(&self, desk: &Desk) -> Client {
        Client::new(&self.url, &desk.trust(), load_key(&desk.made.administrator_key).unwrap()).unwrap()
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a secret was when the broker last said that it has it, and what it may be besides: the put that was under way.
#[derive(Default)]
struct Known {
    acknowledged: BTreeMap<String, (u64, Vec<u8>)>,
}

impl Known {
    /// Puts one secret after the other until the broker is gone.
    async fn put_until_killed(&mut self, admin: &Client, round: usize, kill_after: usize, apart: &mut Apart) {
        for n in 0.. {
            let name = format!("repo/key/{}", n % 5);
            let value = format!("round {round}, put {n}, {}", "x".repeat(n * 37 % 2_000)).into_bytes();
            if n == kill_after {
                // The kill falls somewhere into this put.
                let (name, value) = (path(&name), value.clone());
                let nothing = Requires::default();
                let put = admin.put_secret(&name, &value, &nothing, None);
                let pause = Duration::from_micros(u64::try_from(round).unwrap() * 700);
                let killed = async {
                    tokio::time::sleep(pause).await;
                    apart.kill();
                };
                if let (Ok(version), ()) = tokio::join!(put, killed) {
                    self.acknowledged.insert(name.to_string(), (version, value));
                }
                return;
            }
            let version = admin.put_secret(&path(&name), &value, &Requires::default(), None).await.unwrap();
            self.acknowledged.insert(name, (version, value));
        }
    }

    async fn check(&self, admin: &Client) {
        let listed = admin.list_secrets("").await.unwrap();
        for (name, (version, value)) in &self.acknowledged {
            let info =
                listed.iter().find(|info| info.path.to_string() == *name).expect("an acknowledged secret is gone");
            // The put that was under way may have been made without being acknowledged.
            assert!(
                info.version == *version || info.version == version + 1,
                "{name}: {} after {version}",
                info.version
            );
            let found = admin.get_secret(&path(name)).await.unwrap();
            if info.version == *version {
                assert_eq!(*found, *value, "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_broker_between_two_writes_loses_nothing_that_it_acknowledged() {
    let mut desk = Desk::prepared();
    let folder = desk.broker_folder();
    let log = folder.join("audit.jsonl");
    let mut known = Known::default();
    for round in 0..6 {
        let mut apart = Apart::start(&folder).await;
        let admin = apart.admin(&desk);
        known.check(&admin).await;
        known.put_until_killed(&admin, round, 7 + round, &mut apart).await;
        let summary = audit::verify(&log).unwrap();
        assert!(summary.head.seq > 0);
    }
    desk.start(|_| ()).await;
    known.check(&desk.admin()).await;
    // Every acknowledged put has its line.
    let lines = desk.audit();
    let puts = lines.iter().filter(|line| line["event"] == "secret-put" && line["verdict"] == "yes").count();
    let acknowledged: usize = (0..6).map(|round| 7 + round).sum();
    assert!(puts >= acknowledged, "{puts} lines for {acknowledged} puts");
    desk.stop().await;
    assert_eq!(audit::verify(&log).unwrap().torn, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_broker_after_an_administrator_was_answered_loses_no_line_about_it() {
    let desk = Desk::prepared();
    let folder = desk.broker_folder();
    for event in ["secret-get", "secret-list", "policy-get", "reference-list", "audit-get"] {
        let mut apart = Apart::start(&folder).await;
        let admin = apart.admin(&desk);
        match event {
            "secret-get" => {
                admin.put_secret(&path("a/b/c"), b"secret", &Requires::default(), None).await.unwrap();
                assert_eq!(*admin.get_secret(&path("a/b/c")).await.unwrap(), b"secret");
            }
            "secret-list" => assert_eq!(admin.list_secrets("").await.unwrap().len(), 1),
            "policy-get" => drop(admin.attestation_policy().await.unwrap()),
            "reference-list" => assert_eq!(admin.reference_values().await.unwrap().len(), 1),
            _ => assert!(admin.audit(1).await.unwrap().contains("opened")),
        }
        apart.kill();
        let last = desk.audit().pop().unwrap();
        assert_eq!(
            (&last["event"], &last["verdict"], &last["administrator"]),
            (&json!(event), &json!("yes"), &json!("ada"))
        );
        audit::verify(&folder.join("audit.jsonl")).unwrap();
    }
}

/// A text that this program never holds: each byte is stored and compared under a mask.
struct Masked(Vec<u8>);

const MASK: u8 = 0x5a;

impl Masked {
    fn of_length(length: usize) -> Self {
        let block = |n: usize| {
            let seed = format!("block {n} of a secret of {length} bytes");
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, seed.as_bytes())
        };
        // Backwards: the digests themselves are not what is searched for, and may lie about.
        let masked = (0..length.div_ceil(64))
            .rev()
            .flat_map(|n| block(n).as_ref().iter().rev().map(|byte| byte ^ MASK).collect::<Vec<_>>());
        Self(masked.take(length).collect())
    }

    fn unmasked(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte ^ MASK).collect()
    }

    fn is_at(&self, window: &[u8]) -> bool {
        window.iter().zip(&self.0).all(|(byte, masked)| byte ^ MASK == *masked)
    }
}

/// How often a text lies in the memory of this process that can be written.
fn copies_in_memory(text: &Masked) -> usize {
    let memory = fs::File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut copies = 0;
    let mut chunk = vec![0; 1 << 20];
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut at, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        while at < to {
            let want = usize::try_from((to - at).min(chunk.len() as u64)).unwrap();
            let Ok(read) = memory.read_at(&mut chunk[..want], at) else { break };
            copies += chunk[..read].windows(text.0.len()).filter(|window| text.is_at(window)).count();
            if read < want || at + read as u64 >= to {
                break;
            }
            at += (read - text.0.len()) as u64;
        }
        chunk.fill(0);
    }
    copies
}

/// Pitfall 13: what is zeroed on paper. A process that never had the secret but to release it has no copy of it afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pitfall_13_a_released_secret_stays_in_nobodys_memory() {
    let mut desk = Desk::prepared();
    let secret = Masked::of_length(SHORT);
    // Another process puts it, so that this one has it from the database alone.
    let apart = Apart::start(&desk.broker_folder()).await;
    put_and_get_from_another_process(&desk, &apart.url, SHORT).await;
    drop(apart);
    desk.start(|_| ()).await;
    let mut guest = desk.guest();
    guest.attested(&desk.td).await;
    for _ in 0..3 {
        assert_eq!(guest.resource("a/b/c").await.status, http::StatusCode::OK);
    }
    assert_eq!(copies_in_memory(&secret), 0);
    // The search finds what is there.
    let answer = guest.resource("a/b/c").await;
    let opened = guest.decrypt(&answer);
    assert!(secret.is_at(&opened) && copies_in_memory(&secret) > 0);
}

/// What an administrator puts and reads passes through this process. TLS and HTTP keep pieces of it in their buffers until these are used
/// again, of 32 KiB at most; whatever is longer would be ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_an_administrator_puts_and_reads_stays_in_no_memory_of_ours() {
    let desk = Desk::new().await;
    let secret = Masked::of_length(LONG);
    let middle = Masked(secret.0[LONG / 4..LONG / 2].to_vec());
    put_and_get_from_another_process(&desk, &desk.url, LONG).await;
    assert_eq!(copies_in_memory(&middle), 0);
    // The search finds what is there.
    let opened = secret.unmasked();
    assert!(secret.is_at(&opened) && copies_in_memory(&middle) > 0);
}

/// The length of a secret like a key, and of one that no buffer holds as a whole, in bytes.
const SHORT: usize = 64;
const LONG: usize = 160 << 10;

async fn put_and_get_from_another_process(desk: &Desk, url: &str, length: usize) {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::child_puts_and_gets", "--nocapture"]);
    command.env("SEALWRIGHT_TEST_PUT", url).env("SEALWRIGHT_TEST_LENGTH", length.to_string());
    command.env("SEALWRIGHT_TEST_KEY", &desk.made.administrator_key);
    command.env("SEALWRIGHT_TEST_CA", &desk.made.certificate_authority);
    assert!(command.stdout(Stdio::null()).status().await.unwrap().success());
}

/// Not a test of its own: puts the secret of a memory test, and reads it again.
#[tokio::test]
async fn child_puts_and_gets() {
    let Ok(url) = std::env::var("SEALWRIGHT_TEST_PUT") else { return };
    let file = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let authority = fs::read(file("SEALWRIGHT_TEST_CA")).unwrap();
    let trust = sealwright_channel::tls::Trust::issuers_from_pem(&authority).unwrap();
    let admin = Client::new(&url, &trust, load_key(&file("SEALWRIGHT_TEST_KEY")).unwrap()).unwrap();
    let length = std::env::var("SEALWRIGHT_TEST_LENGTH").unwrap().parse().unwrap();
    let secret = Masked::of_length(length).unmasked();
    admin.put_secret(&path("a/b/c"), &secret, &Requires::default(), None).await.unwrap();
    assert_eq!(*admin.get_secret(&path("a/b/c")).await.unwrap(), secret);
}
