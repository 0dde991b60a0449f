//! A tree with everything in it that a backup may spoil, and a comparison that misses none of it.

#![expect(clippy::disallowed_methods, reason = "a tree with everything in it takes programs to make")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Plants it at `root`.
pub fn plant(root: &Path) {
    fs::create_dir_all(root.join("dir/deeper/deepest")).unwrap();
    fs::create_dir(root.join("empty dir")).unwrap();
    let odd = [
        "a file",
        "-rf",
        "--help",
        "ünïcödé 🦀",
        "new\nline",
        "tab\there",
        "[glob]*?",
        "back\\slash",
        "$HOME",
        "'\"",
        " ",
    ];
    for name in odd {
        fs::write(root.join("dir").join(name), name).unwrap();
    }
    fs::write(root.join("dir").join(OsString::from_vec(b"not \xff\xfe text".to_vec())), "bytes").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("large"), noise(5 << 20)).unwrap();
    // A hole of 8 MiB with something on both sides.
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"head", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"tail", 8 << 20).unwrap();
    fs::write(root.join("first name"), "one file, three names").unwrap();
    fs::hard_link(root.join("first name"), root.join("second name")).unwrap();
    fs::hard_link(root.join("first name"), root.join("dir/third name")).unwrap();
    symlink("dir/a file", root.join("link")).unwrap();
    symlink("/nowhere/at all", root.join("dangling")).unwrap();
    symlink("..", root.join("dir/up")).unwrap();
    for (name, mode) in
        [("script", 0o755), ("secret", 0o600), ("nobody's", 0o000), ("setuid", 0o4755), ("setgid", 0o2755)]
    {
        let path = root.join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(root.join("dir/deeper"), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
    attribute(&root.join("script"), "user.berth", "an attribute");
    let old =
        Command::new("touch").args(["-h", "-d", "2001-02-03 04:05:06.789"]).arg(root.join("script")).status();
    assert!(old.unwrap().success());
}

/// Bytes that don't compress.
pub fn noise(count: usize) -> Vec<u8> {
    noise_of(7, count)
}

/// The same, others for each seed.
pub fn noise_of(seed: u64, count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; count];
    random.fill(&mut bytes);
    bytes
}

/// Sets an extended attribute; Python is what every machine of tests has.
fn attribute(path: &Path, name: &str, value: &str) {
    let script = "import os,sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())";
    let status = Command::new("python3").args(["-c", script]).arg(path).args([name, value]).status();
    assert!(status.unwrap().success(), "this file system has no attributes");
}

fn attributes(path: &Path) -> String {
    let script = "import os,sys; p=sys.argv[1]; \
        print({n: os.getxattr(p, n, follow_symlinks=False) for n in sorted(os.listxattr(p, follow_symlinks=False))})";
    let output = Command::new("python3").args(["-c", script]).arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What is known of one entry. Blocks stand for holes.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    kind: char,
    mode: u32,
    owner: (u32, u32),
    changed: (i64, i64),
    content: Option<Vec<u8>>,
    target: Option<PathBuf>,
    sparse: bool,
}

/// Entries by their names, and names that are one file.
type Tree = (BTreeMap<Vec<u8>, Known>, BTreeSet<Vec<Vec<u8>>>);

fn known(root: &Path) -> Tree {
    let mut all = BTreeMap::new();
    let mut names: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(root.join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            let meta = fs::symlink_metadata(root.join(&path)).unwrap();
            let kind = meta.file_type();
            let letter = if kind.is_dir() {
                'd'
            } else if kind.is_symlink() {
                'l'
            } else if kind.is_file() {
                'f'
            } else {
                'o'
            };
            if kind.is_dir() {
                todo.push(path.clone());
            }
            let bytes = path.as_os_str().as_bytes().to_vec();
            if meta.nlink() > 1 && kind.is_file() {
                names.entry(meta.ino()).or_default().push(bytes.clone());
            }
            let known = Known {
                kind: letter,
                mode: meta.mode() & 0o7777,
                owner: (meta.uid(), meta.gid()),
                changed: (meta.mtime(), meta.mtime_nsec()),
                content: kind.is_file().then(|| fs::read(root.join(&path)).unwrap()),
                target: kind.is_symlink().then(|| fs::read_link(root.join(&path)).unwrap()),
                sparse: kind.is_file() && meta.blocks() * 512 + 65536 < meta.len(),
            };
            all.insert(bytes, known);
        }
    }
    let twins = names.into_values().map(|mut names| {
        names.sort();
        names
    });
    (all, twins.collect())
}

/// Fails unless both trees are the same in all that is known of them.
pub fn assert_same(expected: &Path, found: &Path) {
    let ((expected_all, expected_twins), (found_all, found_twins)) = (known(expected), known(found));
    assert!(!expected_all.is_empty());
    for (name, entry) in &expected_all {
        let shown = String::from_utf8_lossy(name);
        let other =
            found_all.get(name).unwrap_or_else(|| panic!("{shown:?} is missing in {}", found.display()));
        let short = |known: &Known| {
            let size = known.content.as_ref().map(Vec::len);
            format!(
                "{} {:o} {:?} {:?} {size:?} {:?} sparse: {}",
                known.kind, known.mode, known.owner, known.changed, known.target, known.sparse
            )
        };
        assert!(entry == other, "{shown:?} was {} and is {}", short(entry), short(other));
    }
    assert_eq!(expected_all.len(), found_all.len(), "there is more than there was");
    assert_eq!(expected_twins, found_twins, "hard links");
    let script = Path::new("script");
    if expected.join(script).exists() {
        assert_eq!(attributes(&expected.join(script)), attributes(&found.join(script)));
        assert!(attributes(&expected.join(script)).contains("an attribute"));
    }
}
