//! Whether a device is provably blank: not only without a signature, but without any byte that says something.
//!
//! That blkid knows nothing is no proof: it does not know encrypted data without a header, nor a file system whose
//! first blocks were overwritten. So both ends are read, and places all over the device, those of ext4's copies of
//! its superblock among them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of each end is read, bytes.
const END: u64 = 1 << 20;

/// Places between the ends, and how much of each is read, bytes.
const PLACES: u64 = 256;
const PLACE: u64 = 16 << 10;

/// The first group of blocks with a copy of the superblock, for ext4's block sizes of 1, 2 and 4 KiB, bytes from the
/// device's start. The others are in groups 3, 5 and 7 and their powers.
const COPIES: [u64; 3] = [8193 << 10, 16384 << 11, 32768 << 12];

/// What is to be read of a device of this size: where, and how much. Ordered, without overlap being avoided.
#[must_use]
pub fn spots(size: u64) -> Vec<(u64, u64)> {
    let mut spots = vec![(0, END), (size.saturating_sub(END), END)];
    let step = size / (PLACES + 1);
    spots.extend((1..=PLACES).map(|place| (place * step, PLACE)));
    spots.extend(COPIES.iter().flat_map(|first| [1, 3, 5, 7, 9].map(|group| (first * group, PLACE))));
    spots.retain(|(offset, _)| *offset < size);
    for (offset, length) in &mut spots {
        *length = (*length).min(size - *offset);
    }
    spots.sort_unstable();
    spots
}

/// Whether nothing but zeros is found. A device without any size is not blank: it is not there.
///
/// # Errors
/// When it can't be read.
pub fn is_blank(device: &File, size: u64) -> io::Result<bool> {
    let mut buffer = vec![0; usize::try_from(END).unwrap_or(usize::MAX)];
    for (offset, length) in spots(size) {
        let piece = &mut buffer[..usize::try_from(length).unwrap_or(0)];
        device.read_exact_at(piece, offset)?;
        if piece.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_and_the_copies_of_a_superblock_are_looked_at() {
        let size = 10 << 30;
        let spots = spots(size);
        assert!(spots.contains(&(0, END)) && spots.contains(&(size - END, END)));
        assert!(spots.contains(&(32768 * 4096, PLACE)), "the first copy of a usual ext4");
        assert!(spots.iter().all(|(offset, length)| offset + length <= size && *length > 0));
        for gap in spots.windows(2) {
            assert!(gap[1].0 - gap[0].0 <= size / PLACES, "{gap:?}");
        }
        assert!(super::spots(0).is_empty());
    }

    #[test]
    fn one_byte_anywhere_that_is_looked_at_is_enough() {
        let size = 64 << 20;
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        assert!(is_blank(&file, size).unwrap());
        for offset in [0, 1080, END - 1, 8193 << 10, size / 2 + 4096, size - 1] {
            file.write_all_at(b"x", offset).unwrap();
            let looked_at = spots(size).iter().any(|(from, length)| (*from..from + length).contains(&offset));
            assert_eq!(is_blank(&file, size).unwrap(), !looked_at, "{offset}");
            file.write_all_at(b"\0", offset).unwrap();
        }
        assert!(is_blank(&file, size + 1).is_err(), "a device that ends too early can't be read");
        assert!(!is_blank(&file, 0).unwrap());
    }
}
