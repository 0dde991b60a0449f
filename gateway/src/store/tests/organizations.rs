//! Organisations: what is seen of them, and that each keeps an owner.

use super::*;

#[tokio::test]
async fn an_organisation_is_seen_by_its_members_with_all_that_is_its() {
    let f = fixture().await;
    let ana = f.store.add_user("ana".into()).await.unwrap();
    let team = f.store.create_organization("team".into(), Some(ana.id.clone())).await.unwrap();
    let empty = f.store.create_organization("empty".into(), None).await.unwrap();
    for by in [None, Some(f.user.clone())] {
        let refused = f.store.create_organization("team".into(), by).await;
        assert!(matches!(refused, Err(StoreError::NameTaken(_))));
    }
    f.store.hand_workspace(f.workspace.clone(), Some(team.clone())).await.unwrap();
    let expected = Organization {
        id: team.clone(),
        name: "team".into(),
        members: vec![(ana.clone(), MemberRole::Owner)],
        workspaces: vec![(f.workspace.clone(), "main".into())],
    };
    let of_hers = f.store.organizations_of(ana.id.clone()).await.unwrap();
    assert_eq!(of_hers, [(expected.clone(), MemberRole::Owner)]);
    let found = f.store.organization_for(ana.id.clone(), team.clone()).await.unwrap();
    assert_eq!(found, Some((expected.clone(), MemberRole::Owner)));
    assert_eq!(f.store.organization_for(ana.id.clone(), empty).await.unwrap(), None);
    assert_eq!(f.store.organization_for(f.user.clone(), team.clone()).await.unwrap(), None, "no member");
    assert_eq!(f.store.organizations().await.unwrap().len(), 2);

    let rename = |name: &'static str| f.store.rename_organization(team.clone(), name.into(), ana.id.clone());
    assert!(matches!(rename("empty").await, Err(StoreError::NameTaken(_))));
    rename("crew").await.unwrap();
    assert_eq!(f.store.organization_named("crew".into()).await.unwrap(), team);
    assert!(matches!(
        f.store.organization_named("team".into()).await,
        Err(StoreError::NoSuchOrganization(_))
    ));
    assert!(f.store.is_owner(f.user.clone()).await.unwrap() && !f.store.is_owner(ana.id).await.unwrap());
}

#[tokio::test]
async fn the_last_owner_stays() {
    let f = fixture().await;
    let ana = f.store.add_user("ana".into()).await.unwrap().id;
    let bob = f.store.add_user("bob".into()).await.unwrap().id;
    let team = f.store.create_organization("team".into(), Some(ana.clone())).await.unwrap();
    let set =
        |name: &'static str, role| f.store.set_organization_member(team.clone(), name.into(), role, None);
    let remove = |user: &UserId| f.store.remove_organization_member(team.clone(), user.clone(), None);
    let last =
        |result: Result<(), StoreError>| assert!(matches!(result, Err(StoreError::LastOwner)), "{result:?}");
    set("bob", MemberRole::Editor).await.unwrap();
    last(remove(&ana).await.map(drop));
    last(set("ana", MemberRole::Viewer).await.map(drop));
    set("ana", MemberRole::Owner).await.unwrap();
    set("bob", MemberRole::Owner).await.unwrap();
    f.store.block_user("bob".into(), true).await.unwrap();
    last(remove(&ana).await.map(drop));
    f.store.block_user("bob".into(), false).await.unwrap();
    assert!(remove(&ana).await.unwrap());
    last(remove(&bob).await.map(drop));
    assert!(!remove(&ana).await.unwrap(), "she has gone");
}

#[tokio::test]
async fn what_an_owner_may_ends_with_the_role_and_when_they_are_blocked() {
    let f = fixture().await;
    let ana = f.store.add_user("ana".into()).await.unwrap().id;
    let team = f.store.create_organization("team".into(), Some(ana.clone())).await.unwrap();
    let new = NewInvite {
        uses: 1,
        access: Some((InvitePlace::Organization(team.clone()), MemberRole::Viewer)),
        lifetime: HOUR,
        by: Some(ana.clone()),
    };
    let invite = f.store.create_invite("code", new).await.unwrap().id;
    f.store.set_organization_member(team.clone(), "owner".into(), MemberRole::Owner, None).await.unwrap();
    let all = async || {
        let (team, by) = (|| team.clone(), || Some(ana.clone()));
        [
            f.store.rename_organization(team(), "crew".into(), ana.clone()).await,
            f.store.set_organization_member(team(), "ana".into(), MemberRole::Owner, by()).await.map(drop),
            f.store.revoke_invite(invite.clone(), Some(team()), by()).await.map(drop),
            f.store.remove_organization_member(team(), f.user.clone(), by()).await.map(drop),
        ]
    };
    f.store.block_user("ana".into(), true).await.unwrap();
    assert!(all().await.iter().all(|done| matches!(done, Err(StoreError::NotTheirs))));
    f.store.block_user("ana".into(), false).await.unwrap();
    let set = |role| f.store.set_organization_member(team.clone(), "ana".into(), role, None);
    set(MemberRole::Editor).await.unwrap();
    assert!(all().await.iter().all(|done| matches!(done, Err(StoreError::NotTheirs))));
    set(MemberRole::Owner).await.unwrap();
    assert!(all().await.iter().all(Result::is_ok));
}
