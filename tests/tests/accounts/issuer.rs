//! Sign-in by an issuer: tokens that pages exchange and programs say, and what is wrong with some of them.

use std::time::Duration;

use berth_tests::issuer::{AUDIENCE, CLIENT, Key, now, unsigned};
use berth_tests::{Client, Issuer, Stack, wait};
use data_encoding::BASE64URL_NOPAD;
use http::Method;
use reqwest::header::{AUTHORIZATION, COOKIE, ORIGIN, SET_COOKIE};
use ring::hmac;
use serde_json::{Value, json};

const CREATE: &str = "new_users = \"create\"\n";

async fn start(more: &str) -> (Stack, Issuer) {
    let (mut stack, issuer) = (Stack::start_gateway().await, Issuer::start().await);
    stack.configure(&issuer.settings(more)).await;
    (stack, issuer)
}

/// A page's exchange of a token for a sign-in: status, body, and the cookie that it is given.
async fn exchange(stack: &Stack, token: &str) -> (u16, Value, Option<Client>) {
    let url = format!("{}/api/v1/sign-in/token", stack.origin());
    let request = berth_tests::client::plain().post(url).header(ORIGIN, stack.origin());
    let answer = request.header(AUTHORIZATION, format!("Bearer {token}")).send().await.unwrap();
    let status = answer.status().as_u16();
    let cookie = answer.headers().get(SET_COOKIE).map(|cookie| {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        Client::with_cookie(stack.origin(), cookie.split(';').next().unwrap())
    });
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null), cookie)
}

/// A program's request with a token.
async fn said(stack: &Stack, method: Method, path: &str, token: &str) -> (u16, Value) {
    let url = format!("{}/api/v1{path}", stack.origin());
    let request = berth_tests::client::plain().request(method, url);
    let answer = request.header(AUTHORIZATION, format!("Bearer {token}")).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_token_becomes_a_sign_in_like_any_other() {
    let (stack, issuer) = start(CREATE).await;
    let token = issuer.token("user_1", &json!({ "preferred_username": "Ana", "azp": "web" }));
    let (status, body, ana) = exchange(&stack, &token).await;
    assert_eq!((status, &body["user"]["name"]), (200, &json!("ana")), "{body}");
    let ana = ana.unwrap();
    assert_eq!(ana.get("/me").await["user"]["name"], "ana");
    assert_eq!(ana.get("/workspaces").await["workspaces"], json!([]), "nobody has given them anything");
    let device = ana.get("/devices").await["devices"][0].clone();
    let week = 7 * 24 * 3_600_000;
    let lasts = device["expires_at_ms"].as_i64().unwrap() - device["created_at_ms"].as_i64().unwrap();
    assert!((week - 60_000..=week + 60_000).contains(&lasts), "{device}");
    // It may be brought again while it is good, by another browser; in one where they are signed in it is no other sign-in.
    assert_eq!(exchange(&stack, &token).await.0, 200);
    let request =
        ana.request(Method::POST, "/sign-in/token").header(AUTHORIZATION, format!("Bearer {token}"));
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success() && !answer.headers().contains_key(SET_COOKIE));
    assert_eq!(ana.get("/devices").await["devices"].as_array().unwrap().len(), 2);
    // Nobody has proved lately who they are, or the issuer does not say so.
    let make = || ana.call(Method::POST, "/tokens", Some(json!({ "name": "ci" })));
    assert_eq!(make().await.kind(), "prove_again");
    let proved = issuer.token("user_1", &json!({ "auth_time": now() - 60 }));
    let old = issuer.token("user_1", &json!({ "auth_time": now() - 3600 }));
    for (token, expected) in [(&old, 403), (&proved, 201), (&old, 201)] {
        let request = ana.request(Method::POST, "/sign-in/token");
        request.header(AUTHORIZATION, format!("Bearer {token}")).send().await.unwrap();
        assert_eq!(make().await.status, expected);
    }
    // Another origin's page can't have it done, whatever it has got hold of.
    for origin in ["null", "https://evil.example"] {
        let url = format!("{}/api/v1/sign-in/token", stack.origin());
        let request = berth_tests::client::plain().post(url).header(ORIGIN, origin);
        let answer = request.header(AUTHORIZATION, format!("Bearer {token}")).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
    }
    assert_eq!(ana.call(Method::POST, "/sign-out", None).await.status, 204);
    assert_eq!(ana.call(Method::GET, "/me", None).await.status, 401);

    let record = stack.operate(&["audit"]);
    for (action, what) in [
        ("user_added", "\"by\":\"issuer\""),
        ("signed_in", "\"by\":\"issuer\""),
        ("proved", "\"by\":\"issuer\""),
        ("signed_out", ""),
    ] {
        let found = |line: &str| line.contains(&format!("\t{action}\t")) && line.contains(what);
        assert!(record.lines().any(found), "{action}: {record}");
    }
    assert!(!stack.gateway.log().contains(&token[..20]), "a token is in the log");
    let store = std::fs::read(stack.path("gateway/gateway.db")).unwrap();
    let wal = std::fs::read(stack.path("gateway/gateway.db-wal")).unwrap_or_default();
    let stored = String::from_utf8_lossy(&[store, wal].concat()).into_owned();
    assert!(!stored.contains(&token[..20]), "a token is stored");
}

