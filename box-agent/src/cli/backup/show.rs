//! How `box-agent backup` shows what it was told. Names of files may hold anything: what could move a cursor is escaped.

use berth_daemon::exit::Exit;
use berth_protocol::backup::{
    BackupRun, BackupState, Change, Entry, EntryKind, Outcome, Reason, Running, Snapshot, Work,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::worker::export::Summary;

/// Runs of the history that are shown.
const SHOWN: usize = 10;

pub(super) fn state(state: &BackupState, as_json: bool) {
    if as_json {
        return json(state);
    }
    println!("repository     {}", state.repository.as_deref().unwrap_or("none: backups are not set up"));
    println!("last good      {}", state.last_good_ms.map_or_else(|| "never".to_owned(), time));
    println!("last verified  {}", state.last_verified_ms.map_or_else(|| "never".to_owned(), time));
    println!("next           {}", state.next_ms.map_or_else(|| "not planned".to_owned(), time));
    if let Some(now) = &state.running {
        println!("now            {}", running(now));
    }
    for alarm in &state.alarms {
        println!("ALARM          {}", plain(alarm));
    }
    for past in state.history.iter().take(SHOWN) {
        run(past, false);
    }
}

pub(super) fn running(running: &Running) -> String {
    let mut line = format!("{}: {}", work(running.work), running.phase);
    if let Some(progress) = running.progress {
        line.push_str(&format!(
            ", {} %, {} files, {}",
            progress.percent,
            progress.files,
            size(progress.bytes)
        ));
    }
    if let Some(waiting) = &running.waiting {
        line.push_str(&format!(" (waiting: {})", plain(waiting)));
    }
    line
}

pub(super) fn run(run: &BackupRun, as_json: bool) {
    if as_json {
        return json(run);
    }
    let outcome = match run.outcome {
        Some(Outcome::Good) => "good",
        Some(Outcome::Partial) => "PARTIAL",
        Some(Outcome::Failed) => "FAILED",
        Some(Outcome::Cancelled) => "cancelled",
        Some(Outcome::Lost) => "LOST: the agent ended in the middle",
        Some(Outcome::Unknown) => "unknown",
        None => "goes on",
    };
    let why = match run.reason {
        Reason::Scheduled => "scheduled",
        Reason::Suspend => "before a suspension",
        Reason::Asked => "asked for",
        Reason::Safety => "before a restore",
        Reason::Unknown => "unknown reason",
    };
    let mut line = format!("{}  {} ({why}): {outcome}", time(run.began_ms), work(run.work));
    if let Some(snapshot) = &run.snapshot {
        line.push_str(&format!(", snapshot {}", snapshot.get(..8).unwrap_or(snapshot)));
    }
    if run.files > 0 {
        line.push_str(&format!(", {} files, {}, {} new", run.files, size(run.bytes), size(run.added_bytes)));
    }
    println!("{line}");
    if let Some(place) = &run.place {
        println!("    it is in {}", plain(place));
    }
    if let Some(problem) = &run.problem {
        println!("    {}: {}", problem.kind, plain(&problem.message));
    }
    for warning in &run.warnings {
        println!("    {}", plain(warning));
    }
}

pub(super) fn archive(summary: &Summary, as_json: bool) {
    if as_json {
        return json(summary);
    }
    println!("{} files, {}", summary.files, size(summary.bytes));
    for flaw in &summary.named {
        println!("    {}", plain(flaw));
    }
    let more = summary.flawed.saturating_sub(summary.named.len() as u64);
    if more > 0 {
        println!("    and {more} more, which the index names");
    }
}

pub(super) fn snapshots(snapshots: &[Snapshot], as_json: bool) -> Exit {
    if as_json {
        json(&snapshots);
    } else {
        for snapshot in snapshots {
            let id = snapshot.id.get(..8).unwrap_or(&snapshot.id);
            println!("{id}  {}  {} files, {}", time(snapshot.time_ms), snapshot.files, size(snapshot.bytes));
        }
    }
    Exit::Success
}

pub(super) fn entries(entries: &[Entry], as_json: bool) -> Exit {
    if as_json {
        json(&entries);
    } else {
        for entry in entries {
            let kind = match entry.kind {
                EntryKind::Directory => 'd',
                EntryKind::Link => 'l',
                EntryKind::File => '-',
                EntryKind::Other | EntryKind::Unknown => '?',
            };
            let name = plain(entry.path.as_str());
            println!("{kind} {:04o} {:>12} {}  {name}", entry.mode, entry.size, time(entry.changed_ms));
        }
    }
    Exit::Success
}

pub(super) fn changes(changes: &[Change], as_json: bool) -> Exit {
    if as_json {
        json(&changes);
    } else {
        for change in changes {
            println!("{:<2} {}", plain(&change.how), plain(change.path.as_str()));
        }
    }
    Exit::Success
}

fn json(value: &impl Serialize) {
    // Plain data: it always serialises.
    println!("{}", serde_json::to_string(value).unwrap_or_default());
}

fn work(work: Work) -> &'static str {
    match work {
        Work::Backup => "backup",
        Work::Restore => "restore",
        Work::Drill => "check",
        Work::Export => "export",
        Work::Unknown => "run",
    }
}

fn time(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or_default();
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_move_no_cursor_and_sizes_are_read_at_a_glance() {
        assert_eq!(plain("a\u{1b}[2Jb\nü"), "a\\u{1b}[2Jb\\nü");
        assert_eq!([size(0), size(1023), size(1536), size(5 << 30)], ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }
}
