//! Renewal: a box's certificate and a public key become a certificate that counts for longer. The name stays what it was.

use berth_protocol::ids::RequestId;
use berth_protocol::link::REFUSED_RETIRED;
use berth_protocol::name::BerthName;
use berth_protocol::renew::{KIND_EXPIRED, RenewRequest, RenewResponse};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use hyper::{Request, Response, StatusCode};
use serde_json::json;

use super::listener::{Answer, Peer, body, json, now_secs, refusal};
use crate::app::SharedApp;
use crate::ca::{CaError, Period};
use crate::limits::{Limited, TooMany, Who};
use crate::store::{Deed, Outcome, StoreError};
use crate::trust::State;

/// Why a certificate was not renewed, or is not taken.
#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error("the renewal request is not understood")]
    Malformed,
    #[error("the certificate signing request is not valid")]
    InvalidRequest(#[source] CaError),
    #[error(
        "the box's certificate expired too long ago to be renewed (link.renewal_grace_secs): make a token with `gateway \
         workspace enroll <name>`, and give it to `box-agent enroll --replace` on the box"
    )]
    Expired,
    #[error("the box's certificate does not count now")]
    NotNow,
    #[error(
        "the CA of the box's certificate was removed: enrol the box anew with `gateway workspace enroll <name>`"
    )]
    Distrusted,
    #[error("a newer box owns this workspace, or this one was revoked: its certificate is not renewed")]
    Retired,
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("the gateway failed to store the renewal: try again")]
    Store(#[from] StoreError),
}

impl RenewError {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_signing_request"),
            Self::Expired | Self::NotNow => (StatusCode::FORBIDDEN, KIND_EXPIRED),
            Self::Distrusted => (StatusCode::FORBIDDEN, "certificate_distrusted"),
            Self::Retired => (StatusCode::FORBIDDEN, REFUSED_RETIRED),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn answer(&self, request_id: RequestId) -> Answer {
        let (status, kind) = self.kind();
        let mut answer = refusal(status, kind, &self.to_string(), Some(request_id));
        if let Self::TooMany(error) = self {
            answer.headers_mut().insert(RETRY_AFTER, error.seconds().into());
        }
        answer
    }
}

/// Renews a certificate.
pub(super) async fn answer(
    app: &SharedApp,
    peer: &Peer,
    request: Request<Incoming>,
    request_id: RequestId,
) -> Answer {
    match renew(app, peer, request).await {
        Ok(response) => json(StatusCode::CREATED, &response),
        Err(error) => {
            let (status, kind) = error.kind();
            tracing::warn!(kind, error = %berth_daemon::exit::chain(&error), "renewal refused");
            if status == StatusCode::FORBIDDEN {
                let detail = json!({ "instance": peer.instance, "kind": kind });
                let deed = Deed::new("certificate_renewed", Outcome::Refused, detail);
                if let Err(error) = app.store.note(deed).await {
                    tracing::error!(error = %berth_daemon::exit::chain(&error), "the refusal is not on the record");
                }
            }
            error.answer(request_id)
        }
    }
}

/// Tells a box whether its certificate is taken.
pub(super) async fn identify(app: &SharedApp, peer: &Peer, request_id: RequestId) -> Answer {
    let outcome = async {
        believed(&app.trust.now(), peer)?;
        if !peer.counts() {
            return Err(RenewError::NotNow);
        }
        if app.store.instance_owns(peer.instance.clone()).await? { Ok(()) } else { Err(RenewError::Retired) }
    };
    match outcome.await {
        Ok(()) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(error) => error.answer(request_id),
    }
}

/// A connection may outlast the CA by which it was let in.
fn believed(trusted: &State, peer: &Peer) -> Result<(), RenewError> {
    if trusted.trusts(&peer.standing.ca_sha256) { Ok(()) } else { Err(RenewError::Distrusted) }
}

async fn renew(
    app: &SharedApp,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<RenewResponse, RenewError> {
    app.limits.count(Limited::Enrollment, Who::Box(peer.instance.clone()))?;
    let request: RenewRequest = body(request).await.ok_or(RenewError::Malformed)?;
    let rules = app.trust.rules();
    if !rules.renewable(&peer.standing, now_secs()) {
        return Err(RenewError::Expired);
    }
    let trusted = app.trust.now();
    believed(&trusted, peer)?;
    let signing = trusted.signing();
    let name = BerthName::Box { installation: app.installation.id.clone(), instance: peer.instance.clone() };
    let period = Period::beginning(now_secs(), rules.life_secs);
    let signed = signing.ca.sign_request(&request.csr_pem, &name, period);
    let certificate_pem = signed.map_err(RenewError::InvalidRequest)?;
    let until_ms = i64::try_from(period.until.saturating_mul(1000)).unwrap_or(i64::MAX);
    // On the record before the box has it, and only if it owns its workspace at that moment.
    if !app.store.certificate_renewed(peer.instance.clone(), signing.generation, until_ms).await? {
        return Err(RenewError::Retired);
    }
    tracing::info!(ca = signing.generation, until = period.until, "certificate renewed");
    let trust_generation = trusted.generation();
    Ok(RenewResponse { certificate_pem, ca_pem: trusted.ca_pem(), trust_generation })
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::InstanceId;

    use super::*;
    use crate::trust::tests::Fixture;

    #[test]
    fn who_was_let_in_by_a_ca_that_was_removed_is_believed_no_more() {
        let (before, after) = (Fixture::new(1), Fixture::new(1));
        let instance = InstanceId::random();
        let credentials = before.box_credentials(&instance, 0);
        let standing = before.trust.now().standing(&credentials.chain[0]).unwrap();
        let peer = Peer { instance, standing };
        assert!(believed(&before.trust.now(), &peer).is_ok());
        assert!(matches!(believed(&after.trust.now(), &peer), Err(RenewError::Distrusted)));
    }
}
