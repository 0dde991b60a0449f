//! Brings files back.
//!
//! restic, as root, restores into a new directory in `system/`, where nobody else gets: no link that a user planted is on
//! its way, and its keys stay out of the user's reach. What it made is then given to the user as a whole: whatever a
//! snapshot claims, nothing in it belongs to another user afterwards or is a device. A worker, as the user, puts it in
//! place by renaming. An interruption leaves that directory, which the next start removes; doing it again does it all.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use berth_daemon::state::private_dir;
use berth_protocol::backup::{Outcome, Place, RestoreOrder, Snapshot, SnapshotRef};
use nix::unistd::{Gid, Uid};

use super::hand;
use super::problem::Problem;
use super::restic::{Call, Completeness, calls};
use super::run::Run;
use crate::host::account::Account;
use crate::worker::restore::PlaceJob;

/// Where restores are made, relative to the volume.
const STAGING: &str = "system/restore";

/// Removes what an interrupted restore has left.
///
/// # Errors
/// What the system says.
pub fn tidy(volume: &Path) -> io::Result<()> {
    match fs::remove_dir_all(volume.join(STAGING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The snapshot that an order means: found before anything else is done, since a safety snapshot is newer than all.
///
/// # Errors
/// [`Problem::NotFound`].
pub fn meant(wanted: &SnapshotRef, known: &[Snapshot]) -> Result<SnapshotRef, Problem> {
    let mut found =
        known.iter().filter(|snapshot| wanted.is_latest() || snapshot.id.starts_with(wanted.as_str()));
    let not_found = |message: String| Problem::NotFound(message);
    let first = found.next().ok_or_else(|| {
        not_found(format!(
            "there is no snapshot {wanted} of this workspace: `box-agent backup list` shows them"
        ))
    })?;
    if !wanted.is_latest() && found.next().is_some() {
        return Err(not_found(format!("{wanted} could be more than one snapshot: name more of its digits")));
    }
    first.id.parse().map_err(|_| not_found("the snapshot's name is not understood".into()))
}

/// Does what is ordered, from the snapshot `from`.
///
/// # Errors
/// [`Problem`].
pub(super) async fn bring_back(
    run: &mut Run<'_>,
    order: &RestoreOrder,
    from: &SnapshotRef,
) -> Result<Outcome, Problem> {
    order.check().map_err(|error| Problem::Settings(error.to_string()))?;
    let places = &run.engine.places;
    run.record.snapshot = Some(from.to_string());
    run.open(false).await?;
    run.unlock().await?;
    run.enter("restoring");
    let staging = Staging::make(&places.volume, run.record.run)
        .map_err(|error| failed("make room for a restore", &error))?;
    let (host, name, parent) = (places.workspace.as_str(), order.path.name(), order.path.parent());
    let staged = staging.0.as_path();
    let args = calls::restore(host, from, &parent, Some(name), staged);
    let whole = run.call(|| Call::restoring(args.clone(), &places.volume)).await? == Completeness::Whole;
    run.record.files = run.summary.files_restored;
    run.record.bytes = run.summary.bytes_restored;
    if fs::symlink_metadata(staged.join(name)).is_err() {
        return Err(Problem::NotFound(format!("{} is not in the snapshot {from}", order.path)));
    }
    run.enter("giving it to the user");
    let (directory, account) = (staging.0.clone(), places.account.clone());
    let given = tokio::task::spawn_blocking(move || give(&directory, &account)).await;
    let changed = given
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| failed("give what was restored to the user", &error))?;
    if changed > 0 {
        run.warn(format!(
            "{changed} files or directories belonged to others and are the user's now, or were devices"
        ));
    }
    run.enter("putting it in place");
    let handle: OwnedFd =
        fs::File::open(staged).map_err(|error| failed("open what was restored", &error))?.into();
    let job = job(order, from, run.record.run);
    let deadline = run.bounds().deadline;
    let placed = hand::place(places, handle, &job, deadline)
        .await
        .map_err(|words| Problem::Failed { how: "placing".into(), words })?;
    if let Some(words) = placed.problem {
        return Err(Problem::Failed { how: "placing".into(), words });
    }
    run.record.place = Some(shown(&job));
    let complete = placed.failed.is_empty();
    for moved in placed.moved {
        run.warn(format!("moved out of the way: {moved}"));
    }
    for failed in placed.failed {
        run.warn(format!("not placed: {failed}"));
    }
    Ok(if whole && complete { Outcome::Good } else { Outcome::Partial })
}

fn failed(what: &str, error: &io::Error) -> Problem {
    match error.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::ENOSPC | nix::errno::Errno::EDQUOT) => {
            Problem::NoSpace(format!("failed to {what}: {error}"))
        }
        _ => Problem::Settings(format!("failed to {what}: {error}")),
    }
}

fn job(order: &RestoreOrder, from: &SnapshotRef, run: i64) -> PlaceJob {
    let name = order.path.name().to_owned();
    let path = order.path.as_str();
    let below_user = path.strip_prefix("/user").unwrap_or(path).trim_start_matches('/');
    match order.place {
        Place::InPlace => PlaceJob { name, to: below_user.to_owned(), aside: false },
        Place::Aside => {
            let snapshot: String = from.as_str().chars().take(8).collect();
            PlaceJob { name, to: format!("restored/{snapshot}-{run}"), aside: true }
        }
    }
}

