//! `scripts/start`, as a user runs it, with the programs that are built beside the test.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::ports::Ports;
use crate::process::Process;
use crate::tmux::Tmux;
use crate::{Client, programs, wait};

/// A user with no rights: nobody.
const ORDINARY: u32 = 65534;

/// The ports that one `scripts/start` takes.
const PORTS: u16 = 4;

/// What a line with the sign-in link begins with.
const LINK: &str = "Open ";

/// One state of `scripts/start` with its ports, and the user whose it is.
///
/// Fields are dropped in order: the script first, tmux after it, the files last.
pub struct Checkout {
    /// The script, once it was started.
    pub script: Process,
    /// The box's tmux server.
    pub tmux: Tmux,
    command: Vec<String>,
    links: usize,
    ports: Ports,
    directory: TempDir,
}

impl Checkout {
    /// The repository's own script, as this user.
    #[must_use]
    pub fn own() -> Self {
        let script = programs::repository().join("scripts/start");
        let binaries = programs::built("gateway").parent().map(Path::to_owned).unwrap_or_default();
        Self::new(directory(), &[], &script, &binaries, &programs::ttyd())
    }

    /// A copy of the scripts and the programs that belongs to an ordinary user, as that user. Where the test
    /// itself has no more rights, it's the same user.
    ///
    /// # Panics
    /// When the copy can't be made.
    #[must_use]
    pub fn ordinary() -> Self {
        if !nix::unistd::Uid::effective().is_root() {
            return Self::own();
        }
        let directory = directory();
        let copy = |from: &Path, name: &str| {
            let to = directory.path().join(name);
            let copied = Command::new("cp").args(["-r", "--reflink=auto", "--"]).arg(from).arg(&to).status();
            assert!(copied.is_ok_and(|status| status.success()), "{} was not copied", from.display());
            to
        };
        let scripts = copy(&programs::repository().join("scripts"), "scripts");
        for program in ["gateway", "box-agent"] {
            copy(&programs::built(program), program);
        }
        let ttyd = programs::ttyd();
        // One that brings its own libraries is a whole directory.
        let ttyd = match ttyd.ancestors().nth(2).filter(|prefix| prefix.join("packages.txt").exists()) {
            Some(prefix) => copy(prefix, "ttyd").join("bin/ttyd"),
            None => ttyd,
        };
        chown(directory.path(), Some(ORDINARY), Some(ORDINARY)).expect("root may give files away");
        let user = ORDINARY.to_string();
        let become_user = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--"];
        let binaries = directory.path().to_owned();
        Self::new(directory, &become_user, &scripts.join("start"), &binaries, &ttyd)
    }

    fn new(directory: TempDir, prefix: &[&str], script: &Path, binaries: &Path, ttyd: &Path) -> Self {
        let ports = Ports::take(PORTS);
        let path = directory.path();
        let state = path.join("state");
        let mut command: Vec<String> = prefix.iter().map(|word| (*word).to_owned()).collect();
        command.extend([
            "env".into(),
            format!("HOME={}", path.display()),
            // A proxy that answers nothing: what is on this machine is reached without.
            "http_proxy=http://127.0.0.1:9".into(),
            format!("BERTH_BINARIES={}", binaries.display()),
            format!("BERTH_TTYD={}", ttyd.display()),
            script.display().to_string(),
            format!("--state={}", state.display()),
            format!("--port={}", ports.port(0)),
        ]);
        let script = process(&command, path);
        let tmux = Tmux::new(&state.join("run/terminal/tmux.sock"));
        Self { script, tmux, command, links: 0, ports, directory }
    }

    /// Starts the script and waits until it prints a link.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn start(&mut self) -> String {
        self.script.start();
        let nth = self.links;
        self.links += 1;
        wait::until("the sign-in link", async || {
            assert!(self.script.is_running(), "scripts/start ended: {}", self.script.log());
            let log = self.script.log();
            // A line that is being written has no end yet.
            let lines = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            lines.filter_map(|line| line.strip_prefix(LINK)).nth(nth).map(str::to_owned)
        })
        .await
    }

    /// Starts the script and signs in with the link that it prints.
    pub async fn sign_in(&mut self) -> Client {
        let link = self.start().await;
        Client::sign_in(&format!("http://127.0.0.1:{}", self.ports.port(0)), &link).await
    }

    /// Runs the script to its end with one more option.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn run(&self, option: &str) -> Output {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(option).current_dir("/");
        command.output().expect("the script can be run")
    }

    /// A path in the state directory.
    #[must_use]
    pub fn state(&self, name: &str) -> PathBuf {
        self.directory.path().join("state").join(name)
    }
}

fn process(command: &[String], directory: &Path) -> Process {
    let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let program = programs::on_path(&command[0]).expect("a program of the system");
    Process::new("scripts-start", program, &arguments, directory)
}

fn directory() -> TempDir {
    tempfile::Builder::new().prefix("bs-").tempdir_in("/tmp").expect("a directory")
}
