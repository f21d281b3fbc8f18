//! The command `secprm`: data on stdout, talk on stderr, an exit code that a scheduler can act upon.

use std::process::ExitCode;
use std::time::Duration;

use secprm::cli;

/// Keeps less memory behind what is still in use than the system's allocator does.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(code) => return ExitCode::from(code),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(8 << 20).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::from(5);
        }
    };
    let code = match runtime.block_on(cli::run(arguments)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.remedy() {
                eprintln!("hint: {hint}");
            }
            error.kind().exit_code()
        }
    };
    // Blocking work that an interrupt left behind must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ExitCode::from(code)
}
