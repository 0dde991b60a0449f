//! Previews, codes and grants, and what a box reports of its ports.

use std::collections::HashSet;

use berth_protocol::ids::PreviewId;
use berth_protocol::ports::{MAX_PORTS, ObservedPort, ObservedPorts};

use super::*;

#[tokio::test]
async fn a_port_is_published_once_and_only_by_its_own_workspace_changed() {
    let f = fixture().await;
    let preview = f.store.create_preview(f.workspace.clone(), 3000).await.unwrap();
    let again = f.store.create_preview(f.workspace.clone(), 3000).await;
    assert!(matches!(again, Err(StoreError::PreviewExists(3000))), "{again:?}");
    let other = f.store.create_workspace(f.user.clone(), "other".into()).await.unwrap().id;
    f.store.create_preview(other.clone(), 3000).await.unwrap();
    let public = Some(Visibility::Public);
    let changed = f.store.change_preview(other.clone(), preview.id.clone(), public, None).await.unwrap();
    assert_eq!(changed, None, "another workspace's");
    assert!(!f.store.delete_preview(other, preview.id.clone()).await.unwrap());
    let changed =
        f.store.change_preview(f.workspace.clone(), preview.id.clone(), public, None).await.unwrap();
    assert_eq!(changed, Some(Preview { visibility: Visibility::Public, ..preview.clone() }));
    assert!(f.store.delete_preview(f.workspace.clone(), preview.id.clone()).await.unwrap());
    assert_eq!(f.store.preview(preview.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_code_lets_one_browser_in_to_one_preview_for_as_long_as_it_is_signed_in() {
    let f = fixture().await;
    let browser = f.signed_in().await;
    let preview = f.store.create_preview(f.workspace.clone(), 3000).await.unwrap().id;
    let other = f.store.create_preview(f.workspace.clone(), 3001).await.unwrap().id;
    let put = async |code: &str, lifetime| {
        let nonce = Store::nonce_hash("nonce");
        f.store
            .put_preview_code(code, preview.clone(), nonce, Entrant::SignedIn(browser.clone()), lifetime)
            .await
            .unwrap();
    };
    let enter = async |code: &str, preview: &PreviewId, nonce: &str| {
        f.store.enter_preview(code, preview.clone(), nonce, "token").await.unwrap()
    };
    put("late", Duration::ZERO).await;
    assert!(!enter("late", &preview, "nonce").await);
    put("strange", HOUR).await;
    assert!(!enter("strange", &preview, "another").await);
    assert!(!enter("strange", &preview, "nonce").await, "it is gone all the same");
    put("elsewhere", HOUR).await;
    assert!(!enter("elsewhere", &other, "nonce").await);
    put("good", HOUR).await;
    assert!(enter("good", &preview, "nonce").await);
    assert!(!enter("good", &preview, "nonce").await, "it was used twice");

    let granted = async |preview: &PreviewId, token| {
        f.store.preview_access(preview.clone(), Some(Grant::of_token(token))).await.unwrap().unwrap().1
    };
    let grant = granted(&preview, "token").await.unwrap();
    assert_eq!(grant.user.as_ref(), Some(&f.user), "it is counted as the user's");
    assert_eq!(granted(&other, "token").await, None);
    assert_eq!(granted(&preview, "guessed").await, None);
    let views: HashSet<Seen> = [
        (preview.clone(), Viewer::Granted(grant.grant)),
        (preview.clone(), Viewer::SignedIn(browser.clone())),
    ]
    .into();
    let public = (preview.clone(), Viewer::Anybody);
    let all: HashSet<Seen> = views.iter().cloned().chain([public.clone()]).collect();
    assert_eq!(f.store.ended_views(all.clone()).await.unwrap(), [public].into(), "it was never public");
    f.store.sign_out(browser).await.unwrap();
    assert_eq!(granted(&preview, "token").await, None);
    assert_eq!(f.store.ended_views(all.clone()).await.unwrap(), all);
}

#[tokio::test]
async fn a_box_says_what_listens_in_plain_words_and_over_its_newest_link() {
    let f = fixture().await;
    let instance = f.enrolled().await;
    let link = f.linked(&instance).await;
    let port = |port, process: &str| ObservedPort { port, process: Some(process.into()), kind: None };
    let put =
        async |link, ports| f.store.put_ports(instance.clone(), link, ObservedPorts { ports }).await.unwrap();
    assert_eq!(put(link, vec![port(3000, "no\u{1b}de")]).await, PortsOutcome::Changed);
    assert_eq!(put(link, vec![port(3000, "node")]).await, PortsOutcome::Same);
    assert_eq!(f.store.ports_of(f.workspace.clone()).await.unwrap(), [port(3000, "node")]);
    assert_eq!(put(link - 1, vec![]).await, PortsOutcome::StaleLink);
    put(link, vec![port(1, "x"); 10 * MAX_PORTS]).await;
    assert_eq!(f.store.ports_of(f.workspace.clone()).await.unwrap().len(), MAX_PORTS);
    let stranger = f.store.ports_of(f.store.create_workspace(f.user.clone(), "b".into()).await.unwrap().id);
    assert!(stranger.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_link_lets_in_whoever_has_it_until_it_ends() {
    let f = fixture().await;
    let preview = f.store.create_preview(f.workspace.clone(), 3000).await.unwrap().id;
    let other = f.store.create_preview(f.workspace.clone(), 3001).await.unwrap().id;
    let make = async |lifetime| {
        f.store.create_link(preview.clone(), f.user.clone(), "Ana".into(), lifetime).await.unwrap()
    };
    let enter = async |link: &PreviewLink, preview: &PreviewId, token: &str| {
        let (nonce, entrant) = (Store::nonce_hash("nonce"), Entrant::Linked(link.id.clone()));
        f.store.put_preview_code("code", preview.clone(), nonce, entrant, HOUR).await.unwrap();
        f.store.enter_preview("code", preview.clone(), "nonce", token).await.unwrap()
    };
    let granted = async |token: &str| {
        let grant = Grant::of_token(token);
        f.store.preview_access(preview.clone(), Some(grant)).await.unwrap().unwrap().1
    };
    let (one, second) = (make(HOUR).await, make(HOUR).await);
    assert!(!enter(&one, &other, "t").await, "a link leads to one preview");
    assert!(enter(&one, &preview, "first").await && enter(&one, &preview, "second").await, "many people");
    assert!(enter(&second, &preview, "other").await);
    let first = granted("first").await.unwrap();
    assert_eq!(first.user, None, "it is nobody's");
    let seen = (preview.clone(), Viewer::Granted(first.grant));
    assert_eq!(f.store.ended_views([seen.clone()].into()).await.unwrap(), HashSet::new());
    let until = f.store.preview(preview.clone()).await.unwrap().unwrap().link_until_ms;
    assert_eq!(until, Some(second.expires_at_ms.max(one.expires_at_ms)));

    assert_eq!(f.store.open_link(one.id.clone()).await.unwrap().unwrap().opened, 1);
    assert_eq!(f.store.end_links(other.clone(), Some(one.id.clone())).await.unwrap(), 0, "another preview's");
    assert_eq!(f.store.end_links(preview.clone(), Some(one.id.clone())).await.unwrap(), 1);
    assert_eq!((granted("first").await, granted("second").await), (None, None));
    assert!(granted("other").await.is_some(), "the other link goes on");
    assert_eq!(f.store.ended_views([seen.clone()].into()).await.unwrap(), [seen].into());
    assert_eq!(f.store.open_link(one.id).await.unwrap(), None);

    let private = Some(Visibility::Private);
    f.store.change_preview(f.workspace.clone(), preview.clone(), private, None).await.unwrap();
    assert_eq!(granted("other").await, None, "a preview that was made private has no links");
    let late = make(Duration::ZERO).await;
    assert!(!enter(&late, &preview, "late").await);
    assert_eq!(f.store.links_of(preview).await.unwrap(), []);
}
