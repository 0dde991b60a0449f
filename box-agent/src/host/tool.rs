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

    #[tokio::test]
    async fn a_tool_that_nobody_waits_for_any_more_ends_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (begun, done) = (dir.path().join("begun"), dir.path().join("done"));
        let script = format!(
            "touch {0}; while [ -e {0} ]; do sleep 0.02; done; touch {1}",
            begun.display(),
            done.display()
        );
        let tool =
            Invocation::new("/bin/sh", ["-c", &script]).with_env([("PATH".into(), "/usr/bin:/bin".into())]);
        let until = async |there: &Path| {
            while !there.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = run(&tool) => panic!("it waits for the file to go"),
            () = until(&begun) => {}
        }
        std::fs::remove_file(&begun).unwrap();
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, until(&done)).await.expect("it was not killed");
    }
}
