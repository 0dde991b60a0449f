//! The web UI: Vite's output, embedded in the binary.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::ApiError;

/// Files below this path have their content's hash in their name.
const HASHED: &str = "assets/";

#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Files;

/// Answers with a file of the UI, or with its page for the paths that the page itself knows.
pub async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") || path.starts_with(HASHED) && Files::get(path).is_none() {
        return ApiError::not_found().into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return ApiError::method_not_allowed().into_response();
    }
    match Files::get(path).filter(|_| !path.is_empty()) {
        Some(file) => answer(&request, path, file),
        None => match Files::get("index.html") {
            Some(page) => answer(&request, "index.html", page),
            None => ApiError::not_found().into_response(),
        },
    }
}

fn answer(request: &Request, path: &str, file: EmbeddedFile) -> Response {
    let hash = data_encoding::HEXLOWER.encode(&file.metadata.sha256_hash()[..16]);
    let tag = format!("\"{hash}\"");
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.data.into_owned()))
    };
    let headers = response.headers_mut();
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if kind.type_() == mime_guess::mime::TEXT {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_string()
    };
    for (name, value) in [(CONTENT_TYPE, kind), (ETAG, tag)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
