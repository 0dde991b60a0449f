use serde_json::json;

use super::*;
use crate::caller::{Caller, Source};

fn note(workspace: &WorkspaceId, user: &UserId, number: u32) -> AuditNote {
    AuditNote {
        workspace: workspace.clone(),
        user: user.clone(),
        request_id: RequestId::random(),
        action: "test",
        detail: json!({ "number": number, "text": "\u{202e}\"'" }),
    }
}

#[tokio::test]
async fn entries_are_read_newest_first_from_a_place_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gateway.db")).unwrap();
    let user = store.owner().await.unwrap();
    let (here, elsewhere) = (WorkspaceId::random(), WorkspaceId::random());
    for number in 0..5 {
        store.note(note(&here, &user.id, number)).await.unwrap();
        store.note(note(&elsewhere, &UserId::random(), number)).await.unwrap();
    }
    let first = store.audit(of(&here, None), 3).await.unwrap();
    let numbers = |entries: &[AuditEntry]| {
        entries.iter().map(|entry| entry.detail["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&first), [4, 3, 2]);
    assert_eq!((first[0].user_name.as_deref(), first[0].workspace.as_ref()), (Some("owner"), Some(&here)));
    let rest = store.audit(of(&here, Some(first[2].seq)), 3).await.unwrap();
    assert_eq!(numbers(&rest), [1, 0]);
    let all = store.audit(AuditFilter::default(), 100).await.unwrap();
    assert_eq!((all.len(), all[0].user_name.as_deref()), (10, None));
}

#[tokio::test]
async fn nothing_is_ever_changed_or_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gateway.db")).unwrap();
    store.note(note(&WorkspaceId::random(), &UserId::random(), 1)).await.unwrap();
    for sql in ["UPDATE audit SET action = 'other'", "DELETE FROM audit"] {
        let refused = store.transaction(move |tx| tx.execute(sql, [])).await.unwrap_err();
        assert!(refused.is_conflict(), "{sql}: {refused}");
    }
    assert_eq!(store.audit(AuditFilter::default(), 10).await.unwrap()[0].action, "test");
}

fn of(workspace: &WorkspaceId, before: Option<u64>) -> AuditFilter {
    AuditFilter { workspace: Some(workspace.clone()), before, ..AuditFilter::default() }
}

#[tokio::test]
async fn a_record_that_was_tampered_with_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gateway.db")).unwrap();
    // More than are looked at at once.
    let notes = |tx: &Tx<'_>| {
        (0..2500).try_for_each(|number| add(tx, note(&WorkspaceId::random(), &UserId::random(), number)))
    };
    store.transaction(notes).await.unwrap();
    let head = store.audit_head().await.unwrap();
    assert_eq!(store.verify_audit(Some(head.clone())).await.unwrap(), Ok(head));
    // As somebody would who may write to the file.
    let lawless = async |sql: &'static str| {
        store
            .transaction(move |tx| {
                tx.0.execute_batch("DROP TRIGGER IF EXISTS audit_is_never_changed")?;
                tx.0.execute_batch("DROP TRIGGER IF EXISTS audit_is_never_shortened")?;
                tx.execute(sql, [])
            })
            .await
            .unwrap();
        store.verify_audit(None).await.unwrap()
    };
    let altered = lawless("UPDATE audit SET detail = '{}' WHERE seq = 2222").await;
    assert_eq!(altered, Err(Broken::Changed(2222)));
    let removed = lawless("DELETE FROM audit WHERE seq = 1500").await;
    assert_eq!(removed, Err(Broken::Missing { from: 1500, to: 1500 }));
    lawless("UPDATE audit SET seq = -7 WHERE seq = 7").await.unwrap_err();
    lawless("UPDATE audit SET seq = 7 WHERE seq = 8").await.unwrap_err();
    assert_eq!(lawless("UPDATE audit SET seq = 8 WHERE seq = -7").await, Err(Broken::Changed(7)));
    let cut = lawless("DELETE FROM audit WHERE seq > 3 OR seq < 0").await;
    assert_eq!(cut, Err(Broken::Missing { from: 4, to: 2500 }));
}

#[tokio::test]
async fn entries_are_found_by_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("gateway.db")).unwrap();
    let owner = store.owner().await.unwrap().id;
    let theirs = store.create_workspace(owner.clone(), "main".into()).await.unwrap().id;
    let (other, elsewhere) = (UserId::random(), WorkspaceId::random());
    store.note(note(&theirs, &other, 0)).await.unwrap();
    store.note(note(&elsewhere, &other, 1)).await.unwrap();
    store.note(Deed::new("signed_in", Outcome::Done, json!({})).by(owner.clone())).await.unwrap();
    let refused = Deed::new("signed_in", Outcome::Refused, json!({}));
    let request_id = Some(RequestId::random());
    let caller = Caller { source: Source::Address([203, 0, 113, 7].into()), request_id: request_id.clone() };
    caller.run(store.note(refused)).await.unwrap();
    let found = async |filter| {
        let entries = store.audit(filter, 10).await.unwrap();
        entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    let all = AuditFilter::default;
    assert_eq!(found(AuditFilter { concerns: Some(owner.clone()), ..all() }).await, [3, 1]);
    assert_eq!(found(AuditFilter { user: Some(other), ..all() }).await, [2, 1]);
    assert_eq!(found(AuditFilter { action: Some("signed_in".into()), ..all() }).await, [4, 3]);
    assert_eq!(found(AuditFilter { outcome: Some("refused".into()), ..all() }).await, [4]);
    assert_eq!(found(AuditFilter { workspace: Some(elsewhere), ..all() }).await, [2]);
    let now = now_ms();
    assert_eq!(found(AuditFilter { since_ms: Some(now + 1000), ..all() }).await, [0_u64; 0]);
    assert_eq!(found(AuditFilter { until_ms: Some(now + 1000), ..all() }).await, [4, 3, 2, 1]);
    let newest = store.audit(all(), 1).await.unwrap().remove(0);
    assert_eq!((newest.source.as_str(), newest.user, newest.request_id), ("203.0.113.7", None, request_id));
}
