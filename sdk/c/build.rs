//! Tells the linker that the shared library stays in a process that loaded it.
#![allow(clippy::print_stdout, reason = "that is how a build script speaks")]

fn main() {
    // What the cryptography keeps for a thread is freed when that thread ends, by code that must still be there.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
