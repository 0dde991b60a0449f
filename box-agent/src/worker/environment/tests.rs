use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use berth_protocol::environment::Secret;

use super::*;

/// A user's tree, a directory in memory, and something outside that nobody may touch.
struct Box {
    dir: tempfile::TempDir,
    marks: Marks,
}

fn file(content: &str, secret: bool) -> DesiredFile {
    let mode = if secret { FileMode::PRIVATE } else { FileMode::PUBLIC };
    DesiredFile { content: Secret::new(content), mode, secret }
}

impl Box {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for path in ["user/home", "user/.ssh", "user/projects", "secrets", "outside"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        symlink("../.ssh", dir.path().join("user/home/.ssh")).unwrap();
        symlink("../projects", dir.path().join("user/home/projects")).unwrap();
        fs::write(dir.path().join("outside/passwd"), "root").unwrap();
        Self { dir, marks: Marks::new() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn home(&self, path: &str) -> PathBuf {
        self.at("user/home").join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.home(path)).unwrap()
    }

    fn settle_job(&mut self, job: FilesJob) -> FilesOutcome {
        let job = FilesJob { marks: self.marks.clone(), ..job };
        let outcome = settle(&self.at("user"), &self.at("secrets"), job);
        self.marks = outcome.marks.clone();
        outcome
    }

    /// Puts exactly these files in place: what is said of those that are not.
    fn settle(&mut self, files: &[(&str, DesiredFile)]) -> Vec<(String, FileState)> {
        let files = files.iter().map(|(path, file)| (path.parse().unwrap(), file.clone())).collect();
        let outcome = self.settle_job(FilesJob { files, ..FilesJob::default() });
        assert_eq!(outcome.message, None);
        outcome.reports.into_iter().map(|report| (report.destination.to_string(), report.state)).collect()
    }

    /// Nothing outside of the user's own was touched.
    fn assert_outside_is_whole(&self) {
        let names: Vec<_> =
            fs::read_dir(self.at("outside")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["passwd"]);
        assert_eq!(fs::read_to_string(self.at("outside/passwd")).unwrap(), "root");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn variables_and_files_come_change_and_go() {
    let mut b = Box::new();
    let variables = [("KEY".parse().unwrap(), Secret::new("it's"))].into();
    let outcome = b.settle_job(FilesJob { variables: Some(variables), ..FilesJob::default() });
    assert_eq!(outcome.message, None);
    let path = b.at("secrets/environment.sh");
    assert_eq!(fs::read_to_string(&path).unwrap(), "export KEY='it'\\''s'\n");
    assert_eq!(mode(&path), 0o600);

    assert_eq!(b.settle(&[(".config/a/b", file("one", false)), (".ssh/id", file("key", true))]), []);
    assert_eq!((b.text(".config/a/b"), b.text(".ssh/id")), ("one".into(), "key".into()));
    assert_eq!(mode(&b.home(".config/a/b")), 0o644);
    let link = fs::read_link(b.at("user/.ssh/id")).unwrap();
    assert_eq!(link, b.at("secrets/files/.ssh/id"));
    assert_eq!(mode(&link), 0o600);
    assert!(path.exists(), "variables that are not named stay as they are");

    assert_eq!(b.settle(&[(".config/a/b", file("two", false)), (".ssh/id", file("new key", true))]), []);
    assert_eq!((b.text(".config/a/b"), b.text(".ssh/id")), ("two".into(), "new key".into()));
    let closed = DesiredFile { mode: FileMode::PRIVATE, ..file("two", false) };
    assert_eq!(b.settle(&[(".config/a/b", closed), (".ssh/id", file("new key", true))]), []);
    assert_eq!(mode(&b.home(".config/a/b")), 0o600);

    assert_eq!(b.settle(&[]), []);
    assert!(!b.home(".config/a/b").exists() && !b.at("user/.ssh/id").is_symlink() && !link.exists());
    assert_eq!(b.marks, Marks::new());
}

#[test]
fn a_secret_is_in_memory_alone() {
    let mut b = Box::new();
    assert_eq!(b.settle(&[(".ssh/id", file("canary-key", true))]), []);
    let found = std::process::id();
    let mut looked_at = 0;
    let mut todo = vec![b.at("user")];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            looked_at += 1;
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => todo.push(entry.path()),
                kind if kind.is_file() => {
                    assert!(
                        !fs::read_to_string(entry.path()).unwrap().contains("canary"),
                        "{entry:?} {found}"
                    );
                }
                _ => {}
            }
        }
    }
    assert!(looked_at > 3);
    assert!(!serde_json::to_string(&b.marks).unwrap().contains(&Hash::of(b"canary-key").0));
}

