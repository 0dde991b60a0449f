//! Backups on a box as it will be: restic in units of its own, root and the terminals' user apart.

use berth_tests::machine::{self, Machine};
use berth_tests::s3::{BUCKET, KEY_ID, Proxy, S3, SECRET_KEY, Weather};
use berth_tests::{Stack, wait};
use serde_json::Value;

const PASSWORD: &str = "a-password-of-the-tests";

/// A booted box whose backups go to a server beside it.
struct BackedUp {
    machine: Machine,
    s3: S3,
    proxy: Proxy,
}

impl BackedUp {
    async fn boot(stack: &Stack) -> Self {
        let s3 = S3::start(&stack.path("")).await;
        let proxy = Proxy::start(s3.port());
        let mut machine = Machine::plain();
        for (name, value) in
            [("backup-key-id", KEY_ID), ("backup-secret-key", SECRET_KEY), ("backup-password", PASSWORD)]
        {
            machine.put(&format!("etc/box-agent/keys/{name}"), value);
        }
        let settings = format!(
            "[backup]\ncredentials = \"/etc/box-agent/keys\"\njitter_secs = 0\nrepository = {{ endpoint = \
             \"http://127.0.0.1:{}\", bucket = \"{BUCKET}\", prefix = \"main\" }}\n",
            proxy.port
        );
        machine.put("etc/box-agent/config.d/backup.toml", &settings);
        machine.boot().await;
        machine.enroll(stack, "main");
        machine.start_agent();
        let this = Self { machine, s3, proxy };
        let _ = this.ended("backup", 0).await;
        let _ = this.ended("drill", 0).await;
        this
    }

    fn state(&self) -> Option<Value> {
        let said = self.machine.run(&["box-agent", "backup", "status", "--json"]);
        serde_json::from_slice(&said.stdout).ok()
    }

    /// The newest run of a kind, once it has ended and none goes on; one after `run`.
    async fn ended(&self, work: &str, run: i64) -> Value {
        wait::within(wait::PATIENCE * 6, "a run to end", async || {
            let state = self.state()?;
            let found = state["history"].as_array()?.iter().find(|found| found["work"] == work)?.clone();
            let is_newer = found["run"].as_i64()? > run && found["outcome"].is_string();
            (is_newer && state["running"].is_null()).then_some(found)
        })
        .await
    }

    fn newest(&self) -> i64 {
        self.state().and_then(|state| state["history"][0]["run"].as_i64()).expect("a run")
    }

    /// Runs a verb that is followed, as a user, and gives its record.
    fn followed(&self, user: &str, verb: &[&str]) -> Value {
        let said = self.machine.run_as(user, &[&["box-agent", "backup"], verb, &["--json"]].concat());
        serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("no record: {said:?}"))
    }

    /// Runs a script in the user's home, as the user.
    fn as_claude(&self, script: &str) -> String {
        berth_tests::process::stdout(
            &self.machine.run_as("claude", &["env", "HOME=/home/claude", "sh", "-ec", script]),
        )
    }

    /// The unit of the restic that runs, once one does the work.
    async fn unit(&self) -> String {
        wait::until("a unit of restic that backs up", async || {
            let state = self.state()?;
            (state["running"]["phase"] == "backing up").then_some(())?;
            let list =
                ["systemctl", "list-units", "--plain", "--no-legend", "--state=running", "berth-restic-*"];
            let units = self.machine.says(&list);
            units.split_whitespace().next().map(str::to_owned)
        })
        .await
    }

    /// Begins a backup that takes long.
    async fn slow_backup(&self) -> String {
        self.as_claude("head -c 3000000 /dev/urandom >~/projects-noise");
        self.proxy.set(Weather::Trickle(3_000));
        let _ = self.machine.says(&["systemd-run", "--quiet", "--collect", "box-agent", "backup", "run"]);
        self.unit().await
    }

    fn locks(&self) -> usize {
        std::fs::read_dir(self.s3.path("main/locks")).map_or(0, Iterator::count)
    }
}

