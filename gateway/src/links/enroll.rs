//! Enrolment: a one-time token and a public key become an instance with a certificate.

use berth_protocol::enroll::{EnrollRequest, EnrollResponse};
use berth_protocol::ids::{InstanceId, RequestId};
use berth_protocol::name::BerthName;
use hyper::body::Incoming;
use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};
use serde_json::json;

use super::listener::{Answer, body, json, now_secs, refusal};
use crate::app::SharedApp;
use crate::ca::{CaError, Period};
use crate::caller::{Caller, Source};
use crate::changes::Change;
use crate::limits::{Limited, TooMany};
use crate::store::{Deed, EnrollOutcome, Outcome, StoreError};

/// Why a box was not enrolled.
#[derive(Debug, thiserror::Error)]
enum EnrollError {
    #[error("the enrolment request is not understood")]
    Malformed,
    #[error("the certificate signing request is not valid")]
    InvalidRequest(#[source] CaError),
    #[error(
        "the enrolment token is unknown or was used before: make a new one with `gateway workspace enroll`"
    )]
    UnknownToken,
    #[error("the enrolment token has expired: make a new one with `gateway workspace enroll`")]
    ExpiredToken,
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("the gateway failed to store the enrolment: try again")]
    Store(#[from] StoreError),
}

impl EnrollError {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_signing_request"),
            Self::UnknownToken => (StatusCode::FORBIDDEN, "enrollment_token_unknown"),
            Self::ExpiredToken => (StatusCode::FORBIDDEN, "enrollment_token_expired"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

pub(super) async fn answer(app: &SharedApp, request: Request<Incoming>, request_id: RequestId) -> Answer {
    match enroll(app, request).await {
        Ok(response) => json(StatusCode::CREATED, &response),
        Err(error) => {
            let (status, kind) = error.kind();
            tracing::warn!(kind, error = %berth_daemon::exit::chain(&error), "enrolment refused");
            if status == StatusCode::FORBIDDEN {
                let deed = Deed::new("box_enrolled", Outcome::Refused, json!({ "kind": kind }));
                if let Err(error) = app.store.note(deed).await {
                    tracing::error!(error = %berth_daemon::exit::chain(&error), "the refusal is not on the record");
                }
            }
            let mut answer = refusal(status, kind, &error.to_string(), Some(request_id));
            if let EnrollError::TooMany(error) = error {
                answer.headers_mut().insert(RETRY_AFTER, error.seconds().into());
            }
            answer
        }
    }
}

async fn enroll(app: &SharedApp, request: Request<Incoming>) -> Result<EnrollResponse, EnrollError> {
    if let Some(Caller { source: Source::Address(address), .. }) = Caller::current() {
        app.limits.count(Limited::Enrollment, address)?;
    }
    let request: EnrollRequest = body(request).await.ok_or(EnrollError::Malformed)?;

    // Signed before the token is taken: a bad request costs no token, and a stored instance always has its
    // certificate.
    let instance = InstanceId::random();
    let name = BerthName::Box { installation: app.installation.id.clone(), instance: instance.clone() };
    let trusted = app.trust.now();
    let life = app.trust.rules().life_secs;
    let period = if request.renews { Period::beginning(now_secs(), life) } else { Period::LASTING };
    let signed = trusted.signing().ca.sign_request(&request.csr_pem, &name, period);
    let certificate_pem = signed.map_err(EnrollError::InvalidRequest)?;

    let outcome = app.store.enroll(&request.secret, instance).await?;
    let (workspace, instance, epoch, retired) = match outcome {
        EnrollOutcome::Enrolled { workspace, instance, epoch, retired } => {
            (workspace, instance, epoch, retired)
        }
        EnrollOutcome::UnknownToken => return Err(EnrollError::UnknownToken),
        EnrollOutcome::ExpiredToken => return Err(EnrollError::ExpiredToken),
    };
    tracing::info!(%workspace, %instance, epoch, retired = retired.len(), "box enrolled");
    let detail = json!({
        "instance": instance, "epoch": epoch, "retired": retired,
        "ca": trusted.signing().generation, "until_ms": period.until.saturating_mul(1000),
    });
    app.store.note(Deed::new("box_enrolled", Outcome::Done, detail).within(workspace.clone())).await?;
    for instance in &retired {
        app.terminals.end_instance(instance);
    }
    if let Some(owning) = app.store.owning_instance(workspace.clone()).await? {
        app.boxes.learn(&owning);
    }
    app.changes.publish(Change::Workspace(workspace.clone()));
    Ok(EnrollResponse {
        installation: app.installation.id.clone(),
        workspace,
        instance,
        instance_epoch: epoch,
        certificate_pem,
        ca_pem: trusted.ca_pem(),
        trust_generation: Some(trusted.generation()),
    })
}
