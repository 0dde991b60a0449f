use berth_protocol::desired::DesiredVersion;
use berth_protocol::event::{Dropped, Event, EventId};
use berth_protocol::ids::{GatewayId, InstanceId, StreamId, UserId, WorkspaceId};
use berth_protocol::link::DoorAddresses;
use berth_protocol::observed::{ObservedSession, ObservedState, SessionState};

use super::*;

mod access;
mod accounts;
mod environments;
mod invites;
mod members;
mod notifications;
mod organizations;
mod previews;
mod subjects;
mod tokens;
mod trust;

const HOUR: Duration = Duration::from_secs(3600);

struct Fixture {
    store: Store,
    user: UserId,
    workspace: WorkspaceId,
    _dir: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gateway.db")).unwrap();
    store.installation().await.unwrap();
    let user = store.owner().await.unwrap().id;
    let workspace = store.create_workspace(user.clone(), "main".into()).await.unwrap().id;
    Fixture { store, user, workspace, _dir: dir }
}

/// A sign-in whose cookie holds `token`.
fn browser(token: &str) -> NewSignIn {
    NewSignIn { idle: HOUR, ..NewSignIn::proved(token.into(), "Chrome on Linux".into()) }
}

impl Fixture {
    async fn signed_in(&self) -> BrowserSession {
        self.store.put_sign_in_code(self.user.clone(), "c", HOUR).await.unwrap();
        self.store.sign_in("c", browser("t")).await.unwrap().unwrap();
        BrowserSession::of_token("t")
    }

    async fn enrolled(&self) -> InstanceId {
        let instance = InstanceId::random();
        let secret = instance.to_string();
        self.store.put_enrollment_token(self.workspace.clone(), &secret, HOUR).await.unwrap();
        let outcome = self.store.enroll(&secret, instance.clone()).await.unwrap();
        assert!(matches!(outcome, EnrollOutcome::Enrolled { .. }));
        instance
    }

    async fn linked(&self, instance: &InstanceId) -> u64 {
        let addresses = DoorAddresses { port: 7681, ..DoorAddresses::default() };
        let gateway = GatewayId::random();
        let outcome = self.store.hello(
            instance.clone(),
            gateway,
            addresses,
            "boot".into(),
            "1".into(),
            Shown::default(),
        );
        let outcome = outcome.await.unwrap();
        let HelloOutcome::Accepted { link_epoch, .. } = outcome else { panic!("{outcome:?}") };
        link_epoch
    }

    async fn put(&self, instance: &InstanceId, link_epoch: u64, stream: &StreamId, seq: u64) -> EventOutcome {
        let event = Event {
            id: EventId { stream: stream.clone(), seq },
            instance: instance.clone(),
            kind: "test".into(),
            at_ms: 0,
            payload: serde_json::json!({}),
        };
        self.store.put_event(self.workspace.clone(), instance.clone(), link_epoch, event).await.unwrap().0
    }
}

#[tokio::test]
async fn the_newest_instance_owns_the_workspace() {
    let f = fixture().await;
    let first = f.enrolled().await;
    let first_link = f.linked(&first).await;
    let second = f.enrolled().await;
    let owning = f.store.owning_instance(f.workspace.clone()).await.unwrap().unwrap();
    assert_eq!((owning.id, owning.epoch), (second, 2));
    let hello = f
        .store
        .hello(
            first.clone(),
            GatewayId::random(),
            DoorAddresses::default(),
            String::new(),
            String::new(),
            Shown::default(),
        )
        .await
        .unwrap();
    assert_eq!(hello, HelloOutcome::Retired);
    assert_eq!(f.put(&first, first_link, &StreamId::random(), 1).await, EventOutcome::Refused);
}

#[tokio::test]
async fn a_token_works_once_and_in_time() {
    let f = fixture().await;
    f.store.put_enrollment_token(f.workspace.clone(), "late", Duration::ZERO).await.unwrap();
    assert_eq!(f.store.enroll("late", InstanceId::random()).await.unwrap(), EnrollOutcome::ExpiredToken);
    assert_eq!(f.store.enroll("late", InstanceId::random()).await.unwrap(), EnrollOutcome::UnknownToken);
    f.store.put_enrollment_token(f.workspace.clone(), "good", HOUR).await.unwrap();
    let outcome = f.store.enroll("good", InstanceId::random()).await.unwrap();
    assert!(matches!(outcome, EnrollOutcome::Enrolled { epoch: 1, .. }), "{outcome:?}");
    assert_eq!(f.store.enroll("good", InstanceId::random()).await.unwrap(), EnrollOutcome::UnknownToken);
}

