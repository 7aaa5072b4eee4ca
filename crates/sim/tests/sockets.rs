//! A site behind its sockets: clients, the operator, hostile bytes, and what is left behind.

use sealwright_evidence::Backend;
use sealwright_sim::{
    BootRequest, Client, Control, DEFAULT_RAM, Error, QuoteFormat, Server, Site, TdConfig, files, protocol,
    system_clock,
};
use sealwright_verify::{Anchor, Anchors, Collateral, TcbStatus, verify};
use sealwright_wire::{Evidence, Tee, aael::RuntimeEvent, collateral::Bundle};
use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
};

struct Running {
    folder: tempfile::TempDir,
    server: Option<Server>,
}

impl Running {
    /// A site with one machine.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let site = Site::found(system_clock()).unwrap();
        let server = Server::start(site, &path("control"), Some(path("public"))).unwrap();
        server.boot(&TdConfig::new("td", files::generate("kernel")), &path("td")).unwrap();
        Self { folder, server: Some(server) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self) -> Client {
        Client::connect(self.path("td")).unwrap()
    }

    fn control(&self) -> Control {
        Control::connect(self.path("control")).unwrap()
    }

    /// Writes files to boot from, and the request for a machine called `name`.
    fn request(&self, name: &str) -> BootRequest {
        let files = files::generate("operator");
        let write = |kind: &str, bytes: &[u8]| {
            let path = self.path(&format!("{name}.{kind}"));
            fs::write(&path, bytes).unwrap();
            path
        };
        BootRequest {
            name: name.to_owned(),
            socket: self.path(name),
            firmware: write("firmware", &files.firmware),
            kernel: write("kernel", &files.kernel),
            initrd: Some(write("initrd", &files.initrd.unwrap())),
            command_line: files.command_line,
            acpi: None,
            ram: DEFAULT_RAM,
            debug: false,
            quote: QuoteFormat::default(),
        }
    }

    /// Judges a machine by what the site has published in its directory, as a relying party would.
    fn judge(&self, client: &Client) -> Result<TcbStatus, sealwright_verify::Error> {
        let bundle = Bundle::from_json(&fs::read(self.path("public/collateral.json")).unwrap()).unwrap();
        let anchor = Anchor::from_certificate("site", &fs::read(self.path("public/root.der")).unwrap())?;
        let now = system_clock()();
        let collateral = Collateral::verify(&bundle, &Anchors::none().with(anchor), now)?;
        let collected = client.evidence(&[3; 64]).unwrap();
        let evidence = Evidence::parse(&collected.quote, collected.event_log.as_deref()).unwrap();
        verify(&evidence, &collateral, now).map(|facts| facts.tcb().unwrap().status)
    }
}

fn socket_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sockets = entries.filter(|entry| entry.file_type().unwrap().is_socket());
    let mut names: Vec<_> = sockets.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_client_is_a_back_end_like_the_machine_itself() {
    let running = Running::start();
    let client = running.client();
    let td = running.server.as_ref().unwrap().site().td("td").unwrap();
    assert_eq!((client.machine(), client.tee(), client.name()), ("td", Tee::Tdx, "simulated TDX"));
    assert_eq!(client.measurements().unwrap(), td.measurements().unwrap());
    assert_eq!(client.event_log().unwrap(), td.event_log().unwrap());
    client.extend(&RuntimeEvent::new("test", "Event", "through the socket \"quoted\" \u{20ac}").unwrap()).unwrap();
    assert_eq!(client.event_log().unwrap(), td.event_log().unwrap());
    assert_eq!(running.judge(&client).unwrap(), TcbStatus::UpToDate);
}