#[tokio::test]
async fn no_token_that_is_altered_swapped_or_for_others_lets_anybody_in() {
    let (stack, issuer) = start(CREATE).await;
    let stranger = Key::rsa(1, "one");
    let curve = Key::ec("curve");
    issuer.set_keys(&[issuer.key.clone(), curve.clone()]);
    let claims = issuer.claims("user_1");
    let head = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": "one" });
    let with = |changes: Value| issuer.token("user_1", &changes);
    let good = with(json!({}));
    let signature = good.rsplit_once('.').unwrap().1;
    let public = issuer.key.public();
    let modulus = BASE64URL_NOPAD.decode(public["n"].as_str().unwrap().as_bytes()).unwrap();
    let by_secret = |secret: &[u8]| {
        let text = unsigned(&head("HS256"), &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
    };
    let twice = json!({ "iss": "https://other.example", "sub": "user_1" });
    let wrong = [
        ("altered claims", format!("{}.{signature}", unsigned(&head("RS256"), &issuer.claims("user_2")))),
        ("altered signature", {
            let other = if signature.starts_with('A') { 'B' } else { 'A' };
            format!("{}.{other}{}", unsigned(&head("RS256"), &claims), &signature[1..])
        }),
        ("no signature", format!("{}.", unsigned(&head("RS256"), &claims))),
        ("alg none", format!("{}.", unsigned(&head("none"), &claims))),
        ("alg None", format!("{}.{signature}", unsigned(&head("None"), &claims))),
        ("the public key as a secret", by_secret(public.to_string().as_bytes())),
        ("the modulus as a secret", by_secret(&modulus)),
        ("another's key of that name", stranger.sign(&claims)),
        ("a key for something else", curve.sign_as(&json!({ "alg": "ES256", "kid": "one" }), &claims)),
        ("an algorithm that is not allowed", issuer.key.sign_as(&head("RS512"), &claims)),
        ("a key in the head", {
            let head = json!({ "alg": "RS256", "kid": "two", "jwk": stranger.public(), "jku": "http://127.0.0.1:1/" });
            stranger.sign_as(&head, &claims)
        }),
        (
            "another kind of token",
            issuer.key.sign_as(&json!({ "alg": "RS256", "kid": "one", "typ": "logout+jwt" }), &claims),
        ),
        ("another issuer's", with(json!({ "iss": "https://other.example" }))),
        ("an issuer with a slash", with(json!({ "iss": format!("{}/", issuer.url) }))),
        ("for others", with(json!({ "aud": "other" }))),
        ("for nobody", with(json!({ "aud": null }))),
        ("an ID token", with(json!({ "aud": CLIENT, "nonce": "n" }))),
        ("expired", with(json!({ "exp": now() - 11 }))),
        ("without an end", with(json!({ "exp": null }))),
        ("not good yet", with(json!({ "nbf": now() + 30 }))),
        ("from the future", with(json!({ "iat": now() + 30 }))),
        ("nobody's", with(json!({ "sub": "" }))),
        ("of two issuers", issuer.key.sign(&twice)),
        ("no token", "a.b.c".to_owned()),
        ("ours", "berth_a.b.c".to_owned()),
        ("nothing", String::new()),
    ];
    for (what, token) in &wrong {
        let (status, body, cookie) = exchange(&stack, token).await;
        assert_eq!((status, &body["error"]["kind"]), (403, &json!("sign_in_failed")), "{what}: {body}");
        assert!(cookie.is_none());
        assert_eq!(said(&stack, Method::GET, "/me", token).await.0, 401, "{what}");
    }
    assert_eq!(stack.operate(&["user", "list"]).lines().count(), 1, "somebody was made an account");
    let record = stack.operate(&["audit", "export", "--outcome", "refused"]);
    for reason in
        ["signature", "algorithm", "unknown_key", "malformed", "issuer", "audience", "expired", "not_yet"]
    {
        assert!(record.contains(&format!("\"reason\":\"{reason}\"")), "{reason}: {record}");
    }

    // Clocks differ a little, and audiences come in lists. And the curve's key is as good.
    for (what, token) in [
        ("just expired", with(json!({ "exp": now() - 5 }))),
        ("almost good", with(json!({ "nbf": now() + 5 }))),
        ("of several audiences", with(json!({ "aud": ["other", AUDIENCE] }))),
        ("by the curve", curve.sign(&claims)),
        (
            "of an access token's type",
            issuer.key.sign_as(&json!({ "alg": "RS256", "kid": "one", "typ": "at+JWT" }), &claims),
        ),
    ] {
        assert_eq!(exchange(&stack, &token).await.0, 200, "{what}");
    }
}

#[tokio::test]
async fn a_program_says_the_issuers_token_until_it_ends() {
    let (stack, issuer) = start(CREATE).await;
    let token = issuer.token("user_1", &json!({ "preferred_username": "ana" }));
    let (status, me) = said(&stack, Method::GET, "/me", &token).await;
    assert_eq!((status, &me["user"]["name"]), (200, &json!("ana")), "{me}");
    stack.operate(&["member", "set", "main", "ana", "editor"]);
    let owner = stack.client().await;
    let sessions = format!("/workspaces/{}/sessions", owner.workspace().await);
    assert_eq!(said(&stack, Method::GET, &sessions, &token).await.0, 200);
    // What only people do takes a browser.
    for (method, path) in [
        (Method::GET, "/tokens"),
        (Method::POST, "/tokens"),
        (Method::GET, "/credentials"),
        (Method::GET, "/devices"),
        (Method::POST, "/sign-out"),
    ] {
        let (status, body) = said(&stack, method.clone(), path, &token).await;
        assert_eq!((status, &body["error"]["kind"]), (403, &json!("token_not_enough")), "{method} {path}");
    }
    // It is no cookie, and no cookie counts beside it.
    let name = owner.cookie().split_once('=').unwrap().0;
    let disguised = Client::with_cookie(stack.origin(), &format!("{name}={token}"));
    assert_eq!(disguised.call(Method::GET, "/me", None).await.status, 401);
    let bad = format!("{token}x");
    let url = format!("{}/api/v1/me", stack.origin());
    let request = berth_tests::client::plain().get(url).header(COOKIE, owner.cookie());
    assert_eq!(request.header(AUTHORIZATION, format!("Bearer {bad}")).send().await.unwrap().status(), 401);

    let stream = async |token: &str| {
        let url = format!("{}/api/v1/events", stack.origin());
        let request = berth_tests::client::plain().get(url).header(AUTHORIZATION, format!("Bearer {token}"));
        let mut events = request.send().await.unwrap();
        assert!(events.chunk().await.unwrap().unwrap().starts_with(b"event: snapshot"));
        events
    };
    let ended = async |mut events: reqwest::Response, within: u64| {
        let rest = async { while let Ok(Some(_)) = events.chunk().await {} };
        tokio::time::timeout(Duration::from_secs(within), rest).await.expect("the stream ends");
    };
    let short = issuer.token("user_1", &json!({ "exp": now() + 2 }));
    ended(stream(&short).await, 10).await;
    let events = stream(&token).await;
    stack.operate(&["user", "block", "ana"]);
    ended(events, 5).await;
    assert_eq!(said(&stack, Method::GET, "/me", &token).await.0, 401);
    assert_eq!(exchange(&stack, &token).await.0, 403);
    stack.operate(&["user", "unblock", "ana"]);
    assert_eq!(said(&stack, Method::GET, "/me", &token).await.0, 200);
}

#[tokio::test]
async fn keys_serve_through_an_outage_in_which_they_change() {
    let more = format!("{CREATE}keys_secs = 1\nrefetch_secs = 1\nkeys_kept_secs = 5\n");
    let (stack, issuer) = start(&more).await;
    let status = async |token: &str| exchange(&stack, token).await.0;
    let old = || issuer.token("user_1", &json!({}));
    assert_eq!(status(&old()).await, 200);
    issuer.set_down(true);
    let new = Key::rsa(1, "two");
    issuer.set_keys(std::slice::from_ref(&new));
    // Past the time for which keys are taken without a question.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(status(&old()).await, 200, "the key of before serves");
    assert_eq!(status(&new.sign(&issuer.claims("user_1"))).await, 403, "nobody knows the new one yet");
    issuer.set_down(false);
    wait::until("the new key to be known", async || {
        (status(&new.sign(&issuer.claims("user_1"))).await == 200).then_some(())
    })
    .await;
    assert_eq!(status(&old()).await, 403, "the old one was taken back");
    issuer.set_down(true);
    wait::until("the keys to be too old", async || {
        let (status, body, _) = exchange(&stack, &new.sign(&issuer.claims("user_1"))).await;
        (status == 503 && body["error"]["kind"] == "issuer_unavailable").then_some(())
    })
    .await;
    assert!(stack.gateway.log().contains("the issuer's keys could not be read"));
}

#[tokio::test]
async fn made_up_keys_do_not_send_the_gateway_to_the_issuer_again_and_again() {
    let (stack, issuer) = start(CREATE).await;
    assert_eq!(exchange(&stack, &issuer.token("user_1", &json!({}))).await.0, 200);
    let begun = std::time::Instant::now();
    let made_up = |number: usize| {
        let head = json!({ "alg": "RS256", "kid": format!("made-up-{number}") });
        issuer.key.sign_as(&head, &issuer.claims("user_1"))
    };
    for number in 0..40 {
        assert_eq!(exchange(&stack, &made_up(number)).await.0, 403);
        assert_eq!(said(&stack, Method::GET, "/me", &made_up(number)).await.0, 401);
    }
    let asked = issuer.seen("/keys").len();
    // Once for the first token, and once in ten seconds from then on.
    let most = 2 + usize::try_from(begun.elapsed().as_secs() / 10).unwrap();
    assert!((1..=most).contains(&asked), "asked {asked} times for keys");
    assert_eq!(issuer.seen("/.well-known").len(), 1);
}

#[tokio::test]
async fn who_was_never_here_is_let_in_as_the_operator_says() {
    let (mut stack, issuer) = start("").await;
    let ana = stack.person("ana").await;
    // Neither name nor address makes anybody somebody who is here.
    let token = || {
        issuer.token(
            "user_1",
            &json!({ "preferred_username": "ana", "email": "ana@example.com", "email_verified": true }),
        )
    };
    let (status, body, cookie) = exchange(&stack, &token()).await;
    assert_eq!((status, &body["error"]["kind"]), (403, &json!("no_account")), "{body}");
    assert!(cookie.is_none());
    assert_eq!(said(&stack, Method::GET, "/me", &token()).await.0, 401);
    // The operator's word does.
    stack.operate(&["user", "link", "ana", "user_1"]);
    let (status, body, linked) = exchange(&stack, &token()).await;
    assert_eq!((status, &body["user"]["id"]), (200, &ana.get("/me").await["user"]["id"]), "{body}");
    assert!(!stack.gateway_verb(&["user", "link", "owner", "user_1"]).status.success(), "it is ana's");
    stack.operate(&["user", "unlink", "ana"]);
    assert_eq!(linked.unwrap().call(Method::GET, "/me", None).await.status, 401);
    assert_eq!(exchange(&stack, &token()).await.0, 403);

    // Another policy: accounts for those of a domain, who become members of an organisation.
    stack.operate(&["organization", "create", "team"]);
    stack.operate(&["organization", "give", "main", "team"]);
    let more = "new_users = \"create\"\nemail_domains = [\"example.com\"]\norganization = \"team\"\nrole = \"viewer\"\n";
    let file = stack.path("gateway.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.split("[issuer]").next().unwrap()).unwrap();
    stack.configure(&issuer.settings(more)).await;
    for (email, verified) in [
        (json!("eva@other.example"), json!(true)),
        (json!("eva@example.com"), json!(false)),
        (json!("eva@example.com"), Value::Null),
        (json!("eva@example.com.other.example"), json!(true)),
        (Value::Null, json!(true)),
    ] {
        let token = issuer.token("user_2", &json!({ "email": email, "email_verified": verified }));
        assert_eq!(exchange(&stack, &token).await.1["error"]["kind"], "no_account", "{email} {verified}");
    }
    let (status, body, new) = exchange(&stack, &token()).await;
    assert_eq!((status, &body["user"]["name"]), (200, &json!("ana-2")), "{body}: not the ana who was here");
    let workspaces = new.unwrap().get("/workspaces").await;
    assert_eq!(
        (&workspaces["workspaces"][0]["name"], &workspaces["workspaces"][0]["role"]),
        (&json!("main"), &json!("viewer"))
    );
    // Who is known stays who they are, whatever their address is now.
    let moved =
        issuer.token("user_1", &json!({ "email": "ana@other.example", "preferred_username": "owner" }));
    assert_eq!(exchange(&stack, &moved).await.1["user"]["name"], "ana-2");
    stack.operate(&["user", "block", "ana-2"]);
    assert_eq!(exchange(&stack, &token()).await.1["error"]["kind"], "sign_in_failed");
}

#[tokio::test]
async fn sessions_of_clerk_are_signed_in_and_given_to_a_known_page() {
    let (mut stack, issuer) = (Stack::start_gateway().await, Issuer::start().await);
    let settings = format!(
        "[issuer]\nurl = \"{}\"\nkind = \"clerk\"\nauthorized_parties = [\"https://app.example\"]\n\
         jwks_url = \"{0}/keys\"\n{CREATE}",
        issuer.url
    );
    stack.configure(&settings).await;
    let token = |changes: Value| {
        let mut all = json!({ "aud": null, "sid": "sess_1", "azp": "https://app.example", "v": 2 });
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        issuer.token("user_1", &all)
    };
    for (changes, expected) in [
        (json!({}), 200),
        (json!({ "azp": null }), 200),
        (json!({ "sts": "active", "fva": [0, -1] }), 200),
        (json!({ "sts": "pending" }), 403),
        (json!({ "sid": null }), 403),
        (json!({ "azp": "https://other.example" }), 403),
        (json!({ "aud": "other" }), 403),
    ] {
        assert_eq!(exchange(&stack, &token(changes.clone())).await.0, expected, "{changes}");
    }
    assert!(issuer.seen("/.well-known").is_empty(), "it was said where the keys are");
    let ways = Client::with_cookie(stack.origin(), "").get("/sign-in/ways").await;
    assert_eq!(ways["issuer"], Value::Null, "there is no client, so there is no button");
}

#[tokio::test]
async fn without_an_issuer_there_is_no_such_way_and_a_wrong_one_stops_the_start() {
    let mut stack = Stack::start_gateway().await;
    let issuer = Issuer::start().await;
    let token = issuer.token("user_1", &json!({}));
    assert_eq!(exchange(&stack, &token).await.1["error"]["kind"], "no_issuer");
    assert_eq!(said(&stack, Method::GET, "/me", &token).await.0, 401);
    let plain = berth_tests::client::plain();
    for path in ["/sign-in/issuer", "/sign-in/issuer/callback?code=a&state=b"] {
        assert_eq!(plain.get(format!("{}{path}", stack.origin())).send().await.unwrap().status(), 404);
    }
    assert!(issuer.seen("/").is_empty());
    stack.gateway.stop();
    let file = stack.path("gateway.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    for (more, words) in [
        ("algorithms = [\"HS256\"]\n", "HS256"),
        ("client_secret_file = \"/nowhere/secret\"\n", "/nowhere/secret"),
    ] {
        std::fs::write(&file, format!("{settings}{}", issuer.settings(more))).unwrap();
        let refused = stack.gateway_verb(&["serve"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(words), "{more}: {said}");
    }
}
