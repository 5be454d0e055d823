//! The `filmlab` program: hands its command line over.

use std::process::ExitCode;

fn main() -> ExitCode {
    filmlab::cli::main(std::env::args_os())
}
