//! From which page a request comes. Pure.
//!
//! A cookie alone says who sits at the browser, not which page asks, and all previews of a domain may count as one
//! site. What decides is what browsers say of the page, which scripts can't forge: `Origin`, `Sec-Fetch-Site`, and
//! `Referer` where there is no `Origin`.

use http::header::{ACCEPT, HeaderName, ORIGIN, REFERER};
use http::{HeaderMap, Method};

use crate::preview::{Asked, Named, Names};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The page that makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// The preview's own, or the address bar.
    Own,
    /// Another preview's of the same workspace, with this origin.
    Sibling(String),
    /// A link that leads here, from whatever page.
    Link,
    /// The console's, which shows the preview in a frame.
    Console,
    /// Any other, or one that does not say.
    Foreign,
}

impl Side {
    /// Tells from which page a request to a preview comes.
    pub fn of(names: &Names, to: &Named, method: &Method, headers: &HeaderMap, asked: Asked) -> Self {
        let named = |origin: &str| match names.of_origin(origin) {
            Some(from) if from == *to => Self::Own,
            Some(from) if from.workspace == to.workspace => Self::Sibling(origin.to_owned()),
            _ => Self::Foreign,
        };
        let site = single(headers, &SEC_FETCH_SITE);
        match single(headers, &ORIGIN) {
            // A page that sends no referrer sends no origin with its forms either.
            Some("null") if asked == Asked::Answer && site == Some("same-origin") => return Self::Own,
            Some(origin) => return named(origin),
            None if headers.contains_key(ORIGIN) || asked == Asked::WebSocket => return Self::Foreign,
            None => {}
        }
        match site {
            Some("same-origin" | "none") => Self::Own,
            // A program, or a browser that is too old to say.
            None if !headers.contains_key(SEC_FETCH_SITE) => Self::Own,
            _ if is_navigation(method, headers) => Self::Link,
            _ => match single(headers, &REFERER).and_then(origin_of) {
                Some(page) if page == names.console() && is_framing(method, headers) => Self::Console,
                page => page.map_or(Self::Foreign, named),
            },
        }
    }

    /// Whether a cookie that comes with the request counts.
    pub fn may_use_cookie(&self) -> bool {
        !matches!(self, Self::Foreign)
    }
}

/// Whether another site's page asks, for what is at the console's own origin.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE)
        && !matches!(single(headers, &SEC_FETCH_SITE), Some("same-origin" | "none"))
}

/// Whether somebody follows a link or types an address, in a window or tab of its own.
pub fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if method != Method::GET {
        return false;
    }
    match (single(headers, &SEC_FETCH_MODE), single(headers, &SEC_FETCH_DEST)) {
        (Some(mode), Some(to)) => mode == "navigate" && to == "document",
        (None, None) => single(headers, &ACCEPT).is_some_and(|accept| accept.contains("text/html")),
        _ => false,
    }
}

/// Whether a page shows something in a frame.
pub fn is_framing(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET
        && single(headers, &SEC_FETCH_MODE) == Some("navigate")
        && matches!(single(headers, &SEC_FETCH_DEST), Some("iframe" | "frame"))
}

