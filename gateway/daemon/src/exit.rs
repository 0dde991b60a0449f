//! Exit codes, in the numbering of sysexits(3), so that a supervisor knows which failures starting again
//! can't mend.

use std::process::ExitCode;

/// Why a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done as asked (0).
    Success,
    /// Something failed; starting again may help (1).
    Failure,
    /// Done, and something was left out (3).
    Partial,
    /// The command line is wrong (64).
    Usage,
    /// Something that is needed is missing or taken, such as a port or a program (69).
    Unavailable,
    /// The state directory can't be used: not writable, locked or damaged (73).
    State,
    /// The configuration is wrong (78).
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Partial => 3,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::State => 73,
            Exit::Config => 78,
        })
    }
}

/// An error together with the exit code it leads to.
#[derive(Debug)]
pub struct Fatal {
    /// The exit code.
    pub exit: Exit,
    /// What happened, with its sources.
    pub error: Box<dyn std::error::Error + Send + Sync>,
}

impl Fatal {
    /// Pairs an error with its exit code; made for `map_err(Fatal::with(Exit::State))`.
    pub fn with<E>(exit: Exit) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |error| Self { exit, error: error.into() }
    }
}

/// Writes an error and all its sources on standard error, one sentence after the other.
pub fn report(program: &str, error: &(dyn std::error::Error + 'static)) {
    eprintln!("{program}: {}", chain(error));
}

/// An error and all its sources in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
