//! Invites, passwords and devices.

use super::*;

#[tokio::test]
async fn an_invite_makes_as_many_accounts_as_it_says() {
    let f = fixture().await;
    let access = Some((f.workspace.clone(), MemberRole::Viewer));
    let invite = f.store.create_invite("code", 2, access, HOUR).await.unwrap();
    f.store.create_invite("late", 1, None, Duration::ZERO).await.unwrap();
    let redeem = |code: &'static str, name: &'static str| {
        f.store.redeem_invite(code, name.into(), "hash".into(), browser(name))
    };
    for code in ["guessed", "late"] {
        assert_eq!(redeem(code, "ana").await.unwrap(), Redeemed::Invalid, "{code}");
        assert!(!f.store.invite_is_good(code).await.unwrap());
    }
    assert_eq!(redeem("code", "owner").await.unwrap(), Redeemed::NameTaken);
    assert_eq!(
        f.store.invites().await.unwrap(),
        std::slice::from_ref(&invite),
        "one that is late is not listed"
    );
    let Redeemed::Made(ana) = redeem("code", "ana").await.unwrap() else { panic!("not made") };
    assert_eq!(f.store.browser_session("ana").await.unwrap().unwrap().user, ana);
    assert_eq!(f.store.workspaces_of(ana.id.clone()).await.unwrap()[0].1, MemberRole::Viewer);
    assert_eq!(f.store.password_of("ana".into()).await.unwrap(), Some((ana.clone(), "hash".into())));
    assert!(matches!(redeem("code", "bob").await.unwrap(), Redeemed::Made(_)));
    assert_eq!(redeem("code", "eva").await.unwrap(), Redeemed::Invalid, "it is used up");
    assert!(f.store.revoke_invite(invite.id.clone()).await.unwrap());
    assert!(!f.store.revoke_invite(invite.id).await.unwrap());

    assert!(f.store.reset_user("ana".into()).await.unwrap());
    assert_eq!(f.store.password_of("ana".into()).await.unwrap(), None);
    assert!(f.store.browser_session("ana").await.unwrap().is_none());
}

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
