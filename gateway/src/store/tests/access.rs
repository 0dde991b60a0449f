//! Tickets, shares, and what ends the rights to them.

use std::collections::HashSet;

use berth_protocol::door::Role;
use berth_protocol::ids::{ClientId, RequestId, SessionId, ShareId, UserId};

use super::*;

#[tokio::test]
async fn a_ticket_works_once_in_time_and_for_its_session() {
    let f = fixture().await;
    let session = f.store.create_session(f.workspace.clone(), "a".into(), "default".into()).await.unwrap().id;
    let browser = f.signed_in().await;
    let what = TicketFor {
        session: session.clone(),
        holder: Holder::User(f.user.clone(), browser.clone()),
        name: "owner".into(),
        device: "Chrome on Linux".into(),
        role: Role::Editor,
        client: ClientId::random(),
    };
    let put = |ticket: &'static str, lifetime| f.store.put_ticket(ticket, what.clone(), lifetime);
    put("good", HOUR).await.unwrap();
    assert_eq!(f.store.take_ticket("good", session.clone()).await.unwrap(), Some(what.clone()));
    assert_eq!(f.store.take_ticket("good", session.clone()).await.unwrap(), None);
    put("late", Duration::ZERO).await.unwrap();
    assert_eq!(f.store.take_ticket("late", session.clone()).await.unwrap(), None);
    put("elsewhere", HOUR).await.unwrap();
    assert_eq!(f.store.take_ticket("elsewhere", SessionId::random()).await.unwrap(), None);
    assert_eq!(
        f.store.take_ticket("elsewhere", session.clone()).await.unwrap(),
        None,
        "it is gone all the same"
    );
    put("signed-out", HOUR).await.unwrap();
    f.store.sign_out(browser.clone()).await.unwrap();
    assert_eq!(f.store.take_ticket("signed-out", session).await.unwrap(), None);
}

#[tokio::test]
async fn a_share_is_opened_once_and_lets_its_guest_watch_one_session_for_a_while() {
    let f = fixture().await;
    let make = async |name: &str| {
        f.store.create_session(f.workspace.clone(), name.into(), "default".into()).await.unwrap().id
    };
    let (session, other) = (make("a").await, make("b").await);
    let share = async |code: &str, lifetime| {
        f.store
            .create_share(session.clone(), f.user.clone(), "Ana".into(), code, lifetime, RequestId::random())
            .await
            .unwrap()
    };
    let made = share("code", HOUR).await;
    assert_eq!(f.store.open_share("guessed", "token", RequestId::random()).await.unwrap(), None);
    let opened = f.store.open_share("code", "token", RequestId::random()).await.unwrap().unwrap();
    assert_eq!((&opened.id, opened.name.as_str()), (&made.id, "Ana"));
    assert!(opened.opened_at_ms.is_some());
    assert_eq!(
        f.store.open_share("code", "second", RequestId::random()).await.unwrap(),
        None,
        "it was opened twice"
    );
    assert_eq!(f.store.guest("token", session.clone()).await.unwrap(), Some(opened));
    assert_eq!(f.store.guest("token", other).await.unwrap(), None, "it opens another session");
    assert_eq!(f.store.guest("code", session.clone()).await.unwrap(), None, "the link itself is a cookie");

    let ticket = TicketFor {
        session: session.clone(),
        holder: Holder::Guest(made.id.clone()),
        name: "Ana".into(),
        device: "a program".into(),
        role: Role::Viewer,
        client: ClientId::random(),
    };
    f.store.put_ticket("ticket", ticket.clone(), HOUR).await.unwrap();
    assert_eq!(f.store.take_ticket("ticket", session.clone()).await.unwrap(), Some(ticket.clone()));
    f.store.put_ticket("ticket", ticket, HOUR).await.unwrap();
    let end = |session| f.store.end_share(session, made.id.clone(), f.user.clone(), RequestId::random());
    assert!(!end(SessionId::random()).await.unwrap());
    assert!(end(session.clone()).await.unwrap());
    assert_eq!(f.store.guest("token", session.clone()).await.unwrap(), None);
    assert_eq!(f.store.take_ticket("ticket", session.clone()).await.unwrap(), None, "it outlived its share");

    share("late", Duration::ZERO).await;
    assert_eq!(f.store.open_share("late", "token", RequestId::random()).await.unwrap(), None);
    assert!(f.store.shares_of(session.clone()).await.unwrap().is_empty());
    share("orphan", HOUR).await;
    f.store.end_session(session).await.unwrap();
    assert_eq!(
        f.store.open_share("orphan", "token", RequestId::random()).await.unwrap(),
        None,
        "its session has ended"
    );
}

