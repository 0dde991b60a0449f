//! The front: the only thing that users ever reach.
//!
//! | file | what |
//! |---|---|
//! | `listener` | accept loop, TLS, bounds against slow clients |
//! | `tls` | the operator's certificate, followed as it is renewed |
//! | `proxies` | who is believed about the client's address |
//! | `http2` | what HTTP/2 has of its own |
//! | `layers` | request ids, error bodies, the check of `Host`, security headers |
//! | `invariants` | what holds for any request's headers, for tests and fuzzing |
//! | `assets` | the web UI, embedded in the binary |
//! | `sign_in`, `issuer` | one-time links become cookies, and what an issuer says does |

mod assets;
mod http2;
pub mod invariants;
mod issuer;
mod layers;
mod listener;
mod proxies;
mod sign_in;
mod tls;

use axum::handler::Handler;
use axum::routing::{MethodRouter, get};
use axum::{Router, middleware};

use crate::api::{self, ApiError};
use crate::app::SharedApp;
use crate::previews;

pub use issuer::ISSUER_PATH;
pub use listener::{Front, Peer, serve};
pub use proxies::Proxies;
pub use sign_in::SIGN_IN_PATH;
pub use tls::{FrontTls, TlsError};

/// Everything that the front answers.
pub fn router(app: SharedApp) -> Router {
    Router::new()
        .merge(api::router(&app))
        .route(SIGN_IN_PATH, visited(sign_in::exchange))
        .route(issuer::ISSUER_PATH, visited(issuer::begin))
        .route(issuer::CALLBACK_PATH, visited(issuer::callback))
        .route(previews::OPEN_PATH, visited(previews::open))
        .fallback(assets::serve)
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(middleware::from_fn_with_state(app.clone(), layers::only_our_host))
        .route("/healthz", get(async || "ok\n"))
        .layer(middleware::from_fn_with_state(app.clone(), layers::security_headers))
        .layer(middleware::from_fn_with_state(app.clone(), layers::name_request))
        .with_state(app)
}

/// What a browser goes to. HEAD, which a route of GET answers otherwise, must not use up a link: that is how programs look at
/// those in messages.
fn visited<T: 'static>(handler: impl Handler<T, SharedApp>) -> MethodRouter<SharedApp> {
    get(handler).head(async || ApiError::method_not_allowed())
}

#[cfg(test)]
mod tests {
    /// What a router is made of, but for layers. The table of the API has tests of its own.
    const PARTS: [&str; 8] = [
        ".merge(api::router(&app))",
        ".route(SIGN_IN_PATH, visited(sign_in::exchange))",
        ".route(issuer::ISSUER_PATH, visited(issuer::begin))",
        ".route(issuer::CALLBACK_PATH, visited(issuer::callback))",
        ".route(previews::OPEN_PATH, visited(previews::open))",
        ".fallback(assets::serve)",
        ".method_not_allowed_fallback(async || ApiError::method_not_allowed())",
        ".route(\"/healthz\", get(async || \"ok\\n\"))",
    ];

    #[test]
    fn a_path_of_the_api_that_is_added_here_would_have_no_policy() {
        let router = include_str!("mod.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let (_, router) = router.split_once("Router::new()").unwrap();
        let calls = router.lines().map(str::trim).filter(|line| line.starts_with('.'));
        let parts: Vec<&str> =
            calls.filter(|call| !call.starts_with(".layer(") && !call.starts_with(".with_state(")).collect();
        assert_eq!(parts, PARTS);
    }
}
