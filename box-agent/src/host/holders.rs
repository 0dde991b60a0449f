//! Who uses a file system: the kernel only says that somebody does.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_protocol::suspend::Holder;

use super::mounts::{Mounts, Number, number};

/// Every process but this one that uses the file system of this device. With `unmounted`, it is not mounted in this
/// process's namespace any more, and who still has it mounted in another uses it, too: before that, their mounts may
/// well go together with this one. Blocks for as long as `/proc` takes, which hides much of other users' processes.
#[must_use]
pub fn holders(device: Number, unmounted: bool) -> Vec<Holder> {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let held = processes.flatten().filter_map(|process| {
        let name = process.file_name().into_string().ok()?;
        let pid = name.parse().ok().filter(|_| name != own)?;
        let process = process.path();
        let mounted = || Some("mount").filter(|_| unmounted && has_mounted(&process, device));
        let what = use_of(&process, device).or_else(mounted)?;
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        Some(Holder { pid, name: name.trim().to_owned(), what: what.to_owned() })
    });
    held.collect()
}

/// What the process has on the device. One that ends meanwhile has nothing.
fn use_of(process: &Path, device: Number) -> Option<&'static str> {
    let on = |path: &Path| path.metadata().is_ok_and(|meta| number(meta.dev()) == device);
    let places = [("cwd", "directory"), ("root", "root"), ("exe", "program")];
    if let Some((_, what)) = places.iter().find(|(name, _)| on(&process.join(name))) {
        return Some(what);
    }
    let mut files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    if files.any(|file| on(&file.path())) {
        return Some("file");
    }
    let maps = std::fs::read_to_string(process.join("maps")).unwrap_or_default();
    maps.lines().any(|line| mapped(line) == Some(device)).then_some("memory")
}

/// Whether the device is mounted in a namespace of the process's own, as a container has it: it keeps the mounts that
/// were there when it was made.
fn has_mounted(process: &Path, device: Number) -> bool {
    let namespace = |path: &Path| std::fs::read_link(path.join("ns/mnt")).ok();
    namespace(process) != namespace(Path::new("/proc/self"))
        && std::fs::read(process.join("mountinfo"))
            .is_ok_and(|mounts| Mounts::parse(&mounts).of(device).next().is_some())
}

/// The device that a line of `/proc/<pid>/maps` is about.
fn mapped(line: &str) -> Option<Number> {
    // 7f00-7f01 r--p 00000000 08:10 131 /path
    let (major, minor) = line.split(' ').nth(3)?.split_once(':')?;
    let part = |hex: &str| u32::from_str_radix(hex, 16).ok();
    Some(Number(part(major)?, part(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_written_in_hexadecimal() {
        assert_eq!(mapped("7f00-7f01 r--p 00000000 fe:1f 131 /x y"), Some(Number(254, 31)));
        assert_eq!(mapped("rubbish"), None);
    }

    #[test]
    fn a_process_is_found_by_its_directory_and_an_open_file() {
        let dir = tempfile::tempdir().unwrap();
        let device = number(dir.path().metadata().unwrap().dev());
        let mut child =
            std::process::Command::new("sleep").arg("1000").current_dir(dir.path()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = holders(device, false);
        child.kill().unwrap();
        child.wait().unwrap();
        let holder = found.iter().find(|holder| holder.pid == pid).expect("the child is found");
        assert_eq!((holder.name.as_str(), holder.what.as_str()), ("sleep", "directory"));
        assert!(found.iter().all(|holder| holder.pid != i32::try_from(std::process::id()).unwrap()));
    }
}
