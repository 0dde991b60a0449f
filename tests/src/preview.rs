//! A preview as a browser uses it: at its own origin, with its own cookie.

use futures_util::{Stream, StreamExt};
use http::Method;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::header::{ACCEPT, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use crate::Client;

/// A preview of the one workspace.
#[derive(Clone)]
pub struct Preview {
    /// Its id.
    pub id: String,
    /// Its origin.
    pub origin: String,
    /// What a browser that was let in sends along; nothing before that.
    pub cookie: Option<String>,
    http: reqwest::Client,
}

/// What somebody who asks for a page accepts.
pub const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// A body that comes in pieces, without a length of its own.
pub fn in_pieces(pieces: impl Stream<Item = Vec<u8>> + Send + Sync + 'static) -> reqwest::Body {
    let frames = pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece))));
    reqwest::Body::wrap(StreamBody::new(frames))
}

/// Name and value of a cookie that an answer sets.
///
/// # Panics
/// When it sets none.
#[must_use]
pub fn cookie_of(headers: &HeaderMap) -> String {
    let cookie = headers.get(SET_COOKIE).expect("a cookie").to_str().expect("a plain cookie");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// Where an answer leads to.
///
/// # Panics
/// When it leads nowhere.
#[must_use]
pub fn location(answer: &reqwest::Response) -> String {
    answer.headers().get(LOCATION).expect("a redirection").to_str().expect("a plain URL").to_owned()
}

impl Preview {
    /// Publishes a port of the one workspace's box.
    ///
    /// # Panics
    /// When it can't be published.
    pub async fn publish(client: &Client, port: u16) -> Self {
        let path = format!("/workspaces/{}/previews", client.workspace().await);
        let answer = client.call(Method::POST, &path, Some(json!({ "port": port }))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        Self::of(client, &answer.body)
    }

    /// Publishes a port, and is let in.
    ///
    /// # Panics
    /// When either fails.
    pub async fn open(client: &Client, port: u16) -> Self {
        let mut preview = Self::publish(client, port).await;
        preview.enter(client).await;
        preview
    }

    fn of(client: &Client, body: &Value) -> Self {
        let url = body["url"].as_str().expect("an address");
        let origin = url.trim_end_matches('/').to_owned();
        let host = origin.trim_start_matches("http://").split(':').next().unwrap_or_default().to_owned();
        let address = client.origin().trim_start_matches("http://").parse().expect("an address");
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Browsers know that these names lead to this machine; the C library need not.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve(&host, address)
            .build()
            .expect("an HTTP client");
        Self { id: body["id"].as_str().expect("an id").to_owned(), origin, cookie: None, http }
    }

    /// Its host, with the port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// A request to a path of it, with its cookie.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.origin));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    /// `GET`.
    ///
    /// # Panics
    /// When the gateway does not answer.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.request(Method::GET, path).send().await.expect("the gateway answers")
    }

    /// Asks for a page as nobody, and returns the nonce's cookie and where the browser is sent.
    ///
    /// # Panics
    /// When it is not sent anywhere.
    pub async fn begin(&self) -> (String, String) {
        let answer = self.http.get(format!("{}/first?a=b", self.origin)).header(ACCEPT, PAGE).send().await;
        let answer = answer.expect("the gateway answers");
        assert_eq!(answer.status(), 303);
        (cookie_of(answer.headers()), location(&answer))
    }

    /// Goes where the console sends a browser: exchanges the code.
    ///
    /// # Panics
    /// When the gateway does not answer.
    pub async fn exchange(&self, url: &str, nonce: &str) -> reqwest::Response {
        self.http.get(url).header(COOKIE, nonce).send().await.expect("the gateway answers")
    }

    /// Is let in, by a browser that is signed in at the console.
    ///
    /// # Panics
    /// When it is not.
    pub async fn enter(&mut self, client: &Client) {
        let (nonce, to_console) = self.begin().await;
        assert!(to_console.starts_with(client.origin()), "{to_console}");
        let answer =
            crate::client::plain().get(&to_console).header(COOKIE, client.cookie()).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let answer = self.exchange(&location(&answer), &nonce).await;
        assert_eq!(
            (answer.status().as_u16(), location(&answer)),
            (303, format!("{}/first?a=b", self.origin))
        );
        self.cookie = Some(cookie_of(answer.headers()));
    }
}
