//! A preview that was opened: what most tests of previews begin with.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{Client, Preview, Stack, Upstream, wait};

/// How long an answer that has begun may pause.
const QUIET: Duration = Duration::from_millis(500);

/// A stack, a dev server that remembers what it was asked, and a browser that was let in to its preview.
pub struct Previewed {
    /// Gateway and agent.
    pub stack: Stack,
    /// A browser that is signed in.
    pub client: Client,
    /// The preview.
    pub preview: Preview,
    /// The dev server.
    pub upstream: Upstream,
}

impl Previewed {
    /// Starts all of it.
    ///
    /// # Panics
    /// When any of it does not start.
    pub async fn open() -> Self {
        let upstream = Upstream::start().await;
        let port = upstream.port;
        Self::of(upstream, port).await
    }

    /// The same with a preview of another port, where a server of the test's listens, or will.
    ///
    /// # Panics
    /// When any of it does not start.
    pub async fn open_at(port: u16) -> Self {
        Self::of(Upstream::start().await, port).await
    }

    async fn of(upstream: Upstream, port: u16) -> Self {
        let stack = Stack::start().await;
        let client = stack.client().await;
        client.wait_for_box("online").await;
        let preview = Preview::open(&client, port).await;
        Self { stack, client, preview, upstream }
    }

    /// Where the preview is managed, behind `/api/v1`.
    pub async fn path(&self) -> String {
        self.path_for(&self.client).await
    }

    /// The same, for another signed-in browser.
    pub async fn path_for(&self, client: &Client) -> String {
        format!("/workspaces/{}/previews/{}", client.workspace().await, self.preview.id)
    }

    /// A connection to the gateway, as bare as it comes.
    ///
    /// # Panics
    /// When there is none.
    pub async fn connect(&self) -> TcpStream {
        let address: SocketAddr =
            self.stack.origin().trim_start_matches("http://").parse().expect("an address");
        TcpStream::connect(address).await.expect("the gateway accepts")
    }

    /// A request with its right, and these lines too.
    ///
    /// # Panics
    /// When nobody was let in.
    #[must_use]
    pub fn request(&self, line: &str, more: &[&str]) -> String {
        let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
        let host = self.preview.authority();
        let cookie = self.preview.cookie.as_deref().expect("a cookie");
        format!("{line}\r\nHost: {host}\r\nCookie: {cookie}\r\n{more}\r\n")
    }

    /// Sends bytes on a connection of their own, and returns all that comes until its end, or until it is quiet.
    pub async fn exchange(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        // A gateway that has closed already has made up its mind.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let patience = |answer: &Vec<u8>| if answer.is_empty() { wait::PATIENCE } else { QUIET };
        while let Ok(Ok(1..)) = timeout(patience(&answer), stream.read_buf(&mut answer)).await {}
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The lines of what the dev server was asked.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.upstream.seen().into_iter().map(|asked| asked.line).collect()
    }

    /// A WebSocket of a preview, from a page of `origin`, with or without its cookie.
    ///
    /// # Errors
    /// When it is refused.
    ///
    /// # Panics
    /// When the gateway does not answer.
    pub async fn websocket(
        &self,
        preview: &Preview,
        path: &str,
        origin: Option<&str>,
        cookie: bool,
    ) -> tungstenite::Result<WebSocketStream<TcpStream>> {
        let url = format!("ws://{}{path}", preview.authority());
        let mut request = url.into_client_request().expect("a URL");
        let cookie = preview.cookie.as_deref().filter(|_| cookie);
        let headers = [("origin", origin), ("cookie", cookie), ("sec-websocket-protocol", Some("vite-hmr"))];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = HeaderValue::from_str(value).expect("a plain value");
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        Ok(client_async(request, self.connect().await).await?.0)
    }

    /// With which status a WebSocket of the preview is refused.
    ///
    /// # Panics
    /// When it is not.
    pub async fn refused(&self, path: &str, origin: Option<&str>, cookie: bool) -> u16 {
        match self.websocket(&self.preview, path, origin, cookie).await {
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was agreed to"),
        }
    }
}

/// The status of an answer that came as bytes; 0 for none.
#[must_use]
pub fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default()
}
