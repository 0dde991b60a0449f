use super::*;

fn event(stream: &StreamId, seq: u64, kind: &str) -> Event {
    Event {
        id: EventId { stream: stream.clone(), seq },
        instance: InstanceId::random(),
        kind: kind.to_owned(),
        at_ms: 7,
        payload: serde_json::json!({ "seq": seq }),
    }
}

/// What an entry says, in short: `3` for an event, `4-9` for a gap.
fn shown(entries: &[Entry]) -> Vec<String> {
    let one = |entry: &Entry| match &entry.item {
        Item::Event(event) => event.id.seq.to_string(),
        Item::Dropped(gap) => format!("{}-{}", gap.from, gap.to),
    };
    entries.iter().map(one).collect()
}

struct Fixture {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    store: Store,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.db");
    let store = Store::open(&path).unwrap();
    Fixture { _dir: dir, path, store }
}

async fn all(store: &Store) -> Vec<String> {
    shown(&store.entries_after(0, 1000).await.unwrap())
}

#[tokio::test]
async fn events_are_kept_in_order_until_they_are_acknowledged() {
    let Fixture { store, path, _dir } = fixture();
    let (first, second) = (StreamId::random(), StreamId::random());
    let mut kept = Vec::new();
    for (stream, seq) in [(&first, 1), (&first, 2), (&second, 1)] {
        let event = event(stream, seq, "telemetry");
        store.append(&event, Bounds::default()).await.unwrap();
        kept.push(Item::Event(event));
    }
    drop(store);
    let store = Store::open(&path).unwrap();
    let entries = store.entries_after(0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.item.clone()).collect::<Vec<_>>(), kept);
    assert_eq!(shown(&store.entries_after(entries[0].id, 1).await.unwrap()), ["2"]);
    let fill = store.acknowledge(&first, 2).await.unwrap();
    assert_eq!((fill.events, all(&store).await), (1, vec!["1".to_owned()]));
    store.acknowledge(&StreamId::random(), 99).await.unwrap();
    assert_eq!(all(&store).await.len(), 1, "an unknown stream acknowledges nothing");
}

#[tokio::test]
async fn the_oldest_telemetry_gives_way_first_and_gaps_are_joined() {
    let Fixture { store, _dir, .. } = fixture();
    let stream = StreamId::random();
    let bounds = Bounds { events: 3, bytes: 10_000 };
    let kinds = ["telemetry", "telemetry", "notice", "telemetry", "telemetry", "telemetry"];
    for (seq, kind) in (1..).zip(kinds) {
        store.append(&event(&stream, seq, kind), bounds).await.unwrap();
    }
    assert_eq!(all(&store).await, ["1-2", "3", "4-4", "5", "6"], "the notice outlives telemetry");
    for seq in 7..=9 {
        store.append(&event(&stream, seq, "notice"), bounds).await.unwrap();
    }
    assert_eq!(all(&store).await, ["1-6", "7", "8", "9"], "at last the oldest of all gives way");
}

#[tokio::test]
async fn the_bound_in_bytes_holds_too() {
    let Fixture { store, _dir, .. } = fixture();
    let stream = StreamId::random();
    let one = event(&stream, 1, "telemetry").payload.to_string().len() as u64;
    let bounds = Bounds { events: 100, bytes: 2 * one };
    for seq in 1..=5 {
        let fill = store.append(&event(&stream, seq, "telemetry"), bounds).await.unwrap();
        assert!(fill.bytes <= bounds.bytes);
    }
    assert_eq!(all(&store).await, ["1-3", "4", "5"]);
}

#[tokio::test]
async fn a_gap_that_reaches_beyond_an_acknowledgement_stays() {
    let Fixture { store, _dir, .. } = fixture();
    let stream = StreamId::random();
    for seq in 1..=4 {
        store.append(&event(&stream, seq, "telemetry"), Bounds { events: 1, bytes: 1000 }).await.unwrap();
    }
    store.acknowledge(&stream, 2).await.unwrap();
    assert_eq!(all(&store).await, ["1-3", "4"]);
    store.acknowledge(&stream, 3).await.unwrap();
    assert_eq!(all(&store).await, ["4"]);
    let first = store.first_beyond(&stream, 1).await.unwrap().unwrap();
    assert_eq!(shown(&[first]), ["4"]);
    assert_eq!(store.first_beyond(&stream, 4).await.unwrap(), None);
}

#[tokio::test]
async fn a_restored_copy_tells_again_what_it_holds_under_the_same_numbers() {
    let Fixture { store, path, _dir } = fixture();
    let old = StreamId::random();
    for seq in 1..=3 {
        store.append(&event(&old, seq, "telemetry"), Bounds::default()).await.unwrap();
    }
    drop(store);
    let copy = path.with_file_name("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(path.with_file_name("agent.db-wal"), path.with_file_name("copy.db-wal")).ok();
    let store = Store::open(&path).unwrap();
    store.acknowledge(&old, 3).await.unwrap();
    drop(store);
    // The copy comes back: the old stream's events are sent as they were, and the new start has its own.
    let store = Store::open(&copy).unwrap();
    assert_eq!(all(&store).await, ["1", "2", "3"]);
    let fresh = StreamId::random();
    store.append(&event(&fresh, 1, "telemetry"), Bounds::default()).await.unwrap();
    store.acknowledge(&old, 3).await.unwrap();
    assert_eq!(all(&store).await, ["1"]);
}