#[tokio::test]
async fn what_becomes_of_a_share_is_on_the_record_or_does_not_happen() {
    let f = fixture().await;
    let session = f.store.create_session(f.workspace.clone(), "a".into(), "default".into()).await.unwrap().id;
    let share = async |code: &str| {
        let name = "Ana".to_owned();
        f.store.create_share(session.clone(), f.user.clone(), name, code, HOUR, RequestId::random()).await
    };
    let end = async |id| f.store.end_share(session.clone(), id, f.user.clone(), RequestId::random()).await;
    let made = share("one").await.unwrap();
    f.store.open_share("one", "token", RequestId::random()).await.unwrap().unwrap();
    assert!(end(made.id).await.unwrap());
    let entries = f
        .store
        .audit(AuditFilter { workspace: Some(f.workspace.clone()), ..AuditFilter::default() }, 10)
        .await
        .unwrap();
    let actions: Vec<_> = entries.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["share_created", "share_opened", "share_ended"]);

    let made = share("two").await.unwrap();
    f.store.transaction(|tx| tx.execute("ALTER TABLE audit RENAME TO elsewhere", [])).await.unwrap();
    share("three").await.unwrap_err();
    f.store.open_share("two", "token", RequestId::random()).await.unwrap_err();
    end(made.id.clone()).await.unwrap_err();
    assert_eq!(f.store.shares_of(session.clone()).await.unwrap(), [made]);
}

#[tokio::test]
async fn rights_end_in_every_way_that_they_can() {
    let f = fixture().await;
    let make = async |name: &str| {
        f.store.create_session(f.workspace.clone(), name.into(), "default".into()).await.unwrap().id
    };
    let (session, ended_session) = (make("a").await, make("b").await);
    let share = async |code: &str, lifetime| {
        let made = f
            .store
            .create_share(session.clone(), f.user.clone(), "Ana".into(), code, lifetime, RequestId::random())
            .await;
        Holder::Guest(made.unwrap().id)
    };
    let user = Holder::User(f.user.clone(), f.signed_in().await);
    let guest = share("code", HOUR).await;
    let held: HashSet<Held> =
        [(user.clone(), session.clone(), Role::Editor), (guest, session.clone(), Role::Viewer)].into();
    assert_eq!(f.store.ended(held.clone()).await.unwrap(), Ended::default());

    let stranger = Holder::User(UserId::random(), BrowserSession::of_token("token"));
    let signed_out = Holder::User(f.user.clone(), BrowserSession::of_token("never"));
    let late = share("late", Duration::ZERO).await;
    let unknown = Holder::Guest(ShareId::random());
    let lost: HashSet<Held> =
        [stranger, signed_out, late, unknown].map(|holder| (holder, session.clone(), Role::Viewer)).into();
    f.store.end_session(ended_session.clone()).await.unwrap();
    let mut all: HashSet<Held> = held.union(&lost).cloned().collect();
    all.insert((user, ended_session.clone(), Role::Editor));
    let ended = f.store.ended(all).await.unwrap();
    assert_eq!(ended, Ended { sessions: [ended_session].into(), rights: lost });
}
