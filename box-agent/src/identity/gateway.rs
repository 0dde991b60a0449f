//! One request to a gateway's link listener: what enrolment and renewal have in common.

use std::io;
use std::time::Duration;

use berth_protocol::error::ErrorBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use serde::Serialize;
use tokio_rustls::TlsConnector;

use super::papers::Dialling;
use crate::host::names;

/// How long the gateway may take for its answer, connecting included.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Whoever is there has no certificate that is believed.
    #[error("the gateway at {address} is of no CA that is believed here")]
    Distrusted {
        /// `host:port` of the link listener.
        address: String,
    },
    /// Nobody answered.
    #[error("failed to reach the gateway at {address}: check that it runs and that this box can reach it")]
    Unreachable {
        /// `host:port` of the link listener.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// The gateway said no.
    #[error("the gateway refused ({kind}): {message}")]
    Refused {
        /// The status, which tells whether trying again may help.
        status: StatusCode,
        /// The stable word of the refusal.
        kind: String,
        /// The gateway's own words.
        message: String,
    },
    /// The gateway said something else.
    #[error(
        "the gateway at {address} gave an answer that is not understood ({problem}): compare the versions"
    )]
    Unintelligible {
        /// `host:port` of the link listener.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is asked.
pub(super) struct Question<'a> {
    /// `host:port` of the link listener.
    pub(super) address: &'a str,
    pub(super) dialling: Dialling,
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// JSON, or nothing.
    pub(super) body: Bytes,
}

impl<'a> Question<'a> {
    /// A body that is posted.
    pub(super) fn post(
        address: &'a str,
        dialling: Dialling,
        path: &'static str,
        body: &impl Serialize,
    ) -> Self {
        // Wire types are plain data: they always serialise.
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Self { address, dialling, method: Method::POST, path, body }
    }

    /// Asks. What comes back is the body of an answer that was no refusal.
    ///
    /// # Errors
    /// [`AskError`].
    pub(super) async fn ask(self) -> Result<Bytes, AskError> {
        let address = self.address.to_owned();
        let answered = tokio::time::timeout(DEADLINE, self.exchange()).await;
        let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (status, body) = answered.map_err(|source| {
            let address = address.clone();
            if is_distrust(&source) {
                AskError::Distrusted { address }
            } else {
                AskError::Unreachable { address, source }
            }
        })?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) => {
                Err(AskError::Refused { status, kind: error.kind, message: error.message })
            }
            Err(_) => Err(AskError::Unintelligible { address, problem: format!("status {status}") }),
        }
    }

    async fn exchange(self) -> io::Result<(StatusCode, Bytes)> {
        let Self { address, dialling, method, path, body } = self;
        let tcp = names::connect(address).await?;
        let tls = TlsConnector::from(dialling.tls).connect(dialling.name, tcp).await?;
        let (mut sender, connection) = handshake(TokioIo::new(tls)).await.map_err(io::Error::other)?;
        let request = Request::builder().method(method).uri(path).header(HOST, address);
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body));
        let exchange = async {
            let response =
                sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            Ok((status, body.map_err(io::Error::other)?.to_bytes()))
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // Cancel-safe: whatever is left of the connection is dropped.
            answered = &mut exchange => answered,
            ended = &mut connection => match ended {
                // The answer may have come together with the end.
                Ok(()) => exchange.await,
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}

/// Whether a connection failed because this side did not believe the other's certificate.
pub(crate) fn is_distrust(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| inner(*error)).any(|error| {
        matches!(
            error.downcast_ref::<rustls::Error>(),
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::ApplicationVerificationFailure
            ))
        )
    })
}

/// The next error inside: `io::Error` does not tell of the one that it wraps, but of that one's source.
fn inner<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
