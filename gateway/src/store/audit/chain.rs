//! The chain of the audit record: what an entry's hash covers, and how a break is found.
//!
//! It is no signature: who can write to the store can write a whole new chain. That shows against a head that was kept
//! elsewhere, such as in the gateway's log (`gateway audit verify --head`).

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Which fields the hash covers, in which order. Another shape gets another word.
const SHAPE: &str = "berth-audit-1";

/// An entry as it is stored, which is what its hash covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RawEntry {
    /// Its place in the record.
    pub seq: u64,
    /// When it was written.
    pub at_ms: i64,
    /// Where.
    pub workspace: Option<String>,
    /// By whom.
    pub user: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// From where.
    pub source: String,
    /// What.
    pub action: String,
    /// With which outcome.
    pub outcome: String,
    /// More of it, JSON.
    pub detail: String,
}

/// The newest entry that somebody knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its place; 0 when there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// A text that is no head.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a head of the audit record: copy SEQ:HASH as `gateway audit verify` or the gateway's log told it"
)]
pub struct InvalidHead;

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (seq, hash) = text.split_once(':').ok_or(InvalidHead)?;
        let seq = seq.parse().map_err(|_| InvalidHead)?;
        let sound = HEXLOWER.decode(hash.as_bytes()).is_ok_and(|bytes| bytes.len() == 32);
        if sound { Ok(Self { seq, hash: hash.to_owned() }) } else { Err(InvalidHead) }
    }
}

/// Where the record is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Entries are not there any more.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// An entry is not what was written at its place.
    #[error("entry {0} is not what was written there: it was changed, moved, or stands in another's place")]
    Changed(u64),
    /// An entry is whole, and not the one that somebody knows.
    #[error("entry {0} has another hash than the head that was kept: the record was written anew")]
    OtherHead(u64),
}

/// The hash of an entry behind another.
pub(super) fn link(before: &str, entry: &RawEntry) -> String {
    // JSON tells every field's end, so no two entries are the same text. Plain data always serialises.
    let text = serde_json::to_vec(&(SHAPE, before, entry)).unwrap_or_default();
    HEXLOWER.encode(&Sha256::digest(&text))
}

/// Follows the record from its first entry on.
#[derive(Debug)]
pub(super) struct Follower {
    last: Head,
    known: Option<Head>,
}

impl Follower {
    /// Begins before the first entry. `known`: an entry's hash that somebody has kept.
    pub(super) fn new(known: Option<Head>) -> Self {
        Self { last: Head { seq: 0, hash: String::new() }, known }
    }

    /// Up to where the record is whole.
    pub(super) fn last(&self) -> &Head {
        &self.last
    }

    /// The next entry that was found, with its stored hash.
    pub(super) fn follow(&mut self, entry: &RawEntry, stored: String) -> Result<(), Broken> {
        let expected = self.last.seq + 1;
        if entry.seq > expected {
            return Err(Broken::Missing { from: expected, to: entry.seq - 1 });
        }
        if link(&self.last.hash, entry) != stored {
            return Err(Broken::Changed(entry.seq));
        }
        if self.known.as_ref().is_some_and(|known| known.seq == entry.seq && known.hash != stored) {
            return Err(Broken::OtherHead(entry.seq));
        }
        self.last = Head { seq: entry.seq, hash: stored };
        Ok(())
    }

