//! One entry of an archive. Headers are those of GNU tar; what does not fit there (long names, parts of seconds,
//! attributes) is in a PAX extended header before them, and a file with holes is one of GNU's sparse files.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Whence, lseek};
use sha2::{Digest, Sha256};
use tar::{EntryType, GnuExtSparseHeader, Header};

/// Bytes of a name that a header takes.
const NAME_ROOM: usize = 100;

/// Bytes of a block of an archive.
const BLOCK: u64 = 512;

/// Attributes that give rights, or that only root may set: they are not the user's to take along.
const NOT_TAKEN: [&str; 2] = ["security.", "trusted."];

/// An entry: its extended header and its header.
pub(super) struct Entry {
    records: Vec<(String, Vec<u8>)>,
    header: Header,
}

impl Entry {
    /// A directory, a symbolic link or a pipe.
    pub(super) fn plain(path: &Path, name: &Path, meta: &Metadata) -> io::Result<Self> {
        let kind = meta.file_type();
        let mut entry = Self::of(name, meta);
        if kind.is_symlink() {
            let target = fs::read_link(path)?;
            entry.header.set_entry_type(EntryType::Symlink);
            entry.leads_to(&target);
        } else if kind.is_dir() {
            entry.header.set_entry_type(EntryType::Directory);
        } else {
            entry.header.set_entry_type(EntryType::Fifo);
        }
        entry.take_attributes(path);
        Ok(entry)
    }

    /// Another name of a file that is in the archive as `first`.
    pub(super) fn hard_link(name: &Path, first: &Path, meta: &Metadata) -> Self {
        let mut entry = Self::of(name, meta);
        entry.header.set_entry_type(EntryType::Link);
        entry.leads_to(first);
        entry
    }

    /// A file, and its bytes.
    pub(super) fn file<'a>(
        path: &Path,
        name: &Path,
        file: &'a File,
        meta: &Metadata,
    ) -> io::Result<(Self, Content<'a>)> {
        let mut entry = Self::of(name, meta);
        entry.take_attributes(path);
        let parts = parts(file, meta)?;
        let mut map = Vec::new();
        let stored = match &parts {
            Some(parts) => entry.with_holes(parts, meta.len(), &mut map),
            None => {
                entry.header.set_entry_type(EntryType::Regular);
                meta.len()
            }
        };
        entry.header.set_size(stored);
        Ok((entry, Content::new(file, map, parts, meta.len())))
    }

    /// The index.
    pub(super) fn index(name: &Path, length: u64) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(length);
        let mut entry = Self { records: Vec::new(), header };
        entry.is_called(name);
        entry
    }

    fn of(name: &Path, meta: &Metadata) -> Self {
        let mut header = Header::new_gnu();
        header.set_mode(meta.mode() & 0o7777);
        header.set_uid(meta.uid().into());
        header.set_gid(meta.gid().into());
        header.set_mtime(u64::try_from(meta.mtime()).unwrap_or_default());
        header.set_size(0);
        let mut entry = Self { records: Vec::new(), header };
        entry.is_called(name);
        if meta.mtime() < 0 || meta.mtime_nsec() != 0 {
            let time = decimal(meta.mtime(), meta.mtime_nsec());
            entry.records.push(("mtime".into(), time.into_bytes()));
        }
        entry
    }

    fn is_called(&mut self, name: &Path) {
        let name = name.as_os_str().as_bytes();
        if name.len() > NAME_ROOM {
            self.records.push(("path".into(), name.to_vec()));
        }
        put(&mut self.header.as_old_mut().name, name);
    }

    fn leads_to(&mut self, target: &Path) {
        let target = target.as_os_str().as_bytes();
        if target.len() > NAME_ROOM {
            self.records.push(("linkpath".into(), target.to_vec()));
        }
        put(&mut self.header.as_old_mut().linkname, target);
    }

    /// As GNU tar notes them. What can't be read is not there.
    fn take_attributes(&mut self, path: &Path) {
        for name in xattr::list(path).into_iter().flatten() {
            let Some(name) = name.to_str().filter(|name| !NOT_TAKEN.iter().any(|no| name.starts_with(no)))
            else {
                continue;
            };
            if let Ok(Some(value)) = xattr::get(path, name) {
                let name = name.replace('%', "%25").replace('=', "%3D");
                self.records.push((format!("SCHILY.xattr.{name}"), value));
            }
        }
    }

    /// Makes this a sparse file. What does not fit into its header goes to `map`. Returns the bytes that are stored.
    fn with_holes(&mut self, parts: &[Part], length: u64, map: &mut Vec<u8>) -> u64 {
        self.header.set_entry_type(EntryType::GNUSparse);
        let mut listed = listed(parts, length).peekable();
        if let Some(gnu) = self.header.as_gnu_mut() {
            gnu.set_real_size(length);
            for (place, part) in gnu.sparse.iter_mut().zip(listed.by_ref().take(4)) {
                place.set_offset(part.start);
                place.set_length(part.length);
            }
            gnu.set_is_extended(listed.peek().is_some());
        }
        while listed.peek().is_some() {
            let mut more = GnuExtSparseHeader::new();
            for place in &mut more.sparse {
                let Some(part) = listed.next() else { break };
                place.set_offset(part.start);
                place.set_length(part.length);
            }
            more.set_is_extended(listed.peek().is_some());
            map.extend_from_slice(more.as_bytes());
        }
        parts.iter().map(|part| part.length).sum()
    }

    /// Writes it, with its bytes.
    pub(super) fn append(
        mut self,
        archive: &mut tar::Builder<impl Write>,
        content: impl Read,
    ) -> io::Result<()> {
        let records = self.records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        archive.append_pax_extensions(records)?;
        self.header.set_cksum();
        archive.append(&self.header, content)
    }
}

