//! Enrolment: a one-time token and a public key become an instance with a certificate.

use std::time::Duration;

use berth_protocol::enroll::{EnrollRequest, EnrollResponse};
use berth_protocol::ids::{InstanceId, RequestId};
use berth_protocol::name::BerthName;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::listener::{Answer, json, refusal};
use crate::app::SharedApp;
use crate::ca::CaError;
use crate::changes::Change;
use crate::store::{EnrollOutcome, StoreError};

/// The largest enrolment request, bytes.
const MAX_BODY: usize = 16 * 1024;

/// How long an enrolment request may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

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
            refusal(status, kind, &error.to_string(), Some(request_id))
        }
    }
}

async fn enroll(app: &SharedApp, request: Request<Incoming>) -> Result<EnrollResponse, EnrollError> {
    let body = timeout(BODY_LIMIT, Limited::new(request.into_body(), MAX_BODY).collect()).await;
    let body = body.map_err(|_| EnrollError::Malformed)?.map_err(|_| EnrollError::Malformed)?.to_bytes();
    let request: EnrollRequest = serde_json::from_slice(&body).map_err(|_| EnrollError::Malformed)?;

    // Signed before the token is taken: a bad request costs no token, and a stored instance always has its
    // certificate.
    let instance = InstanceId::random();
    let name = BerthName::Box { installation: app.installation.id.clone(), instance: instance.clone() };
    let certificate_pem =
        app.ca.sign_request(&request.csr_pem, &name).map_err(EnrollError::InvalidRequest)?;

    let outcome = app.store.enroll(&request.secret, instance).await?;
    let (workspace, instance, epoch, retired) = match outcome {
        EnrollOutcome::Enrolled { workspace, instance, epoch, retired } => {
            (workspace, instance, epoch, retired)
        }
        EnrollOutcome::UnknownToken => return Err(EnrollError::UnknownToken),
        EnrollOutcome::ExpiredToken => return Err(EnrollError::ExpiredToken),
    };
    tracing::info!(%workspace, %instance, epoch, retired = retired.len(), "box enrolled");
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
        ca_pem: app.ca.certificate_pem().to_owned(),
    })
}