#[test]
fn sockets_are_the_owners_alone() {
    let running = Running::start();
    for name in ["control", "td"] {
        let metadata = fs::metadata(running.path(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600, "{name}");
    }
    assert_eq!(socket_files(running.folder.path()), ["control", "td"], "nothing else is left of their making");
}

#[test]
fn the_operator_boots_machines_and_plays_the_vendor() {
    let running = Running::start();
    let control = running.control();
    let mut request = running.request("other");
    request.debug = true;
    request.quote = QuoteFormat::V5Td15;
    control.boot(&request).unwrap();
    let other = Client::connect(running.path("other")).unwrap();
    assert_ne!(other.measurements().unwrap(), running.client().measurements().unwrap());
    assert_eq!(running.judge(&other).unwrap(), TcbStatus::UpToDate);

    let before = control.status().unwrap();
    assert_eq!(
        before.tds.iter().map(|td| (td.name.as_str(), td.debug)).collect::<Vec<_>>(),
        [("other", true), ("td", false)]
    );
    assert_eq!(control.age_tcb().unwrap(), before.evaluation_number + 1);
    assert_eq!(running.judge(&running.client()).unwrap(), TcbStatus::OutOfDate);
    control.update_platform().unwrap();
    assert_eq!(running.judge(&other).unwrap(), TcbStatus::TDRelaunchAdvised);
    control.revoke_pck().unwrap();
    assert_eq!(running.judge(&other).unwrap_err().code(), "certificate-revoked");

    control.stop("other").unwrap();
    assert!(!running.path("other").exists());
    Client::connect(running.path("other")).unwrap_err();
    let error = control.stop("other").unwrap_err();
    assert!(matches!(&error, Error::Refused { code, .. } if code == "unknown-td"), "{error}");
}

#[test]
fn the_operator_gets_root_and_collateral() {
    let running = Running::start();
    let control = running.control();
    assert_eq!(control.root().unwrap(), fs::read(running.path("public/root.der")).unwrap());
    for (tee, name) in [(Tee::Tdx, "collateral.json"), (Tee::Sgx, "collateral-sgx.json")] {
        control.publish(&running.path("elsewhere")).unwrap();
        let written = Bundle::from_json(&fs::read(running.path("elsewhere").join(name)).unwrap()).unwrap();
        assert_eq!(control.collateral(tee).unwrap(), written);
    }
}

#[test]
fn a_machine_that_does_not_boot_leaves_nothing() {
    let running = Running::start();
    let control = running.control();
    let refused = |change: &dyn Fn(&mut BootRequest)| {
        let mut request = running.request("bad");
        change(&mut request);
        match control.boot(&request).unwrap_err() {
            Error::Refused { code, .. } => code,
            other => panic!("{other}"),
        }
    };
    let empty = running.path("empty");
    fs::write(&empty, "").unwrap();
    assert_eq!(refused(&|request| request.kernel.clone_from(&empty)), "bad-file");
    assert_eq!(refused(&|request| request.firmware.clone_from(&empty)), "bad-file");
    assert_eq!(refused(&|request| request.kernel = running.path("nowhere")), "io");
    assert_eq!(refused(&|request| request.kernel = running.folder.path().into()), "bad-config");
    assert_eq!(refused(&|request| request.ram = 1), "bad-config");
    assert_eq!(refused(&|request| request.name = "td".into()), "td-exists");
    assert_eq!(refused(&|request| request.socket = running.path("td")), "socket-taken");
    assert_eq!(refused(&|request| request.socket.clone_from(&empty)), "socket-taken");
    assert_eq!(refused(&|request| request.socket = running.path(&"x".repeat(200))), "io");
    assert_eq!(control.status().unwrap().tds.len(), 1);
    assert_eq!(socket_files(running.folder.path()), ["control", "td"]);
    assert_eq!(running.judge(&running.client()).unwrap(), TcbStatus::UpToDate, "the one that runs is not disturbed");
}

#[test]
fn the_end_removes_sockets_and_ends_connections() {
    let mut running = Running::start();
    let mut idle = UnixStream::connect(running.path("td")).unwrap();
    drop(running.server.take());
    assert_eq!(socket_files(running.folder.path()), [""; 0]);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "an idle connection sees its end");
}

#[test]
fn the_operator_and_a_handle_can_end_the_site() {
    for by_handle in [true, false] {
        let mut running = Running::start();
        let server = running.server.take().unwrap();
        let (stop, control) = (server.stop_handle(), running.control());
        let waiting = thread::spawn(move || server.wait());
        if by_handle {
            stop.request();
        } else {
            control.shutdown().unwrap();
        }
        waiting.join().unwrap();
        assert_eq!(socket_files(running.folder.path()), [""; 0]);
        control.status().unwrap_err();
    }
}

