//! Reads an archive to its end and holds it to its index. It needs no volume, and nothing is unpacked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::entry::{Hash, hash_map};
use super::members::Members;
use super::{INDEX, Line, Summary, named, shown};

/// What differs and is named, at most.
const MAX_NAMED: usize = 10;

/// The longest line of an index.
const MAX_LINE: u64 = 64 << 10;

/// Why an archive is not believed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It can't be read to its end: it was cut, or is damaged.
    #[error("the archive can't be read to its end")]
    Broken(#[source] io::Error),
    /// It has no index, or one without an end.
    #[error("the archive has no whole index: it is not one of `box-agent backup export`, or not whole")]
    NoIndex,
    /// What is in it is not what the index says.
    #[error("{count} entries are not as the index says: {}", .named.join("; "))]
    Differs {
        /// How many.
        count: u64,
        /// Some of them.
        named: Vec<String>,
    },
}

/// What is known of a member once it was read.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    size: u64,
    hash: Option<Hash>,
}

/// Checks an archive.
///
/// # Errors
/// [`CheckError`].
pub fn check(archive: impl Read) -> Result<Summary, CheckError> {
    let mut frame = zstd::Decoder::new(archive).map_err(CheckError::Broken)?;
    let mut seen = BTreeMap::new();
    let mut verdict = None;
    let mut members = Members::new(&mut frame);
    while let Some(member) = members.next().map_err(CheckError::Broken)? {
        if member.name == INDEX.as_bytes() {
            verdict = Some(compare(&mut seen, &mut members)?);
            continue;
        }
        let (path, base64) = shown(Path::new(OsStr::from_bytes(&member.name)));
        let known = if let Some(parts) = member.parts {
            let hash = hash(hash_map(parts), &mut members).map_err(CheckError::Broken)?;
            Seen { size: member.size, hash: Some(Hash::Parts(hash)) }
        } else if member.kind.is_file() {
            let hash = hash(Sha256::new(), &mut members).map_err(CheckError::Broken)?;
            Seen { size: member.size, hash: Some(Hash::Whole(hash)) }
        } else {
            Seen { size: 0, hash: None }
        };
        seen.insert(base64.unwrap_or(path), known);
    }
    // To the frame's end, where its checksum is.
    io::copy(members.into_rest(), &mut io::sink()).map_err(CheckError::Broken)?;
    verdict.ok_or(CheckError::NoIndex)
}

fn hash(mut hash: Sha256, reader: &mut impl Read) -> io::Result<String> {
    let mut piece = vec![0; 64 << 10];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(data_encoding::HEXLOWER.encode(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}

/// Holds what was seen to the index.
fn compare(seen: &mut BTreeMap<String, Seen>, index: impl Read) -> Result<Summary, CheckError> {
    let (mut summary, mut wrong, mut some, mut ended) = (Summary::default(), 0, Vec::new(), false);
    let mut differs = |words: String| {
        wrong += 1;
        if some.len() < MAX_NAMED {
            some.push(words);
        }
    };
    let mut reader = BufReader::new(index);
    let mut text = Vec::new();
    loop {
        text.clear();
        let count =
            reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut text).map_err(CheckError::Broken)?;
        if count == 0 {
            break;
        }
        let line: Line = serde_json::from_slice(&text).map_err(|_| CheckError::NoIndex)?;
        if line.kind == "end" {
            ended = line.files == Some(summary.files) && line.size == summary.bytes;
            continue;
        }
        if let Some(flaw) = &line.flaw {
            summary.flawed += 1;
            if summary.named.len() < MAX_NAMED {
                summary.named.push(named(&line.path, flaw));
            }
        }
        let is_out = line.flaw.as_ref().is_some_and(|flaw| flaw.starts_with("left out"));
        match seen.remove(line.path_base64.as_ref().unwrap_or(&line.path)) {
            None if is_out => {}
            None => differs(format!("{} is missing", line.path)),
            Some(found) => {
                if line.kind == "file" {
                    summary.files += 1;
                    summary.bytes += line.size;
                }
                let hash = line.sha256.map(Hash::Whole).or(line.parts_sha256.map(Hash::Parts));
                if found != (Seen { size: line.size, hash }) {
                    differs(format!("{} is another", line.path));
                }
            }
        }
    }
    for path in seen.keys() {
        differs(format!("{path} is not in the index"));
    }
    if wrong > 0 {
        return Err(CheckError::Differs { count: wrong, named: some });
    }
    if ended { Ok(summary) } else { Err(CheckError::NoIndex) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::export;
    use super::*;

    fn exported(dir: &std::path::Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        export(dir, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_whole_is_believed_and_what_was_cut_or_changed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        fs::write(dir.path().join("dir/one"), "one").unwrap();
        fs::hard_link(dir.path().join("dir/one"), dir.path().join("two")).unwrap();
        let long = "long".repeat(50);
        fs::write(dir.path().join(&long), vec![7; 300_000]).unwrap();
        let holes = fs::File::create(dir.path().join("holes")).unwrap();
        for place in 0..40 {
            std::os::unix::fs::FileExt::write_all_at(&holes, b"data", place << 20).unwrap();
        }
        holes.set_len(50 << 20).unwrap();
        // Whatever a name or an attribute is, it does not end a line.
        let odd = dir.path().join(format!("{}\n20 path=x\n", "odd".repeat(50)));
        fs::write(&odd, "odd").unwrap();
        let _ = xattr::set(&odd, "user.berth", b"one\ntwo");
        // Hours, if its holes were read.
        fs::File::create(dir.path().join("huge")).unwrap().set_len(8 << 40).unwrap();
        let whole = exported(dir.path());
        let summary = check(whole.as_slice()).unwrap();
        assert_eq!((summary.files, summary.bytes), (5, 6 + 300_000 + (50 << 20) + (8 << 40)), "{summary:?}");
        for length in [whole.len() - 1, whole.len() / 2, 10, 0] {
            assert!(check(&whole[..length]).is_err(), "cut at {length}");
        }
        // Of other archives, the checksum says nothing.
        let mut archive = Vec::new();
        zstd::Decoder::new(whole.as_slice()).unwrap().read_to_end(&mut archive).unwrap();
        let place = archive.windows(9).position(|bytes| bytes == [7; 9]).unwrap();
        archive[place] = 8;
        let changed = zstd::encode_all(archive.as_slice(), 1).unwrap();
        let error = check(changed.as_slice()).unwrap_err().to_string();
        assert!(error.contains("longlong") && error.contains("is another"), "{error}");
        let other = zstd::encode_all(&[0; 1024][..], 1).unwrap();
        assert!(matches!(check(other.as_slice()), Err(CheckError::NoIndex)));
    }
}
