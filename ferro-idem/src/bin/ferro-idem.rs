//! The command `ferro-idem`: see `ferro-idem --help` and `docs/operations.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ferro_idem::__cli::main()
}
