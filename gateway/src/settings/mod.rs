//! The gateway's settings: what the TOML file, `BERTH_GATEWAY__…` variables and flags may say.
//!
//! `gateway/config.reference.toml` is the commented reference; a test below holds it to this type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use berth_daemon::config::{self, ConfigError, Secret, Sources};
use berth_daemon::logging::LogSettings;
use berth_daemon::metrics::check_loopback;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::front::Proxies;
use crate::notifications::IpRange;

pub use issuer::{IssuerKind, IssuerSettings, NewUsers, is_fit};
pub use limits::LimitSettings;
pub use notifications::NotificationSettings;
pub use preview::PreviewSettings;

/// The commented reference: every key with its default.
pub const REFERENCE: &str = include_str!("../../config.reference.toml");

/// Prefix of environment variables.
pub const ENV_PREFIX: &str = "BERTH_GATEWAY";

/// This machine.
const LOOPBACK: [IpRange; 2] =
    [IpRange::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8), IpRange::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the store, the sealing key and the gateway's id are kept.
    pub state_dir: PathBuf,
    /// What users reach.
    pub front: FrontSettings,
    /// What boxes reach.
    pub link: LinkSettings,
    /// How stored secrets are sealed.
    pub sealing: SealingSettings,
    /// Who else says who somebody is.
    pub issuer: IssuerSettings,
    /// Dev servers of boxes.
    pub preview: PreviewSettings,
    /// Channels by which users are told.
    pub notifications: NotificationSettings,
    /// How often something may be tried.
    pub limits: LimitSettings,
    /// Prometheus text.
    pub metrics: MetricsSettings,
    /// Logs.
    pub log: LogSettings,
}

/// What users reach: API, terminals and the web UI.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontSettings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The origin that browsers use; derived from `listen` when absent.
    pub public_url: Option<Url>,
    /// Certificate chain in PEM, for HTTPS without a proxy in front.
    pub tls_certificate: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Proxies that are believed about the client's address; this machine when absent and one must be there.
    pub trusted_proxies: Option<Vec<IpRange>>,
}

/// What boxes reach: enrolment and links, with TLS of the installation's own CA.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// Address to listen on; the front's address and the next port when absent.
    pub listen: Option<SocketAddr>,
    /// `host:port` that boxes dial, as enrolment tokens carry it; `listen` when absent.
    pub advertise: Option<String>,
    /// How long a box's certificate counts, seconds. It is renewed after two thirds of that.
    pub certificate_secs: u64,
    /// For how long after its end a certificate can still be renewed, seconds: a box may have been off.
    pub renewal_grace_secs: u64,
}

/// Bounds of how long a certificate counts, seconds: long enough to renew it, short enough to matter.
const CERTIFICATE_SECS: std::ops::RangeInclusive<u64> = 5..=315_360_000;

/// The longest time for which a certificate can still be renewed, seconds.
const MOST_GRACE_SECS: u64 = 315_360_000;

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            listen: None,
            advertise: None,
            certificate_secs: 90 * 24 * 3600,
            renewal_grace_secs: 365 * 24 * 3600,
        }
    }
}

impl LinkSettings {
    fn check(&self) -> Result<(), String> {
        if !CERTIFICATE_SECS.contains(&self.certificate_secs) {
            let (least, most) = (CERTIFICATE_SECS.start(), CERTIFICATE_SECS.end());
            return Err(format!(
                "link.certificate_secs = {} is out of bounds: from {least} to {most}",
                self.certificate_secs
            ));
        }
        if self.renewal_grace_secs > MOST_GRACE_SECS {
            return Err(format!(
                "link.renewal_grace_secs = {} is too long: at most {MOST_GRACE_SECS}",
                self.renewal_grace_secs
            ));
        }
        Ok(())
    }
}

/// How stored secrets are sealed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SealingSettings {
    /// 32 bytes in base64, instead of a file.
    pub key: Option<Secret>,
    /// A file with the key on its first line, and older ones below it; when absent the unit's credential `sealing.key`,
    /// and without one `<state_dir>/sealing.key`, which is made at first start.
    pub key_file: Option<PathBuf>,
}

