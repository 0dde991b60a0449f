//! Where an issuer says that its parts are: its discovery document.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::http::{AskError, Http};
use crate::settings::{IssuerSettings, is_fit};

/// How long a document is believed without looking again.
const FRESH: Duration = Duration::from_secs(3600);

/// What lies behind an issuer's identifier.
const WELL_KNOWN: &str = ".well-known/openid-configuration";

/// What of it is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Document {
    issuer: String,
    /// Where the keys are.
    pub(super) jwks_uri: Url,
    /// Where browsers are sent.
    pub(super) authorization_endpoint: Option<Url>,
    /// Where codes are exchanged.
    pub(super) token_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl Document {
    /// The document of this issuer alone, all of whose addresses can be asked.
    fn read(json: &[u8], issuer: &str) -> Option<Self> {
        let document: Self = serde_json::from_slice(json).ok()?;
        let urls = [&document.authorization_endpoint, &document.token_endpoint];
        let fit = is_fit(&document.jwks_uri) && urls.into_iter().flatten().all(is_fit);
        (document.issuer == issuer && fit).then_some(document)
    }

    /// Whether a client says its secret in the form, and not in the head.
    pub(super) fn wants_secret_in_form(&self) -> bool {
        let supports = |method| self.token_endpoint_auth_methods_supported.iter().any(|one| one == method);
        // Without a word about it, the head is what all must take.
        supports("client_secret_post") && !supports("client_secret_basic")
    }
}

/// The document, as it was last read.
#[derive(Default)]
pub(super) struct Discovery(Mutex<Known>);

#[derive(Default)]
struct Known {
    document: Option<(Arc<Document>, Instant)>,
    tried: Option<Instant>,
}

impl Discovery {
    /// The document. One of before serves while the issuer does not answer.
    pub(super) async fn document(
        &self,
        http: &Http,
        settings: &IssuerSettings,
    ) -> Result<Arc<Document>, AskError> {
        let issuer = settings.url.as_deref().unwrap_or_default();
        let mut known = self.0.lock().await;
        let now = Instant::now();
        let pause = Duration::from_secs(settings.refetch_secs);
        let early = known.tried.is_some_and(|tried| now - tried < pause);
        if let Some((document, read)) = &known.document
            && (early || now - *read < FRESH)
        {
            return Ok(document.clone());
        }
        let host = || issuer.to_owned();
        if early {
            return Err(AskError::NotUnderstood(host()));
        }
        known.tried = Some(now);
        let url = Url::parse(&format!("{}/{WELL_KNOWN}", issuer.trim_end_matches('/')));
        let url = url.map_err(|_| AskError::NotUnderstood(host()))?;
        let read = async {
            let json = http.get(&url).await?;
            Document::read(&json, issuer).map(Arc::new).ok_or_else(|| AskError::NotUnderstood(host()))
        };
        match (read.await, &known.document) {
            (Ok(document), _) => {
                known.document = Some((document.clone(), now));
                Ok(document)
            }
            (Err(error), Some((document, _))) => {
                let error = berth_daemon::exit::chain(&error);
                tracing::warn!(%error, "the issuer's document could not be read; the one of before is used");
                Ok(document.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_document_is_the_issuers_own_and_leads_to_no_plain_http() {
        let issuer = "https://issuer.example";
        let read = |more: Value| {
            let mut all = json!({
                "issuer": issuer,
                "jwks_uri": "https://issuer.example/keys",
                "authorization_endpoint": "https://issuer.example/authorize",
                "token_endpoint": "https://issuer.example/token",
            });
            for (name, value) in more.as_object().unwrap() {
                all[name] = value.clone();
            }
            Document::read(all.to_string().as_bytes(), issuer)
        };
        assert!(!read(json!({})).unwrap().wants_secret_in_form());
        for wrong in [
            json!({ "issuer": "https://issuer.example/" }),
            json!({ "issuer": "https://other.example" }),
            json!({ "jwks_uri": "http://issuer.example/keys" }),
            json!({ "token_endpoint": "http://issuer.example/token" }),
            json!({ "authorization_endpoint": "javascript:alert(1)" }),
            json!({ "jwks_uri": null }),
        ] {
            assert!(read(wrong.clone()).is_none(), "{wrong}");
        }
        let methods = |methods: Value| {
            let more = json!({ "token_endpoint_auth_methods_supported": methods });
            read(more).unwrap().wants_secret_in_form()
        };
        assert!(methods(json!(["client_secret_post", "none"])));
        assert!(!methods(json!(["client_secret_post", "client_secret_basic"])));
    }
}
