//! The sign-in of a browser that is sent to the issuer and comes back with a code.

use berth_tests::issuer::{CLIENT, Key, now, pairs};
use berth_tests::{Browser, Client, Issuer, Stack, wait};
use http::Method;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::json;

async fn start(more: &str) -> (Stack, Issuer) {
    let (mut stack, issuer) = (Stack::start_gateway().await, Issuer::start().await);
    stack.configure(&issuer.settings(&format!("new_users = \"create\"\n{more}"))).await;
    (stack, issuer)
}

/// A browser that was sent to the issuer: its cookie, and where it was sent.
async fn sent(stack: &Stack, query: &str) -> (String, String) {
    let url = format!("{}/sign-in/issuer{query}", stack.origin());
    let answer = berth_tests::client::plain().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    (cookie.split(';').next().unwrap().to_owned(), answer.headers()[LOCATION].to_str().unwrap().to_owned())
}

/// Where the issuer's page leads back to, by the link with this id.
async fn allowed(to: &str, link: &str) -> String {
    let page = berth_tests::client::plain().get(to).send().await.unwrap().text().await.unwrap();
    let (_, rest) = page.split_once(&format!("id=\"{link}\" href=\"")).unwrap_or_else(|| panic!("{page}"));
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// A browser that comes back: where it is sent then, and the cookies that it is given.
async fn back(url: &str, cookie: &str) -> (String, Vec<String>) {
    let answer = berth_tests::client::plain().get(url).header(COOKIE, cookie).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned()).collect();
    (answer.headers()[LOCATION].to_str().unwrap().to_owned(), cookies)
}

/// The browser that those cookies make.
fn signed_in(stack: &Stack, cookies: &[String]) -> Client {
    let cookie =
        cookies.iter().find(|cookie| !cookie.contains("issuer")).unwrap_or_else(|| panic!("{cookies:?}"));
    Client::with_cookie(stack.origin(), cookie.split(';').next().unwrap())
}

#[tokio::test]
async fn a_code_signs_in_the_browser_that_was_sent_for_it_once() {
    let (stack, issuer) = start("").await;
    issuer.set_user(json!({ "sub": "user_1", "preferred_username": "ana", "auth_time": now() }));
    let (cookie, to) = sent(&stack, "").await;
    let asked = pairs(to.split_once('?').unwrap().1);
    assert!(to.starts_with(&format!("{}/authorize?", issuer.url)), "{to}");
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("code_challenge_method", "S256"),
        ("scope", "openid email profile"),
        ("redirect_uri", &format!("{}/sign-in/issuer/callback", stack.origin())),
    ] {
        assert_eq!(asked[name], expected, "{to}");
    }
    assert!(!asked.contains_key("prompt"));
    let good = allowed(&to, "go").await;
    let (next, cookies) = back(&good, &cookie).await;
    assert_eq!(next, "/");
    assert!(cookies.iter().any(|one| one.contains("issuer") && one.contains("Max-Age=0")), "{cookies:?}");
    let ana = signed_in(&stack, &cookies);
    assert_eq!(ana.get("/me").await["user"]["name"], "ana");
    assert_eq!(
        ana.call(Method::POST, "/tokens", Some(json!({ "name": "ci" }))).await.status,
        201,
        "lately proved"
    );
    // That it was asked to have them prove it anew is no proof: their browser carries the question, and can change it.
    issuer.set_user(json!({ "sub": "user_2", "preferred_username": "eva" }));
    let (cookie, to) = sent(&stack, "?again=true").await;
    assert!(to.contains("prompt=login") && to.contains("max_age=0"), "{to}");
    let stripped = to.replace("&prompt=login", "").replace("&max_age=0", "");
    let eva = signed_in(&stack, &back(&allowed(&stripped, "go").await, &cookie).await.1);
    let make = eva.call(Method::POST, "/tokens", Some(json!({ "name": "ci" }))).await;
    assert_eq!(make.kind(), "prove_again");

    // Once: neither the code nor the way back is good again, with the cookie or without.
    for cookie in [cookie.as_str(), ""] {
        let (next, cookies) = back(&good, cookie).await;
        assert_eq!(next, "/?sign_in=issuer_failed");
        assert!(cookies.iter().all(|one| one.contains("issuer")), "{cookies:?}");
    }
    // Another browser's code, state, or issuer.
    let (mine, my_way) = sent(&stack, "").await;
    let (others, others_way) = sent(&stack, "").await;
    let (my_back, others_back) = (allowed(&my_way, "go").await, allowed(&others_way, "go").await);
    let code = |url: &str| pairs(url.split_once('?').unwrap().1)["code"].clone();
    let asked_for = issuer.seen("/token").len();
    for (what, url) in [
        ("another's way back", others_back.clone()),
        ("no state", my_back.replace("&state=", "&stat=")),
        ("another issuer", my_back.replace("&iss=http", "&iss=https")),
    ] {
        assert_eq!(back(&url, &mine).await.0, "/?sign_in=issuer_failed", "{what}");
        assert_eq!(issuer.seen("/token").len(), asked_for, "{what} was told to the issuer");
    }
    // A code of another sign-in, brought into this one: the issuer refuses it without its verifier.
    let swapped = my_back.replace(&code(&my_back), &code(&others_back));
    assert_eq!(back(&swapped, &mine).await.0, "/?sign_in=issuer_failed");
    assert_eq!(back(&my_back, &mine).await.0, "/?sign_in=issuer_failed", "it was tried");
    assert_eq!(back(&others_back, &others).await.0, "/?sign_in=issuer_failed", "the code was used");
    // Somebody who presses Cancel.
    let (cookie, to) = sent(&stack, "").await;
    assert_eq!(back(&allowed(&to, "no").await, &cookie).await.0, "/?sign_in=issuer_denied");
    // Nothing is begun by whoever only looks.
    let url = format!("{}/sign-in/issuer", stack.origin());
    assert_eq!(berth_tests::client::plain().head(url).send().await.unwrap().status(), 405);

    let record = stack.operate(&["audit", "export", "--outcome", "refused"]);
    for reason in ["state", "denied", "code"] {
        assert!(record.contains(&format!("\"reason\":\"{reason}\"")), "{reason}: {record}");
    }
}

