//! A box whose backups go to a real S3 server, through a proxy that has bad days.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::process::{run, stdout};
use crate::s3::{BUCKET, KEY_ID, Proxy, S3, SECRET_KEY};
use crate::{Stack, programs, wait};

/// The repository's password.
pub const PASSWORD: &str = "a-password-of-the-tests";

/// An empty repository with [`PASSWORD`], made by restic, whose key was then wrapped anew with a weak derivation (scrypt with
/// N = 256, r = 1): else each call of restic takes most of a second for that alone.
const REPOSITORY: [(&str, &[u8]); 2] = [
    ("config", include_bytes!("../data/repository/config")),
    (
        KEY_FILE,
        include_bytes!(
            "../data/repository/keys/c8cc636118b21b7ce5996bb7a26613fc341caf14adc256490b307cfdf836575a"
        ),
    ),
];

/// Named by the hash of what is in it.
const KEY_FILE: &str = "keys/c8cc636118b21b7ce5996bb7a26613fc341caf14adc256490b307cfdf836575a";

/// A gateway, an agent and an S3 server.
pub struct BackupStack {
    /// Gateway and agent.
    pub stack: Stack,
    /// The weather between agent and server.
    pub proxy: Proxy,
    /// The server.
    pub s3: S3,
}

impl BackupStack {
    /// Starts all, with backups set up by the machine's own settings; `more` are further settings of backups.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(more: &str) -> Self {
        let mut this = Self::prepare(more).await;
        this.stack.start_agent().await;
        this
    }

    /// The same without the agent, which is enrolled. An empty repository is there.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn prepare(more: &str) -> Self {
        let this = Self::without_repository(more).await;
        for (name, bytes) in REPOSITORY {
            let path = this.s3.path("main").join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(path, bytes).expect("a part of a repository");
        }
        this
    }

    /// The same, and the repository is yet to be made.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn without_repository(more: &str) -> Self {
        let stack = Stack::start_gateway().await;
        stack.enroll("main");
        let s3 = S3::start(&stack.path("")).await;
        let proxy = Proxy::start(s3.port());
        let this = Self { stack, proxy, s3 };
        this.write_keys(KEY_ID, SECRET_KEY, PASSWORD);
        this.configure(more);
        this
    }

    /// The same, started, with nothing said of where backups go: that is the gateway's to say.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn by_gateway() -> Self {
        let mut this = Self::without_repository("").await;
        let config = this.stack.path("box-agent.toml");
        let text = std::fs::read_to_string(&config).expect("settings");
        let lines =
            text.lines().filter(|line| !line.starts_with("repository") && !line.starts_with("credentials"));
        std::fs::write(config, lines.collect::<Vec<_>>().join("\n")).expect("settings are written");
        this.stack.start_agent().await;
        this
    }

    /// Says what is in the agent's settings of backups, from its next start on.
    ///
    /// # Panics
    /// When they can't be written.
    pub fn configure(&self, more: &str) {
        let config = self.stack.path("box-agent.toml");
        let before = std::fs::read_to_string(&config).expect("settings");
        let before = before.split("[backup]").next().unwrap_or_default().to_owned();
        let (keys, cache) = (self.stack.path("keys"), self.stack.path("cache"));
        // A night that never comes, and nothing that waits for luck.
        let text = format!(
            "{before}[backup]\nrestic = \"{}\"\ncache = \"{}\"\ncredentials = \"{}\"\njitter_secs = 0\n\
             new_keys_pause_secs = 1\n\
             repository = {{ endpoint = \"http://127.0.0.1:{}\", bucket = \"{BUCKET}\", prefix = \"main\" }}\n{more}\n",
            programs::restic().display(),
            cache.display(),
            keys.display(),
            self.proxy.port,
        );
        std::fs::write(config, text).expect("settings are written");
    }

    /// Puts keys where the agent finds them.
    ///
    /// # Panics
    /// When they can't be written.
    pub fn write_keys(&self, id: &str, secret: &str, password: &str) {
        let keys = self.stack.path("keys");
        std::fs::create_dir_all(&keys).expect("a directory");
        for (name, value) in
            [("backup-key-id", id), ("backup-secret-key", secret), ("backup-password", password)]
        {
            std::fs::write(keys.join(name), value).expect("a key is written");
        }
    }

    /// A path in the user's tree.
    #[must_use]
    pub fn user(&self, name: &str) -> PathBuf {
        self.stack.path("workspace/user").join(name)
    }

    /// Runs `box-agent backup`.
    #[must_use]
    pub fn backup(&self, arguments: &[&str]) -> Output {
        self.stack.agent_verb(&[&["backup"], arguments].concat(), "")
    }

    /// How backups are.
    ///
    /// # Panics
    /// When the agent does not say.
    #[must_use]
    pub fn state(&self) -> Value {
        let output = self.backup(&["status", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no state: {text} {output:?}"))
    }

    /// Runs a verb that is followed to its end, and gives the record.
    ///
    /// # Panics
    /// When there is none, or its exit code is another.
    #[must_use]
    pub fn followed(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.backup(&[arguments, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{text} {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no record: {text}"))
    }

    /// Waits until no run goes on and one of this kind has ended.
    ///
    /// # Panics
    /// When none does.
    pub async fn ended(&self, work: &str) -> Value {
        wait::within(wait::PATIENCE * 4, "a run to end", async || {
            let state = self.state();
            let runs = state["history"].as_array()?;
            let ended = runs.iter().find(|run| run["work"] == work && run["outcome"].is_string())?;
            state["running"].is_null().then(|| ended.clone())
        })
        .await
    }

    /// The first backup, which comes by itself, once it has been read back, too.
    ///
    /// # Panics
    /// When there is none.
    pub async fn first(&self) -> Value {
        let first = self.ended("backup").await;
        if first["snapshot"].is_string() {
            let _ = self.ended("drill").await;
        }
        first
    }

    /// Runs restic itself against the server, past the proxy, and gives what it says.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn restic(&self, arguments: &[&str]) -> String {
        stdout(&self.try_restic(arguments, PASSWORD))
    }

    /// The same with a password, whatever becomes of it.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn try_restic(&self, arguments: &[&str], password: &str) -> Output {
        self.try_restic_in("main", arguments, password)
    }

    /// The same with any repository of the bucket.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn try_restic_in(&self, prefix: &str, arguments: &[&str], password: &str) -> Output {
        let file = self.stack.path("restic.password");
        std::fs::write(&file, password).expect("a password");
        let words = [
            &format!("RESTIC_REPOSITORY=s3:http://127.0.0.1:{}/{BUCKET}/{prefix}", self.s3.port()),
            &format!("RESTIC_PASSWORD_FILE={}", file.display()),
            &format!("RESTIC_CACHE_DIR={}", self.stack.path("other-cache").display()),
            &format!("AWS_ACCESS_KEY_ID={KEY_ID}"),
            &format!("AWS_SECRET_ACCESS_KEY={SECRET_KEY}"),
            programs::restic().to_str().expect("a plain path"),
        ]
        .map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let options = ["-o", "s3.region=auto", "-o", "s3.bucket-lookup=path"];
        run(Path::new("/usr/bin/env"), &[words.as_slice(), &options, arguments].concat(), "")
    }

    /// Fails unless the repository is sound and nobody has locked it.
    ///
    /// # Panics
    /// When it is not.
    pub fn assert_sound(&self) {
        assert_eq!(self.restic(&["list", "locks", "--no-lock"]), "", "a lock was left behind");
        let _ = self.restic(&["check"]);
    }
}
