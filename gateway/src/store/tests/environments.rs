use berth_protocol::environment::report::EnvironmentReport;
use berth_protocol::ids::RequestId;
use serde_json::json;

use super::*;

fn note(f: &Fixture) -> AuditNote {
    AuditNote {
        workspace: f.workspace.clone(),
        user: f.user.clone(),
        request_id: RequestId::random(),
        action: "environment_changed",
        detail: json!({}),
    }
}

async fn put(f: &Fixture, before: u64, sealed: &[u8]) -> Result<u64, StoreError> {
    f.store.put_environment(f.workspace.clone(), before, sealed.to_vec(), note(f)).await
}

#[tokio::test]
async fn an_environment_is_told_when_it_changed_and_only_then() {
    let f = fixture().await;
    assert_eq!(f.store.environment(f.workspace.clone()).await.unwrap(), None);
    let snapshot = async || f.store.desired_snapshot(f.workspace.clone()).await.unwrap();
    assert_eq!(snapshot().await.environment, None);
    let from = snapshot().await.snapshot.version.generation;
    let seq = put(&f, 0, b"sealed").await.unwrap();
    assert!(seq > from, "the change is counted");
    let delta = f.store.desired_delta(f.workspace.clone(), from).await.unwrap().unwrap();
    assert_eq!((delta.environment.as_deref(), delta.delta.to.generation), (Some(&b"sealed"[..]), seq));
    assert_eq!(f.store.desired_delta(f.workspace.clone(), seq).await.unwrap(), None);
    f.store.create_session(f.workspace.clone(), "a".into(), "default".into()).await.unwrap();
    let delta = f.store.desired_delta(f.workspace.clone(), seq).await.unwrap().unwrap();
    assert_eq!(delta.environment, None, "another change does not tell it again");
    assert_eq!(snapshot().await.environment.as_deref(), Some(&b"sealed"[..]));
}

#[tokio::test]
async fn of_two_who_change_it_one_is_refused_and_on_no_record() {
    let f = fixture().await;
    let first = put(&f, 0, b"one").await.unwrap();
    assert!(matches!(put(&f, 0, b"two").await, Err(StoreError::EnvironmentChanged)));
    assert!(matches!(put(&f, first + 1, b"two").await, Err(StoreError::EnvironmentChanged)));
    put(&f, first, b"three").await.unwrap();
    let stored = f.store.environment(f.workspace.clone()).await.unwrap().unwrap();
    assert_eq!(stored.sealed, b"three");
    assert_eq!(
        f.store
            .audit(AuditFilter { workspace: Some(f.workspace.clone()), ..AuditFilter::default() }, 10)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_report_is_kept_from_the_newest_link_and_until_the_next_change() {
    let f = fixture().await;
    let instance = f.enrolled().await;
    let old = f.linked(&instance).await;
    let link = f.linked(&instance).await;
    let seq = put(&f, 0, b"one").await.unwrap();
    let report = EnvironmentReport { waits_for_secrets: true, ..EnvironmentReport::default() };
    let say = async |epoch| {
        let (workspace, instance) = (f.workspace.clone(), instance.clone());
        f.store.put_environment_report(workspace, instance, epoch, report.clone()).await.unwrap()
    };
    assert!(!say(old).await);
    assert!(say(link).await);
    let stored = || async { f.store.environment(f.workspace.clone()).await.unwrap().unwrap() };
    assert_eq!(stored().await.report, Some(report.clone()));
    let change_seq =
        || async { f.store.workspaces_of(f.user.clone()).await.unwrap()[0].0.workspace.change_seq };
    let counted = change_seq().await;
    assert!(counted > seq, "pages are told");
    assert!(say(link).await);
    assert_eq!(change_seq().await, counted, "the same again is no change");
    put(&f, seq, b"two").await.unwrap();
    assert_eq!(stored().await.report, None, "it was about the one before");
}
