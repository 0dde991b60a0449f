//! Keeps the identity in order for as long as the agent runs, without a person: renews the certificate when the gateway says
//! so, and believes the CAs that it names.
//!
//! A renewed certificate has a new key, so that a copy of the old one opens nothing once the old certificate has ended. It
//! can be renewed, though, for as long as the box itself could have: what ends a copy for certain is a newer enrolment, or
//! `gateway workspace revoke`. The new one is written beside the identity, proved to the gateway, and put in force by one
//! rename; door and link use it from their next connection on, and what is open goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_daemon::exit::chain;
use berth_protocol::link::Trust;
use berth_protocol::renew::{IDENTITY_PATH, RENEW_PATH, RenewRequest, RenewResponse};
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::gateway::{AskError, Question};
use super::papers::Papers;
use super::plan::{Asked, Deed, end, is_overdue, look_interval, next};
use super::{Documents, Facts, IdentityError, files};
use crate::backoff::Backoff;
use crate::fault;
use crate::link::LinkState;
use crate::troubles::Troubles;

/// The part that troubles are told of.
const PART: &str = "certificate";

/// Pauses between attempts, from and to.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// The pause after a refusal, which hurrying doesn't change.
const REFUSED_PAUSE: Duration = Duration::from_hours(1);

/// Why the identity stays as it is.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the new certificate did not prove itself")]
    Unproven(#[source] AskError),
    #[error("the gateway's answer is not understood")]
    Unintelligible(#[from] serde_json::Error),
    #[error("what the gateway gave is of no use")]
    Useless,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("failed to make a key pair")]
    Key(#[from] rcgen::Error),
    #[error("failed to prepare connections")]
    Tls(#[from] rustls::Error),
    #[error("the work was cut short")]
    Stopped,
}

impl KeepError {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Ask(AskError::Refused { status: StatusCode::FORBIDDEN, .. }))
    }
}

/// The identity's keeper.
pub struct Keeper {
    /// Where the identity is kept.
    pub state_dir: PathBuf,
    /// `host:port` of the gateway's link listener.
    pub address: String,
    /// What is in use.
    pub papers: watch::Sender<Arc<Papers>>,
    /// What the gateway wants.
    pub asked: watch::Sender<Asked>,
    /// How the link is: why nobody asks.
    pub link: watch::Receiver<LinkState>,
    /// Where failures are told.
    pub troubles: Troubles,
}

impl Keeper {
    /// Keeps the identity until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut asked = self.asked.subscribe();
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let mut pause = None;
        loop {
            let wanted = asked.borrow_and_update().clone();
            if pause.is_none() {
                match self.attend(&wanted).await {
                    None => self.look(),
                    Some(Ok(())) => {
                        backoff.reset();
                        self.troubles.clear(PART);
                        continue;
                    }
                    Some(Err(error)) => {
                        self.complain(&format!("renewal failed because {}", chain(&error)));
                        pause = Some(if error.is_refusal() { REFUSED_PAUSE } else { backoff.next_pause() });
                    }
                }
            }
            let standing = self.papers.borrow().identity.standing.clone();
            let wait = pause.unwrap_or_else(|| look_interval(standing.as_ref()));
            tokio::select! {
                // Cancel-safe, all: a watch channel, a timer and a token.
                Ok(()) = asked.changed() => {
                    // The same again is no reason to hurry.
                    if *asked.borrow() != wanted {
                        pause = None;
                    }
                }
                () = tokio::time::sleep(wait) => pause = None,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Does what is wanted, if anything.
    async fn attend(&self, wanted: &Asked) -> Option<Result<(), KeepError>> {
        let held = self.papers.borrow().identity.facts.trust_generation;
        match next(wanted, held) {
            Deed::Nothing => None,
            Deed::Believe(trust) => Some(self.believe(trust).await),
            Deed::Renew => {
                let outcome = self.renew().await;
                if outcome.is_ok() {
                    // The next link says how things are then.
                    self.asked.send_if_modified(|asked| {
                        let done = asked == wanted;
                        if done {
                            *asked = Asked::Nothing;
                        }
                        done
                    });
                }
                Some(outcome)
            }
        }
    }

    /// Believes other CAs from now on, under the same certificate.
    async fn believe(&self, trust: &Trust) -> Result<(), KeepError> {
        let mut documents = self.documents().await?;
        documents.facts.trust_generation = trust.generation;
        documents.ca_pem.clone_from(&trust.ca_pem);
        // Nobody could be met under a CA that is not among them.
        if documents.verify(&self.state_dir)?.standing.is_none() {
            return Err(KeepError::Useless);
        }
        let staged = self.stage(documents).await?;
        let papers = Papers::new(staged.identity().clone())?;
        publish(staged).await?;
        tracing::info!(generation = trust.generation, "other CAs are believed");
        self.papers.send_replace(papers);
        Ok(())
    }

    /// Gets a newer certificate, with a new key.
    async fn renew(&self) -> Result<(), KeepError> {
        let before = self.papers.borrow().clone();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
        let request = RenewRequest { csr_pem };
        let answer = Question::post(&self.address, before.link(), RENEW_PATH, &request).ask().await?;
        let answer: RenewResponse = serde_json::from_slice(&answer)?;
        let facts = Facts { trust_generation: answer.trust_generation, ..before.identity.facts.clone() };
        let documents = Documents {
            facts,
            key_pem: key.serialize_pem(),
            certificate_pem: answer.certificate_pem,
            ca_pem: answer.ca_pem,
        };
        let staged = self.stage(documents).await?;
        fault::after("identity-written");
        let papers = Papers::new(staged.identity().clone())?;
        let standing = papers.identity.standing.clone().ok_or(KeepError::Useless)?;
        let question = Question {
            address: &self.address,
            dialling: papers.link(),
            method: Method::GET,
            path: IDENTITY_PATH,
            body: Bytes::new(),
        };
        question.ask().await.map_err(KeepError::Unproven)?;
        publish(staged).await?;
        tracing::info!(until = standing.not_after, ca = standing.ca_sha256, "the certificate was renewed");
        self.papers.send_replace(papers);
        Ok(())
    }

    async fn documents(&self) -> Result<Documents, KeepError> {
        let state_dir = self.state_dir.clone();
        blocking(move || files::read(&state_dir)).await
    }

    async fn stage(&self, documents: Documents) -> Result<files::Staged, KeepError> {
        let state_dir = self.state_dir.clone();
        blocking(move || files::Staged::write(&state_dir, &documents)).await
    }

    /// Looks whether the certificate ends although nobody has asked for its renewal.
    fn look(&self) {
        let identity = self.papers.borrow().clone();
        match &identity.identity.standing {
            Some(standing) if is_overdue(standing, now()) => {
                let why = format!("it was not renewed: {}", *self.link.borrow());
                self.complain(&why);
            }
            _ => self.troubles.clear(PART),
        }
    }

    fn complain(&self, why: &str) {
        let papers = self.papers.borrow().clone();
        let end = papers.identity.standing.as_ref().map(|standing| end(standing, now()));
        let end = end.unwrap_or_else(|| "certificate of an unknown end".to_owned());
        self.troubles.set(PART, format!("{end}; {why}"));
    }
}

async fn publish(staged: files::Staged) -> Result<(), KeepError> {
    blocking(move || staged.publish()).await.map(drop)
}

/// Does what waits for the disk beside the agent's loops.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, KeepError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| KeepError::Stopped)?.map_err(KeepError::from)
}

/// Seconds since 1970 by this machine's clock.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
