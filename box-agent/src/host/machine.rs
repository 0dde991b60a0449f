//! What the kernel says about the machine: boot id, load, memory, disk.

use std::io;
use std::path::Path;

/// The kernel's boot id, or "unknown" where there is none to read.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Processor time since boot, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTimes {
    busy: u64,
    total: u64,
}

impl CpuTimes {
    /// Reads the counters.
    ///
    /// # Errors
    /// When `/proc` is not there or not as expected.
    pub fn read() -> io::Result<Self> {
        parse_stat(&std::fs::read_to_string("/proc/stat")?)
            .ok_or_else(|| io::Error::other("/proc/stat is not as expected"))
    }

    /// How busy the processors were since `earlier`, 0 to 100.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more precision")]
    pub fn percent_since(self, earlier: Self) -> f32 {
        let total = self.total.saturating_sub(earlier.total);
        if total == 0 {
            return 0.0;
        }
        let busy = self.busy.saturating_sub(earlier.busy).min(total);
        (busy as f64 * 100.0 / total as f64) as f32
    }
}

fn parse_stat(text: &str) -> Option<CpuTimes> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; what follows is counted in these already.
    let ticks: Vec<u64> = line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    let total = ticks.iter().sum::<u64>();
    Some(CpuTimes { busy: total - idle, total })
}

/// Bytes in use and bytes there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// In use.
    pub used_bytes: u64,
    /// In all.
    pub total_bytes: u64,
}

/// Memory in use and in all.
///
/// # Errors
/// When `/proc` is not there or not as expected.
pub fn memory() -> io::Result<Usage> {
    parse_meminfo(&std::fs::read_to_string("/proc/meminfo")?)
        .ok_or_else(|| io::Error::other("/proc/meminfo is not as expected"))
}

fn parse_meminfo(text: &str) -> Option<Usage> {
    let kib = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let total = kib("MemTotal")?;
    let used = total.saturating_sub(kib("MemAvailable")?);
    Some(Usage { used_bytes: used * 1024, total_bytes: total * 1024 })
}

/// Space in use and in all on the file system that holds `path`.
///
/// # Errors
/// When the file system does not answer.
pub fn disk(path: &Path) -> io::Result<Usage> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let block = stat.fragment_size();
    let total = stat.blocks() * block;
    Ok(Usage { used_bytes: total - stat.blocks_free() * block, total_bytes: total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_a_difference_of_counters() {
        let earlier = parse_stat("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2\n").unwrap();
        let later = parse_stat("cpu  150 0 100 750 100 0 0 0 99 0\n").unwrap();
        assert!((later.percent_since(earlier) - 50.0).abs() < 0.01);
        assert_eq!(earlier.percent_since(earlier), 0.0);
        assert_eq!(earlier.percent_since(later), 0.0, "counters that went back count as idle");
        assert_eq!(parse_stat("intr 1\n"), None);
    }

    #[test]
    fn memory_that_can_be_had_is_not_in_use() {
        let text = "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    400 kB\n";
        assert_eq!(parse_meminfo(text).unwrap(), Usage { used_bytes: 614_400, total_bytes: 1_024_000 });
        assert_eq!(parse_meminfo("MemTotal: x kB\n"), None);
    }

    #[test]
    fn this_machine_answers() {
        assert!(CpuTimes::read().unwrap().total > 0);
        assert!(memory().unwrap().total_bytes > 0);
        let disk = disk(Path::new("/tmp")).unwrap();
        assert!(disk.total_bytes >= disk.used_bytes && disk.total_bytes > 0);
        assert!(boot_id().len() > 4);
    }
}
