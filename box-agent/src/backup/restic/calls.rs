//! The command lines of restic. Nothing secret is in them, and whatever comes from a client is a checked name behind an
//! option's own word or `--`.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use berth_protocol::backup::{Repository, SnapshotRef, VolumePath};

use crate::settings::KeepSettings;

/// The one tag of Berth's snapshots.
pub const TAG: &str = "berth";

/// What every call begins with.
#[must_use]
pub fn common(repository: &Repository, stuck: Duration) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--json".into()];
    // A region that is said saves the question for it, and R2 knows no buckets as host names.
    args.extend(["-o".into(), format!("s3.region={}", repository.region).into()]);
    args.extend(["-o", "s3.bucket-lookup=path"].map(OsString::from));
    args.push(format!("--stuck-request-timeout={}s", stuck.as_secs().max(1)).into());
    args
}

/// Whether there is a repository that this password opens.
#[must_use]
pub fn open() -> Vec<OsString> {
    ["cat", "config", "--no-lock"].map(OsString::from).into()
}

/// Makes a repository.
#[must_use]
pub fn init() -> Vec<OsString> {
    ["init"].map(OsString::from).into()
}

/// Takes away locks of programs that are gone: never those of others that live.
#[must_use]
pub fn unlock() -> Vec<OsString> {
    ["unlock"].map(OsString::from).into()
}

/// Makes a snapshot of `sources`, which are relative to the volume: so paths in it are the same wherever that is.
#[must_use]
pub fn backup(host: &str, excludes: &Path, sources: &[String]) -> Vec<OsString> {
    let mut args: Vec<OsString> = ["backup", "--host", host, "--tag", TAG].map(OsString::from).into();
    args.extend(["--group-by", "host,tags", "--exclude-caches", "--one-file-system"].map(OsString::from));
    args.extend(["--exclude-file".into(), excludes.into(), "--".into()]);
    args.extend(sources.iter().map(OsString::from));
    args
}

/// Forgets snapshots that need not be kept. Those of the last day all are, so that one that was made before a restore
/// does not go with the next that is made.
#[must_use]
pub fn forget(host: &str, keep: KeepSettings) -> Vec<OsString> {
    let mut args: Vec<OsString> = ["forget", "--host", host, "--tag", TAG].map(OsString::from).into();
    args.extend(["--group-by", "host,tags", "--keep-within", "1d"].map(OsString::from));
    for (option, count) in
        [("--keep-daily", keep.daily), ("--keep-weekly", keep.weekly), ("--keep-monthly", keep.monthly)]
    {
        if count > 0 {
            args.extend([option.into(), count.to_string().into()]);
        }
    }
    args
}

/// Gives the space of forgotten snapshots back.
#[must_use]
pub fn prune() -> Vec<OsString> {
    ["prune", "--max-unused", "5%"].map(OsString::from).into()
}

/// Reads one of seven parts of the repository back. It wants the repository for itself, which it never has when locks
/// can't be taken away: `add_only`.
#[must_use]
pub fn check(part: u32, add_only: bool) -> Vec<OsString> {
    let mut args = vec!["check".into(), format!("--read-data-subset={}/7", part % 7 + 1).into()];
    args.extend(add_only.then(|| "--no-lock".into()));
    args
}

/// Lists the snapshots of a workspace.
#[must_use]
pub fn snapshots(host: &str) -> Vec<OsString> {
    ["snapshots", "--no-lock", "--host", host, "--tag", TAG].map(OsString::from).into()
}

/// Lists a directory of a snapshot.
#[must_use]
pub fn list(host: &str, snapshot: &SnapshotRef, path: &VolumePath) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["ls", "--no-lock", "--host", host, "--tag", TAG].map(OsString::from).into();
    args.extend(["--".into(), snapshot.as_str().into(), path.as_str().into()]);
    args
}

/// Lists what is below a path of a snapshot, too: directories before what is in them.
#[must_use]
pub fn list_all(host: &str, snapshot: &SnapshotRef, path: &VolumePath) -> Vec<OsString> {
    let mut args = list(host, snapshot, path);
    args.insert(1, "--recursive".into());
    args
}

/// Writes a file of a snapshot on standard output.
#[must_use]
pub fn dump(host: &str, snapshot: &SnapshotRef, path: &VolumePath) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["dump", "--no-lock", "--host", host, "--tag", TAG].map(OsString::from).into();
    args.extend(["--".into(), snapshot.as_str().into(), path.as_str().into()]);
    args
}

/// Compares two snapshots.
#[must_use]
pub fn diff(before: &SnapshotRef, after: &SnapshotRef) -> Vec<OsString> {
    vec!["diff".into(), "--no-lock".into(), "--".into(), before.as_str().into(), after.as_str().into()]
}

/// Restores what is in a directory of a snapshot into an empty directory that nobody else can reach. Attributes that
/// give rights are left out.
#[must_use]
pub fn restore(
    host: &str,
    snapshot: &SnapshotRef,
    directory: &VolumePath,
    only: Option<&str>,
    to: &Path,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = ["restore", "--host", host, "--tag", TAG].map(OsString::from).into();
    args.extend(
        ["--sparse", "--exclude-xattr", "security.*", "--exclude-xattr", "trusted.*"].map(OsString::from),
    );
    if let Some(name) = only {
        args.extend(["--include".into(), format!("/{}", literal(name)).into()]);
    }
    args.extend(["--target".into(), to.into(), "--".into()]);
    args.push(format!("{snapshot}:{directory}").into());
    args
}

/// A name as a pattern that stands for itself alone.
#[must_use]
pub fn literal(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: Vec<OsString>) -> Vec<String> {
        args.into_iter().map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn what_a_client_names_stands_behind_two_hyphens() {
        let path: VolumePath = "/user/--help".parse().unwrap();
        for args in [
            list("ws", &SnapshotRef::latest(), &path),
            dump("ws", &SnapshotRef::latest(), &path),
            restore("ws", &SnapshotRef::latest(), &path, None, Path::new("/x")),
        ] {
            let words = words(args);
            let end = words.iter().position(|word| word == "--").unwrap();
            assert!(words[end..].iter().any(|word| word.contains("--help")), "{words:?}");
            assert!(!words[..end].iter().any(|word| word.contains("--help")), "{words:?}");
        }
    }

    #[test]
    fn snapshots_are_grouped_by_host_and_tags_and_one_that_is_not_kept_is_not_named() {
        let keep = KeepSettings { daily: 7, weekly: 0, monthly: 6 };
        let words = words(forget("ws", keep)).join(" ");
        assert!(
            words.contains("--group-by host,tags --keep-within 1d --keep-daily 7 --keep-monthly 6"),
            "{words}"
        );
        assert!(!words.contains("weekly") && !words.contains("prune"), "{words}");
    }

    #[test]
    fn every_part_is_read_in_turn() {
        let part = |number| words(check(number, false))[1].clone();
        assert_eq!(
            (part(0), part(6), part(7)),
            (
                "--read-data-subset=1/7".into(),
                "--read-data-subset=7/7".into(),
                "--read-data-subset=1/7".into()
            )
        );
        assert_eq!(words(check(0, true)).last().map(String::as_str), Some("--no-lock"));
    }
}
