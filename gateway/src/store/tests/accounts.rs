//! Passwords, passkeys and devices.

use super::*;

#[tokio::test]
async fn devices_are_listed_and_ended_and_tokens_are_none() {
    let f = fixture().await;
    let here = f.signed_in().await;
    assert!(f.store.begin_sign_in(f.user.clone(), browser("phone")).await.unwrap());
    let scopes = Scopes::new(vec![Scope::All]);
    let token = f.store.create_token(f.user.clone(), "ci".into(), scopes, "secret", HOUR).await.unwrap();
    let devices = f.store.devices_of(f.user.clone()).await.unwrap();
    assert_eq!(devices.len(), 2, "{devices:?}");
    let phone = devices.iter().find(|device| device.sign_in != here).unwrap().clone();
    let end = |user: &UserId, which| f.store.end_devices(user.clone(), which);
    let one = EndDevices::One(phone.id.clone());
    assert_eq!(end(&UserId::random(), one.clone()).await.unwrap(), [], "another user's");
    assert_eq!(end(&f.user, one).await.unwrap(), std::slice::from_ref(&phone.sign_in));
    assert!(f.store.begin_sign_in(f.user.clone(), browser("desk")).await.unwrap());
    let ended = f.store.set_password(f.user.clone(), "hash".into(), here.clone()).await.unwrap();
    assert_eq!(ended, [BrowserSession::of_token("desk")], "a new password signs out everywhere else");
    assert!(f.store.has_password(f.user.clone()).await.unwrap());
    let right = |sign_in| Right { sign_in, within: None };
    let used = [right(here), right(token.sign_in)].into();
    assert!(f.store.ended_rights(used).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_challenge_is_taken_once_in_time_and_for_what_it_was_made() {
    let f = fixture().await;
    let put = |id: &'static str, what: Ceremony, lifetime| {
        f.store.put_challenge(id, what, "state".into(), lifetime)
    };
    let take = |id: &'static str, what: Ceremony| f.store.take_challenge(id, what);
    let register = || Ceremony::Register(f.user.clone());
    put("a", register(), HOUR).await.unwrap();
    put("b", Ceremony::SignIn, HOUR).await.unwrap();
    put("c", register(), HOUR).await.unwrap();
    assert_eq!(take("a", register()).await.unwrap().as_deref(), Some("state"));
    assert_eq!(take("a", register()).await.unwrap(), None, "used");
    assert_eq!(take("b", register()).await.unwrap(), None, "for something else");
    assert_eq!(take("b", Ceremony::SignIn).await.unwrap(), None, "and gone by that");
    let other = f.store.add_user("ana".into()).await.unwrap().id;
    assert_eq!(take("c", Ceremony::Register(other)).await.unwrap(), None, "for another user");
    put("d", Ceremony::SignIn, Duration::ZERO).await.unwrap();
    assert_eq!(take("d", Ceremony::SignIn).await.unwrap(), None, "late");
}

#[tokio::test]
async fn a_passkey_is_one_users_and_no_use_is_counted_twice() {
    let f = fixture().await;
    let add = |id: &'static str| f.store.add_passkey(f.user.clone(), "key".into(), id.into(), "1".into());
    let key = add("credential").await.unwrap();
    assert!(matches!(add("credential").await, Err(StoreError::NameTaken(_))));
    let find = async || f.store.passkey_by_credential("credential".into()).await.unwrap();
    let (user, found) = find().await.unwrap();
    assert_eq!((user.id, &found), (f.user.clone(), &key));
    assert!(f.store.passkey_used(found.clone(), "2".into()).await.unwrap());
    assert!(!f.store.passkey_used(found, "2".into()).await.unwrap(), "another use was faster");
    f.store.block_user("owner".into(), true).await.unwrap();
    assert!(find().await.is_none());
    f.store.block_user("owner".into(), false).await.unwrap();
    assert!(!f.store.remove_passkey(UserId::random(), key.id.clone()).await.unwrap());
    assert!(f.store.remove_passkey(f.user.clone(), key.id).await.unwrap());
    assert!(find().await.is_none());
}

#[tokio::test]
async fn nobody_who_comes_later_owns_the_installation() {
    let directory = tempfile::tempdir().unwrap();
    let empty = |name: &str| Store::open(&directory.path().join(name)).unwrap();
    // Whoever the operator makes, and whoever has an invite.
    let store = empty("added");
    let ana = store.add_user("ana".into()).await.unwrap();
    assert!(!store.is_owner(ana.id).await.unwrap());
    assert_eq!(store.owner().await.unwrap().name, "owner");
    let store = empty("invited");
    let new = NewInvite { uses: 1, access: None, lifetime: HOUR, by: None };
    store.create_invite("code", new).await.unwrap();
    let made = store.redeem_invite("code", "eva".into(), None, browser("eva")).await.unwrap();
    let Redeemed::Made(eva, _) = made else { panic!("{made:?}") };
    assert!(!store.is_owner(eva.id).await.unwrap());
    // The owner's own name is the owner's.
    let store = empty("named");
    let owner = store.add_user("owner".into()).await.unwrap();
    assert!(store.is_owner(owner.id.clone()).await.unwrap());
    assert!(matches!(store.add_user("owner".into()).await, Err(StoreError::NameTaken(_))));
    // A clock that is set back changes nothing.
    let later = now_ms() + 3_600_000;
    let sql = "UPDATE users SET created_at_ms = $1";
    store.transaction(move |tx| tx.execute(sql, [later]).map(drop)).await.unwrap();
    store.add_user("bob".into()).await.unwrap();
    assert!(store.is_owner(owner.id).await.unwrap());
}