/// Where it is now, on the volume.
fn shown(job: &PlaceJob) -> String {
    if job.aside {
        return format!("/user/{}/{}", job.to, job.name);
    }
    if job.to.is_empty() { "/user".to_owned() } else { format!("/user/{}", job.to) }
}

/// A directory that only this process's user reaches, gone with this.
struct Staging(PathBuf);

impl Staging {
    fn make(volume: &Path, run: i64) -> io::Result<Self> {
        let above = volume.join(STAGING);
        private_dir(&above).map_err(io::Error::other)?;
        let path = above.join(run.to_string());
        if path.symlink_metadata().is_ok() {
            fs::remove_dir_all(&path)?;
        }
        private_dir(&path).map_err(io::Error::other)?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "what was left of a restore was not removed");
        }
    }
}

/// Makes everything the user's own, and takes devices away. Returns how much was not. Nobody else reaches any of it, so
/// nothing changes under its feet; links are not followed all the same.
fn give(directory: &Path, account: &Account) -> io::Result<u64> {
    let (uid, gid) = (account.uid, account.gid);
    let mut changed = 0;
    let mut todo = vec![directory.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            let kind = meta.file_type();
            if kind.is_block_device() || kind.is_char_device() {
                fs::remove_file(&path)?;
                changed += 1;
                continue;
            }
            changed += u64::from(own(&path, &meta, uid, gid)?);
            if kind.is_dir() {
                todo.push(path);
            }
        }
    }
    let meta = fs::symlink_metadata(directory)?;
    own(directory, &meta, uid, gid)?;
    Ok(changed)
}

/// Gives one thing to the user. A change of the owner takes setuid and setgid away.
fn own(path: &Path, meta: &fs::Metadata, uid: Uid, gid: Gid) -> io::Result<bool> {
    if meta.uid() == uid.as_raw() && meta.gid() == gid.as_raw() {
        return Ok(false);
    }
    lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn snapshot(id: &str) -> Snapshot {
        Snapshot { id: id.into(), time_ms: 0, tags: vec![], files: 0, bytes: 0 }
    }

    #[test]
    fn the_snapshot_that_is_meant_is_one_and_only_one() {
        let known = [snapshot("abcdef0123"), snapshot("abcdef0987"), snapshot("0011223344")];
        let meant = |text: &str| meant(&text.parse().unwrap(), &known).map(|id| id.to_string());
        assert_eq!(meant("latest").unwrap(), "abcdef0123");
        assert_eq!(meant("00112233").unwrap(), "0011223344");
        assert!(meant("abcdef09").unwrap().ends_with("0987"));
        assert!(meant("ffffffff").unwrap_err().to_string().contains("no snapshot ffffffff"));
        let twins = [snapshot("abcdefab11"), snapshot("abcdefab22")];
        let error = super::meant(&"abcdefab".parse().unwrap(), &twins).unwrap_err().to_string();
        assert!(error.contains("more than one"), "{error}");
    }

    #[test]
    fn where_things_go_is_in_the_users_tree() {
        let place = |path: &str, place| {
            let order = RestoreOrder { snapshot: SnapshotRef::latest(), path: path.parse().unwrap(), place };
            shown(&job(&order, &"0123456789".parse().unwrap(), 7))
        };
        assert_eq!(place("/user/a/b", Place::InPlace), "/user/a/b");
        assert_eq!(place("/user", Place::InPlace), "/user");
        assert_eq!(place("/user/user", Place::InPlace), "/user/user");
        assert_eq!(place("/user/a/b", Place::Aside), "/user/restored/01234567-7/b");
    }

    #[test]
    fn whatever_a_snapshot_claims_nothing_is_anybody_elses_afterwards() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let nobody = Account::find(Some("nobody"), "/h".into(), None).unwrap();
        let file = |name: &str, mode, owner: u32| {
            let path = dir.path().join(name);
            fs::write(&path, name).unwrap();
            lchown(&path, Some(owner), Some(owner)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        file("root", 0o4755, 0);
        lchown(dir.path().join("root"), Some(0), Some(0)).unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("d/link")).unwrap();
        fs::write(dir.path().join("own"), "").unwrap();
        lchown(dir.path().join("own"), Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
        fs::set_permissions(dir.path().join("own"), fs::Permissions::from_mode(0o4755)).unwrap();
        assert_eq!(give(dir.path(), &nobody).unwrap(), 3);
        let mode = |name: &str| fs::symlink_metadata(dir.path().join(name)).unwrap();
        assert_eq!((mode("root").uid(), mode("root").mode() & 0o7777), (nobody.uid.as_raw(), 0o755));
        assert_eq!(mode("d/link").uid(), nobody.uid.as_raw());
        assert_eq!(mode("own").mode() & 0o7777, 0o4755, "the user's own keeps its bits");
        assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0, "no link was followed");
    }
}
