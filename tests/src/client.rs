//! The API as a browser uses it: a cookie, and the console's own `Origin`.

use http::Method;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use serde_json::{Value, json};

/// A signed-in browser, without the page.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    origin: String,
    cookie: String,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, or null.
    pub body: Value,
}

impl Answer {
    /// The error's stable word, or nothing.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.body["error"]["kind"].as_str().unwrap_or_default()
    }
}

/// A client that follows no redirect and keeps no cookie by itself.
///
/// # Panics
/// When TLS can't be set up.
#[must_use]
pub fn plain() -> reqwest::Client {
    // Only the first of a process's calls can install it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    builder.build().expect("an HTTP client")
}

/// Where a file of this name is uploaded to, behind `/api/v1`.
#[must_use]
pub fn upload_path(session: &str, name: &str) -> String {
    let name: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("/sessions/{session}/files?name={name}")
}

impl Client {
    /// Signs in by a link.
    ///
    /// # Panics
    /// When the link is not taken.
    pub async fn sign_in(origin: &str, link: &str) -> Self {
        let http = plain();
        let answer = http.get(link).send().await.expect("the gateway answers");
        assert_eq!(answer.status(), 303);
        assert_eq!(answer.headers()[LOCATION], "/", "the sign-in link was refused");
        let cookie = answer.headers()[SET_COOKIE].to_str().expect("a plain cookie");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { http, origin: origin.to_owned(), cookie }
    }

    /// A browser with a cookie that it got by other means.
    #[must_use]
    pub fn with_cookie(origin: &str, cookie: &str) -> Self {
        Self { http: plain(), origin: origin.to_owned(), cookie: cookie.to_owned() }
    }

    /// The cookie, as a request carries it.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// The console's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Calls the API at a path behind `/api/v1`.
    ///
    /// # Panics
    /// When the gateway does not answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, body).await.expect("the gateway answers")
    }

    /// Like [`Client::call`]; `None` when the gateway does not answer.
    pub async fn try_call(&self, method: Method, path: &str, body: Option<Value>) -> Option<Answer> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.ok()?;
        Some(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    /// A request as the console's page makes it, to a path behind `/api/v1`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v1{path}", self.origin);
        self.http.request(method, url).header(COOKIE, &self.cookie).header(ORIGIN, &self.origin)
    }

    /// Uploads a file into a session's directory.
    ///
    /// # Panics
    /// When the gateway does not answer.
    pub async fn upload(&self, session: &str, name: &str, bytes: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, &upload_path(session, name)).body(bytes);
        let answer = request.send().await.expect("the gateway answers");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    /// `GET`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.call(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// The id of the one workspace.
    ///
    /// # Panics
    /// When there is none.
    pub async fn workspace(&self) -> String {
        let found = self.get("/workspaces").await;
        found["workspaces"][0]["id"].as_str().expect("a workspace").to_owned()
    }

    /// Makes a session in the one workspace and returns its id.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn create_session(&self, name: &str) -> String {
        let path = format!("/workspaces/{}/sessions", self.workspace().await);
        let answer = self.call(Method::POST, &path, Some(json!({ "name": name }))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    /// Makes a session and waits until its box runs it.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn running_session(&self, name: &str) -> String {
        let id = self.create_session(name).await;
        self.wait_for_session(&id, "running").await;
        id
    }

    /// Waits until a session has a state.
    ///
    /// # Panics
    /// When it does not get there.
    pub async fn wait_for_session(&self, id: &str, state: &str) {
        let path = format!("/sessions/{id}");
        crate::wait::until(&format!("session {id} to be {state}"), async || {
            let answer = self.try_call(Method::GET, &path, None).await?;
            (answer.body["state"] == state).then_some(())
        })
        .await;
    }

    /// Waits until the one workspace's box has a state.
    ///
    /// # Panics
    /// When it does not get there.
    pub async fn wait_for_box(&self, state: &str) {
        crate::wait::until(&format!("the box to be {state}"), async || {
            let answer = self.try_call(Method::GET, "/workspaces", None).await?;
            (answer.body["workspaces"][0]["box"]["state"] == state).then_some(())
        })
        .await;
    }

    /// A ticket for a session's terminal.
    ///
    /// # Panics
    /// When none is given.
    pub async fn ticket(&self, session: &str) -> String {
        self.ticket_for(session, None).await
    }

    /// A ticket for a session's terminal, asked for with a body.
    ///
    /// # Panics
    /// When none is given.
    pub async fn ticket_for(&self, session: &str, body: Option<Value>) -> String {
        let answer = self.call(Method::POST, &format!("/sessions/{session}/ticket"), body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["ticket"].as_str().expect("a ticket").to_owned()
    }
}