#[test]
fn restic_is_a_unit_with_few_rights_that_ends_as_it_is_told() {
    machine::test(async |stack| {
        let this = BackedUp::boot(&stack).await;
        let unit = this.slow_backup().await;
        for (property, expected) in [
            ("KillSignal", "2"),
            ("Nice", "10"),
            ("IOSchedulingClass", "3"),
            ("CPUWeight", "20"),
            ("MemoryMax", "1073741824"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", "cap_dac_read_search"),
            ("Slice", "berth.slice"),
            ("OOMScoreAdjust", "500"),
        ] {
            assert_eq!(this.machine.property(&unit, property), expected, "{property}");
        }
        // What everybody may read of a unit and its process holds no secret.
        let pid = this.machine.property(&unit, "MainPID");
        let shown = this.machine.run_as("claude", &["systemctl", "show", &unit]);
        let line = this.machine.says(&["cat", &format!("/proc/{pid}/cmdline")]);
        let status = this.machine.says(&["grep", "CapEff", &format!("/proc/{pid}/status")]);
        for secret in [SECRET_KEY, PASSWORD] {
            let shown = String::from_utf8_lossy(&shown.stdout);
            assert!(!shown.contains(secret) && !line.contains(secret), "a secret is shown");
        }
        assert!(status.ends_with("0000000000000004"), "more than reading: {status}");

        // Ended by a person: by SIGINT, so it takes its lock along.
        let before = this.newest();
        let _ = this.machine.run_as("claude", &["box-agent", "backup", "cancel"]);
        this.proxy.set(Weather::Fair);
        let cancelled = this.ended("backup", before - 1).await;
        assert_eq!(cancelled["outcome"], "cancelled", "{cancelled}");
        assert_eq!(this.locks(), 0, "a lock was left");

        // The agent is killed in the middle: its unit goes before the next run, and history says what was.
        let _ = this.slow_backup().await;
        let before = this.newest();
        let agent = this.machine.property("box-agent.service", "MainPID");
        let _ = this.machine.says(&["kill", "-9", &agent]);
        this.proxy.set(Weather::Fair);
        let lost = this.ended("backup", before - 1).await;
        assert!(["lost", "good"].contains(&lost["outcome"].as_str().unwrap_or_default()), "{lost}");
        let next = this.followed("claude", &["run"]);
        assert_eq!(next["outcome"], "good", "{next}");
        assert_eq!(this.locks(), 0, "a lock was left");
        let units = this.machine.says(&[
            "systemctl",
            "list-units",
            "--all",
            "--plain",
            "--no-legend",
            "berth-restic-*",
        ]);
        assert_eq!(units, "", "a unit was left");
    });
}

/// Plants what a restore may spoil, with names, rights and owners.
const PLANT: &str = "mkdir -p ~/work/dir && cd ~/work && echo one >file && ln file dir/twin && ln -s ../file dir/link && \
    mkfifo pipe && echo x >private && chmod 0600 private && echo s >setuid && chmod 4755 setuid && \
    truncate -s 9M sparse && echo end >>sparse && \
    python3 -c \"import os; os.setxattr('file', 'user.berth', b'kept')\"";

/// All that is to be the same.
const LOOK: &str = "cd ~/work && find . -printf '%p %y %m %u:%g %n %l %T@\\n' | sort && sha256sum file sparse && \
    stat -c %b sparse && python3 -c \"import os; print(os.getxattr('file', 'user.berth'))\"";

#[test]
fn what_comes_back_is_the_users_wherever_their_links_lead() {
    machine::test(async |stack| {
        let this = BackedUp::boot(&stack).await;
        let _ = this.as_claude(PLANT);
        // Root's, in the user's tree: it is backed up, and comes back as the user's.
        let _ = this.machine.says(&[
            "sh",
            "-c",
            "echo r >/home/claude/work/roots && chmod 0600 /home/claude/work/roots",
        ]);
        let before = this.as_claude(LOOK);
        let good = this.followed("claude", &["run"]);
        assert_eq!(good["outcome"], "good", "{good}");
        let _ = this.machine.says(&["rm", "-rf", "/home/claude/work"]);
        let restored = this.followed("claude", &["restore", "--in-place", "/user/home/work"]);
        assert!(
            ["good", "partial"].contains(&restored["outcome"].as_str().unwrap_or_default()),
            "{restored}"
        );
        assert_eq!(
            this.as_claude(LOOK),
            before.replace("roots f 600 root:root", "roots f 600 claude:claude")
        );
        let inodes = this.as_claude("cd ~/work && stat -c %i file dir/twin | uniq | wc -l");
        assert_eq!(inodes, "1", "a hard link is two files");

        // A directory is a link to where only root may write: nothing of root's is touched.
        let _ = this.machine.says(&["sh", "-c", "mkdir /srv/roots && echo mine >/srv/roots/file"]);
        let _ = this.as_claude("rm -r ~/work && ln -s /srv/roots ~/work");
        // The newest is of before the first restore, when there was nothing.
        let snapshot = good["snapshot"].as_str().expect("a snapshot");
        let verb = ["restore", "--in-place", "--snapshot", snapshot, "/user/home/work/file"];
        let restored = this.followed("claude", &verb);
        println!("    {restored}");
        assert!(!restored.to_string().contains("exit code"), "nothing was even tried: {restored}");
        assert_eq!(this.machine.says(&["cat", "/srv/roots/file"]), "mine");
        assert_eq!(this.machine.says(&["ls", "/srv/roots"]), "file");

        // An archive is the user's doing: what only root may read is not in it, and is named.
        let _ = this.machine.says(&[
            "sh",
            "-c",
            "rm -rf /home/claude/work; echo r >/home/claude/roots; chmod 600 /home/claude/roots",
        ]);
        let said =
            this.machine.run_as("claude", &["box-agent", "backup", "export", "--to", "/tmp/all.tar.zst"]);
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(said.status.code(), Some(3), "{said:?}");
        assert!(words.contains("user/home/roots: left out: Permission denied"), "{words}");
        let _ = this.machine.says(&["box-agent", "backup", "export-check", "/tmp/all.tar.zst"]);
        // Root's own doing is no more.
        let said = this.machine.run(&["box-agent", "backup", "export", "--to", "/tmp/roots.tar.zst"]);
        assert_eq!(said.status.code(), Some(3), "{said:?}");
    });
}