#[test]
fn a_dead_socket_is_replaced_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    drop(UnixListener::bind(&path).unwrap());
    let site = Site::found(system_clock()).unwrap();
    let server = Server::start(site.clone(), &path, None).unwrap();
    let error = Server::start(site.clone(), &path, None).err().unwrap();
    assert_eq!(error.code(), "socket-taken");
    drop(server);
    fs::write(&path, "a file").unwrap();
    assert_eq!(Server::start(site, &path, None).err().unwrap().code(), "socket-taken");
    assert_eq!(fs::read(&path).unwrap(), b"a file");
}

#[test]
fn two_sites_run_side_by_side_and_do_not_vouch_for_each_other() {
    let (one, two) = (Running::start(), Running::start());
    assert_eq!(one.judge(&one.client()).unwrap(), TcbStatus::UpToDate);
    assert_eq!(two.judge(&two.client()).unwrap(), TcbStatus::UpToDate);
    one.judge(&two.client()).unwrap_err();
    one.control().revoke_pck().unwrap();
    assert_eq!(two.judge(&two.client()).unwrap(), TcbStatus::UpToDate);
}

#[test]
fn many_clients_at_once_see_one_history() {
    let running = Running::start();
    thread::scope(|scope| {
        for thread in 0..8 {
            let (running, client) = (&running, running.client());
            scope.spawn(move || {
                for round in 0..5 {
                    let event = RuntimeEvent::new("test", "Event", &format!("{thread}.{round}")).unwrap();
                    client.extend(&event).unwrap();
                    assert_eq!(running.judge(&client).unwrap(), TcbStatus::UpToDate);
                }
            });
        }
    });
    let log = running.client().event_log().unwrap().unwrap();
    let log = sealwright_wire::tcg2::Log::parse(&log).unwrap();
    assert_eq!(log.events().filter_map(|event| RuntimeEvent::from_record(&event)).count(), 40);
}

/// Sends raw bytes and gives back all that comes until the end.
fn send(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    // The site may have hung up already: that is an answer too.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// The code of the refusal that an answer is.
fn code(answer: &[u8]) -> String {
    let (length, message) = answer.split_first_chunk().unwrap();
    assert_eq!(u32::from_be_bytes(*length) as usize, message.len(), "one message and nothing else");
    let reply: protocol::Reply<serde_json::Value> = serde_json::from_slice(message).unwrap();
    match reply {
        protocol::Reply::Error(refusal) => refusal.code,
        protocol::Reply::Ok(value) => panic!("was done: {value}"),
    }
}

#[test]
fn hostile_messages_are_refused_and_change_nothing() {
    let running = Running::start();
    let before = (running.client().event_log().unwrap(), running.control().status().unwrap());
    let deep = "[".repeat(100_000);
    let messages: [&[u8]; 14] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        deep.as_bytes(),
        br#"{"op":"nothing"}"#,
        br#"{"op":"evidence"}"#,
        br#"{"op":"evidence","report_data":"00"}"#,
        br#"{"op":"evidence","report_data":"","more":1}"#,
        br#"{"op":"extend","event":{"domain":"a b","operation":"c","content":"d"}}"#,
        br#"{"op":"extend","event":{"domain":"a","operation":"c","content":"line\nline"}}"#,
        br#"{"op":"boot","name":"x"}"#,
    ];
    for socket in ["td", "control"] {
        for message in messages {
            assert_eq!(code(&send(&running.path(socket), &framed(message))), "bad-request", "{message:?}");
        }
    }
    assert_eq!((running.client().event_log().unwrap(), running.control().status().unwrap()), before);
}

#[test]
fn lengths_that_lie_end_the_connection_and_cost_no_memory() {
    let running = Running::start();
    for socket in ["td", "control"] {
        for length in [u32::MAX, 1 << 31, u32::try_from(protocol::MAX_REQUEST).unwrap() + 1] {
            let answer = send(&running.path(socket), &length.to_be_bytes());
            assert_eq!(code(&answer), "bad-request", "{length}");
        }
        // Cut short: within the length, and within the message.
        assert_eq!(code(&send(&running.path(socket), &[0, 0])), "bad-request");
        assert_eq!(code(&send(&running.path(socket), &framed(b"{\"op\":\"describe\"}")[..10])), "bad-request");
        assert_eq!(send(&running.path(socket), b""), b"");
    }
    running.client();
}