#[tokio::test]
async fn a_sign_in_code_works_once_and_in_time() {
    let f = fixture().await;
    f.store.put_sign_in_code(f.user.clone(), "code", HOUR).await.unwrap();
    assert_eq!(f.store.sign_in("code", browser("token")).await.unwrap(), Some(f.user.clone()));
    assert_eq!(f.store.sign_in("code", browser("other")).await.unwrap(), None);
    let found = f.store.browser_session("token").await.unwrap().unwrap();
    assert_eq!(found.user.id, f.user);
    assert!(found.proved_at_ms > 0, "a link proves who opens it");
    f.store.sign_out(found.sign_in).await.unwrap();
    assert!(f.store.browser_session("token").await.unwrap().is_none());

    f.store.put_sign_in_code(f.user.clone(), "late", Duration::ZERO).await.unwrap();
    assert_eq!(f.store.sign_in("late", browser("token")).await.unwrap(), None);
}

#[tokio::test]
async fn names_are_unique_among_living_sessions() {
    let f = fixture().await;
    let create = || f.store.create_session(f.workspace.clone(), "a".into(), "default".into());
    let first = create().await.unwrap();
    assert!(matches!(create().await, Err(StoreError::NameTaken(name)) if name == "a"));
    f.store.end_session(first.id.clone()).await.unwrap().unwrap();
    assert_eq!(f.store.end_session(first.id).await.unwrap(), None);
    create().await.unwrap();
}

