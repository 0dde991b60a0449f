//! The few things that are read from an ext4 superblock directly, so that nothing has to be mounted to know them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where the superblock is, and how much of it is read, bytes.
const OFFSET: u64 = 1024;
const LENGTH: usize = 1024;

/// The feature that says that the journal has to be written back.
const NEEDS_RECOVERY: u32 = 0x4;

/// The feature that says that the number of blocks has an upper half.
const WIDE: u32 = 0x80;

/// What a superblock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// The size of the file system, bytes.
    pub size: u64,
    /// Whether the journal has to be written back: it was not unmounted.
    pub needs_recovery: bool,
}

/// Reads a device's superblock; nothing if there is none.
///
/// # Errors
/// When the device can't be read.
pub fn read(device: &File) -> io::Result<Option<Superblock>> {
    let mut bytes = [0; LENGTH];
    device.read_exact_at(&mut bytes, OFFSET)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8; LENGTH]) -> Option<Superblock> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(56..58)? != [0x53, 0xEF] {
        return None;
    }
    let features = word(96)?;
    let high = if features & WIDE == 0 { 0 } else { word(336)? };
    let blocks = u64::from(high) << 32 | u64::from(word(4)?);
    let block = 1024_u64.checked_shl(word(24)?).filter(|block| *block <= 64 << 10)?;
    Some(Superblock { size: blocks.checked_mul(block)?, needs_recovery: features & NEEDS_RECOVERY != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(features: u32, blocks: u32, high: u32, log_size: u32) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[56..58].copy_from_slice(&[0x53, 0xEF]);
        for (at, word) in [(4, blocks), (24, log_size), (96, features), (336, high)] {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn size_and_state_are_read() {
        let clean = parse(&superblock(0x2C0, 25_600, 0, 2)).unwrap();
        assert_eq!(clean, Superblock { size: 100 << 20, needs_recovery: false });
        assert!(parse(&superblock(0x2C4, 1, 0, 2)).unwrap().needs_recovery);
        assert_eq!(parse(&superblock(WIDE, 0, 1, 2)).unwrap().size, 4096 << 32);
        assert_eq!(parse(&superblock(0, 7, 9, 0)).unwrap().size, 7 << 10, "no upper half");
        assert_eq!(parse(&superblock(0, 1, 0, 40)), None);
        assert_eq!(parse(&[0; LENGTH]), None);
    }
}
