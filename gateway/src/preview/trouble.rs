//! Why there is no answer of a dev server, and the answer that says so: a page for people, JSON for programs.

use axum::body::Body;
use axum::response::Response;
use berth_protocol::door::{KIND_PORT_CLOSED, KIND_PORT_FORBIDDEN};
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::RequestId;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::boxes::DoorError;

/// Says that the answer is the gateway's, and not the dev server's.
const ERROR: HeaderName = HeaderName::from_static("berth-error");

/// Seconds after which to try again.
const RETRY_SECONDS: u64 = 2;

/// No scripts: a page that waits reloads itself without any. The console shows previews in frames.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors";

/// Why a request has no answer of the dev server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no such preview.
    #[error("there is no such preview: it was deleted, or the address is mistyped")]
    Unknown,
    /// Whoever asks may not see it.
    #[error(
        "this preview is private: open it from the console, in a browser that is signed in there, or by a link to it"
    )]
    Private,
    /// The way in did not lead in.
    #[error(
        "this browser was not let in: the link was used before, is too old, or the browser keeps no cookies; open \
         the preview from the console again"
    )]
    NotLetIn,
    /// The request could be taken in two ways.
    #[error("the request is refused: {0}")]
    Unsound(&'static str),
    /// The box does not answer.
    #[error("the box can't be reached; this page comes back with it")]
    Offline,
    /// Nothing listens there.
    #[error("waiting for a program to listen on port {0} of the box")]
    Closed(u16),
    /// The agent keeps the port to itself.
    #[error("port {0} of the box has no preview: it is the agent's own")]
    Forbidden(u16),
    /// There are too many exchanges at once.
    #[error("too many requests to this preview are going on: try again in a moment")]
    Busy,
    /// Somebody opens WebSockets too often.
    #[error("too many WebSockets were opened: try again in {0} seconds")]
    TooMany(u64),
    /// The dev server began to answer and broke off, or did not speak HTTP.
    #[error("the program on port {0} closed the connection without an answer: its log may say why")]
    BrokeOff(u16),
    /// The answer is not one of HTTP.
    #[error("the program on port {0} does not answer as HTTP demands it")]
    Nonsense(u16),
    /// The dev server took too long.
    #[error("the program on port {0} took the request and has not answered")]
    Silent(u16),
    /// The gateway itself failed.
    #[error("the gateway failed; its log says why under the request id")]
    Internal,
}

impl Trouble {
    /// What a failure at the door means for a preview of `port`.
    #[must_use]
    pub fn at_door(error: &DoorError, port: u16) -> Self {
        match error {
            DoorError::Refused { kind, .. } if kind == KIND_PORT_CLOSED => Self::Closed(port),
            DoorError::Refused { kind, .. } if kind == KIND_PORT_FORBIDDEN => Self::Forbidden(port),
            _ => Self::Offline,
        }
    }

    /// The stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown => "preview_not_found",
            Self::Private => "preview_private",
            Self::NotLetIn => "preview_code_invalid",
            Self::Unsound(_) => "bad_request",
            Self::Offline => "box_offline",
            Self::Closed(_) => "port_closed",
            Self::Forbidden(_) => "port_forbidden",
            Self::Busy => "preview_busy",
            Self::TooMany(_) => "too_many_requests",
            Self::BrokeOff(_) => "dev_server_broke_off",
            Self::Nonsense(_) => "dev_server_nonsense",
            Self::Silent(_) => "dev_server_silent",
            Self::Internal => "internal",
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Private => StatusCode::UNAUTHORIZED,
            Self::NotLetIn | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unsound(_) => StatusCode::BAD_REQUEST,
            Self::Offline | Self::Closed(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::BrokeOff(_) | Self::Nonsense(_) => StatusCode::BAD_GATEWAY,
            Self::Silent(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn heading(&self) -> &'static str {
        match self {
            Self::Unknown => "No such preview",
            Self::Private => "A private preview",
            Self::NotLetIn => "Not let in",
            Self::Offline => "The box is away",
            Self::Closed(_) => "Nothing is running here yet",
            Self::Busy | Self::TooMany(_) => "Too much at once",
            Self::BrokeOff(_) | Self::Nonsense(_) => "The program broke off",
            Self::Silent(_) => "The program is silent",
            Self::Unsound(_) | Self::Forbidden(_) | Self::Internal => "This did not work",
        }
    }

    /// The answer, in this form; pages of the origin `console` may frame it.
    #[must_use]
    pub fn answer(&self, form: Form, request_id: RequestId, console: &str) -> Response {
        let page = form == Form::Page;
        let (kind, body) = if page {
            ("text/html; charset=utf-8", self.page(&request_id))
        } else {
            let body = ErrorBody::new(self.kind(), self.to_string(), Some(request_id));
            ("application/json", serde_json::to_string(&body).unwrap_or_default())
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(ERROR, HeaderValue::from_static(self.kind()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if page {
            let policy = HeaderValue::from_str(&format!("{POLICY} {console}"));
            headers.extend(policy.ok().map(|policy| (CONTENT_SECURITY_POLICY, policy)));
        }
        match self {
            Self::TooMany(seconds) => headers.insert(RETRY_AFTER, HeaderValue::from(*seconds)),
            _ if self.passes_by_itself() => headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS)),
            _ => None,
        };
        response
    }

    fn passes_by_itself(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Constant but for a port and the request's id: nothing that anybody said is repeated.
    fn page(&self, request_id: &RequestId) -> String {
        let refresh = if self.passes_by_itself() {
            format!("<meta http-equiv=\"refresh\" content=\"{RETRY_SECONDS}\">")
        } else {
            String::new()
        };
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">{refresh}<title>{heading}</title>\
             <style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;margin:20vh auto;\
             max-width:32rem;padding:0 1rem}}small{{opacity:.6}}</style>\
             <h1>{heading}</h1><p>{self}.</p><p><small>{kind} · {request_id}</small></p></html>",
            heading = self.heading(),
            kind = self.kind(),
        )
    }
}

/// For whom an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A person at a browser.
    Page,
    /// A program.
    Data,
}

impl Form {
    /// What is wanted by whoever asked with these headers.
    #[must_use]
    pub fn wanted(asked: &HeaderMap) -> Self {
        let accept = asked.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains("text/html") { Self::Page } else { Self::Data }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn said(trouble: Trouble, accept: &str) -> (StatusCode, HeaderMap, String) {
        let asked = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
        let response = trouble.answer(Form::wanted(&asked), RequestId::random(), "https://berth.example");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn people_get_a_page_that_waits_with_them_and_programs_get_json() {
        let (status, headers, page) = said(Trouble::Closed(5173), "text/html,*/*").await;
        assert_eq!((status.as_u16(), headers[RETRY_AFTER].to_str().unwrap()), (503, "2"));
        assert!(page.contains("http-equiv=\"refresh\"") && page.contains("port 5173"), "{page}");
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(policy.ends_with("frame-ancestors https://berth.example"), "{policy}");
        let (status, headers, json) = said(Trouble::Closed(5173), "application/json").await;
        assert_eq!((status.as_u16(), headers[RETRY_AFTER].to_str().unwrap()), (503, "2"));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["error"]["kind"], "port_closed");
    }

    #[tokio::test]
    async fn what_does_not_pass_by_itself_is_not_tried_again() {
        for trouble in [Trouble::BrokeOff(1), Trouble::Silent(1), Trouble::Private, Trouble::Unknown] {
            let (_, headers, page) = said(trouble, "text/html").await;
            assert!(!headers.contains_key(RETRY_AFTER) && !page.contains("refresh"), "{trouble:?}");
        }
    }
}
