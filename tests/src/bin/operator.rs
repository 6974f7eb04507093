//! The command `ferro-idem`, over every store.

fn main() -> std::process::ExitCode {
    ferro_idem::__cli::main()
}
