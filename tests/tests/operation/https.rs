//! The front with the operator's own certificate.

use berth_tests::{Stack, wait};
use rcgen::{CertifiedKey, generate_simple_self_signed};

#[tokio::test]
async fn the_front_serves_https_with_the_operators_certificate() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.stop();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(stack.path("front.pem"), cert.pem()).unwrap();
    std::fs::write(stack.path("front.key"), signing_key.serialize_pem()).unwrap();
    let path = |name: &str| stack.path(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("front.pem"), path("front.key"));
    stack.gateway.set_env("BERTH_GATEWAY__FRONT__TLS_CERTIFICATE", &certificate);
    stack.gateway.set_env("BERTH_GATEWAY__FRONT__TLS_KEY", &key);
    stack.gateway.start();

    let trusted = reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let origin = stack.origin().replace("http://", "https://");
    wait::until("https to answer", async || http.get(format!("{origin}/healthz")).send().await.ok()).await;

    let link = stack.sign_in_link();
    assert!(link.starts_with(&origin), "{link}");
    let answer = http.get(&link).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-berth-inst-") && cookie.contains("; Secure"), "{cookie}");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax; ") && !cookie.contains("Domain"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let answer = http.get(format!("{origin}/api/v1/me")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(reqwest::get(format!("{}/healthz", stack.origin())).await.is_err(), "plain http still answers");
}

#[tokio::test]
async fn a_certificate_that_was_renewed_is_shown_without_a_restart() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.stop();
    let pair = || generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (first, second) = (pair(), pair());
    let (certificate, key) = (stack.path("front.pem"), stack.path("front.key"));
    std::fs::write(&certificate, first.cert.pem()).unwrap();
    std::fs::write(&key, first.signing_key.serialize_pem()).unwrap();
    stack.gateway.set_env("BERTH_GATEWAY__FRONT__TLS_CERTIFICATE", certificate.to_str().unwrap());
    stack.gateway.set_env("BERTH_GATEWAY__FRONT__TLS_KEY", key.to_str().unwrap());
    stack.gateway.start();
    let url = format!("{}/healthz", stack.origin().replace("http://", "https://"));
    // A client of its own each time: a connection that is kept shows no other certificate.
    let shows = async |pair: &CertifiedKey<rcgen::KeyPair>| {
        let trusted = reqwest::Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap();
        http.get(&url).send().await.is_ok()
    };
    wait::until("https to answer", async || shows(&first).await.then_some(())).await;

    // Half of a pair, then nonsense: the old one stays, and the log says why.
    std::fs::write(&certificate, second.cert.pem()).unwrap();
    wait::until("the log to tell", async || stack.gateway.log().contains("can't be used yet").then_some(()))
        .await;
    std::fs::write(&certificate, "nonsense").unwrap();
    assert!(shows(&first).await);

    std::fs::write(&key, second.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, second.cert.pem()).unwrap();
    wait::until("the new certificate", async || shows(&second).await.then_some(())).await;
    assert!(!shows(&first).await);
}

#[tokio::test]
async fn a_missing_certificate_file_is_named() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.stop();
    stack.gateway.set_env("BERTH_GATEWAY__FRONT__TLS_CERTIFICATE", "/nowhere/front.pem");
    stack.gateway.set_env("BERTH_GATEWAY__FRONT__TLS_KEY", "/nowhere/front.key");
    stack.gateway.start();
    assert_eq!(stack.gateway.ended().await.code(), Some(78));
    assert!(stack.gateway.log().contains("/nowhere/front.pem"), "{}", stack.gateway.log());
}