/// Prometheus text on loopback.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address to listen on: loopback only.
    pub listen: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/berth-gateway".into(),
            front: FrontSettings::default(),
            link: LinkSettings::default(),
            sealing: SealingSettings::default(),
            issuer: IssuerSettings::default(),
            preview: PreviewSettings::default(),
            notifications: NotificationSettings::default(),
            limits: LimitSettings::default(),
            metrics: MetricsSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7391)),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            trusted_proxies: None,
        }
    }
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7393)) }
    }
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`], for the first problem found.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let settings: Self = config::load(sources)?;
        settings.check().map_err(ConfigError::Invalid)?;
        Ok(settings)
    }

    /// Address of the link listener.
    #[must_use]
    pub fn link_listen(&self) -> SocketAddr {
        self.link.listen.unwrap_or_else(|| {
            let front = self.front.listen;
            // Port 0 asks for any free port, and so does what is derived from it.
            let port = if front.port() == 0 { 0 } else { front.port().saturating_add(1) };
            SocketAddr::new(front.ip(), port)
        })
    }

    /// The origin that browsers use, given the address that the front really listens on.
    ///
    /// # Errors
    /// When none can be derived: a wildcard address is no origin.
    pub fn public_url(&self, listening: SocketAddr) -> Result<Url, ConfigError> {
        if let Some(url) = &self.front.public_url {
            return Ok(url.clone());
        }
        let scheme = if self.front.tls_certificate.is_some() { "https" } else { "http" };
        Url::parse(&format!("{scheme}://{listening}"))
            .map_err(|error| ConfigError::Invalid(format!("front.public_url can't be derived: {error}")))
    }

    /// Who is believed about the client's address.
    #[must_use]
    pub fn trusted_proxies(&self) -> Proxies {
        let front = &self.front;
        if let Some(named) = &front.trusted_proxies {
            return Proxies::new(named);
        }
        let https = front.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        Proxies::new(if https && front.tls_certificate.is_none() { &LOOPBACK } else { &[] })
    }

    fn check(&self) -> Result<(), String> {
        check_loopback(self.metrics.listen).map_err(|error| error.to_string())?;
        self.link.check()?;
        self.issuer.check()?;
        self.preview.check()?;
        self.notifications.check()?;
        let front = &self.front;
        if front.tls_certificate.is_some() != front.tls_key.is_some() {
            return Err("front.tls_certificate and front.tls_key belong together: set both or none".into());
        }
        if let Some(url) = &front.public_url {
            if url.scheme() == "http" && front.tls_certificate.is_some() {
                return Err(format!(
                    "front.public_url = {url} is plain http, and front.tls_certificate is set"
                ));
            }
            check_public_url(url)?;
            let proxied = front.tls_certificate.is_none() && url.scheme() == "https";
            let named = front.trusted_proxies.as_ref().is_some_and(|proxies| !proxies.is_empty());
            if proxied && !front.listen.ip().is_loopback() && !named {
                return Err(format!(
                    "front.listen = {} takes plain http from everywhere: name the proxies that end TLS in \
                     front.trusted_proxies, or listen on loopback",
                    front.listen
                ));
            }
            return Ok(());
        }
        if front.listen.ip().is_unspecified() {
            return Err(format!(
                "front.listen = {} is every address: say in front.public_url which origin browsers use",
                front.listen
            ));
        }
        if front.tls_certificate.is_none() && !front.listen.ip().is_loopback() {
            return Err(format!(
                "front.listen = {} would send cookies over plain http: set front.tls_certificate and \
                 front.tls_key, or front.public_url = \"https://…\" behind a proxy that ends TLS",
                front.listen
            ));
        }
        Ok(())
    }
}

fn check_public_url(url: &Url) -> Result<(), String> {
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(format!("front.public_url = {url} is more than an origin: use scheme, host and port"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err(format!(
            "front.public_url = {url} would send cookies over plain http: use https, or a loopback host"
        )),
        other => Err(format!("front.public_url has scheme {other}: use https")),
    }
}

/// Whether a URL's host is this machine, whoever asks.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

mod issuer;
mod limits;
mod notifications;
mod preview;
#[cfg(test)]
mod tests;
