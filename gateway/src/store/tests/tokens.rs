//! API tokens: what they are, and what ends with them.

use berth_protocol::ids::TokenId;

use super::*;

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_token_is_its_users_until_it_ends_and_no_browsers() {
    let f = fixture().await;
    let make = async |secret: &str, lifetime| {
        f.store
            .create_token(f.user.clone(), "ci".into(), scopes("previews read"), secret, lifetime)
            .await
            .unwrap()
    };
    let made = make("secret", HOUR).await;
    make("late", Duration::ZERO).await;
    let (user, token) = f.store.use_token("secret").await.unwrap().unwrap();
    assert_eq!((user.id, &token), (f.user.clone(), &made));
    assert!(
        token.scopes.has(Scope::Previews) && token.scopes.has(Scope::Read) && !token.scopes.has(Scope::All)
    );
    let listed = f.store.tokens_of(f.user.clone()).await.unwrap();
    assert_eq!(listed.len(), 1, "one that is late is not listed");
    let used = listed[0].last_used_at_ms.unwrap();
    f.store.use_token("secret").await.unwrap();
    assert_eq!(
        f.store.tokens_of(f.user.clone()).await.unwrap()[0].last_used_at_ms,
        Some(used),
        "to the minute"
    );
    assert_eq!(f.store.use_token("late").await.unwrap(), None);
    assert_eq!(f.store.use_token("guessed").await.unwrap(), None);
    assert_eq!(f.store.browser_session("secret").await.unwrap(), None, "as a cookie it is nothing");
    f.signed_in().await;
    assert_eq!(f.store.use_token("t").await.unwrap(), None, "a browser's cookie is no token");
}

#[tokio::test]
async fn what_a_token_was_given_ends_with_it() {
    let f = fixture().await;
    let preview = f.store.create_preview(f.workspace.clone(), 3000).await.unwrap().id;
    let token =
        f.store.create_token(f.user.clone(), "ci".into(), scopes("all"), "secret", HOUR).await.unwrap();
    let seen = (preview, Viewer::SignedIn(token.sign_in.clone()));
    assert!(f.store.ended_views([seen.clone()].into()).await.unwrap().is_empty());
    let right = Right { sign_in: token.sign_in.clone(), within: None };
    assert!(f.store.ended_rights([right.clone()].into()).await.unwrap().is_empty());
    let stranger = f.store.revoke_token(UserId::random(), token.id.clone()).await.unwrap();
    assert_eq!(stranger, None, "another user's");
    assert_eq!(f.store.revoke_token(f.user.clone(), TokenId::random()).await.unwrap(), None);
    let revoked = f.store.revoke_token(f.user.clone(), token.id.clone()).await.unwrap();
    assert_eq!(revoked, Some(token.sign_in.clone()));
    assert_eq!(f.store.ended_views([seen.clone()].into()).await.unwrap(), [seen].into());
    assert_eq!(f.store.ended_rights([right.clone()].into()).await.unwrap(), [right].into());
    assert_eq!(f.store.tokens_of(f.user.clone()).await.unwrap(), []);
    assert_eq!(f.store.use_token("secret").await.unwrap(), None);
}

#[test]
fn scopes_are_written_as_words_and_unknown_ones_allow_nothing() {
    assert_eq!(scopes("read previews read").to_string(), "read previews");
    assert_eq!(scopes("everything").to_string(), "");
    assert!("everything".parse::<Scope>().is_err());
}