/// As much of a name as there is room for; the rest is zero.
fn put(field: &mut [u8; NAME_ROOM], name: &[u8]) {
    let length = name.len().min(NAME_ROOM);
    field[..length].copy_from_slice(&name[..length]);
}

/// A time since 1970, as PAX has it.
fn decimal(seconds: i64, nanos: i64) -> String {
    match (seconds < 0, nanos) {
        (_, 0) => seconds.to_string(),
        (false, nanos) => format!("{seconds}.{nanos:09}"),
        // The parts of a second count forwards.
        (true, nanos) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos),
    }
}

/// Opens a file to read it: never what a link leads to, never waiting for a pipe's other end.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::Error::other("it is no file any more")) }
}

/// A part of a file that is no hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Parts as an archive lists them: the last says where the file ends.
fn listed(parts: &[Part], length: u64) -> impl Iterator<Item = Part> {
    parts.iter().copied().chain([Part { start: length, length: 0 }])
}

/// The beginning of the hash of a file with holes: where each part begins and how long it is, eight bytes each, the
/// highest first. Holes themselves are in no hash: terabytes of them cost nothing.
pub(super) fn hash_map(listed: impl IntoIterator<Item = Part>) -> Sha256 {
    let mut hash = Sha256::new();
    for part in listed {
        hash.update(part.start.to_be_bytes());
        hash.update(part.length.to_be_bytes());
    }
    hash
}

/// The parts of a file that has holes; nothing when it has none.
fn parts(file: &File, meta: &Metadata) -> io::Result<Option<Vec<Part>>> {
    if meta.blocks().saturating_mul(512) >= meta.len() {
        return Ok(None);
    }
    let seek = |from: u64, whence| match lseek(file, i64::try_from(from).unwrap_or(i64::MAX), whence) {
        Ok(place) => Ok(Some(u64::try_from(place).unwrap_or_default().min(meta.len()))),
        // Nothing comes any more.
        Err(Errno::ENXIO) => Ok(None),
        Err(error) => Err(io::Error::from(error)),
    };
    let mut parts = Vec::new();
    let mut place = 0;
    while let Some(start) = seek(place, Whence::SeekData)?.filter(|start| *start < meta.len()) {
        let end = seek(start, Whence::SeekHole)?.unwrap_or(meta.len());
        if end <= start {
            break;
        }
        add_part(&mut parts, start, end, meta.len());
        place = end;
    }
    let full = [Part { start: 0, length: meta.len() }];
    Ok((parts != full).then_some(parts))
}