#[tokio::test]
async fn what_the_issuer_says_of_a_browser_must_answer_its_question() {
    let (stack, issuer) = start("").await;
    for (what, user) in [
        ("another nonce", json!({ "sub": "user_1", "nonce": "other" })),
        ("another client's", json!({ "sub": "user_1", "aud": "other" })),
        ("given to another", json!({ "sub": "user_1", "azp": "other" })),
        ("another issuer's", json!({ "sub": "user_1", "iss": "https://other.example" })),
        ("expired", json!({ "sub": "user_1", "exp": now() - 60 })),
    ] {
        issuer.set_user(user);
        let (cookie, to) = sent(&stack, "").await;
        assert_eq!(back(&allowed(&to, "go").await, &cookie).await.0, "/?sign_in=issuer_failed", "{what}");
    }
    // Signed with a key that the issuer does not have.
    issuer.set_user(json!({ "sub": "user_1" }));
    let (cookie, to) = sent(&stack, "").await;
    let way = allowed(&to, "go").await;
    issuer.set_keys(&[Key::rsa(1, "one")]);
    assert_eq!(back(&way, &cookie).await.0, "/?sign_in=issuer_failed");
    issuer.set_keys(std::slice::from_ref(&issuer.key));
    // When it does not answer, nobody is sent anywhere who was not; and nobody who was can be signed in.
    let (cookie, to) = sent(&stack, "").await;
    let way = allowed(&to, "go").await;
    issuer.set_down(true);
    assert_eq!(back(&way, &cookie).await.0, "/?sign_in=issuer_unavailable");
    assert!(!stack.operate(&["user", "list"]).contains("user\t"), "somebody was made an account");
}

