//! An issuer of identities: OpenID Connect over plain http on loopback, with real keys and a page to press a link on.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::digest;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What gateways are called here, as `client_id` ...
pub const CLIENT: &str = "berth";

/// ... and as `aud` of tokens that pages and programs bring.
pub const AUDIENCE: &str = "berth-api";

/// Made for tests; they sign nothing else.
const RSA: [&[u8]; 2] =
    [include_bytes!("../fixtures/issuer-rsa-1.der"), include_bytes!("../fixtures/issuer-rsa-2.der")];

/// A key that tokens are signed with.
#[derive(Clone)]
pub struct Key {
    /// Its name, which tokens say.
    pub id: String,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>),
}

impl Key {
    /// One of two keys for RS256.
    ///
    /// # Panics
    /// When there is no such key.
    #[must_use]
    pub fn rsa(number: usize, id: &str) -> Self {
        let pair = RsaKeyPair::from_pkcs8(RSA[number]).expect("a key");
        Self { id: id.to_owned(), pair: Pair::Rsa(Arc::new(pair)) }
    }

    /// A new key for ES256.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn ec(id: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        Self { id: id.to_owned(), pair: Pair::Ec(Arc::new(pair.expect("a key"))) }
    }

    /// What it is for.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        }
    }

    /// The public half, as issuers tell it.
    #[must_use]
    pub fn public(&self) -> Value {
        let mut key = json!({ "kid": self.id, "use": "sig", "alg": self.algorithm() });
        let parts = match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                [
                    ("kty", "RSA".to_owned()),
                    ("n", BASE64URL_NOPAD.encode(&n)),
                    ("e", BASE64URL_NOPAD.encode(&e)),
                ]
                .to_vec()
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let point = [("x", BASE64URL_NOPAD.encode(x)), ("y", BASE64URL_NOPAD.encode(y))];
                [[("kty", "EC".to_owned()), ("crv", "P-256".to_owned())], point].concat()
            }
        };
        for (name, value) in parts {
            key[name] = json!(value);
        }
        key
    }

    /// A token of these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "typ": "JWT", "alg": self.algorithm(), "kid": self.id }), claims)
    }

    /// A token with any head, signed as the key does.
    ///
    /// # Panics
    /// When it can't be signed.
    #[must_use]
    pub fn sign_as(&self, head: &Value, claims: &Value) -> String {
        let text = unsigned(head, claims);
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).expect("a signature");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, text.as_bytes()).expect("a signature").as_ref().to_vec(),
        };
        format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

/// Head and claims, as they are signed.
#[must_use]
pub fn unsigned(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", part(head), part(claims))
}

/// Seconds since 1970.
///
/// # Panics
/// Never.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).expect("a date of these days")
}

/// A sign-in that a browser was sent for.
struct Asked {
    challenge: String,
    nonce: String,
    back: String,
}

#[derive(Default)]
struct Memory {
    down: bool,
    keys: Vec<Key>,
    /// Who is signed in, as claims.
    user: Value,
    /// What the client says its secret is, if it must have one.
    secret: Option<String>,
    asked: HashMap<String, Asked>,
    /// Paths that were asked for, with their queries.
    seen: Vec<String>,
}

/// The issuer.
pub struct Issuer {
    /// Its identifier.
    pub url: String,
    /// Its first key.
    pub key: Key,
    memory: Arc<Mutex<Memory>>,
    task: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    /// Listens on a free port, with one key for RS256.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = Key::rsa(0, "one");
        let memory = Arc::new(Mutex::new(Memory { keys: vec![key.clone()], ..Memory::default() }));
        let (shared, issuer) = (memory.clone(), url.clone());
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (memory, issuer) = (shared.clone(), issuer.clone());
                // As if nobody were there.
                if memory.lock().expect("the memory").down {
                    continue;
                }
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, memory.clone(), issuer.clone()));
                    let mut serving = hyper::server::conn::http1::Builder::new();
                    serving.keep_alive(false);
                    // A client that goes away is no failure here.
                    let _ = serving.serve_connection(TokioIo::new(tcp), service).await;
                });
            }
        });
        Self { url, key, memory, task }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().expect("the memory")
    }

    /// The gateway's settings for it, with more lines of them.
    #[must_use]
    pub fn settings(&self, more: &str) -> String {
        format!(
            "[issuer]\nurl = \"{}\"\nname = \"Example\"\nclient_id = \"{CLIENT}\"\naudiences = [\"{AUDIENCE}\"]\n{more}\n",
            self.url
        )
    }

    /// What a good token of somebody says.
    #[must_use]
    pub fn claims(&self, subject: &str) -> Value {
        let now = now();
        json!({ "iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 60 })
    }

    /// A good token of somebody, with some claims changed; null takes one away.
    ///
    /// # Panics
    /// When the changes are no object.
    #[must_use]
    pub fn token(&self, subject: &str, changes: &Value) -> String {
        let mut claims = self.claims(subject);
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self.key.sign(&claims)
    }

    /// Tells other keys from now on, and signs with the first of them those who come by the page.
    pub fn set_keys(&self, keys: &[Key]) {
        self.memory().keys = keys.to_vec();
    }

    /// Answers nobody from now on, or everybody again.
    pub fn set_down(&self, down: bool) {
        self.memory().down = down;
    }

    /// Signs somebody in, whom the page lets continue: claims with a `sub`.
    pub fn set_user(&self, claims: Value) {
        self.memory().user = claims;
    }

    /// Gives codes' tokens only to a client that has this secret.
    pub fn set_secret(&self, secret: &str) {
        self.memory().secret = Some(secret.to_owned());
    }

    /// What was asked for that begins so, path and query.
    #[must_use]
    pub fn seen(&self, begin: &str) -> Vec<String> {
        self.memory().seen.iter().filter(|seen| seen.starts_with(begin)).cloned().collect()
    }
}

/// The pairs of a query or a form.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn pairs(query: &str) -> HashMap<String, String> {
    let base = format!("http://127.0.0.1/?{query}");
    let url = reqwest::Url::parse(&base).expect("a query");
    url.query_pairs().into_owned().collect()
}

