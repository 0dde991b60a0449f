//! Takes away what cloud-init keeps of a machine's user-data, and ends its work: a box needs it for its first boot alone,
//! and each further boot would bring the same text again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::ProvisionError;

/// Where it keeps user-data, or parts of it.
const KEPT: [&str; 5] = [
    "var/lib/cloud/instance",
    "var/lib/cloud/instances",
    "var/lib/cloud/seed",
    "run/cloud-init/instance-data-sensitive.json",
    "run/cloud-init/combined-cloud-config.json",
];

/// The file that tells it to do nothing.
const DISABLED: &str = "etc/cloud/cloud-init.disabled";

const WHY: &str = "Berth: this machine is a box, and its user-data was used and taken away. Removing this file lets \
                   cloud-init work again at the next boot.\n";

/// Forgets user-data in the system at `root`. Its work must be over.
///
/// # Errors
/// [`ProvisionError::Left`], with what may still be there.
pub fn forget(root: &Path) -> Result<(), ProvisionError> {
    // First: even if something can't be taken away, it isn't to come again.
    let disabled = root.join(DISABLED);
    fs::write(&disabled, WHY).map_err(left(&disabled))?;
    for place in KEPT {
        erase(&root.join(place))?;
    }
    Ok(())
}

/// Overwrites and removes a file, or all files of a directory with it. What is not there is gone already.
///
/// # Errors
/// [`ProvisionError::Left`].
pub fn erase(path: &Path) -> Result<(), ProvisionError> {
    let kind = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(left(path)(source)),
        Ok(metadata) => metadata.file_type(),
    };
    if kind.is_dir() {
        for entry in fs::read_dir(path).map_err(left(path))? {
            erase(&entry.map_err(left(path))?.path())?;
        }
        return fs::remove_dir(path).map_err(left(path));
    }
    if kind.is_file() {
        overwrite(path).map_err(left(path))?;
    }
    fs::remove_file(path).map_err(left(path))
}

/// On a journalling file system the old blocks are the file's own: those are written over.
fn overwrite(path: &Path) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let zeros = [0; 4096];
    let mut rest = length;
    while rest > 0 {
        let piece = rest.min(zeros.len());
        file.write_all(&zeros[..piece])?;
        rest -= piece;
    }
    file.sync_all()
}

fn left(path: &Path) -> impl FnOnce(io::Error) -> ProvisionError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| ProvisionError::Left { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_gone_and_what_a_link_leads_to_is_not() {
        let root = tempfile::tempdir().unwrap();
        let put = |place: &str| {
            let path = root.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "hush").unwrap();
            path
        };
        let kept = put("etc/shadow");
        put("etc/cloud/cloud.cfg");
        put("var/lib/cloud/instances/1/user-data.txt");
        put("var/lib/cloud/instances/1/obj.pkl");
        let result = put("run/cloud-init/result.json");
        put("run/cloud-init/instance-data-sensitive.json");
        std::os::unix::fs::symlink("instances/1", root.path().join("var/lib/cloud/instance")).unwrap();
        std::os::unix::fs::symlink(&kept, root.path().join("var/lib/cloud/instances/1/link")).unwrap();
        // A second name shows what became of the blocks.
        let twin = root.path().join("twin");
        fs::hard_link(root.path().join("var/lib/cloud/instances/1/obj.pkl"), &twin).unwrap();

        forget(root.path()).unwrap();
        for gone in [
            "var/lib/cloud/instances",
            "var/lib/cloud/instance",
            "run/cloud-init/instance-data-sensitive.json",
        ] {
            assert!(root.path().join(gone).symlink_metadata().is_err(), "{gone}");
        }
        assert_eq!(fs::read(&twin).unwrap(), [0; 4]);
        assert_eq!((fs::read_to_string(kept).unwrap(), result.exists()), ("hush".into(), true));
        assert!(root.path().join(DISABLED).exists());
        forget(root.path()).unwrap();
    }
}
