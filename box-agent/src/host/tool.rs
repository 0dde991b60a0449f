//! Runs a tool that is to be let finish: one that checks or makes a file system must not be killed in the middle, also
//! when the agent is told to stop. Its exit code is an answer, not a failure.

use std::io;
use std::path::Path;
use std::process::Stdio;

use super::command::Invocation;

/// What a tool said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub complaint: String,
}

/// Runs it to its end, however long that takes. Who drops the future leaves it running.
///
/// # Errors
/// When it can't be started.
pub async fn run(invocation: &Invocation) -> io::Result<Said> {
    let output = invocation
        .command(Path::new("/"))
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(false)
        .output()
        .await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), output: text(&output.stdout), complaint: text(&output.stderr) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn code_and_words_are_told_apart() {
        let said = run(&Invocation::new("/bin/sh", ["-c", "echo a; echo b >&2; exit 4"])).await.unwrap();
        assert_eq!(said, Said { code: Some(4), output: "a\n".into(), complaint: "b\n".into() });
        assert!(run(&Invocation::new("/nowhere/x", ["a"])).await.is_err());
    }
}
