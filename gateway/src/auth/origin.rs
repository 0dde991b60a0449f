//! The one origin that browsers use.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use url::Url;

use crate::settings::is_loopback;

/// Scheme, host and port of the front as browsers see it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// As browsers send it: no path, no default port.
    text: String,
    /// `host` or `host:port`, as browsers send it in `Host`.
    authority: String,
    host: String,
    secure: bool,
    loopback: bool,
}

impl Origin {
    /// The origin of a URL.
    #[must_use]
    pub fn new(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self {
            text: url.origin().ascii_serialization(),
            authority,
            host: host.to_owned(),
            secure: url.scheme() == "https",
            loopback: is_loopback(url),
        }
    }

    /// The origin as text, such as `https://berth.example`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether browsers use https.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether a request was made to this host. Another name that leads here may be an attacker's.
    #[must_use]
    pub fn is_host(&self, headers: &HeaderMap) -> bool {
        single(headers, &HOST).is_some_and(|host| host.eq_ignore_ascii_case(&self.authority))
    }

    /// Whether a page of this origin made the request. No `Origin`, `null` or two of them: no.
    #[must_use]
    pub fn is_origin(&self, headers: &HeaderMap) -> bool {
        single(headers, &ORIGIN) == Some(&self.text)
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn only_the_exact_origin_is_ours() {
        let origin = Origin::new(&Url::parse("https://console.example").unwrap());
        assert!(origin.is_origin(&with(ORIGIN, "https://console.example")));
        for other in [
            "null",
            "",
            "http://console.example",
            "https://console.example:8443",
            "https://console.example.evil",
            "https://evil.console.example",
            "https://console.example/",
        ] {
            assert!(!origin.is_origin(&with(ORIGIN, other)), "{other:?} was taken for ours");
        }
        assert!(!origin.is_origin(&HeaderMap::new()));
        let mut twice = with(ORIGIN, "https://console.example");
        twice.append(ORIGIN, "https://console.example".parse().unwrap());
        assert!(!origin.is_origin(&twice));
    }

    #[test]
    fn the_host_counts_with_its_port() {
        let origin = Origin::new(&Url::parse("http://127.0.0.1:7391").unwrap());
        assert!(origin.is_host(&with(HOST, "127.0.0.1:7391")));
        assert!(!origin.is_host(&with(HOST, "127.0.0.1")));
        assert!(!origin.is_host(&with(HOST, "rebound.example:7391")));
    }
}
