//! What hostile input may do to the terminal of whoever looks at it: nothing.

mod program;

use program::sealwright;
use sealwright_wire::{
    aael::RuntimeEvent,
    jws::{Header, assemble},
    tcg2::{AlgorithmId, Writer, event_type},
};
use std::path::Path;

/// Turns the direction of writing, takes no room, ends a line, or begins a command to the terminal.
const HOSTILE: [char; 9] =
    ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}', '\u{feff}', '\u{2028}', '\u{2029}', '\u{9b}', '\u{7f}'];

/// Runs the program on a file, as text and as JSON. In neither may any of these characters be, and the JSON must still say them.
fn look(args: &[&str], file: &Path) {
    let file = file.to_str().unwrap();
    let text = sealwright(&[args, &[file]].concat());
    let json = sealwright(&[args, &[file, "--json"]].concat());
    for run in [&text, &json] {
        for said in [&run.stdout, &run.stderr] {
            assert_eq!(said.matches(|letter| HOSTILE.contains(&letter) || letter == '\u{1b}').count(), 0, "{said:?}");
        }
    }
    assert!(text.stdout.contains("\\u{202e}") || text.stderr.contains("\\u{202e}"), "{} {}", text.stdout, text.stderr);
    assert!(json.json().to_string().contains('\u{202e}'), "{}", json.stdout);
}

#[test]
fn text_from_outside_reaches_a_terminal_with_nothing_in_it_that_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let hostile: String = HOSTILE.iter().filter(|letter| !letter.is_control()).collect();
    let event = RuntimeEvent::new("sealwright", "LoadModel", &hostile).unwrap().to_data();
    let mut log = Writer::new(1, &[AlgorithmId::SHA384]).unwrap();
    log.event(4, event_type::EV_EVENT_TAG, &[&[0; 48]], &event).unwrap();
    log.event(4, event_type::EV_IPL, &[&[0; 48]], hostile.as_bytes()).unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, log.into_area(65_536).unwrap()).unwrap();
    look(&["eventlog", "show"], &path);
    look(&["inspect"], &path);
    let hostile: String = HOSTILE.iter().chain(&['\u{1b}']).collect();
    let claims = serde_json::json!({ "iss": hostile.as_str(), hostile.as_str(): 1 }).to_string();
    let token = assemble(Header::new("ES256").encode().unwrap().signing_input(claims.as_bytes()), &[7; 64]);
    let path = folder.path().join("token");
    std::fs::write(&path, token).unwrap();
    look(&["inspect"], &path);
    // An error that names what was found, here the file itself.
    look(&["inspect"], &folder.path().join(&hostile));
}
