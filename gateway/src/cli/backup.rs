//! `gateway backup prune`: forgets old snapshots of a workspace and gives their space back, for boxes whose keys can add
//! and not delete. It runs wherever somebody runs it, with keys that are never on a box.

use std::ffi::OsString;
use std::path::PathBuf;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::backup::{BackupCredentials, DesiredBackup};
use berth_protocol::environment::Secret;
use berth_protocol::ids::WorkspaceId;
use clap::{Args, Subcommand};

use super::{invalid, open_failed};
use crate::installation::open;
use crate::settings::Settings;

/// What Berth's snapshots are tagged with.
const TAG: &str = "berth";

#[derive(Debug, Subcommand)]
pub(super) enum BackupVerb {
    /// Forget old snapshots of a workspace, and give their space back. For keys that can add and not delete: name one that
    /// can in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`
    Prune(Prune),
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// The workspace
    name: String,
    /// Days of which one snapshot is kept
    #[arg(long, value_name = "COUNT", default_value_t = 7)]
    keep_daily: u32,
    /// Weeks of which one is
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    keep_weekly: u32,
    /// Months of which one is
    #[arg(long, value_name = "COUNT", default_value_t = 6)]
    keep_monthly: u32,
    /// restic 0.18 or newer
    #[arg(long, value_name = "FILE", default_value = "restic")]
    restic: PathBuf,
}

/// Why nothing was pruned.
#[derive(Debug, thiserror::Error)]
enum NotPruned {
    #[error("failed to run {0}: install restic 0.18 or newer, or name it with --restic")]
    NotStarted(PathBuf, #[source] std::io::Error),
    #[error("restic failed in `{0}`; it said why above")]
    Failed(&'static str),
}

pub(super) async fn run(settings: &Settings, verb: &BackupVerb) -> Result<(), Fatal> {
    let BackupVerb::Prune(prune) = verb;
    if prune.keep_daily == 0 && prune.keep_weekly == 0 && prune.keep_monthly == 0 {
        return Err(invalid("nothing would be kept: keep at least one snapshot"));
    }
    let opened = open(settings).await.map_err(open_failed)?;
    let owner = opened.store.owner().await.map_err(Fatal::with(Exit::State))?;
    let found = opened.store.workspace_named(owner.id, prune.name.clone()).await;
    let workspace = found.map_err(Fatal::with(Exit::State))?.ok_or_else(|| {
        invalid(format!("there is no workspace \"{}\": see `gateway workspace list`", prune.name))
    })?;
    let stored = opened.store.backup(workspace.id.clone()).await.map_err(Fatal::with(Exit::State))?;
    let stored = stored.ok_or_else(|| {
        invalid(format!("no repository is set up for \"{}\": nothing is to be pruned", prune.name))
    })?;
    let backup = crate::backups::open(&opened.sealer, &workspace.id, &stored.sealed)
        .map_err(Fatal::with(Exit::State))?;
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let keys = keys(&backup, variable).map_err(invalid)?;
    let env = environment(&backup, &keys);
    let call = |verb: &'static str, more: Vec<OsString>| {
        let common = [
            verb.into(),
            "-o".into(),
            format!("s3.region={}", backup.repository.region).into(),
            "-o".into(),
            "s3.bucket-lookup=path".into(),
        ];
        restic(prune, verb, common.into_iter().chain(more).collect(), &env)
    };
    // Never those of others that live.
    call("unlock", vec![]).map_err(Fatal::with(Exit::Failure))?;
    call("forget", forget(&workspace.id, prune)).map_err(Fatal::with(Exit::Failure))
}

/// As a box forgets, whose snapshots are grouped alike; those of the last day are all kept.
fn forget(workspace: &WorkspaceId, prune: &Prune) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["--host", workspace.as_str(), "--tag", TAG, "--group-by", "host,tags", "--keep-within", "1d"]
            .map(OsString::from)
            .into();
    for (option, count) in [
        ("--keep-daily", prune.keep_daily),
        ("--keep-weekly", prune.keep_weekly),
        ("--keep-monthly", prune.keep_monthly),
    ] {
        if count > 0 {
            args.extend([option.into(), count.to_string().into()]);
        }
    }
    args.extend(["--prune", "--max-unused", "5%"].map(OsString::from));
    args
}

