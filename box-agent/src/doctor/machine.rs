//! What the agent needs of the machine.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Finding;
use crate::backup::restic::launch::Launcher;
use crate::backup::restic::{Bounds, Restic};
use crate::host::account::Account;
use crate::host::command::Invocation;
use crate::host::machine::{Usage, disk};
use crate::host::programs::find;
use crate::settings::Settings;
use crate::volume::tools::Tools;

/// From which share of its space a file system is worth a word, percent.
const SPACE: (u64, u64) = (80, 95);

/// How long a program may take to say its version.
const VERSION_DEADLINE: Duration = Duration::from_secs(10);

/// The units of a box.
const UNITS: [&str; 2] = ["box-tmux.service", "box-agent.service"];

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = programs(settings);
    findings.extend(tools(settings));
    findings.push(backups(settings).await);
    findings.push(user(settings));
    for (check, path) in [
        ("space on the volume", settings.volume.path.as_path()),
        ("space for the box's identity", settings.state_dir.as_path()),
        ("space for sockets", settings.runtime_dir.as_path()),
    ] {
        findings.push(space(check, path));
    }
    // systemd's own test of whether it is the one that runs this machine, see sd_booted(3).
    if Path::new("/run/systemd/system").is_dir() {
        for unit in UNITS {
            findings.push(unit_state(unit).await);
        }
    }
    findings
}

fn programs(settings: &Settings) -> Vec<Finding> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let terminal = &settings.terminal;
    let wanted = [("ttyd", &terminal.ttyd, "terminal.ttyd"), ("tmux", &terminal.tmux, "terminal.tmux")];
    wanted
        .into_iter()
        .map(|(package, program, setting)| match find(program, &search, setting, package) {
            Ok(path) => Finding::fine(package, path.display().to_string()),
            Err(error) => Finding::failure(package, error.to_string()),
        })
        .collect()
}

/// restic, which backups are made with: it has to be there as soon as the gateway or the machine says where they go.
async fn backups(settings: &Settings) -> Finding {
    let check = "restic";
    let backup = &settings.backup;
    // Nothing is started that has papers or a cache.
    let nowhere = Path::new("/nonexistent");
    let bounds =
        Bounds { cancel: CancellationToken::new(), deadline: VERSION_DEADLINE, stall: VERSION_DEADLINE };
    let outcome = match Launcher::find(&backup.restic, nowhere, nowhere, nowhere, &backup.memory_max) {
        Ok(launcher) => Restic::new(launcher).check_version(&bounds).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(()) => Finding::fine(check, format!("{} will do", backup.restic.display())),
        Err(problem) if backup.repository.is_some() => Finding::failure(check, problem.to_string()),
        Err(problem) => Finding::warning(check, format!("{problem}; no backup can be made without it")),
    }
}

/// The programs that a block device needs.
fn tools(settings: &Settings) -> Option<Finding> {
    let check = "tools for the volume";
    settings.volume.source.is_device().then(|| match Tools::find() {
        Ok(_) => Finding::fine(check, "blkid, e2fsck, mkfs.ext4, resize2fs, chattr"),
        Err(error) => Finding::failure(check, error.to_string()),
    })
}

fn user(settings: &Settings) -> Finding {
    let check = "user of terminals";
    let account = Account::find(settings.terminal.user.as_deref(), "/".into(), None);
    match account {
        Err(error) => Finding::failure(check, error.to_string()),
        Ok(account) if account.uid.is_root() => Finding::warning(
            check,
            "terminals run as root: whoever reaches one has the machine; set terminal.user to another user",
        ),
        Ok(account) => Finding::fine(check, account.user),
    }
}

fn space(check: &str, path: &Path) -> Finding {
    match disk(path) {
        Ok(usage) => judge_space(check, path, usage),
        Err(error) => Finding::warning(
            check,
            format!(
                "{} can't be looked at ({error}): the agent makes or mounts it when it starts",
                path.display()
            ),
        ),
    }
}

fn judge_space(check: &str, path: &Path, usage: Usage) -> Finding {
    let percent = (usage.used_bytes * 100).checked_div(usage.total_bytes).unwrap_or(100);
    let sentence = format!("{} is {percent} % full", path.display());
    if percent >= SPACE.1 {
        Finding::failure(check, format!("{sentence}: remove what is not needed, or enlarge it"))
    } else if percent >= SPACE.0 {
        Finding::warning(check, format!("{sentence}: it will be full soon"))
    } else {
        Finding::fine(check, sentence)
    }
}

async fn unit_state(unit: &str) -> Finding {
    let asked = Invocation::new("/usr/bin/systemctl", ["is-active", "--quiet", unit]).run().await;
    match asked {
        Ok(_) => Finding::fine(unit, "active"),
        Err(_) => {
            Finding::failure(unit, format!("not active: look at `systemctl status {unit}`, then start it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn space_is_judged_by_its_share() {
        let verdict =
            |used_bytes| judge_space("x", Path::new("/v"), Usage { used_bytes, total_bytes: 1000 }).verdict;
        assert_eq!(verdict(799), Verdict::Fine);
        assert_eq!(verdict(800), Verdict::Warning);
        assert_eq!(verdict(950), Verdict::Failure);
    }

    #[test]
    fn a_missing_program_is_told_with_its_remedy() {
        let mut settings = Settings::default();
        settings.terminal.ttyd = "/nowhere/ttyd".into();
        let found = programs(&settings);
        assert_eq!(found[0].verdict, Verdict::Failure);
        assert!(found[0].sentence.contains("terminal.ttyd"), "{}", found[0].sentence);
    }

    #[tokio::test]
    async fn a_restic_that_is_missing_or_too_old_is_told_and_fails_where_backups_are_set_up() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("restic");
        let mut settings = Settings::default();
        settings.backup.restic.clone_from(&program);
        let missing = backups(&settings).await;
        assert_eq!(missing.verdict, Verdict::Warning);
        assert!(missing.sentence.contains("install the package restic"), "{}", missing.sentence);
        let says = |version: &str| {
            std::fs::write(&program, format!("#!/bin/sh\necho restic {version}\n")).unwrap();
            std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        };
        says("0.18.1");
        assert_eq!(backups(&settings).await.verdict, Verdict::Fine);
        says("0.14.0");
        settings.backup.repository = Some(berth_protocol::backup::Repository {
            endpoint: "https://s3.example.org".into(),
            bucket: "boxes".into(),
            prefix: "main".into(),
            region: "auto".into(),
        });
        let old = backups(&settings).await;
        assert_eq!(old.verdict, Verdict::Failure);
        assert!(old.sentence.contains("0.18 or newer is needed"), "{}", old.sentence);
    }
}