#[test]
fn what_is_the_users_is_kept_and_told() {
    let mut b = Box::new();
    fs::write(b.home("before"), "theirs").unwrap();
    fs::write(b.at("user/.ssh/id"), "their key").unwrap();
    fs::create_dir(b.home("dir")).unwrap();
    symlink(b.at("outside/passwd"), b.home("link")).unwrap();
    nix::unistd::mkfifo(&b.home("pipe"), Mode::S_IRWXU).unwrap();
    let wanted = |content: &str| {
        [
            (".ssh/id", file("key", true)),
            ("before", file(content, false)),
            ("dir", file(content, false)),
            ("link", file(content, false)),
            ("pipe", file(content, true)),
        ]
    };
    let told: Vec<String> = b.settle(&wanted("ours")).into_iter().map(|(path, _)| path).collect();
    assert_eq!(told, [".ssh/id", "before", "dir", "link", "pipe"]);
    assert_eq!((b.text("before"), b.text(".ssh/id")), ("theirs".into(), "their key".into()));
    assert!(!b.at("secrets/files/.ssh/id").exists(), "nobody would find it");
    assert_eq!(b.settle(&[]), []);
    assert_eq!((b.text("before"), b.text(".ssh/id")), ("theirs".into(), "their key".into()));
    b.assert_outside_is_whole();

    assert_eq!(b.settle(&[("mine", file("one", false)), ("s", file("one", true))]), []);
    fs::write(b.home("mine"), "changed").unwrap();
    fs::write(b.at("secrets/files/s"), "changed").unwrap();
    let again = b.settle(&[("mine", file("two", false)), ("s", file("two", true))]);
    assert_eq!(again, [("mine".into(), FileState::Kept), ("s".into(), FileState::Kept)]);
    assert_eq!((b.text("mine"), b.text("s")), ("changed".into(), "changed".into()));
    assert_eq!(b.settle(&[]), []);
    assert_eq!(b.text("mine"), "changed");
    assert!(!b.home("s").is_symlink() && !b.at("secrets/files/s").exists(), "memory is ours to clear");
}

#[test]
fn a_file_that_is_as_wanted_already_is_taken_for_ours() {
    let mut b = Box::new();
    fs::write(b.home("a"), "same").unwrap();
    assert_eq!(b.settle(&[("a", file("same", false))]), []);
    assert_eq!(b.settle(&[("a", file("new", false))]), []);
    assert_eq!(b.text("a"), "new");
}

#[test]
fn what_is_not_known_stays() {
    let mut b = Box::new();
    assert_eq!(b.settle(&[("plain", file("x", false)), ("s", file("x", true))]), []);
    let outcome =
        b.settle_job(FilesJob { untouched: b.marks.keys().cloned().collect(), ..FilesJob::default() });
    assert_eq!((outcome.reports.len(), outcome.marks.len()), (0, 2));
    assert_eq!((b.text("plain"), b.text("s")), ("x".into(), "x".into()));
}

#[test]
fn memory_that_was_lost_is_filled_again_behind_the_same_link() {
    let mut b = Box::new();
    assert_eq!(b.settle(&[("s", file("x", true))]), []);
    fs::remove_dir_all(b.at("secrets")).unwrap();
    fs::create_dir(b.at("secrets")).unwrap();
    assert!(b.home("s").is_symlink() && !b.home("s").exists());
    assert_eq!(b.settle(&[("s", file("x", true))]), []);
    assert_eq!(b.text("s"), "x");
}

#[test]
fn no_planted_link_leads_a_file_out() {
    let mut b = Box::new();
    let outside = b.at("outside");
    fs::remove_file(b.home(".ssh")).unwrap();
    symlink(&outside, b.home(".ssh")).unwrap();
    symlink("../../outside", b.home("up")).unwrap();
    symlink("/proc/self/cwd", b.home("proc")).unwrap();
    let files = [
        (".ssh/authorized_keys", file("x", true)),
        (".ssh/passwd", file("x", false)),
        ("proc/x", file("x", false)),
        ("up/passwd", file("x", false)),
    ];
    let told = b.settle(&files);
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|(_, state)| *state == FileState::Failed), "{told:?}");
    b.assert_outside_is_whole();
}

#[test]
fn no_planted_link_leads_a_removal_out() {
    let mut b = Box::new();
    assert_eq!(b.settle(&[("d/passwd", file("root", false))]), []);
    fs::remove_dir_all(b.home("d")).unwrap();
    symlink(b.at("outside"), b.home("d")).unwrap();
    assert_eq!(b.settle(&[]), []);
    b.assert_outside_is_whole();
}

#[test]
fn a_planted_link_in_memory_leads_nothing_out() {
    let mut b = Box::new();
    symlink(b.at("outside"), b.at("secrets/files")).unwrap();
    symlink(b.at("outside/passwd"), b.at("secrets/environment.sh")).unwrap();
    symlink(b.at("outside/passwd"), b.at("secrets/written.json")).unwrap();
    let variables = Some([("A".parse().unwrap(), Secret::new("x"))].into());
    let files = [("passwd".parse().unwrap(), file("x", true))].into();
    let outcome = b.settle_job(FilesJob { variables, files, ..FilesJob::default() });
    assert_eq!(outcome.reports[0].state, FileState::Failed);
    assert_eq!(fs::read_to_string(b.at("secrets/environment.sh")).unwrap(), "export A='x'\n");
    b.assert_outside_is_whole();
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_leads_nothing_out() {
    let mut b = Box::new();
    let (real, link) = (b.home("d"), b.at("user/trap"));
    fs::create_dir(&real).unwrap();
    symlink(b.at("outside"), &link).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // One call exchanges them, so that there is no moment without either.
            use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
            while !stop.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &real, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        let mut led_astray = 0;
        let mut round = 0;
        // On a busy machine the other thread may have to wait for its turn.
        while round < 300 || (led_astray == 0 && round < 10_000) {
            round += 1;
            let content = format!("{round}");
            let told = b.settle(&[("d/passwd", file(&content, false)), ("d/sub/x", file(&content, true))]);
            led_astray += usize::from(!told.is_empty());
            b.settle(&[]);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(led_astray > 0, "the trap was never open");
    });
    b.assert_outside_is_whole();
}
