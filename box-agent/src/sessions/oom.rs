//! What the kernel ended because memory ran out, read from its log: which process, and of which session.
//!
//! Two lines belong to each: one with the cgroup of the process, then one that says that it was ended.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use berth_protocol::event::OutOfMemory;
use berth_protocol::ids::SessionId;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::scopes::plan::session_of;

/// The kernel's log. Each read gives one record.
pub const KERNEL_LOG: &str = "/dev/kmsg";

/// Records of one look: a kernel that says more has other troubles.
const MAX_RECORDS: usize = 1000;

/// The longest record, and more.
const RECORD_BYTES: usize = 8 * 1024;

/// Reads the log from now on.
pub struct KernelLog {
    log: File,
    /// What has no line break yet.
    rest: String,
    reader: Reader,
}

impl KernelLog {
    /// Opens it at its end: what happened before was another agent's to report.
    ///
    /// # Errors
    /// When it is not there, or not for this user.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut log = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        log.seek(SeekFrom::End(0))?;
        Ok(Self { log, rest: String::new(), reader: Reader::default() })
    }

    /// What was ended since the last look.
    ///
    /// # Errors
    /// When the log can't be read any more.
    pub fn look(&mut self) -> io::Result<Vec<OutOfMemory>> {
        let mut buffer = vec![0; RECORD_BYTES];
        for _ in 0..MAX_RECORDS {
            match self.log.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => self.rest.push_str(&String::from_utf8_lossy(&buffer[..read])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Records that were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => {}
                Err(error) => return Err(error),
            }
        }
        let Some((whole, rest)) = self.rest.rsplit_once('\n') else { return Ok(Vec::new()) };
        let kills = whole.lines().filter_map(|line| self.reader.line(line)).collect();
        self.rest = rest.to_owned();
        Ok(kills)
    }
}

/// Puts the two lines together.
#[derive(Debug, Default)]
struct Reader {
    /// The process of the last first line, and its session.
    chosen: Option<(u32, Option<SessionId>)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<OutOfMemory> {
        // A record begins with numbers and a semicolon.
        let text = line.split_once(';').map_or(line, |(_, text)| text);
        if let Some(fields) = text.strip_prefix("oom-kill:") {
            self.chosen = chosen(fields);
            return None;
        }
        let (pid, process) = ended(text)?;
        let session =
            self.chosen.take().filter(|(chosen, _)| *chosen == pid).and_then(|(_, session)| session);
        Some(OutOfMemory { session, process, pid })
    }
}

/// `constraint=…,task_memcg=/a.slice/b.scope,task=name,pid=7,uid=1000`. The name may hold commas.
fn chosen(fields: &str) -> Option<(u32, Option<SessionId>)> {
    let (_, pid) = fields.rsplit_once(",pid=")?;
    let pid = pid.split(',').next()?.trim().parse().ok()?;
    let group = fields.split_once(",task_memcg=").and_then(|(_, rest)| rest.split(',').next());
    Some((pid, group.and_then(|group| group.split('/').find_map(session_of))))
}

