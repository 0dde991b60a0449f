//! The browser session's cookie.
//!
//! Its name carries the installation, because cookies know no ports: two installations on one machine would
//! overwrite each other's. Over https it has the `__Host-` prefix, so that no other host can set it.

use berth_protocol::ids::InstallationId;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{BROWSER_SESSION, Origin};

fn name(installation: &InstallationId, origin: &Origin) -> String {
    let prefix = if origin.is_secure() { "__Host-" } else { "" };
    format!("{prefix}berth-{installation}")
}

fn attributes(origin: &Origin) -> &'static str {
    if origin.is_secure() {
        "Path=/; HttpOnly; SameSite=Lax; Secure"
    } else {
        "Path=/; HttpOnly; SameSite=Lax"
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("identifiers and secrets are plain ASCII")
}

/// The header that begins a browser session.
///
/// # Panics
/// Never: `token` is a secret of ours, in plain ASCII.
#[must_use]
pub fn set_cookie(installation: &InstallationId, origin: &Origin, token: &str) -> HeaderValue {
    let (name, attributes) = (name(installation, origin), attributes(origin));
    header(&format!("{name}={token}; {attributes}; Max-Age={}", BROWSER_SESSION.as_secs()))
}

/// The header that ends a browser session.
///
/// # Panics
/// Never.
#[must_use]
pub fn clear_cookie(installation: &InstallationId, origin: &Origin) -> HeaderValue {
    header(&format!("{}=; {}; Max-Age=0", name(installation, origin), attributes(origin)))
}

/// The token of a request's browser session.
#[must_use]
pub fn read_cookie(headers: &HeaderMap, installation: &InstallationId, origin: &Origin) -> Option<String> {
    let name = name(installation, origin);
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, token)| token.to_owned())
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_bound_to_its_installation() {
        let installation = InstallationId::random();
        let origin = Origin::new(&Url::parse("https://berth.example").unwrap());
        let set = set_cookie(&installation, &origin, "token").to_str().unwrap().to_owned();
        assert!(set.starts_with("__Host-berth-inst-"), "{set}");
        assert!(set.contains("HttpOnly; SameSite=Lax; Secure"), "{set}");

        let pair = set.split(';').next().unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, format!("a=b; {pair}; c=d").parse().unwrap())]);
        assert_eq!(read_cookie(&headers, &installation, &origin).as_deref(), Some("token"));
        assert_eq!(read_cookie(&headers, &InstallationId::random(), &origin), None);
        let plain = Origin::new(&Url::parse("http://127.0.0.1:1").unwrap());
        assert_eq!(read_cookie(&headers, &installation, &plain), None);
    }
}