/// The keys to be used: those of the environment, else the ones that are known if they can delete.
fn keys(
    backup: &DesiredBackup,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BackupCredentials, String> {
    let known = backup.credentials.clone().ok_or("the gateway knows no keys of this repository")?;
    match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        (Some(key_id), Some(secret)) => Ok(BackupCredentials {
            key_id,
            secret_key: Secret::new(secret),
            session_token: variable("AWS_SESSION_TOKEN").map(Secret::new),
            password: known.password,
        }),
        (None, None) if backup.add_only => {
            Err("the key that is known can add and not delete: name one that can in AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY"
                .to_owned())
        }
        (None, None) => Ok(known),
        _ => Err("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both".to_owned()),
    }
}

/// All that restic is told; nothing secret is an argument.
fn environment(backup: &DesiredBackup, keys: &BackupCredentials) -> Vec<(OsString, OsString)> {
    let text = |secret: &Secret| OsString::from(String::from_utf8_lossy(secret.expose()).into_owned());
    let inherited =
        ["PATH", "HOME", "XDG_CACHE_HOME", "RESTIC_CACHE_DIR", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"];
    let mut env: Vec<(OsString, OsString)> =
        inherited.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?))).collect();
    env.extend([
        ("RESTIC_REPOSITORY".into(), backup.repository.url().into()),
        ("RESTIC_PASSWORD".into(), text(&keys.password)),
        ("AWS_ACCESS_KEY_ID".into(), keys.key_id.clone().into()),
        ("AWS_SECRET_ACCESS_KEY".into(), text(&keys.secret_key)),
    ]);
    env.extend(keys.session_token.as_ref().map(|token| ("AWS_SESSION_TOKEN".into(), text(token))));
    env
}

#[expect(
    clippy::disallowed_methods,
    reason = "a verb that a person runs, which is restic with the right words"
)]
fn restic(
    prune: &Prune,
    verb: &'static str,
    args: Vec<OsString>,
    env: &[(OsString, OsString)],
) -> Result<(), NotPruned> {
    let status = std::process::Command::new(&prune.restic)
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .status()
        .map_err(|error| NotPruned::NotStarted(prune.restic.clone(), error))?;
    if status.success() { Ok(()) } else { Err(NotPruned::Failed(verb)) }
}

#[cfg(test)]
mod tests {
    use berth_protocol::backup::Repository;

    use super::*;

    fn backup(add_only: bool) -> DesiredBackup {
        let repository = Repository {
            endpoint: "https://s3.example.org".into(),
            bucket: "boxes".into(),
            prefix: "main".into(),
            region: "auto".into(),
        };
        let credentials = Some(BackupCredentials {
            key_id: "known".into(),
            secret_key: Secret::new("s"),
            session_token: None,
            password: Secret::new("p"),
        });
        DesiredBackup { repository, credentials, add_only }
    }

    #[test]
    fn keys_that_can_not_delete_are_not_tried_and_half_a_key_is_none() {
        let none = |_: &str| None;
        assert_eq!(keys(&backup(false), none).unwrap().key_id, "known");
        assert!(keys(&backup(true), none).unwrap_err().contains("AWS_ACCESS_KEY_ID"));
        let both = |name: &str| (name != "AWS_SESSION_TOKEN").then(|| name.to_owned());
        let found = keys(&backup(true), both).unwrap();
        assert_eq!((found.key_id.as_str(), found.session_token.is_none()), ("AWS_ACCESS_KEY_ID", true));
        assert_eq!(found.password, Secret::new("p"));
        let half = |name: &str| (name == "AWS_ACCESS_KEY_ID").then(|| name.to_owned());
        assert!(keys(&backup(false), half).unwrap_err().contains("set both"));
    }
}
