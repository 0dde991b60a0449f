//! Invites: how often and how long they are good, where they lead, and that they are worth no more than their maker.

use berth_protocol::ids::OrganizationId;

use super::*;

fn new(uses: u32, access: Option<(InvitePlace, MemberRole)>, by: Option<&UserId>) -> NewInvite {
    NewInvite { uses, access, lifetime: HOUR, by: by.cloned() }
}

#[tokio::test]
async fn an_invite_makes_as_many_accounts_as_it_says() {
    let f = fixture().await;
    let access = Some((InvitePlace::Workspace(f.workspace.clone()), MemberRole::Viewer));
    let invite = f.store.create_invite("code", new(2, access, None)).await.unwrap();
    assert_eq!((invite.place_name.as_deref(), invite.maker.as_deref()), (Some("main"), None));
    f.store.create_invite("late", new(1, None, None)).await.unwrap();
    let late = "UPDATE invites SET expires_at_ms = 1 WHERE uses_left = 1";
    assert_eq!(f.store.transaction(|tx| tx.execute(late, [])).await.unwrap(), 1);
    let redeem = |code: &'static str, name: &'static str| {
        f.store.redeem_invite(code, name.into(), Some("hash".into()), browser(name))
    };
    for code in ["guessed", "late"] {
        assert_eq!(redeem(code, "ana").await.unwrap(), Redeemed::Invalid, "{code}");
        assert!(!f.store.invite_is_good(code).await.unwrap());
    }
    assert_eq!(redeem("code", "owner").await.unwrap(), Redeemed::NameTaken);
    let listed = f.store.invites(None).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&invite), "one that is late is not listed");
    let Redeemed::Made(ana, by) = redeem("code", "ana").await.unwrap() else { panic!("not made") };
    assert_eq!(by, invite.id);
    assert_eq!(f.store.browser_session("ana").await.unwrap().unwrap().user, ana);
    assert_eq!(f.store.workspaces_of(ana.id.clone()).await.unwrap()[0].1, MemberRole::Viewer);
    assert_eq!(f.store.password_of("ana".into()).await.unwrap(), Some((ana.clone(), "hash".into())));
    assert!(matches!(redeem("code", "bob").await.unwrap(), Redeemed::Made(..)));
    assert_eq!(redeem("code", "eva").await.unwrap(), Redeemed::Invalid, "it is used up");
    assert!(f.store.revoke_invite(invite.id.clone(), None, None).await.unwrap());
    assert!(!f.store.revoke_invite(invite.id, None, None).await.unwrap());

    assert!(f.store.reset_user("ana".into()).await.unwrap());
    assert_eq!(f.store.password_of("ana".into()).await.unwrap(), None);
    assert!(f.store.browser_session("ana").await.unwrap().is_none());
}

#[tokio::test]
async fn an_invite_is_worth_no_more_than_its_maker() {
    let f = fixture().await;
    let ana = f.store.add_user("ana".into()).await.unwrap().id;
    let team = f.store.create_organization("team".into(), Some(ana.clone())).await.unwrap();
    let other = f.store.create_organization("other".into(), Some(f.user.clone())).await.unwrap();
    let into = |id: &OrganizationId| Some((InvitePlace::Organization(id.clone()), MemberRole::Editor));
    let made = f.store.create_invite("code", new(5, into(&team), Some(&ana))).await.unwrap();
    assert_eq!((made.place_name.as_deref(), made.maker.as_deref()), (Some("team"), Some("ana")));
    // Neither into what is not hers, nor into what is not there, nor into nothing, which is the owner's to give.
    let workspace = Some((InvitePlace::Workspace(f.workspace.clone()), MemberRole::Viewer));
    for access in [into(&other), into(&OrganizationId::random()), workspace.clone(), None] {
        let refused = f.store.create_invite("other", new(1, access.clone(), Some(&ana))).await;
        assert!(matches!(refused, Err(StoreError::NotTheirs)), "{access:?}");
    }
    for (code, access) in [("plain", None), ("main", workspace), ("elsewhere", into(&other))] {
        f.store.create_invite(code, new(1, access, Some(&f.user))).await.unwrap();
    }
    assert_eq!(f.store.invites(None).await.unwrap().len(), 4);
    assert_eq!(f.store.invites(Some(team.clone())).await.unwrap(), std::slice::from_ref(&made));
    let revoked = f.store.revoke_invite(made.id.clone(), Some(other.clone()), None).await.unwrap();
    assert!(!revoked, "of another organisation");

    let Redeemed::Made(bob, _) =
        f.store.redeem_invite("code", "bob".into(), None, browser("b")).await.unwrap()
    else {
        panic!("not made")
    };
    let found = f.store.organization_for(bob.id.clone(), team.clone()).await.unwrap().unwrap();
    assert_eq!(found.1, MemberRole::Editor);

    // With her rights ends what she has given, and with her block, too.
    let set =
        |name: &'static str, role| f.store.set_organization_member(team.clone(), name.into(), role, None);
    set("bob", MemberRole::Owner).await.unwrap();
    let good = || f.store.invite_is_good("code");
    assert!(good().await.unwrap());
    set("ana", MemberRole::Editor).await.unwrap();
    assert!(!good().await.unwrap());
    let refused = f.store.redeem_invite("code", "eva".into(), None, browser("e")).await.unwrap();
    assert_eq!(refused, Redeemed::Invalid);
    assert!(f.store.invites(Some(team.clone())).await.unwrap().is_empty());
    set("ana", MemberRole::Owner).await.unwrap();
    assert!(good().await.unwrap());
    f.store.block_user("ana".into(), true).await.unwrap();
    assert!(!good().await.unwrap());
}