#[tokio::test]
async fn newcomers_need_the_organisation_that_the_settings_name() {
    let (stack, issuer) = start("organization = \"team\"\n").await;
    issuer.set_user(json!({ "sub": "user_1", "preferred_username": "ana" }));
    let comes = async || {
        let (cookie, to) = sent(&stack, "").await;
        back(&allowed(&to, "go").await, &cookie).await.0
    };
    assert_eq!(comes().await, "/?sign_in=no_account");
    let owner = stack.client().await;
    stack.operate(&["organization", "create", "team"]);
    stack.operate(&["organization", "set", "team", "owner", "owner"]);
    let known = owner.get("/organizations").await;
    let path = format!("/organizations/{}", known["organizations"][0]["id"].as_str().unwrap());
    let refused = owner.call(Method::PATCH, &path, Some(json!({ "name": "crew" }))).await;
    assert_eq!((refused.status, refused.kind()), (409, "organization_in_settings"));
    assert_eq!(comes().await, "/");
}

#[tokio::test]
async fn a_client_that_is_not_public_proves_itself_with_a_secret_from_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let (mut stack, issuer) = (Stack::start_gateway().await, Issuer::start().await);
    let file = stack.path("issuer.secret");
    std::fs::write(&file, "planted-secret-of-the-client\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let more = format!("new_users = \"create\"\nclient_secret_file = \"{}\"\n", file.display());
    stack.configure(&issuer.settings(&more)).await;
    issuer.set_user(json!({ "sub": "user_1", "name": "Ana Maria" }));
    issuer.set_secret("another");
    let (cookie, to) = sent(&stack, "").await;
    assert_eq!(back(&allowed(&to, "go").await, &cookie).await.0, "/?sign_in=issuer_failed");
    issuer.set_secret("planted-secret-of-the-client");
    let (cookie, to) = sent(&stack, "").await;
    let (_, cookies) = back(&allowed(&to, "go").await, &cookie).await;
    assert_eq!(signed_in(&stack, &cookies).get("/me").await["user"]["name"], "ana-maria");
}

#[tokio::test]
async fn a_button_leads_to_the_issuer_and_back_and_proves_again_who_one_is() {
    let (stack, issuer) = start("").await;
    let browser = Browser::open(1200, 800).await;
    browser.goto(stack.origin()).await;
    let button = browser.element("sign-in-issuer").await;
    assert_eq!(button.text().await.unwrap(), "Sign in with Example");
    browser.picture("sign-in-issuer").await;
    issuer.set_user(json!({ "sub": "user_1", "preferred_username": "ana" }));
    browser.press("sign-in-issuer").await;
    browser.css("#no").await.click().await.unwrap();
    assert!(browser.element("sign-in-failed").await.text().await.unwrap().contains("Nobody was signed in"));
    browser.picture("sign-in-issuer-failed").await;
    browser.press("sign-in-issuer").await;
    browser.css("#go").await.click().await.unwrap();
    let named = async || {
        let name = browser.element("account-link").await.text().await.ok()?;
        name.contains("ana").then_some(())
    };
    wait::until("ana to be signed in", named).await;
    let address = browser.page.current_url().await.unwrap();
    assert!(address.query().is_none() && address.path() == "/", "{address}");

    // The issuer did not say when they proved it: what is dangerous wants them to do so.
    browser.press("account-link").await;
    browser.element("token-name").await.send_keys("ci").await.unwrap();
    browser.press("token-create").await;
    browser.element("prove-dialog").await;
    let prove = "[data-testid='prove-dialog'] [data-testid='sign-in-issuer']";
    assert_eq!(browser.css(prove).await.text().await.unwrap(), "Prove it with Example");
    browser.picture("prove-issuer").await;
    issuer.set_user(json!({ "sub": "user_1", "preferred_username": "ana", "auth_time": now() }));
    browser.css(prove).await.click().await.unwrap();
    browser.css("#go").await.click().await.unwrap();
    wait::until("ana to be back", named).await;
    let asked = issuer.seen("/authorize").pop().unwrap();
    assert!(asked.contains("prompt=login") && asked.contains("max_age=0"), "{asked}");
    browser.press("account-link").await;
    browser.element("token-name").await.send_keys("ci").await.unwrap();
    browser.press("token-create").await;
    browser.element("token-secret").await;

    browser.page.set_window_size(500, 844).await.unwrap();
    browser.goto(stack.origin()).await;
    browser.press("sign-out").await;
    browser.element("sign-in-issuer").await;
    browser.picture("sign-in-issuer-phone").await;
    let wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(browser.script(wider).await, false, "the page scrolls sideways");
    browser.close().await;
}
