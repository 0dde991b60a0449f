//! Roles: who may use which workspace how, and what ends with that.

use std::collections::HashSet;

use berth_protocol::door::Role;
use berth_protocol::ids::RequestId;

use super::*;

impl Fixture {
    /// Another user, signed in with their name as the cookie.
    pub(super) async fn other(&self, name: &str) -> (UserId, BrowserSession) {
        let user = self.store.add_user(name.into()).await.unwrap().id;
        assert!(self.store.begin_sign_in(user.clone(), browser(name)).await.unwrap());
        (user, BrowserSession::of_token(name))
    }

    async fn role_of(&self, user: &UserId) -> Option<MemberRole> {
        let found = self.store.workspace_for(user.clone(), self.workspace.clone()).await.unwrap();
        let listed = self.store.workspaces_of(user.clone()).await.unwrap();
        assert_eq!(listed.first().map(|(_, role)| *role), found.as_ref().map(|(_, role)| *role));
        found.map(|(_, role)| role)
    }

    async fn set(&self, name: &str, role: MemberRole) -> Result<Member, StoreError> {
        let (workspace, by) = (self.workspace.clone(), self.user.clone());
        self.store.set_member(workspace, name.into(), role, by, RequestId::random()).await
    }
}

#[tokio::test]
async fn the_best_way_to_a_workspace_counts() {
    let f = fixture().await;
    let (ana, _) = f.other("ana").await;
    assert_eq!((f.role_of(&f.user).await, f.role_of(&ana).await), (Some(MemberRole::Owner), None));
    f.set("ana", MemberRole::Viewer).await.unwrap();
    assert_eq!(f.role_of(&ana).await, Some(MemberRole::Viewer));
    assert!(matches!(f.set("bob", MemberRole::Viewer).await, Err(StoreError::NoSuchUser(_))));

    let team = f.store.create_organization("team".into(), None).await.unwrap();
    let put = f.store.set_organization_member(team.clone(), "ana".into(), MemberRole::Editor, None);
    assert_eq!(put.await.unwrap().id, ana);
    assert_eq!(f.role_of(&ana).await, Some(MemberRole::Viewer), "the workspace is not the organisation's");
    f.store.hand_workspace(f.workspace.clone(), Some(team.clone())).await.unwrap();
    assert_eq!(f.role_of(&ana).await, Some(MemberRole::Editor));
    assert_eq!(f.role_of(&f.user).await, None, "it is no user's now");
    f.set("ana", MemberRole::Owner).await.unwrap();
    assert_eq!(f.role_of(&ana).await, Some(MemberRole::Owner));
    let members = f.store.members_of(f.workspace.clone()).await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].role, members[0].added), (MemberRole::Owner, Some(MemberRole::Owner)));

    let remove =
        || f.store.remove_member(f.workspace.clone(), ana.clone(), f.user.clone(), RequestId::random());
    assert!(remove().await.unwrap() && !remove().await.unwrap());
    let leave = || f.store.remove_organization_member(team.clone(), ana.clone(), None);
    assert!(leave().await.unwrap() && !leave().await.unwrap());
    assert_eq!(f.role_of(&ana).await, None);
    f.store.hand_workspace(f.workspace.clone(), None).await.unwrap();
    assert_eq!(f.role_of(&f.user).await, Some(MemberRole::Owner));
    let actions: Vec<String> = f
        .store
        .audit(AuditFilter::default(), 10)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.action)
        .collect();
    let newest_first = [
        "workspace_handed",
        "organization_member_removed",
        "member_removed",
        "member_set",
        "workspace_handed",
        "organization_member_set",
        "organization_made",
        "member_set",
    ];
    assert_eq!(actions, newest_first);
}

#[tokio::test]
async fn what_a_role_allowed_ends_with_it() {
    let f = fixture().await;
    let session = f.store.create_session(f.workspace.clone(), "a".into(), "default".into()).await.unwrap().id;
    let preview = f.store.create_preview(f.workspace.clone(), 3000).await.unwrap().id;
    let (ana, cookie) = f.other("ana").await;
    f.set("ana", MemberRole::Editor).await.unwrap();
    let share = f
        .store
        .create_share(session.clone(), ana.clone(), "Eva".into(), "code", HOUR, RequestId::random())
        .await
        .unwrap();
    f.store.open_share("code", "guest", RequestId::random()).await.unwrap().unwrap();
    let user = Holder::User(ana.clone(), cookie.clone());
    let types: Held = (user.clone(), session.clone(), Role::Editor);
    let watches: Held = (user, session.clone(), Role::Viewer);
    let guest: Held = (Holder::Guest(share.id), session.clone(), Role::Viewer);
    let held: HashSet<Held> = [types.clone(), watches.clone(), guest.clone()].into();
    let right = |role| Right { sign_in: cookie.clone(), within: Some((f.workspace.clone(), role)) };
    let (sees, works) = (right(MemberRole::Viewer), right(MemberRole::Editor));
    let used: HashSet<Right> = [sees.clone(), works.clone()].into();
    let seen: Seen = (preview, Viewer::SignedIn(cookie.clone()));
    let ended = async || {
        let terminals = f.store.ended(held.clone()).await.unwrap().rights;
        let answers = f.store.ended_rights(used.clone()).await.unwrap();
        (terminals, answers, !f.store.ended_views([seen.clone()].into()).await.unwrap().is_empty())
    };
    assert_eq!(ended().await, (HashSet::new(), HashSet::new(), false));
    assert!(f.store.guest("guest", session.clone()).await.unwrap().is_some());

    f.set("ana", MemberRole::Viewer).await.unwrap();
    assert_eq!(ended().await, ([types, guest].into(), [works].into(), false), "she can share nothing now");
    assert!(f.store.guest("guest", session.clone()).await.unwrap().is_none());

    f.set("ana", MemberRole::Editor).await.unwrap();
    assert!(f.store.block_user("ana".into(), true).await.unwrap());
    assert_eq!(ended().await, (held.clone(), used.clone(), true));
    assert!(f.store.browser_session("ana").await.unwrap().is_none());
    assert!(!f.store.begin_sign_in(ana.clone(), browser("again")).await.unwrap());
    f.store.put_sign_in_code(ana.clone(), "link", HOUR).await.unwrap();
    assert_eq!(f.store.sign_in("link", browser("again")).await.unwrap(), None, "blocked");
    f.store.block_user("ana".into(), false).await.unwrap();
    assert!(f.store.begin_sign_in(ana, browser("again")).await.unwrap());
    assert!(!f.store.block_user("nobody".into(), true).await.unwrap());
}
