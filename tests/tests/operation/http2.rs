//! HTTP/2 towards browsers, over TLS: for the console and for previews.

use berth_tests::preview::{PAGE, cookie_of, in_pieces, location};
use berth_tests::{Browser, Stack, Upstream, wait};
use futures_util::{SinkExt, StreamExt, stream};
use http::{Method, Version};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::header::{ACCEPT, COOKIE, ORIGIN};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A stack that serves https, and a signed-in client that trusts its certificate.
struct Secure {
    stack: Stack,
    origin: String,
    certificate: String,
    cookie: String,
}

impl Secure {
    async fn open() -> Self {
        let mut stack = Stack::start_gateway().await;
        stack.gateway.stop();
        let names = ["127.0.0.1", "*.preview.localhost"].map(str::to_owned).to_vec();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        std::fs::write(stack.path("front.pem"), cert.pem()).unwrap();
        std::fs::write(stack.path("front.key"), signing_key.serialize_pem()).unwrap();
        for (name, value) in [("TLS_CERTIFICATE", "front.pem"), ("TLS_KEY", "front.key")] {
            let value = stack.path(value).to_str().unwrap().to_owned();
            stack.gateway.set_env(&format!("BERTH_GATEWAY__FRONT__{name}"), &value);
        }
        stack.gateway.set_env("BERTH_GATEWAY__PREVIEW__HOST", "{preview}--{workspace}.preview.localhost");
        stack.gateway.start();
        let origin = stack.origin().replace("http://", "https://");
        let mut secure = Self { stack, origin, certificate: cert.pem(), cookie: String::new() };
        let http = secure.http("127.0.0.1");
        let health = format!("{}/healthz", secure.origin);
        wait::until("https to answer", async || http.get(&health).send().await.ok()).await;
        let answer = http.get(secure.stack.sign_in_link()).send().await.unwrap();
        secure.cookie = cookie_of(answer.headers());
        secure.stack.enroll("main");
        secure.stack.start_agent().await;
        wait::until("the box to be online", async || {
            let found = secure.api(Method::GET, "/workspaces", None).await;
            (found["workspaces"][0]["box"]["state"] == "online").then_some(())
        })
        .await;
        secure
    }

    /// A client to which `host` is this machine.
    fn http(&self, host: &str) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trusted = reqwest::Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        let address = self.origin.trim_start_matches("https://").parse().unwrap();
        reqwest::Client::builder()
            .tls_certs_only([trusted])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve(host, address)
            .build()
            .unwrap()
    }

    async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/api/v1{path}", self.origin);
        let mut request = self.http("127.0.0.1").request(method, url);
        request = request.header(COOKIE, &self.cookie).header(ORIGIN, &self.origin);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        answer.json().await.unwrap()
    }

    /// Publishes a port; the preview's address, without the slash.
    async fn publish(&self, port: u16) -> String {
        let found = self.api(Method::GET, "/workspaces", None).await;
        let path = format!("/workspaces/{}/previews", found["workspaces"][0]["id"].as_str().unwrap());
        let made = self.api(Method::POST, &path, Some(json!({ "port": port }))).await;
        made["url"].as_str().unwrap().trim_end_matches('/').to_owned()
    }
}

