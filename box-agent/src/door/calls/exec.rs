//! Runs a command and streams what it says, line by line of the answer, within its bounds.

use std::io;
use std::time::Duration;

use berth_protocol::control::{ExecExit, ExecLine, ExecStream, MAX_EXEC_CHUNK};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::host::group::{Ended, Group, Pipes};

/// How long output is waited for once the command has ended: what it started outside of its process group may
/// hold its outputs open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The bounds of a command, and what it reads.
#[derive(Debug)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// How much it may say, bytes.
    pub output: usize,
    /// What it reads.
    pub stdin: Vec<u8>,
}

/// Somebody has stopped to listen.
struct NobodyListens;

/// Runs a command that was started to its end. Its process group is gone when this returns or is dropped.
pub async fn run(mut group: Group, pipes: Pipes, limits: Limits, lines: mpsc::Sender<Bytes>) {
    let Limits { time, output, stdin } = limits;
    let streamed = async {
        match timeout(time, stream(&mut group, pipes, output, stdin, &lines)).await {
            Ok(outcome) => outcome,
            Err(_) => Ok(ExecExit::TIMED_OUT),
        }
    };
    let exit = tokio::select! {
        // Cancel-safe: nothing of the command is used after either.
        exit = streamed => exit,
        () = lines.closed() => Err(NobodyListens),
    };
    // First the processes, then the word that they are gone.
    drop(group);
    match exit {
        Ok(exit) => {
            tracing::info!(%exit, "a command has ended");
            // A failure means that nobody listens any more, which is fine.
            let _ = lines.send(ExecLine::Exit { exit }.to_line().into()).await;
        }
        Err(NobodyListens) => tracing::info!("a command was ended, its connection has gone"),
    }
}

async fn stream(
    group: &mut Group,
    pipes: Pipes,
    mut left: usize,
    stdin: Vec<u8>,
    lines: &mpsc::Sender<Bytes>,
) -> Result<ExecExit, NobodyListens> {
    let Pipes { stdin: pipe, stdout, stderr } = pipes;
    let mut feeding = std::pin::pin!(feed(pipe, stdin));
    let (mut fed, mut ended) = (false, None);
    let (mut out, mut err) = (Source::of(stdout), Source::of(stderr));
    let mut last_words = Instant::now();
    loop {
        let (stream, piece) = tokio::select! {
            // Cancel-safe, all: what was not read stays in the pipe, and feeding goes on where it was.
            piece = out.read(), if out.open => (ExecStream::Stdout, piece),
            piece = err.read(), if err.open => (ExecStream::Stderr, piece),
            () = &mut feeding, if !fed => {
                fed = true;
                continue;
            }
            how = group.ended(), if ended.is_none() => {
                let exit = exit_of(how);
                if !out.open && !err.open {
                    return Ok(exit);
                }
                ended = Some(exit);
                last_words = Instant::now() + LAST_WORDS;
                continue;
            }
            () = sleep_until(last_words), if ended.is_some() => return Ok(ended.unwrap_or(ExecExit::LOST)),
            else => return Ok(ended.unwrap_or(ExecExit::LOST)),
        };
        let Some(mut data) = piece else {
            if let (false, false, Some(exit)) = (out.open, err.open, ended) {
                return Ok(exit);
            }
            continue;
        };
        let too_much = data.len() > left;
        data.truncate(left);
        left -= data.len();
        if !data.is_empty() {
            let line = ExecLine::Output { stream, data }.to_line().into();
            lines.send(line).await.map_err(|_| NobodyListens)?;
        }
        if too_much {
            return Ok(ExecExit::TRUNCATED);
        }
    }
}

/// Gives the command what it reads. One that does not want it all is fine.
async fn feed(pipe: Option<ChildStdin>, text: Vec<u8>) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(&text).await;
    }
}

fn exit_of(ended: io::Result<Ended>) -> ExecExit {
    match ended {
        Ok(Ended::Code(code)) => ExecExit::ended(Some(code), None),
        Ok(Ended::Signal(signal)) => ExecExit::ended(None, Some(signal)),
        Err(error) => {
            tracing::warn!(%error, "a command's end was not told");
            ExecExit::LOST
        }
    }
}