#[tokio::test]
async fn a_workspace_has_a_bounded_number_of_sessions() {
    let f = fixture().await;
    let create = |n: u64| f.store.create_session(f.workspace.clone(), n.to_string(), "default".into());
    let mut n = 0;
    let error = loop {
        match create(n).await {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::TooManySessions(most) if most == n), "{error}");
    let sessions = f.store.sessions_of(f.workspace.clone()).await.unwrap();
    f.store.end_session(sessions[0].id.clone()).await.unwrap();
    create(n).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_behind_its_box_begins_a_new_life() {
    let f = fixture().await;
    let known = f.store.desired_snapshot(f.workspace.clone()).await.unwrap().snapshot.version;
    let begin = |held| f.store.begin_life_after(f.workspace.clone(), held);
    assert!(!begin(known.clone()).await.unwrap());
    let later = DesiredVersion { generation: known.generation + 1, ..known.clone() };
    assert!(begin(later.clone()).await.unwrap());
    let new = f.store.desired_snapshot(f.workspace.clone()).await.unwrap().snapshot.version;
    assert_ne!(new.incarnation, known.incarnation);
    assert!(!begin(later).await.unwrap(), "another life's generation says nothing");
}

#[tokio::test]
async fn deltas_lead_from_any_generation_to_the_present() {
    let f = fixture().await;
    let create = |name: &str| f.store.create_session(f.workspace.clone(), name.into(), "default".into());
    let a = create("a").await.unwrap();
    let snapshot = f.store.desired_snapshot(f.workspace.clone()).await.unwrap().snapshot;
    assert_eq!(snapshot.sessions.len(), 1);
    let from = snapshot.version.generation;
    assert_eq!(f.store.desired_delta(f.workspace.clone(), from).await.unwrap(), None);

    let b = create("b").await.unwrap();
    f.store.end_session(a.id.clone()).await.unwrap();
    let delta = f.store.desired_delta(f.workspace.clone(), from).await.unwrap().unwrap().delta;
    assert_eq!(delta.sessions.iter().map(|s| s.id.clone()).collect::<Vec<_>>(), [b.id]);
    assert_eq!(delta.tombstones, [a.id]);
    assert!(delta.to.generation > from);
}

#[tokio::test]
async fn a_tombstone_is_told_until_the_session_is_gone_and_again_when_it_is_back() {
    let f = fixture().await;
    let instance = f.enrolled().await;
    let link = f.linked(&instance).await;
    let id = f.store.create_session(f.workspace.clone(), "a".into(), "default".into()).await.unwrap().id;
    f.store.end_session(id.clone()).await.unwrap();
    let report = async |sessions: Vec<ObservedSession>, generation: u64| {
        let incarnation = f.store.installation().await.unwrap().incarnation;
        let state = ObservedState { desired: Some(DesiredVersion { incarnation, generation }), sessions };
        f.store.observed(f.workspace.clone(), instance.clone(), link, state).await.unwrap()
    };
    let running =
        ObservedSession { id: id.clone(), state: SessionState::Running, attachments: 0, message: None };
    let tombstones =
        async || f.store.desired_snapshot(f.workspace.clone()).await.unwrap().snapshot.tombstones;

    report(vec![], 0).await;
    assert_eq!(tombstones().await, std::slice::from_ref(&id), "the box does not know the tombstone yet");
    report(vec![running.clone()], 1000).await;
    assert_eq!(tombstones().await, std::slice::from_ref(&id), "the box still runs it");
    report(vec![], 1000).await;
    assert!(tombstones().await.is_empty());
    report(vec![running], 1000).await;
    assert_eq!(tombstones().await, [id]);
}

#[tokio::test]
async fn reports_change_sessions_once_and_only_over_the_newest_link() {
    let f = fixture().await;
    let instance = f.enrolled().await;
    let old = f.linked(&instance).await;
    let new = f.linked(&instance).await;
    let id = f.store.create_session(f.workspace.clone(), "a".into(), "default".into()).await.unwrap().id;
    let report = ObservedSession { id, state: SessionState::Running, attachments: 2, message: None };
    let state = ObservedState { desired: None, sessions: vec![report] };
    let observe = |link| f.store.observed(f.workspace.clone(), instance.clone(), link, state.clone());
    assert_eq!(observe(old).await.unwrap(), ObservedOutcome::StaleLink);
    let ObservedOutcome::Stored(changes) = observe(new).await.unwrap() else { panic!() };
    assert!(
        matches!(&changes[..], [SessionChange::Changed(s)] if s.state == "running" && s.attachments == 2)
    );
    assert_eq!(observe(new).await.unwrap(), ObservedOutcome::Stored(vec![]));
}

#[tokio::test]
async fn events_are_stored_once_in_order_and_gaps_are_said() {
    let f = fixture().await;
    let instance = f.enrolled().await;
    let link = f.linked(&instance).await;
    let stream = StreamId::random();
    assert_eq!(f.put(&instance, link, &stream, 1).await, EventOutcome::Stored(1));
    assert_eq!(f.put(&instance, link, &stream, 1).await, EventOutcome::Stored(1));
    assert_eq!(f.put(&instance, link, &stream, 4).await, EventOutcome::Gap(1));
    let dropped = |from, to| {
        let dropped = Dropped { stream: stream.clone(), from, to };
        f.store.put_dropped(instance.clone(), link, dropped)
    };
    assert_eq!(dropped(3, 3).await.unwrap(), EventOutcome::Gap(1));
    assert_eq!(dropped(2, 3).await.unwrap(), EventOutcome::Stored(3));
    assert_eq!(dropped(2, 3).await.unwrap(), EventOutcome::Stored(3));
    assert_eq!(f.put(&instance, link, &stream, 4).await, EventOutcome::Stored(4));
    let count: i64 = f
        .store
        .transaction(|tx| tx.one("SELECT COUNT(*) AS n FROM events", [], |row| row.get("n")))
        .await
        .unwrap();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn a_stream_follows_its_volume_but_not_to_another_workspace() {
    let f = fixture().await;
    let first = f.enrolled().await;
    let link = f.linked(&first).await;
    let stream = StreamId::random();
    f.put(&first, link, &stream, 1).await;
    let second = f.enrolled().await;
    let link = f.linked(&second).await;
    assert_eq!(f.put(&second, link, &stream, 2).await, EventOutcome::Stored(2));

    let other = f.store.create_workspace(f.user.clone(), "other".into()).await.unwrap().id;
    let stranger = InstanceId::random();
    f.store.put_enrollment_token(other, "s", HOUR).await.unwrap();
    f.store.enroll("s", stranger.clone()).await.unwrap();
    let link = f.linked(&stranger).await;
    assert_eq!(f.put(&stranger, link, &stream, 3).await, EventOutcome::Refused);
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_expires() {
    let f = fixture().await;
    let (a, b) = (GatewayId::random(), GatewayId::random());
    assert!(f.store.hold_lease("job", a.clone(), HOUR).await.unwrap());
    assert!(f.store.hold_lease("job", a.clone(), HOUR).await.unwrap());
    assert!(!f.store.hold_lease("job", b.clone(), HOUR).await.unwrap());
    assert!(f.store.hold_lease("job", a, Duration::ZERO).await.unwrap());
    assert!(f.store.hold_lease("job", b, HOUR).await.unwrap());
}

#[test]
fn a_file_that_is_no_database_is_named_and_kept() {
    for content in ["this is not a database, and long enough to be looked at".repeat(20), String::new()] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.db");
        std::fs::write(&path, &content).unwrap();
        let error = Store::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
        assert!(error.to_string().contains("gateway.db"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn one_damaged_page_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.db");
    let connection = connect(&path).unwrap();
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'events'");
    let place = (page - 1) * number("PRAGMA page_size");
    connection.close().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[b'x'; 64], place.cast_unsigned()).unwrap();
    let error = Store::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
}