/// `Memory cgroup out of memory: Killed process 7 (name) total-vm:…`. The name may hold parentheses.
fn ended(text: &str) -> Option<(u32, String)> {
    let (cause, rest) = text.split_once("Killed process ")?;
    if !cause.to_ascii_lowercase().contains("out of memory") {
        return None;
    }
    let (pid, rest) = rest.split_once(" (")?;
    let end = rest.find(") total-vm").or_else(|| rest.find("), ")).or_else(|| rest.rfind(')'))?;
    let name: String = rest[..end].chars().filter(|c| !c.is_control()).take(32).collect();
    Some((pid.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SCOPE: &str = "berth-session-ses-aaaaaaaaaaaaaaaaaaaaaaaaaa.scope";

    fn first(task: &str, pid: u32) -> String {
        format!(
            "6,1201,88231547,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
             oom_memcg=/berth.slice/berth-user.slice,task_memcg=/berth.slice/berth-user.slice/{SCOPE},\
             task={task},pid={pid},uid=1000\n"
        )
    }

    fn second(name: &str, pid: u32) -> String {
        format!(
            "3,1202,88231560,-;Memory cgroup out of memory: Killed process {pid} ({name}) total-vm:1068400kB, \
             anon-rss:511112kB, file-rss:3840kB, shmem-rss:0kB, UID:1000 pgtables:1104kB oom_score_adj:0\n"
        )
    }

    fn read(text: &str) -> Vec<OutOfMemory> {
        let mut reader = Reader::default();
        text.lines().filter_map(|line| reader.line(line)).collect()
    }

    fn kill(session: Option<&str>, process: &str, pid: u32) -> OutOfMemory {
        let session = session.map(|session| session_of(session).unwrap());
        OutOfMemory { session, process: process.into(), pid }
    }

    #[test]
    fn a_process_is_told_with_its_session() {
        let text = format!(
            "4,1200,88231500,-;node invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n\
             {}{} SUBSYSTEM=x\n",
            first("node", 4321),
            second("node", 4321)
        );
        assert_eq!(read(&text), [kill(Some(SCOPE), "node", 4321)]);
    }

    /// What Linux 6.12 wrote, when the slice had reached its limit and when the machine had nothing left.
    #[test]
    fn a_real_kernels_words_are_understood() {
        let scope = "berth-session-ses-z5pcpwnxebq6qi2gpp5easix7q.scope";
        let limit = "6,901,131759814,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=box-tmux.service,\
             mems_allowed=0,oom_memcg=/berth.slice/berth-user.slice,task_memcg=/berth.slice/berth-user.slice/\
             berth-session-ses-z5pcpwnxebq6qi2gpp5easix7q.scope,task=tail,pid=557,uid=1000\n\
             3,902,131761394,-;Memory cgroup out of memory: Killed process 557 (tail) total-vm:1850332kB, \
             anon-rss:1847296kB, file-rss:1228kB, shmem-rss:0kB, UID:1000 pgtables:3660kB oom_score_adj:0\n";
        assert_eq!(read(limit), [kill(Some(scope), "tail", 557)]);
        let machine = "6,903,113966184,-;[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes \
             swapents oom_score_adj name\n\
             6,904,113981179,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=init.scope,mems_allowed=0,\
             global_oom,task_memcg=/berth.slice/berth-user.slice/berth-session-ses-z5pcpwnxebq6qi2gpp5easix7q.scope,\
             task=tail,pid=551,uid=1000\n\
             3,905,113982434,-;Out of memory: Killed process 551 (tail) total-vm:623100kB, anon-rss:620032kB, \
             file-rss:308kB, shmem-rss:0kB, UID:1000 pgtables:1256kB oom_score_adj:0\n";
        assert_eq!(read(machine), [kill(Some(scope), "tail", 551)]);
    }

    #[test]
    fn one_outside_of_every_session_is_told_without() {
        let text = "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,\
                    task_memcg=/system.slice/box-tmux.service,task=tmux: server,pid=77,uid=1000\n\
                    3,2,3,-;Out of memory: Killed process 77 (tmux: server) total-vm:1kB, anon-rss:1kB\n";
        assert_eq!(read(text), [kill(None, "tmux: server", 77)]);
        // Two that were told apart, and a first line that was lost.
        let mixed = format!("{}{}", first("node", 1), second("other", 2));
        assert_eq!(read(&mixed), [kill(None, "other", 2)]);
    }

    #[test]
    fn a_name_can_not_pass_for_something_else() {
        for name in ["a,pid=1,uid=0", "x) total-v (y", "a(b)c", ",task_memcg=/q"] {
            let text = format!("{}{}", first(name, 4321), second(name, 4321));
            assert_eq!(read(&text), [kill(Some(SCOPE), name, 4321)], "{name}");
        }
    }

    #[test]
    fn other_lines_say_nothing() {
        for text in [
            "",
            "6,1,2,-;usb 1-1: new device",
            "Killed process 7 (x) by hand",
            "oom-kill:",
            "3,2,3,-;Out of memory: Killed process x (y) total-vm:1kB",
            "3,2,3,-;Out of memory: Killed process 7",
        ] {
            assert_eq!(read(text), [], "{text}");
        }
    }

    #[test]
    fn a_log_is_read_from_its_end_and_in_pieces() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{}{}", first("old", 1), second("old", 1)).unwrap();
        let mut log = KernelLog::open(file.path()).unwrap();
        assert_eq!(log.look().unwrap(), []);
        let line = second("node", 7);
        let (begin, end) = line.split_at(30);
        write!(file, "{}{begin}", first("node", 7)).unwrap();
        assert_eq!(log.look().unwrap(), []);
        write!(file, "{end}").unwrap();
        assert_eq!(log.look().unwrap(), [kill(Some(SCOPE), "node", 7)]);
        assert!(KernelLog::open(Path::new("/nowhere/kmsg")).is_err());
    }
}