    /// The end, which must be where the store, and whoever has kept a head, says that it is.
    pub(super) fn end(self, stored: &Head) -> Result<Head, Broken> {
        let known = self.known.map_or(0, |known| known.seq);
        let last = self.last;
        let end = stored.seq.max(known);
        if end > last.seq {
            return Err(Broken::Missing { from: last.seq + 1, to: end });
        }
        if stored != &last {
            return Err(Broken::Changed(last.seq));
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> RawEntry {
        RawEntry {
            seq,
            at_ms: 1_700_000_000_000,
            workspace: seq.is_multiple_of(2).then(|| "ws-a".to_owned()),
            user: Some("usr-a".to_owned()),
            request_id: None,
            source: "203.0.113.7".to_owned(),
            action: format!("action-{seq}"),
            outcome: "done".to_owned(),
            detail: "{}".to_owned(),
        }
    }

    fn chain(count: u64) -> Vec<(RawEntry, String)> {
        let mut hash = String::new();
        (1..=count)
            .map(|seq| {
                let entry = entry(seq);
                hash = link(&hash, &entry);
                (entry, hash.clone())
            })
            .collect()
    }

    fn verdict(rows: &[(RawEntry, String)], head: &Head, known: Option<Head>) -> Result<Head, Broken> {
        let mut follower = Follower::new(known);
        for (entry, hash) in rows {
            follower.follow(entry, hash.clone())?;
        }
        follower.end(head)
    }

    fn head(rows: &[(RawEntry, String)]) -> Head {
        rows.last().map_or(Head { seq: 0, hash: String::new() }, |(entry, hash)| Head {
            seq: entry.seq,
            hash: hash.clone(),
        })
    }

    #[test]
    fn an_entry_that_was_changed_in_any_field_is_named() {
        let rows = chain(5);
        let head = head(&rows);
        assert_eq!(verdict(&rows, &head, Some(head.clone())), Ok(head.clone()));
        let changes: [fn(&mut RawEntry); 8] = [
            |entry| entry.at_ms += 1,
            |entry| entry.workspace = Some("ws-b".into()),
            |entry| entry.user = None,
            |entry| entry.request_id = Some("req-a".into()),
            |entry| entry.source.push('1'),
            |entry| entry.action.push('x'),
            |entry| entry.outcome.clear(),
            |entry| entry.detail = "[]".into(),
        ];
        for change in changes {
            let mut rows = rows.clone();
            change(&mut rows[2].0);
            assert_eq!(verdict(&rows, &head, None), Err(Broken::Changed(3)));
            // Whoever computes its hash anew is found at the next one.
            rows[2].1 = link(&rows[1].1, &rows[2].0);
            assert_eq!(verdict(&rows, &head, None), Err(Broken::Changed(4)));
        }
    }

    #[test]
    fn what_is_missing_or_out_of_place_is_named() {
        let rows = chain(5);
        let head = head(&rows);
        for at in 0..5 {
            let mut fewer = rows.clone();
            fewer.remove(at);
            let seq = at as u64 + 1;
            assert_eq!(verdict(&fewer, &head, None), Err(Broken::Missing { from: seq, to: seq }));
        }
        let mut swapped = rows.clone();
        (swapped[1].0.seq, swapped[2].0.seq) = (3, 2);
        swapped.swap(1, 2);
        assert_eq!(verdict(&swapped, &head, None), Err(Broken::Changed(2)));
        // Taken away, with the rest moved up and the head with it.
        let mut moved: Vec<_> = rows.iter().filter(|(entry, _)| entry.seq != 2).cloned().collect();
        for (at, (entry, _)) in moved.iter_mut().enumerate() {
            entry.seq = at as u64 + 1;
        }
        let shorter = Head { seq: 4, hash: head.hash.clone() };
        assert_eq!(verdict(&moved, &shorter, None), Err(Broken::Changed(2)));
        assert_eq!(verdict(&[], &head, None), Err(Broken::Missing { from: 1, to: 5 }));
    }

    #[test]
    fn a_record_that_was_written_anew_is_found_by_a_head_that_was_kept() {
        let rows = chain(5);
        let kept = Head { seq: 4, hash: rows[3].1.clone() };
        assert_eq!(kept.to_string().parse::<Head>().unwrap(), kept);
        let mut hash = String::new();
        let mut anew = rows.clone();
        for (entry, stored) in &mut anew {
            entry.action = "harmless".into();
            hash = link(&hash, entry);
            *stored = hash.clone();
        }
        let whole = head(&anew);
        assert_eq!(verdict(&anew, &whole, None), Ok(whole.clone()));
        assert_eq!(verdict(&anew, &whole, Some(kept.clone())), Err(Broken::OtherHead(4)));
        let cut = &rows[..3];
        assert_eq!(verdict(cut, &head(cut), None), Ok(head(cut)));
        assert_eq!(verdict(cut, &head(cut), Some(kept)), Err(Broken::Missing { from: 4, to: 4 }));
        for wrong in ["", "4", "4:", "x:00", "4:00"] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }
}
