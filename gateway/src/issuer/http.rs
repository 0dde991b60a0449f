//! Asks an issuer, within bounds: of time, of size, and never where another address sends us.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use crate::settings::is_fit;

/// How long an answer may take, ...
const TIMEOUT: Duration = Duration::from_secs(5);

/// ... and the connection for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest answer, bytes.
const MOST_BYTES: usize = 256 * 1024;

/// Why there is no answer. Without addresses' queries and without what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{0} could be answered by anybody: it is not https")]
    NotFit(String),
    #[error("{host} did not answer")]
    Network { host: String, source: reqwest::Error },
    #[error("{host} answered {status}")]
    Status { host: String, status: StatusCode },
    #[error("{0} answered with more than 256 KiB")]
    TooLarge(String),
    #[error("{0} answered with something else")]
    NotUnderstood(String),
}

/// A client of an issuer.
#[derive(Default)]
pub(super) struct Http {
    /// Made at first use: roots of trust are read then.
    client: OnceCell<Client>,
}

impl Http {
    /// Reads a document.
    pub(super) async fn get(&self, url: &Url) -> Result<Vec<u8>, AskError> {
        self.ask(url, |client| client.get(url.clone())).await
    }

    /// Sends a form, and the value of `Authorization` if there is one.
    pub(super) async fn post(
        &self,
        url: &Url,
        form: String,
        by: Option<String>,
    ) -> Result<Vec<u8>, AskError> {
        self.ask(url, |client| {
            let request = client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let request = match by {
                Some(by) => request.header(AUTHORIZATION, by),
                None => request,
            };
            request.body(form)
        })
        .await
    }

    async fn ask(
        &self,
        url: &Url,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Vec<u8>, AskError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        if !is_fit(url) {
            return Err(AskError::NotFit(host));
        }
        // An error says the whole address otherwise.
        let failed =
            |error: reqwest::Error| AskError::Network { host: host.clone(), source: error.without_url() };
        let client = self.client.get_or_try_init(async || make()).await.map_err(failed)?;
        let request = request(client).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(AskError::Status { host, status });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(AskError::TooLarge(host));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn make() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
        .build()
}
