//! Sends a message to where its channel leads.
//!
//! | file | what |
//! |---|---|
//! | `web_push`, `encrypt`, `vapid` | to a browser, by its push service |
//! | `ntfy`, `webhook` | to a topic; to any program |

mod encrypt;
mod ntfy;
pub mod vapid;
mod web_push;
mod webhook;

use std::error::Error;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use super::guard::{Guard, NotPublic};
use super::plan::What;
use super::target::Target;
use super::words::words;
use crate::store::{Sent, Taken, now_ms};
use vapid::{Vapid, VapidError};

/// How long the other side may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(6);

/// A message older than that helps nobody, milliseconds.
const MAX_AGE_MS: i64 = 24 * 3_600_000;

/// The longest pause between attempts, milliseconds ...
const MAX_PAUSE_MS: i64 = 10 * 60_000;

/// ... the first ...
const FIRST_PAUSE_MS: i64 = 2_000;

/// ... and the longest that the other side may ask for.
const MAX_ASKED_PAUSE_MS: i64 = 3_600_000;

/// Sends messages.
pub struct Sender {
    guard: Guard,
    vapid: Vapid,
    /// The console's origin, for what leads back there.
    origin: String,
    /// Made at first use: roots of trust are read then.
    clients: OnceCell<Clients>,
}

struct Clients {
    tls: Client,
    plain: Client,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the address leads to a place that is not public")]
    NotPublic,
    #[error("no answer: {0}")]
    Network(String),
    #[error("{host} answered {status}")]
    Refused { host: String, status: StatusCode, retry_after_ms: Option<i64> },
    #[error("the browser's keys are not usable: turn notifications off and on again there")]
    BadKeys,
    #[error("this gateway's key for push services can't be used")]
    Vapid(#[from] VapidError),
}

impl Sender {
    /// A sender that reaches what `guard` admits.
    #[must_use]
    pub fn new(guard: Guard, vapid: Vapid, origin: String) -> Self {
        Self { guard, vapid, origin, clients: OnceCell::new() }
    }

    /// Which addresses may be reached.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The public key for browsers that subscribe.
    #[must_use]
    pub fn public_key(&self) -> &str {
        self.vapid.public()
    }

    /// Makes one attempt.
    pub async fn send(&self, taken: &Taken, target: &Target) -> Sent {
        if taken.what == What::Show && taken.about.iter().all(|about| about.over) {
            return Sent::Dropped { because: "over" };
        }
        if now_ms() - taken.queued_at_ms > MAX_AGE_MS {
            return Sent::Dropped { because: "too_old" };
        }
        match self.attempt(taken, target).await {
            Ok(()) => Sent::Accepted,
            Err(error) => judge(&error, taken),
        }
    }

    async fn attempt(&self, taken: &Taken, target: &Target) -> Result<(), SendError> {
        let client = self.client(target.url()).await?;
        let request = match target {
            Target::WebPush { endpoint, p256dh, auth } => {
                let words = words(taken, true);
                web_push::request(client, &self.vapid, endpoint, (p256dh, auth), taken, &words)?
            }
            Target::Ntfy { url, token } => {
                let words = words(taken, taken.includes_text);
                ntfy::request(client, url, token.as_deref(), &self.origin, taken, &words)
            }
            Target::Webhook { url, secret } => webhook::request(client, url, secret, &self.origin, taken),
        };
        answered(target.url(), request).await
    }

    async fn client(&self, url: &Url) -> Result<&Client, SendError> {
        let make = |tls: bool| {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .dns_resolver(self.guard.resolver(tls))
                .https_only(tls)
                .timeout(TIMEOUT)
                .connect_timeout(CONNECT_TIMEOUT)
                .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| SendError::Network(berth_daemon::exit::chain(&error)))
        };
        let made = async || Ok::<_, SendError>(Clients { tls: make(true)?, plain: make(false)? });
        let clients = self.clients.get_or_try_init(made).await?;
        let tls = url.scheme() == "https";
        // A host that is an address is never resolved.
        let literal = match url.host() {
            Some(url::Host::Ipv4(ip)) => Some(ip.into()),
            Some(url::Host::Ipv6(ip)) => Some(ip.into()),
            _ => None,
        };
        if literal.is_some_and(|ip| !self.guard.admits(ip, tls)) {
            return Err(SendError::NotPublic);
        }
        Ok(if tls { &clients.tls } else { &clients.plain })
    }
}

async fn answered(url: &Url, request: RequestBuilder) -> Result<(), SendError> {
    let response = request.send().await.map_err(|error| failure(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    Err(SendError::Refused { host, status, retry_after_ms: retry_after(&response) })
}

/// Without the address, whose path may be a secret.
fn failure(error: &reqwest::Error) -> SendError {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    let mut innermost = None;
    while let Some(cause) = source {
        if cause.downcast_ref::<NotPublic>().is_some() {
            return SendError::NotPublic;
        }
        innermost = Some(cause.to_string());
        source = cause.source();
    }
    let words = if error.is_timeout() { Some("it took too long".to_owned()) } else { innermost };
    SendError::Network(words.unwrap_or_else(|| "the connection failed".to_owned()))
}

fn retry_after(response: &Response) -> Option<i64> {
    let secs: i64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(secs.max(0).saturating_mul(1_000).min(MAX_ASKED_PAUSE_MS))
}

fn judge(error: &SendError, taken: &Taken) -> Sent {
    let failure = error.to_string();
    let asked = match error {
        SendError::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. } => {
            return Sent::Gone { failure };
        }
        SendError::Refused { status, retry_after_ms, .. } => {
            let temporary = status.is_server_error()
                || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            if !temporary {
                return Sent::Failed { failure };
            }
            *retry_after_ms
        }
        SendError::BadKeys | SendError::NotPublic => return Sent::Failed { failure },
        SendError::Network(_) | SendError::Vapid(_) => None,
    };
    // Whoever tries a channel wants to know now.
    if taken.what == What::Test {
        return Sent::Failed { failure };
    }
    let doubled = FIRST_PAUSE_MS.saturating_mul(1 << taken.attempt.saturating_sub(1).min(10));
    let pause = doubled.min(MAX_PAUSE_MS);
    // Up to a quarter more, so that those which failed together do not come back together.
    let pause = asked.unwrap_or(pause + fastrand::i64(0..=pause / 4));
    Sent::Again { due_at_ms: now_ms() + pause, failure }
}

#[cfg(test)]
mod tests;
