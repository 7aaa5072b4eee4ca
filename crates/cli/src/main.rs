//! The process of [`sealwright_cli`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    sealwright_cli::main()
}
