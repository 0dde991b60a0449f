//! A running gateway: start, and stop within a grace period.
//!
//! Start order: state directory → sealing key → store → CA → listeners → boxes. Listeners are bound before
//! anything is served, so that a taken port is a clear error and nothing half-runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::config::ConfigError;
use berth_daemon::metrics as metrics_listener;
use berth_daemon::state::{StateError, StateLock, write_private};
use berth_protocol::ids::GatewayId;
use berth_protocol::name::BerthName;
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::app::{App, SharedApp};
use crate::auth::{self, InUse, Origin, Passkeys, PasswordError, Passwords};
use crate::boxes::{Boxes, Dialer, limit_segments};
use crate::changes::Changes;
use crate::front::{self, Front, FrontTls, TlsError};
use crate::installation::{OpenError, Opened, open};
use crate::issuer::{Issuer, IssuerError};
use crate::jobs;
use crate::limits::{self, Limits};
use crate::links;
use crate::metrics::Metrics;
use crate::notifications::{self, Guard, Notifications, Sender, Vapid, VapidError};
use crate::previews::{self, Previews};
use crate::sealing::Sealer;
use crate::settings::Settings;
use crate::store::{Store, StoreError};
use crate::terminals::{self, Terminals};
use crate::trust::{Rules, Trust, TrustError};

/// How long terminals and requests have to end after the request to stop.
const GRACE: Duration = Duration::from_secs(8);

/// Why the gateway can't run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state directory can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Store, sealing key or CA can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listen address can't be had.
    #[error("failed to listen on {address} ({setting}): choose another address, or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Passwords can't be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The settings don't fit what was found.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The issuer can't be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The front's certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The CAs can't be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The key for push services can't be used.
    #[error("failed to open the key for push services")]
    PushKey(#[from] VapidError),
}

/// The addresses that a running gateway really listens on, as `<state_dir>/addresses.json` tells them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Addresses {
    /// The origin that browsers use.
    pub public_url: String,
    /// The front.
    pub front: SocketAddr,
    /// The link listener.
    pub link: SocketAddr,
    /// Prometheus text.
    pub metrics: SocketAddr,
}

/// File name of the addresses in the state directory.
const ADDRESSES_FILE: &str = "addresses.json";

impl Addresses {
    /// What the gateway that last started with this state directory wrote.
    #[must_use]
    pub fn read(state_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state_dir.join(ADDRESSES_FILE)).ok()?).ok()
    }

    fn write(&self, state_dir: &Path) -> Result<(), StateError> {
        // Plain data: it always serialises.
        write_private(&state_dir.join(ADDRESSES_FILE), &serde_json::to_vec(self).unwrap_or_default())
    }
}

/// A gateway that runs.
pub struct Server {
    app: SharedApp,
    addresses: Addresses,
    _lock: StateLock,
}

impl Server {
    /// Starts to serve; returns when every listener accepts.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn start(settings: &Settings) -> Result<Self, ServeError> {
        let state = &settings.state_dir;
        let lock = StateLock::acquire(state, "serve.lock")?;
        let Opened { store, installation, sealer, trusted } = open(settings).await?;
        let store = store.serving();
        let tls = FrontTls::load(&settings.front)?;
        let issuer = issuer(settings, &store).await?;
        let tls_config = tls.as_ref().map(FrontTls::config).transpose()?;

        let (front_listener, front_address) = listen(settings.front.listen, "front.listen").await?;
        let (link_listener, link_address) = listen(settings.link_listen(), "link.listen").await?;
        // Boxes serve terminals on connections that they make here.
        limit_segments(&SockRef::from(&link_listener)).map_err(|source| ServeError::Listen {
            address: link_address,
            setting: "link.listen",
            source,
        })?;
        let (metrics_listener, metrics_address) = listen(settings.metrics.listen, "metrics.listen").await?;
        let public_url = settings.public_url(front_address)?;
        let origin = Origin::new(&public_url);

        let gateway = gateway_id(state.join("gateway-id"))?;
        let advertised = settings.link.advertise.clone().unwrap_or_else(|| link_address.to_string());
        store.gateway_started(gateway.clone(), advertised).await?;
        let name = BerthName::Gateway { installation: installation.id.clone(), gateway: gateway.clone() };
        let rules =
            Rules { life_secs: settings.link.certificate_secs, grace_secs: settings.link.renewal_grace_secs };
        let trust = Arc::new(Trust::open(&installation.id, name, rules, &trusted, &sealer)?);

