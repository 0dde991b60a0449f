//! Starts a program, sees whether it answers on its socket, and starts it again when it ends or has stopped answering.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::state::{Event, Machine, State};
use crate::host::child;
use crate::host::command::Invocation;
use crate::host::process::processor_time;

/// How often a starting program's socket is tried.
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// How often a program that answered is asked again.
const CHECK_PAUSE: Duration = Duration::from_secs(3);

/// How long an answer may take: on a box whose processors are busy it takes a while.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// Answers that may be missing in a row of a program that does nothing meanwhile.
const CHECKS: u32 = 2;

/// Answers that may be missing in a row of one that works: a thousand terminals that begin at once keep it busy, and are all
/// lost with it.
const BUSY_CHECKS: u32 = 12;

/// What is asked. Whoever speaks HTTP answers something.
const QUESTION: &[u8] = b"GET /token HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n";

/// How long a program may take to end when asked to.
const GRACE: Duration = Duration::from_secs(2);

/// How long a program's output is read after its end.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How much of a program's last words is kept.
const MAX_WORDS_CHARS: usize = 300;

/// A program to keep running.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called in logs.
    pub name: &'static str,
    /// How it is started.
    pub invocation: Invocation,
    /// The Unix socket that it answers on, in HTTP.
    pub socket: PathBuf,
}

/// How a supervised program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its state.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
    /// The last line that it wrote, or why it could not be started.
    pub last_words: String,
}

impl Default for Report {
    fn default() -> Self {
        Self { state: State::Idle, restarts: 0, last_words: String::new() }
    }
}

/// Keeps `program` running until `stop`, then ends it.
pub async fn run(program: Program, reports: watch::Sender<Report>, stop: CancellationToken) {
    let mut machine = Machine::default();
    while machine.state() != State::Stopped {
        let began = Instant::now();
        let ended = live(&program, &mut machine, &reports, &stop).await;
        if stop.is_cancelled() {
            advance(&program, &mut machine, &reports, Event::Stop);
            continue;
        }
        let lived = began.elapsed();
        let pause = advance(&program, &mut machine, &reports, Event::Ended(lived)).unwrap_or_default();
        tracing::warn!(
            program = program.name,
            lived_ms = lived.as_millis(),
            pause_ms = pause.as_millis(),
            "{ended}; starting it again"
        );
        tokio::select! {
            // Cancel-safe: a timer and a token.
            () = tokio::time::sleep(pause) => {
                advance(&program, &mut machine, &reports, Event::PauseOver);
            }
            () = stop.cancelled() => {
                advance(&program, &mut machine, &reports, Event::Stop);
            }
        }
    }
}

/// One life of the program. Returns how it ended.
async fn live(
    program: &Program,
    machine: &mut Machine,
    reports: &watch::Sender<Report>,
    stop: &CancellationToken,
) -> String {
    // A socket that a killed predecessor left would look like an answer.
    let _ = std::fs::remove_file(&program.socket);
    let mut child = match child::spawn(&program.invocation) {
        Ok(child) => child,
        Err(error) => {
            let words = format!("failed to start {}: {error}", program.invocation.shown());
            reports.send_modify(|report| report.last_words.clone_from(&words));
            return words;
        }
    };
    advance(program, machine, reports, Event::Spawned);
    let stdout = listen(child.stdout.take(), program.name, reports.clone());
    let stderr = listen(child.stderr.take(), program.name, reports.clone());
    let mut listeners = tokio::spawn(async { tokio::join!(stdout, stderr) });
    let pid = child.id();
    let how = loop {
        let ready = machine.state() == State::Ready;
        tokio::select! {
            // Cancel-safe: `wait` may be called again.
            status = child.wait() => break shown(program.name, status),
            // Cancel-safe: a connection that was not finished is dropped.
            () = answers(program), if !ready => {
                advance(program, machine, reports, Event::Answered);
            }
            // Cancel-safe: a question that was not answered is asked again.
            () = silence(program, pid), if ready => {
                end(&mut child).await;
                break format!("{} no longer answered", program.name);
            }
            // Cancel-safe: a token.
            () = stop.cancelled() => {
                end(&mut child).await;
                break format!("{} was stopped", program.name);
            }
        }
    };
    // The last words may still be on their way. A grandchild that holds the pipe open is not waited for.
    if tokio::time::timeout(LAST_WORDS, &mut listeners).await.is_err() {
        listeners.abort();
    }
    how
}

fn advance(
    program: &Program,
    machine: &mut Machine,
    reports: &watch::Sender<Report>,
    event: Event,
) -> Option<Duration> {
    let pause = machine.on(event).unwrap_or_else(|illegal| {
        tracing::error!(program = program.name, %illegal, "the supervisor lost track");
        None
    });
    reports.send_modify(|report| {
        report.state = machine.state();
        report.restarts = machine.restarts();
    });
    pause
}

fn shown(name: &str, status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("{name} ended ({status})"),
        Err(error) => format!("{name} can't be waited for: {error}"),
    }
}

/// Returns when the program accepts a connection.
async fn answers(program: &Program) {
    while UnixStream::connect(&program.socket).await.is_err() {
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

/// Returns when the program has stopped answering: it lives, and nobody gets a terminal.
async fn silence(program: &Program, pid: Option<u32>) {
    let time = || pid.and_then(processor_time);
    let mut missing = Missing::default();
    loop {
        tokio::time::sleep(CHECK_PAUSE).await;
        let before = time();
        let asked = tokio::time::timeout(CHECK_LIMIT, ask(program)).await;
        if missing.note(matches!(asked, Ok(Ok(1..))), time() != before) {
            return;
        }
    }
}

/// Answers that are missing in a row.
#[derive(Debug, Default)]
struct Missing {
    all: u32,
    /// Those during which the program has done nothing.
    idle: u32,
}

impl Missing {
    /// Notes a question. Whether the program is given up.
    fn note(&mut self, answered: bool, worked: bool) -> bool {
        if answered {
            *self = Self::default();
            return false;
        }
        self.all += 1;
        self.idle += u32::from(!worked);
        self.idle >= CHECKS || self.all >= BUSY_CHECKS
    }
}

/// Asks the program and returns how many bytes came first.
async fn ask(program: &Program) -> std::io::Result<usize> {
    let mut stream = UnixStream::connect(&program.socket).await?;
    stream.write_all(QUESTION).await?;
    stream.read(&mut [0; 64]).await
}

async fn end(child: &mut Child) {
    child::terminate(child);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        // It is gone afterwards or the kernel says that it was gone before.
        let _ = child.kill().await;
    }
}

/// Logs what a program writes, in pieces of bounded size, and remembers the last line.
async fn listen(output: Option<impl AsyncRead + Unpin>, name: &'static str, reports: watch::Sender<Report>) {
    let Some(mut output) = output else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        for line in String::from_utf8_lossy(&buffer[..read]).lines().filter(|line| !line.trim().is_empty()) {
            let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_WORDS_CHARS).collect();
            tracing::debug!(program = name, "{line}");
            reports.send_modify(|report| report.last_words = line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_works_is_given_more_time_than_one_that_stands_still() {
        let mut missing = Missing::default();
        assert!(!missing.note(false, false) && !missing.note(true, false) && !missing.note(false, false));
        assert!(missing.note(false, false), "two in a row");
        let mut missing = Missing::default();
        let lives = (1..BUSY_CHECKS).filter(|_| !missing.note(false, true)).count();
        assert_eq!(lives, 11);
        assert!(missing.note(false, true), "a loop without end works, too");
    }
}
