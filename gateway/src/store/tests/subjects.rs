//! Users as an issuer knows them.

use super::*;

fn subject(subject: &str) -> Subject {
    Subject { issuer: "https://issuer.example".into(), subject: subject.into() }
}

fn newcomer(name: &str) -> Newcomer {
    Newcomer { name: name.into(), organization: None }
}

#[tokio::test]
async fn whom_an_issuer_knows_is_one_user_by_its_word_alone() {
    let f = fixture().await;
    assert_eq!(f.store.user_of_subject(subject("1")).await.unwrap(), None);
    let (ana, made) = f.store.add_user_of_subject(subject("1"), newcomer("ana")).await.unwrap();
    assert!(made && ana.name == "ana");
    let again = f.store.add_user_of_subject(subject("1"), newcomer("other")).await.unwrap();
    assert_eq!(again, (ana.clone(), false), "somebody was faster");
    // Others of the same name, and the same word of another issuer, are others.
    let elsewhere = Subject { issuer: "https://other.example".into(), ..subject("1") };
    assert_eq!(f.store.user_of_subject(elsewhere.clone()).await.unwrap(), None);
    for (subject, expected) in [(elsewhere, "ana-2"), (subject("2"), "ana-3")] {
        assert_eq!(f.store.add_user_of_subject(subject, newcomer("ana")).await.unwrap().0.name, expected);
    }
    let long = "a".repeat(32);
    for (word, expected) in [("3", long.clone()), ("4", format!("{}-2", "a".repeat(30)))] {
        let (made, _) = f.store.add_user_of_subject(subject(word), newcomer(&long)).await.unwrap();
        assert_eq!(made.name, expected);
    }

    f.store.block_user("ana".into(), true).await.unwrap();
    assert_eq!(f.store.user_of_subject(subject("1")).await.unwrap(), Some((ana.clone(), true)));
    assert_eq!(f.store.hold_bearer(ana.id.clone(), "token", now_ms() + 60_000).await.unwrap(), None);
    f.store.block_user("ana".into(), false).await.unwrap();

    assert!(matches!(
        f.store.link_subject("owner".into(), subject("1")).await,
        Err(StoreError::SubjectTaken(_))
    ));
    assert!(!f.store.link_subject("ana".into(), subject("1")).await.unwrap());
    assert_eq!(f.store.unlink_subjects("ana".into()).await.unwrap(), 1);
    assert!(f.store.link_subject("owner".into(), subject("1")).await.unwrap());
    assert_eq!(f.store.user_of_subject(subject("1")).await.unwrap().unwrap().0.id, f.user);
    f.store.reset_user("owner".into()).await.unwrap();
    assert_eq!(f.store.user_of_subject(subject("1")).await.unwrap(), None, "it proved who they are");
}

#[tokio::test]
async fn a_newcomer_joins_an_organisation_that_is_there() {
    let f = fixture().await;
    let with =
        |name: &str| Newcomer { organization: Some((name.into(), MemberRole::Editor)), ..newcomer("ana") };
    let none = f.store.add_user_of_subject(subject("1"), with("team")).await;
    assert!(matches!(none, Err(StoreError::NoSuchOrganization(_))));
    assert_eq!(f.store.user_named("ana".into()).await.unwrap(), None, "nobody was made");
    let team = f.store.create_organization("team".into(), None).await.unwrap();
    f.store.hand_workspace(f.workspace.clone(), Some(team)).await.unwrap();
    let (ana, _) = f.store.add_user_of_subject(subject("1"), with("team")).await.unwrap();
    assert_eq!(f.store.workspaces_of(ana.id).await.unwrap()[0].1, MemberRole::Editor);
}

#[tokio::test]
async fn a_sign_in_that_was_begun_is_finished_once_and_in_time() {
    let f = fixture().await;
    f.store.put_issuer_flow("a", HOUR).await.unwrap();
    f.store.put_issuer_flow("late", Duration::ZERO).await.unwrap();
    for (ticket, expected) in [("a", true), ("a", false), ("late", false), ("guessed", false)] {
        assert_eq!(f.store.take_issuer_flow(ticket).await.unwrap(), expected, "{ticket}");
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_is_a_sign_in_and_no_browser() {
    let f = fixture().await;
    let hold = |expires_at_ms| f.store.hold_bearer(f.user.clone(), "jwt", expires_at_ms);
    let sign_in = hold(now_ms() + 60_000).await.unwrap().unwrap();
    assert_eq!(hold(now_ms() + 90_000).await.unwrap(), Some(sign_in.clone()));
    assert!(f.store.browser_session("jwt").await.unwrap().is_none(), "it is a cookie");
    assert!(f.store.devices_of(f.user.clone()).await.unwrap().is_empty());
    assert_eq!(f.store.accounts().await.unwrap()[0].devices, 0);
    let here = f.signed_in().await;
    assert_eq!(f.store.end_devices(f.user.clone(), EndDevices::AllBut(here)).await.unwrap(), []);
    let used: std::collections::HashSet<Right> = [Right { sign_in, within: None }].into();
    assert!(f.store.ended_rights(used.clone()).await.unwrap().is_empty());
    f.store.unlink_subjects("owner".into()).await.unwrap();
    assert_eq!(f.store.ended_rights(used).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sign_in_ends_when_it_says_and_is_as_old_as_its_proof() {
    let f = fixture().await;
    let longest = Duration::from_secs(60);
    let new = NewSignIn { longest, proved_at_ms: 7, ..browser("t") };
    assert!(f.store.begin_sign_in(f.user.clone(), new).await.unwrap());
    let found = f.store.browser_session("t").await.unwrap().unwrap();
    assert_eq!(found.proved_at_ms, 7);
    let device = f.store.devices_of(f.user.clone()).await.unwrap().remove(0);
    assert!(device.expires_at_ms <= now_ms() + 60_000);
    for (proved, expected) in [(9, 9), (8, 9)] {
        f.store.prove(found.sign_in.clone(), proved).await.unwrap();
        assert_eq!(f.store.browser_session("t").await.unwrap().unwrap().proved_at_ms, expected);
    }
}

#[tokio::test]
async fn who_comes_first_by_an_issuer_does_not_own_the_installation() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("gateway.db")).unwrap();
    let (first, _) = store.add_user_of_subject(subject("1"), newcomer("owner")).await.unwrap();
    assert_eq!(first.name, "owner-2");
    assert!(!store.is_owner(first.id.clone()).await.unwrap());
    let owner = store.owner().await.unwrap();
    assert_ne!(owner.id, first.id);
    assert!(store.is_owner(owner.id).await.unwrap());
}
