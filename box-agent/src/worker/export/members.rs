//! Reads an archive member by member, as GNU tar does, for those that this program writes. The crate's own reader fills
//! holes with zeroes, which takes hours for a large one, and takes a line break in a name for its end.

use std::io::{self, Read};

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::entry::Part;

/// Bytes of a block: headers are one, and all else is filled up to one.
const BLOCK: usize = 512;

/// Bytes of an extended header, at most: names and attributes.
const MAX_EXTENDED: u64 = 64 << 20;

/// A member.
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) kind: EntryType,
    /// Bytes, with its holes.
    pub(super) size: u64,
    /// The parts that are stored, when it has holes.
    pub(super) parts: Option<Vec<Part>>,
}

/// The members of an archive. What is read of it is what is stored of the last one.
pub(super) struct Members<R> {
    reader: R,
    /// Bytes of the last member that are to come, and what fills up its last block.
    left: u64,
    filling: u64,
}

impl<R: Read> Members<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, left: 0, filling: 0 }
    }

    /// The next. What was not read of the last is passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        let (mut path, mut size) = (None, None);
        loop {
            self.pass_over()?;
            let mut block = [0; BLOCK];
            self.reader.read_exact(&mut block)?;
            if block == [0; BLOCK] {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            if header.cksum()? != checksum(&block) {
                return Err(invalid("the checksum of a header is wrong"));
            }
            let kind = header.entry_type();
            self.begin(header.entry_size()?);
            if kind.is_pax_local_extensions() {
                if self.left > MAX_EXTENDED {
                    return Err(invalid("an extended header is too long"));
                }
                let mut records = Vec::new();
                self.read_to_end(&mut records)?;
                for (key, value) in pax(&records)? {
                    match key {
                        b"path" => path = Some(value.to_vec()),
                        b"size" => size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                        _ => {}
                    }
                }
                continue;
            }
            if let Some(size) = size {
                self.begin(size);
            }
            let name = path.unwrap_or_else(|| header.path_bytes().into_owned());
            let mut member = Member { name, kind, size: self.left, parts: None };
            if kind.is_gnu_sparse() {
                let gnu = header.as_gnu().ok_or_else(|| invalid("holes without a map"))?;
                member.size = gnu.real_size()?;
                let mut parts = Vec::new();
                take_parts(&gnu.sparse, &mut parts)?;
                let mut is_more = gnu.is_extended();
                while is_more {
                    let mut more = GnuExtSparseHeader::new();
                    self.reader.read_exact(more.as_mut_bytes())?;
                    take_parts(&more.sparse, &mut parts)?;
                    is_more = more.is_extended();
                }
                let stored = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.length));
                if stored != Some(self.left) {
                    return Err(invalid("a map is not that of its file"));
                }
                member.parts = Some(parts);
            }
            return Ok(Some(member));
        }
    }

    /// What is behind the members.
    pub(super) fn into_rest(self) -> R {
        self.reader
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.filling = size.wrapping_neg() % BLOCK as u64;
    }

    fn pass_over(&mut self) -> io::Result<()> {
        let count = self.left.saturating_add(std::mem::take(&mut self.filling));
        self.left = 0;
        if io::copy(&mut self.reader.by_ref().take(count), &mut io::sink())? < count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.by_ref().take(self.left).read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn take_parts(places: &[GnuSparseHeader], parts: &mut Vec<Part>) -> io::Result<()> {
    for place in places.iter().filter(|place| !place.is_empty()) {
        parts.push(Part { start: place.offset()?, length: place.length()? });
    }
    Ok(())
}

/// The sum of a header's bytes, where those of the sum itself count as spaces.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let is_sum = |place: usize| (148..156).contains(&place);
    block.iter().enumerate().map(|(place, byte)| if is_sum(place) { 32 } else { u32::from(*byte) }).sum()
}

/// The records of an extended header. Each says how long it is, so there may be anything in its value.
fn pax(mut bytes: &[u8]) -> io::Result<Vec<(&[u8], &[u8])>> {
    let wrong = || invalid("an extended header can't be read");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
        let length: Option<usize> =
            std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse().ok());
        let length = length.filter(|length| *length > space + 1).ok_or_else(wrong)?;
        let record = bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
        let record = record.ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = &bytes[length..];
    }
    Ok(records)
}

fn invalid(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}