/// One of the outputs.
struct Source<R> {
    pipe: R,
    open: bool,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn of(pipe: R) -> Self {
        Self { pipe, open: true, buffer: vec![0; MAX_EXEC_CHUNK] }
    }

    /// The next piece; `None` at the end.
    async fn read(&mut self) -> Option<Vec<u8>> {
        match self.pipe.read(&mut self.buffer).await {
            Ok(count @ 1..) => Some(self.buffer[..count].to_vec()),
            Ok(0) | Err(_) => {
                self.open = false;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::command::Invocation;

    /// Runs a script; what it said, by stream, and how it ended.
    async fn sh(script: &str, limits: Limits) -> (Vec<u8>, Vec<u8>, Option<ExecExit>) {
        let invocation =
            Invocation::new("/bin/sh", ["-c", script]).with_env([("PATH".into(), "/usr/bin:/bin".into())]);
        let (group, pipes) = Group::start(&invocation, Path::new("/"), !limits.stdin.is_empty()).unwrap();
        let (sender, mut receiver) = mpsc::channel(1);
        tokio::spawn(run(group, pipes, limits, sender));
        let (mut out, mut err, mut exit) = (Vec::new(), Vec::new(), None);
        while let Some(line) = receiver.recv().await {
            assert_eq!(exit, None, "something after the end");
            match serde_json::from_slice(&line).unwrap() {
                ExecLine::Output { stream: ExecStream::Stdout, data } => out.extend(data),
                ExecLine::Output { stream: ExecStream::Stderr, data } => err.extend(data),
                ExecLine::Exit { exit: how } => exit = Some(how),
            }
        }
        (out, err, exit)
    }

    fn limits() -> Limits {
        Limits { time: Duration::from_secs(30), output: 1000, stdin: vec![] }
    }

    #[tokio::test]
    async fn both_outputs_and_the_code_arrive() {
        let (out, err, exit) = sh("echo one; echo two >&2; exit 3", limits()).await;
        assert_eq!((out.as_slice(), err.as_slice()), (b"one\n".as_slice(), b"two\n".as_slice()));
        assert_eq!(exit, Some(ExecExit::ended(Some(3), None)));
        assert_eq!(sh("kill -9 $$", limits()).await.2, Some(ExecExit::ended(None, Some(9))));
        // A command that closes its outputs early is still waited for.
        assert_eq!(sh("exec >&- 2>&-; sleep 0.2; exit 4", limits()).await.2.unwrap().code, Some(4));
    }

    #[tokio::test]
    async fn what_it_is_given_is_read_or_not() {
        let stdin = b"x".repeat(200_000);
        let (out, _, exit) = sh("wc -c", Limits { stdin: stdin.clone(), ..limits() }).await;
        assert_eq!((String::from_utf8(out).unwrap().trim(), exit.unwrap().code), ("200000", Some(0)));
        assert_eq!(sh("true", Limits { stdin, ..limits() }).await.2.unwrap().code, Some(0));
        assert_eq!(sh("cat", limits()).await.2.unwrap().code, Some(0));
    }

    #[tokio::test]
    async fn too_long_and_too_much_are_told() {
        let limits = |time, output| Limits { time: Duration::from_millis(time), output, stdin: vec![] };
        let (out, _, exit) = sh("echo begun; sleep 1000", limits(300, 1000)).await;
        assert_eq!((out.as_slice(), exit), (b"begun\n".as_slice(), Some(ExecExit::TIMED_OUT)));
        let (out, _, exit) = sh("yes", limits(30_000, 100_001)).await;
        assert_eq!((out.len(), exit), (100_001, Some(ExecExit::TRUNCATED)));
        let exact = sh("head -c 5000 /dev/zero", limits(30_000, 5000)).await;
        assert_eq!((exact.0.len(), exact.2.unwrap().code), (5000, Some(0)));
    }

    #[tokio::test]
    async fn what_left_the_group_holds_nothing_up() {
        let begun = Instant::now();
        let (out, _, exit) = sh("setsid sleep 5 & echo done", limits()).await;
        assert_eq!((out.as_slice(), exit.unwrap().code), (b"done\n".as_slice(), Some(0)));
        assert!(begun.elapsed() < Duration::from_secs(4), "waited for what is not the command");
    }
}
