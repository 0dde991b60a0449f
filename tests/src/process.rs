//! One child process, its log and its memory.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{secrets, wait};

/// How long a process has to end after SIGTERM before the test fails.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A child process whose output goes to a log file.
pub struct Process {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that has yet to be started; its log is `<directory>/<name>.log`.
    #[must_use]
    pub fn new(name: &'static str, program: PathBuf, arguments: &[&str], directory: &Path) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let log = directory.join(format!("{name}.log"));
        Self { name, program, arguments, environment: Vec::new(), log, child: None }
    }

    /// Sets a variable of its environment.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it, in a process group of its own; the log is appended to.
    ///
    /// # Panics
    /// When it can't be started, or runs already.
    pub fn start(&mut self) {
        use std::os::unix::process::CommandExt;
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = || -> File {
            let opened = OpenOptions::new().create(true).append(true).open(&self.log);
            opened.expect("the log can be written")
        };
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .process_group(0)
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{} did not start: {error}", self.name)));
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Stops it in its tracks: its connections stay and are silent.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("the process runs");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("the process runs");
    }

    /// Kills it as a crash would, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        kill(self.pid(), Signal::SIGKILL).expect("a running process can be killed");
        let _ = self.child.take().map(|mut child| child.wait());
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Panics
    /// When it does not stop in time.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        // It may have ended by itself.
        let _ = kill(pid, Signal::SIGTERM);
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            if begun.elapsed() > STOP_LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                assert!(std::thread::panicking(), "{} did not stop within {STOP_LIMIT:?}", self.name);
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("it runs");
        let status = wait::until("the process to end", async || child.try_wait().ok().flatten()).await;
        self.child = None;
        status
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        } else if matches!(self.name, "gateway" | "box-agent") {
            // Whatever a test was about.
            assert_eq!(secrets::told(&self.log()), None, "{} tells a secret in its log", self.name);
        }
    }
}

/// Runs a program to its end with `input` on its standard input.
///
/// # Panics
/// When it can't be started.
#[must_use]
pub fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().expect("a child can be waited for")
}

/// A program that runs beside a test, killed at the latest when this is dropped.
pub struct Background(Child);

impl Background {
    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it can't be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("a child can be waited for")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program whose words nobody wants.
///
/// # Panics
/// When it can't be started.
#[must_use]
pub fn background(program: &Path, arguments: &[&str]) -> Background {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Background(command.spawn().unwrap_or_else(|error| panic!("{} did not start: {error}", program.display())))
}

/// Runs a program to its end with more variables in its environment.
///
/// # Panics
/// When it can't be started.
#[must_use]
pub fn run_with(program: &Path, arguments: &[&str], variables: &[(&OsStr, &OsStr)]) -> Output {
    let command = Command::new(program).args(arguments).envs(variables.iter().copied()).output();
    command.unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()))
}

/// A program's standard output, when it succeeded.
///
/// # Panics
/// When it failed; its error output is shown.
#[must_use]
pub fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A program's error output, when it failed with this exit code.
///
/// # Panics
/// When it succeeded or failed with another.
#[must_use]
pub fn failure(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    errors
}

/// Waits until a process is gone. One that has ended and was not yet looked at counts as gone.
///
/// # Panics
/// When it goes on.
pub async fn gone(pid: &str) {
    wait::until(&format!("process {pid} to be gone"), async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        let runs = stat.is_ok_and(|stat| !stat.contains(") Z "));
        (!runs).then_some(())
    })
    .await;
}

/// Kills the descendant of `parent` whose program is called `name`, as a crash would.
///
/// # Panics
/// When there is none.
pub fn kill_child(parent: Pid, name: &str) {
    kill(child(parent, name), Signal::SIGKILL).expect("a running process can be killed");
}

/// The descendant of `parent` whose program is called `name`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn child(parent: Pid, name: &str) -> Pid {
    descendant(parent, name).unwrap_or_else(|| panic!("{parent} has no {name}"))
}

/// The descendant of `parent` whose program is called `name`, if there is one.
#[must_use]
pub fn descendant(parent: Pid, name: &str) -> Option<Pid> {
    let found = descendants(parent.as_raw()).into_iter().find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split('\0').any(|word| word.ends_with(&format!("/{name}"))))
    });
    found.map(Pid::from_raw)
}

/// Whether a process lives: one that has ended and is yet to be collected by its parent does not.
#[must_use]
pub fn is_alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state is behind the name, which is in parentheses and may have any in it.
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

/// The memory that a process has in use now, bytes.
///
/// # Panics
/// When it is gone.
#[must_use]
pub fn resident(pid: Pid) -> u64 {
    memory(pid, "VmRSS:")
}

/// The memory of a process that no file stands behind, which is its heap and its stacks, bytes.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn anonymous(pid: Pid) -> u64 {
    memory(pid, "RssAnon:")
}

fn memory(pid: Pid, kind: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).expect("it has memory");
    let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number");
    kib * 1024
}

fn descendants(parent: i32) -> Vec<i32> {
    let listed = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let by_task = listed.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let mut found: Vec<i32> = by_task
        .flat_map(|line| line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    found.sort_unstable();
    found.dedup();
    let deeper: Vec<i32> = found.iter().flat_map(|child| descendants(*child)).collect();
    found.extend(deeper);
    found
}