        let stopping = CancellationToken::new();
        let changes = Changes::default();
        let metrics = Arc::new(Metrics::default());
        let dialer = Dialer::new(installation.id.clone(), trust.clone());
        let tasks = TaskTracker::new();
        let notifications = channels(settings, &store, &sealer, &public_url).await?;
        let previews = Previews::new(&settings.preview, &origin, metrics.previews.clone(), tasks.clone());
        let app: SharedApp = Arc::new(App {
            boxes: Boxes::new(dialer, changes.clone(), metrics.clone(), stopping.child_token()),
            installation,
            gateway,
            store,
            sealer,
            trust,
            origin,
            changes,
            passwords: Passwords::new()?,
            passkeys: Passkeys::new(&public_url),
            issuer,
            rights: InUse::default(),
            terminals: Terminals::default(),
            previews,
            notifications,
            limits: Limits::new(&settings.limits),
            metrics,
            stopping,
            tasks,
        });
        for instance in app.store.owning_instances().await? {
            app.boxes.learn(&instance);
        }

        let addresses = Addresses {
            public_url: app.origin.as_str().to_owned(),
            front: front_address,
            link: link_address,
            metrics: metrics_address,
        };
        addresses.write(state)?;
        let router = front::router(app.clone());
        let proxies = settings.trusted_proxies();
        let front = Front { listener: front_listener, tls: tls_config, proxies, router };
        tokio::spawn(front::serve(app.clone(), front));
        if let Some(tls) = tls {
            tokio::spawn(tls.follow(app.stopping.clone()));
        }
        tokio::spawn(links::serve(app.clone(), link_listener));
        tokio::spawn(metrics_listener::serve(metrics_listener, app.metrics.registry()));
        tokio::spawn(jobs::forget_again(app.clone()));
        tokio::spawn(jobs::watch_store(app.clone()));
        tokio::spawn(limits::forget_again(app.clone()));
        tokio::spawn(auth::watch_over(app.clone()));
        tokio::spawn(terminals::watch_over(app.clone()));
        tokio::spawn(previews::watch_over(app.clone()));
        tokio::spawn(notifications::run(app.clone()));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            url = addresses.public_url,
            link = %addresses.link,
            metrics = %addresses.metrics,
            "gateway serves"
        );
        Ok(Self { app, addresses, _lock: lock })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Stops: terminals are told to come back later, requests end, links close.
    pub async fn stop(self) {
        self.app.terminals.drain();
        self.app.stopping.cancel();
        self.app.tasks.close();
        if timeout(GRACE, self.app.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.app.tasks.len(), "stopped without waiting for the rest");
        }
        if let Err(error) = self.app.store.settle().await {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "store not settled");
        }
    }
}

/// What sends notifications.
async fn channels(
    settings: &Settings,
    store: &Store,
    sealer: &Sealer,
    public_url: &Url,
) -> Result<Notifications, ServeError> {
    // What has no provider of its own, such as the HTTP client, takes the process's.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = &settings.notifications;
    let origin = Origin::new(public_url).as_str().to_owned();
    let contact = settings.contact.as_ref().map_or_else(|| origin.clone(), ToString::to_string);
    let vapid = Vapid::open(store, sealer, contact).await?;
    Ok(Notifications::new(Sender::new(Guard::new(&settings.allow_addresses), vapid, origin)))
}

/// Who else says who somebody is.
async fn issuer(settings: &Settings, store: &Store) -> Result<Option<Issuer>, ServeError> {
    let found = Issuer::new(&settings.issuer)?;
    if let Some(name) = settings.issuer.organization.as_ref().filter(|_| found.is_some())
        && !store.organizations().await?.iter().any(|known| known.name == *name)
    {
        tracing::warn!(
            organization = %name,
            "issuer.organization: there is no such organisation, so newcomers are refused: `gateway organization create` makes it"
        );
    }
    Ok(found)
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let refused = |source| ServeError::Listen { address, setting, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// This gateway's id, drawn at first start and kept beside the store.
fn gateway_id(path: PathBuf) -> Result<GatewayId, StateError> {
    if let Some(known) = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(known);
    }
    let new = GatewayId::random();
    write_private(&path, new.as_str().as_bytes())?;
    Ok(new)
}