#[test]
fn requests_cut_or_flipped_anywhere_leave_the_site_serving() {
    let running = Running::start();
    let request = framed(br#"{"op":"extend","event":{"domain":"a","operation":"b","content":"c"}}"#);
    for at in 0..request.len() {
        send(&running.path("td"), &request[..at]);
        let mut flipped = request.clone();
        flipped[at] ^= 0x10;
        send(&running.path("td"), &flipped);
    }
    assert_eq!(running.judge(&running.client()).unwrap(), TcbStatus::UpToDate, "log and registers still agree");
}

#[test]
fn an_operators_request_is_none_on_a_machines_socket() {
    let running = Running::start();
    for request in ["shutdown", "age_tcb", "revoke_pck", "root", "status"] {
        let message = format!("{{\"op\":\"{request}\"}}");
        assert_eq!(code(&send(&running.path("td"), &framed(message.as_bytes()))), "bad-request");
    }
    assert!(running.control().status().unwrap().platform_up_to_date);
}

#[test]
fn connections_over_the_limit_are_told_so_and_free_places_are_used_again() {
    let running = Running::start();
    let path = running.path("td");
    let idle: Vec<_> = (0..protocol::MAX_CONNECTIONS).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let told = std::iter::repeat_with(|| Client::connect(&path)).take(100).find_map(Result::err);
    assert!(matches!(&told, Some(Error::Refused { code, .. }) if code == "busy"), "{told:?}");
    running.control();
    drop(idle);
    // The places are free once the site has seen the ends.
    let again = std::iter::repeat_with(|| {
        thread::sleep(std::time::Duration::from_millis(10));
        Client::connect(&path)
    });
    assert!(again.take(500).any(|client| client.is_ok()));
}

#[test]
fn several_requests_may_share_a_connection() {
    let running = Running::start();
    let describe = framed(br#"{"op":"describe"}"#);
    let answer = send(&running.path("td"), &[describe.as_slice(), &framed(b"nonsense"), &describe].concat());
    let mut rest = answer.as_slice();
    let mut answers = Vec::new();
    while let Some((length, message)) = rest.split_first_chunk() {
        let (message, behind) = message.split_at(u32::from_be_bytes(*length) as usize);
        answers.push(String::from_utf8(message.to_vec()).unwrap());
        rest = behind;
    }
    let described = r#"{"ok":{"machine":"td","tee":"tdx","simulated":true,"profile":"sealwright-sim-1"}}"#;
    assert_eq!((answers.len(), answers[0].as_str(), answers[2].as_str()), (3, described, described));
    assert!(answers[1].contains("bad-request"));
}

/// Fake attestation that a variable turns on has been a critical bug elsewhere. Nothing here, and nothing in the detection of
/// real back ends, reads the environment.
#[test]
fn no_environment_variable_turns_a_simulation_on() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![here.join("src"), here.join("../evidence/src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let source = fs::read_to_string(&path).unwrap();
                assert!(!source.contains("env::") && !source.contains("option_env"), "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 20, "{read} files");
}

#[test]
fn a_socket_whose_path_is_longer_than_an_address_is_reached_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(120)).join("e".repeat(120));
    fs::create_dir_all(&deep).unwrap();
    let site = Site::found(system_clock()).unwrap();
    let server = Server::start(site, &deep.join("control"), None).unwrap();
    server.boot(&TdConfig::new("td", files::generate("kernel")), &deep.join("td")).unwrap();
    assert!(UnixStream::connect(deep.join("td")).is_err(), "too long to be an address");
    let client = Client::connect(deep.join("td")).unwrap();
    assert_eq!(client.machine(), "td");
    assert_eq!(Control::connect(deep.join("control")).unwrap().status().unwrap().tds.len(), 1);
    drop(server);
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
}
