//! What reading a hostile message costs in memory. A parser may take a few times as much as it was sent, never a hundred times.

use sealwright_wire::kbs::{Attestation, Message};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// Counts what one thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(change: impl Fn(usize) -> usize) {
    // A thread that ends has no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = change(now);
        held.set((now, most.max(now)));
    });
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|held| held.wrapping_add(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|held| held.saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held at once while `work` ran.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    HELD.set((0, 0));
    drop(work());
    HELD.get().1
}

/// A message of the largest size in which one member is an array of as many `item`s as fit.
fn stuffed(item: &str, place: &str) -> Vec<u8> {
    let message = r#"{"init-data":null,"runtime-data":{"nonce":"n","tee-pubkey":{"kty":"EC","crv":"P-256","alg":"a","x":"","y":""KEY}},"tee-evidence":{"primary_evidence":EVIDENCE,"additional_evidence":""TEE}MESSAGE}"#;
    let times = (Attestation::LIMIT - 400) / (item.len() + 1);
    let array = format!("[{}]", vec![item; times].join(","));
    let fill = |text: &str, name: &str| {
        let value = if name == place { format!(r#","other":{array}"#) } else { String::new() };
        text.replace(name, &value)
    };
    let evidence = if place == "EVIDENCE" { array.as_str() } else { "{}" };
    let message = message.replace("EVIDENCE", evidence);
    ["KEY", "TEE", "MESSAGE"].iter().fold(message, |text, name| fill(&text, name)).into_bytes()
}

#[test]
fn an_attestation_costs_a_few_times_its_length_wherever_it_is_stuffed() {
    for place in ["EVIDENCE", "KEY", "TEE", "MESSAGE"] {
        for item in ["0", "[]", r#"{"":0}"#, r#""""#, "[[[[[[[[]]]]]]]]"] {
            let message = stuffed(item, place);
            assert!(message.len() <= Attestation::LIMIT);
            let most = peak(|| Attestation::from_json(&message));
            assert!(Attestation::from_json(&message).is_ok(), "{place} {item}");
            assert!(most < 3 * message.len(), "{place} {item}: {most} bytes for {}", message.len());
        }
    }
}
