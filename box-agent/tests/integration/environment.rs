//! What an agent does for the environment when it is root: nothing by itself. Links that a user has planted lead its
//! worker nowhere, and what comes of it is the user's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use berth_protocol::environment::report::{EnvironmentReport, FileState};
use berth_protocol::environment::{DesiredEnvironment, DesiredFile, FileMode, Secret};
use box_agent::environment::board::{Board, Places};
use box_agent::environment::variables;
use box_agent::host::account::Account;
use box_agent::troubles::Troubles;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::Uid;
use tokio::sync::watch;

/// A user's tree and memory, both the user's own, beside what belongs to root.
struct Machine {
    dir: tempfile::TempDir,
    account: Account,
    board: Board,
    report: watch::Receiver<Option<EnvironmentReport>>,
}

impl Machine {
    /// One on which terminals are nobody's; `None`, with the reason said, where the test can't be root.
    fn of_root() -> Option<Self> {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root runs terminals as another user");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("env-").tempdir_in("/tmp").unwrap();
        open(dir.path(), 0o755);
        let at = |path: &str| dir.path().join(path);
        let account = Account::find(Some("nobody"), at("user/home"), None).unwrap();
        for path in ["user", "user/home", "user/.ssh", "user/projects", "secrets"] {
            fs::create_dir(at(path)).unwrap();
            give(&at(path), &account);
        }
        symlink("../.ssh", at("user/home/.ssh")).unwrap();
        // Others may write here, so that only what the worker will not do keeps it whole.
        fs::create_dir(at("outside")).unwrap();
        open(&at("outside"), 0o777);
        fs::write(at("outside/passwd"), "root").unwrap();
        // Where this build is need not be nobody's to enter.
        fs::copy(env!("CARGO_BIN_EXE_box-agent"), at("box-agent")).unwrap();
        let places = Places {
            agent: at("box-agent"),
            account: account.clone(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            user: at("user"),
            secrets: at("secrets"),
            record: at("record.json"),
            boot: "boot".into(),
        };
        let (sender, report) = watch::channel(None);
        let board = Board::new(places, sender, Troubles::default());
        Some(Self { dir, account, board, report })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    async fn settle(&self, environment: &DesiredEnvironment) -> Vec<(String, FileState)> {
        assert!(self.board.settle(Some(environment)).await, "{:?}", self.report.borrow());
        let report = self.report.borrow().clone().unwrap_or_default();
        report.files.into_iter().map(|file| (file.destination.to_string(), file.state)).collect()
    }

    fn assert_outside_is_whole(&self) {
        let names: Vec<_> =
            fs::read_dir(self.at("outside")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["passwd"]);
        assert_eq!(fs::read_to_string(self.at("outside/passwd")).unwrap(), "root");
    }
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path, account: &Account) {
    chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
}

fn wish(files: &[(&str, bool)]) -> DesiredEnvironment {
    let file =
        |secret| DesiredFile { content: Secret::new("canary-content-33"), mode: FileMode::PRIVATE, secret };
    DesiredEnvironment {
        variables: [("KEY".parse().unwrap(), Secret::new("canary-value-44"))].into(),
        files: files.iter().map(|(path, secret)| (path.parse().unwrap(), file(*secret))).collect(),
        ..DesiredEnvironment::default()
    }
}

#[tokio::test]
async fn everything_that_comes_of_it_is_the_users() {
    let Some(machine) = Machine::of_root() else { return };
    let files = [(".ssh/id", true), ("a/b", false)];
    assert_eq!(machine.settle(&wish(&files)).await, []);
    for path in
        ["secrets/environment.sh", "secrets/files/.ssh/id", "user/.ssh/id", "user/home/a", "user/home/a/b"]
    {
        let meta = fs::symlink_metadata(machine.at(path)).unwrap();
        assert_eq!(meta.uid(), machine.account.uid.as_raw(), "{path}");
    }
    let record = fs::symlink_metadata(machine.at("record.json")).unwrap();
    assert_eq!((record.uid(), record.permissions().mode() & 0o777), (0, 0o600));
    let set = variables::read(&machine.at("secrets/environment.sh"), machine.account.uid);
    assert_eq!(set, [("KEY".into(), "canary-value-44".into())]);
}

#[tokio::test]
async fn root_lends_its_rights_to_nobody() {
    let Some(machine) = Machine::of_root() else { return };
    // A directory of root's in the user's tree, which root could write to.
    fs::create_dir(machine.at("user/home/closed")).unwrap();
    let told = machine.settle(&wish(&[("closed/x", false)])).await;
    assert_eq!(told, [("closed/x".into(), FileState::Failed)]);
    assert_eq!(fs::read_dir(machine.at("user/home/closed")).unwrap().count(), 0);
}

#[tokio::test]
async fn links_that_a_user_has_planted_lead_nowhere() {
    let Some(machine) = Machine::of_root() else { return };
    fs::remove_file(machine.at("user/home/.ssh")).unwrap();
    symlink(machine.at("outside"), machine.at("user/home/.ssh")).unwrap();
    symlink("../../outside", machine.at("user/home/up")).unwrap();
    symlink(machine.at("outside/passwd"), machine.at("secrets/environment.sh")).unwrap();
    let files = [(".ssh/authorized_keys", true), (".ssh/passwd", false), ("up/passwd", false)];
    let told = machine.settle(&wish(&files)).await;
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|(_, state)| *state == FileState::Failed), "{told:?}");
    machine.assert_outside_is_whole();
    assert!(fs::symlink_metadata(machine.at("secrets/environment.sh")).unwrap().is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_a_user_exchanges_for_a_link_leads_nowhere() {
    let Some(machine) = Machine::of_root() else { return };
    let (real, link) = (machine.at("user/home/d"), machine.at("user/trap"));
    fs::create_dir(&real).unwrap();
    give(&real, &machine.account);
    symlink(machine.at("outside"), &link).unwrap();
    let stop = AtomicBool::new(false);
    let files = [("d/passwd", false), ("d/sub/x", true)];
    let mut led_astray = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &real, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        let rounds = async {
            let mut round = 0;
            // On a busy machine the other thread may have to wait for its turn.
            while round < 25 || (led_astray == 0 && round < 1000) {
                round += 1;
                led_astray += usize::from(!machine.settle(&wish(&files)).await.is_empty());
                machine.settle(&wish(&[])).await;
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(rounds));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(led_astray > 0, "the trap was never open");
    machine.assert_outside_is_whole();
}

#[tokio::test]
async fn what_is_taken_back_is_not_taken_from_elsewhere() {
    let Some(machine) = Machine::of_root() else { return };
    assert_eq!(machine.settle(&wish(&[("d/passwd", false)])).await, []);
    fs::write(machine.at("outside/passwd"), "canary-content-33").unwrap();
    fs::remove_dir_all(machine.at("user/home/d")).unwrap();
    symlink(machine.at("outside"), machine.at("user/home/d")).unwrap();
    assert_eq!(machine.settle(&wish(&[])).await, []);
    assert!(machine.at("outside/passwd").exists());
}