async fn answer(
    request: Request<Incoming>,
    memory: Arc<Mutex<Memory>>,
    issuer: String,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut memory = memory.lock().expect("the memory");
    memory.seen.push(parts.uri.to_string());
    let said = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (status, kind, text) = match parts.uri.path() {
        "/.well-known/openid-configuration" => (200, "application/json", discovery(&issuer).to_string()),
        "/keys" => {
            let keys: Vec<Value> = memory.keys.iter().map(Key::public).collect();
            (200, "application/json", json!({ "keys": keys }).to_string())
        }
        "/authorize" => (200, "text/html", page(&mut memory, parts.uri.query().unwrap_or_default(), &issuer)),
        "/token" => match tokens(&mut memory, &pairs(&String::from_utf8_lossy(&body)), said, &issuer) {
            Ok(tokens) => (200, "application/json", tokens.to_string()),
            Err(error) => (400, "application/json", json!({ "error": error }).to_string()),
        },
        _ => (404, "text/plain", "nothing".to_owned()),
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    Ok(response.body(Full::from(text)).expect("a response"))
}

fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/keys"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
    })
}

/// The page on which somebody who is signed in goes on, or doesn't.
fn page(memory: &mut Memory, query: &str, issuer: &str) -> String {
    let asked = pairs(query);
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    if of("response_type") != "code" || of("client_id") != CLIENT || of("code_challenge_method") != "S256" {
        return "<p>What is wanted?</p>".to_owned();
    }
    let code = format!("code-of-the-issuer-{}", fastrand::u64(..));
    let (back, state) = (of("redirect_uri"), of("state"));
    let known = Asked { challenge: of("code_challenge"), nonce: of("nonce"), back: back.clone() };
    memory.asked.insert(code.clone(), known);
    format!(
        "<!doctype html><title>Issuer</title><a id=\"go\" href=\"{back}?code={code}&amp;state={state}&amp;iss={issuer}\">\
         Continue</a> <a id=\"no\" href=\"{back}?error=access_denied&amp;state={state}\">Cancel</a>"
    )
}

fn tokens(
    memory: &mut Memory,
    form: &HashMap<String, String>,
    said: Option<&str>,
    issuer: &str,
) -> Result<Value, &'static str> {
    let of = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if let Some(secret) = &memory.secret {
        let expected = format!("Basic {}", BASE64.encode(format!("{CLIENT}:{secret}").as_bytes()));
        if said != Some(&expected) {
            return Err("invalid_client");
        }
    }
    let asked = memory.asked.remove(of("code")).ok_or("invalid_grant")?;
    let verifier = digest::digest(&digest::SHA256, of("code_verifier").as_bytes());
    let proved = BASE64URL_NOPAD.encode(verifier.as_ref()) == asked.challenge;
    if !proved || of("redirect_uri") != asked.back || of("client_id") != CLIENT {
        return Err("invalid_grant");
    }
    let now = now();
    let mut claims =
        json!({ "iss": issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked.nonce });
    for (name, value) in memory.user.as_object().ok_or("nobody")? {
        claims[name] = value.clone();
    }
    let id_token = memory.keys[0].sign(&claims);
    Ok(json!({ "access_token": "opaque", "token_type": "Bearer", "id_token": id_token }))
}