/// Adds a part by whole blocks, since GNU tar fills each part up to one; with the last one, if they touch then.
fn add_part(parts: &mut Vec<Part>, start: u64, end: u64, length: u64) {
    let start = start - start % BLOCK;
    let end = end.checked_next_multiple_of(BLOCK).unwrap_or(end).min(length);
    match parts.last_mut().filter(|last| last.start + last.length >= start) {
        Some(last) => last.length = end - last.start,
        None => parts.push(Part { start, length: end - start }),
    }
}

/// What is stored of a file: the rest of the map of its parts, then those. Exactly as many bytes as the header says,
/// whatever the file does meanwhile.
pub(super) struct Content<'a> {
    file: &'a File,
    map: io::Cursor<Vec<u8>>,
    parts: std::vec::IntoIter<Part>,
    now: Option<Part>,
    has_holes: bool,
    hash: Sha256,
    problem: Option<String>,
}

/// The hash of what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hash {
    /// Of a whole file.
    Whole(String),
    /// Of the map of a file with holes, and of its parts.
    Parts(String),
}

impl<'a> Content<'a> {
    fn new(file: &'a File, map: Vec<u8>, parts: Option<Vec<Part>>, length: u64) -> Self {
        let hash = parts.as_ref().map(|parts| hash_map(listed(parts, length)));
        let (map, has_holes) = (io::Cursor::new(map), hash.is_some());
        let parts = parts.unwrap_or_else(|| vec![Part { start: 0, length }]).into_iter();
        Self { file, map, parts, now: None, has_holes, hash: hash.unwrap_or_default(), problem: None }
    }

    /// The hash of all, and what went wrong.
    pub(super) fn finish(self) -> (Hash, Option<String>) {
        let hash = data_encoding::HEXLOWER.encode(&self.hash.finalize());
        (if self.has_holes { Hash::Parts(hash) } else { Hash::Whole(hash) }, self.problem)
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let of_map = self.map.read(buffer)?;
        if of_map > 0 || buffer.is_empty() {
            return Ok(of_map);
        }
        let part = loop {
            match self.now.take().filter(|part| part.length > 0) {
                Some(part) => break part,
                None => match self.parts.next() {
                    None => return Ok(0),
                    Some(next) => {
                        if self.problem.is_none() {
                            self.file.seek(SeekFrom::Start(next.start))?;
                        }
                        self.now = Some(next);
                    }
                },
            }
        };
        let room = usize::try_from(part.length).unwrap_or(usize::MAX).min(buffer.len());
        let room = &mut buffer[..room];
        let count = match self.problem {
            Some(_) => 0,
            None => match self.file.read(room) {
                Ok(0) => {
                    self.problem =
                        Some("it became shorter while it was read; zeroes stand for the rest".into());
                    0
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.now = Some(part);
                    return Err(error);
                }
                Err(error) => {
                    self.problem =
                        Some(format!("it can't be read to its end ({error}); zeroes stand for the rest"));
                    0
                }
                Ok(count) => count,
            },
        };
        let count = if count == 0 {
            room.fill(0);
            room.len()
        } else {
            count
        };
        self.hash.update(&room[..count]);
        self.now = Some(Part { start: part.start + count as u64, length: part.length - count as u64 });
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_whole_blocks_and_do_not_touch() {
        let mut parts = Vec::new();
        for (start, end) in [(100, 200), (600, 1030), (4096, 4100), (9000, 9001)] {
            add_part(&mut parts, start, end, 9001);
        }
        let parts: Vec<_> = parts.iter().map(|part| (part.start, part.length)).collect();
        assert_eq!(parts, [(0, 1536), (4096, 512), (8704, 297)]);
    }

    #[test]
    fn times_before_1970_count_backwards_from_there() {
        assert_eq!(decimal(5, 0), "5");
        assert_eq!(decimal(5, 7), "5.000000007");
        assert_eq!(decimal(-1, 500_000_000), "-0.500000000");
        assert_eq!(decimal(-2, 750_000_000), "-1.250000000");
    }
}