/// The origin of a URL that a browser wrote.
fn origin_of(url: &str) -> Option<&str> {
    let begin = url.find("://")? + 3;
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |at| begin + at);
    Some(&url[..end])
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::{PreviewId, WorkspaceId};
    use http::{HeaderName, HeaderValue};
    use url::Url;

    use super::*;
    use crate::auth::Origin;

    struct Fixture {
        names: Names,
        to: Named,
    }

    impl Fixture {
        fn new() -> Self {
            let console = Origin::new(&Url::parse("https://berth.example").unwrap());
            let template = "{preview}--{workspace}.preview.example".parse().unwrap();
            let to = Named { preview: PreviewId::random(), workspace: WorkspaceId::random() };
            Self { names: Names::new(template, &console), to }
        }

        fn side(&self, asked: Asked, headers: &[(&'static str, &str)]) -> Side {
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            Side::of(&self.names, &self.to, &Method::GET, &headers.collect(), asked)
        }

        fn sibling(&self) -> String {
            self.names.origin(&Named { preview: PreviewId::random(), workspace: self.to.workspace.clone() })
        }

        fn stranger(&self) -> String {
            self.names.origin(&Named { preview: PreviewId::random(), workspace: WorkspaceId::random() })
        }
    }

    #[test]
    fn the_page_that_asks_is_told_by_its_origin() {
        let f = Fixture::new();
        let (own, sibling, stranger) = (f.names.origin(&f.to), f.sibling(), f.stranger());
        for asked in [Asked::Answer, Asked::WebSocket] {
            assert_eq!(f.side(asked, &[("origin", &own)]), Side::Own);
            assert_eq!(f.side(asked, &[("origin", &sibling)]), Side::Sibling(sibling.clone()));
            for foreign in [stranger.as_str(), "https://berth.example", "null", "", &format!("{own}/")] {
                assert_eq!(f.side(asked, &[("origin", foreign)]), Side::Foreign, "{foreign}");
            }
            let forged = [("origin", stranger.as_str()), ("sec-fetch-site", "same-origin")];
            assert_eq!(f.side(asked, &forged), Side::Foreign, "the origin decides");
        }
        assert_eq!(f.side(Asked::WebSocket, &[]), Side::Foreign, "a WebSocket says its page");
        let sandboxed = [("origin", "null"), ("sec-fetch-site", "same-origin")];
        assert_eq!(f.side(Asked::WebSocket, &sandboxed), Side::Foreign);
        assert_eq!(f.side(Asked::Answer, &sandboxed), Side::Own, "a form of a page without a referrer");
    }

    #[test]
    fn without_an_origin_the_browser_says_whether_it_is_the_same() {
        let f = Fixture::new();
        let (from_sibling, from_stranger) = (format!("{}/", f.sibling()), format!("{}/x", f.stranger()));
        let side = |headers: &[_]| f.side(Asked::Answer, headers);
        assert_eq!(side(&[]), Side::Own, "a program");
        assert_eq!(side(&[("sec-fetch-site", "none")]), Side::Own);
        assert_eq!(side(&[("sec-fetch-site", "same-origin")]), Side::Own);
        for site in ["same-site", "cross-site", "other"] {
            assert_eq!(side(&[("sec-fetch-site", site)]), Side::Foreign, "{site}");
            let window =
                [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
            assert_eq!(side(&window), Side::Link, "{site}");
            let frame =
                [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
            assert_eq!(side(&frame), Side::Foreign, "{site}");
            let image = [("sec-fetch-site", site), ("referer", &from_sibling)];
            assert_eq!(side(&image), Side::Sibling(from_sibling.trim_end_matches('/').to_owned()));
            let image = [("sec-fetch-site", site), ("referer", from_stranger.as_str())];
            assert_eq!(side(&image), Side::Foreign);
        }
    }

    #[test]
    fn only_the_console_shows_a_preview_in_a_frame() {
        let f = Fixture::new();
        let side = |site: &str, dest: &str, referer: &str| {
            let headers = [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", dest),
                ("referer", referer),
            ];
            f.side(Asked::Answer, &headers)
        };
        for site in ["cross-site", "same-site"] {
            assert_eq!(side(site, "iframe", "https://berth.example/"), Side::Console);
            for page in ["https://berth.example.evil/", "http://berth.example/", "https://evil.example/", ""]
            {
                assert_eq!(side(site, "iframe", page), Side::Foreign, "{page}");
            }
            assert_eq!(side(site, "iframe", &format!("{}/", f.stranger())), Side::Foreign);
            assert_eq!(side(site, "image", "https://berth.example/"), Side::Foreign, "it shows frames alone");
        }
        assert_eq!(side("none", "document", ""), Side::Own);
        assert!(Side::Console.may_use_cookie());
    }

    #[test]
    fn only_windows_navigate() {
        let navigates = |method: Method, headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            is_navigation(&method, &headers.collect())
        };
        let window = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(navigates(Method::GET, &window));
        assert!(navigates(Method::GET, &[("accept", "text/html,*/*")]));
        assert!(!navigates(Method::POST, &window));
        assert!(!navigates(Method::GET, &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]));
        assert!(!navigates(Method::GET, &[("sec-fetch-mode", "navigate"), ("accept", "text/html")]));
        assert!(!navigates(Method::GET, &[("accept", "*/*")]));
    }
}