#[tokio::test]
async fn console_and_previews_are_served_by_http2() {
    let (secure, upstream) = (Secure::open().await, Upstream::start().await);
    let preview = secure.publish(upstream.port).await;
    let authority = preview.trim_start_matches("https://").to_owned();
    let http = secure.http(authority.split(':').next().unwrap());
    let answer = http.get(format!("{preview}/first")).header(ACCEPT, PAGE).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (303, Version::HTTP_2));
    let nonce = cookie_of(answer.headers());
    assert!(nonce.starts_with("__Host-berth-preview-nonce="), "{nonce}");
    let to_console = location(&answer);
    let answer =
        secure.http("127.0.0.1").get(&to_console).header(COOKIE, &secure.cookie).send().await.unwrap();
    let answer = http.get(location(&answer)).header(COOKIE, nonce).send().await.unwrap();
    let cookie = cookie_of(answer.headers());
    assert_eq!(location(&answer), format!("{preview}/first"));

    let request =
        |method, path: &str| http.request(method, format!("{preview}{path}")).header(COOKIE, &cookie);
    // Cookies may come one by one in HTTP/2; the dev server gets its own as one, and none of ours.
    let answer =
        request(Method::GET, "/page?a=b").header(COOKIE, "a=1").header(COOKIE, "b=2").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert_eq!(answer.text().await.unwrap(), "GET /page?a=b HTTP/1.1");
    let asked = upstream.last();
    assert_eq!(asked.headers["host"], format!("localhost:{}", upstream.port));
    assert_eq!(
        (asked.headers["cookie"].as_str(), asked.headers["x-forwarded-proto"].as_str()),
        ("a=1; b=2", "https")
    );

    let pieces = in_pieces(stream::iter(["one", "two"].map(|piece| piece.as_bytes().to_vec())));
    request(Method::POST, "/upload").body(pieces).send().await.unwrap();
    let asked = upstream.last();
    assert_eq!(
        (asked.body.as_slice(), asked.headers["transfer-encoding"].as_str()),
        (&b"onetwo"[..], "chunked")
    );
    let mut events = request(Method::GET, "/sse").send().await.unwrap();
    for number in 0..3 {
        assert_eq!(events.chunk().await.unwrap().unwrap(), format!("data: {number}\n\n"));
        upstream.go_on();
    }
    let answers = (0..100).map(|number| request(Method::GET, &format!("/many/{number}")).send());
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    for (path, status) in [("/head", 200), ("/204", 204), ("/304", 304)] {
        let method = if path == "/head" { Method::HEAD } else { Method::GET };
        assert_eq!(request(method, path).send().await.unwrap().status().as_u16(), status, "{path}");
    }
    let mut got = request(Method::GET, "/bytes/20000000").send().await.unwrap();
    let mut length = 0;
    while let Some(chunk) = got.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, 20_000_000);
    // One host in `:authority`, another in `Host`: taken by nobody.
    let before = upstream.seen().len();
    let answer = request(Method::GET, "/two").header("host", "127.0.0.1").send().await.unwrap();
    assert!(matches!(answer.status().as_u16(), 400 | 421), "{}", answer.status());
    assert_eq!(upstream.seen().len(), before);

    // WebSockets come by HTTP/1.1, on a connection of their own.
    let mut upgrade = format!("wss://{authority}/ws").into_client_request().unwrap();
    upgrade.headers_mut().insert("origin", preview.parse().unwrap());
    upgrade.headers_mut().insert("cookie", cookie.parse().unwrap());
    let tcp = tokio::net::TcpStream::connect(secure.origin.trim_start_matches("https://")).await.unwrap();
    let tls = tls_of(&secure.certificate, authority.split(':').next().unwrap(), tcp).await;
    let (mut socket, _) = tokio_tungstenite::client_async(upgrade, tls).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

async fn tls_of(
    certificate: &str,
    host: &str,
    tcp: tokio::net::TcpStream,
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = rustls::pki_types::ServerName::try_from(host.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await.unwrap()
}

#[tokio::test]
async fn a_browser_uses_it_with_terminals_and_a_preview_beside_them() {
    let (secure, upstream) = (Secure::open().await, Upstream::start().await);
    let preview = secure.publish(upstream.port).await;
    let browser = Browser::open_trusting_all(1200, 800).await;
    browser.open_terminal(&secure.stack).await;
    let spoken = browser.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol").await;
    assert_eq!(spoken, "h2");
    browser.type_text("echo $((6*7))\n").await;
    browser.shows("42").await;
    browser.press("terminal-menu").await;
    browser.press("menu-preview").await;
    let frame = browser.element("preview-frame").await;
    frame.enter_frame().await.unwrap();
    wait::until("the preview in its frame", async || {
        let shown = browser.page.execute("return document.body.textContent", vec![]).await.ok()?;
        (shown == "GET / HTTP/1.1").then_some(())
    })
    .await;
    browser.goto(&format!("{preview}/window")).await;
    assert_eq!(browser.script("return document.body.textContent").await, "GET /window HTTP/1.1");
    let spoken = browser.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol").await;
    assert_eq!(spoken, "h2");
    browser.close().await;
}
