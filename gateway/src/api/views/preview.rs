//! Previews, and what listens on a box.

use berth_protocol::ports::ObservedPort;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::preview::{self, Named};
use crate::previews::Exchange;
use crate::store::{self, now_ms};

/// Who may see a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Who may use the workspace, in a browser that is signed in at the console.
    Private,
    /// They, and whoever has a link that has not ended.
    Link,
    /// Everybody who has the address.
    Public,
}

/// Who shall see a preview. Links are made one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewVisibility {
    /// Who may use the workspace. Every link ends.
    Private,
    /// Everybody who has the address.
    Public,
}

/// How a dev server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `Host` is localhost; `Origin` too, on WebSockets and where Next demands it.
    Standard,
    /// `Host` and `Origin` are localhost.
    Localhost,
    /// `Host` and `Origin` are the preview's own.
    Transparent,
}

/// A loopback port of a box, with an origin of its own.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Its identifier.
    pub id: String,
    /// The workspace whose box it leads to.
    pub workspace_id: String,
    /// The port there.
    pub port: u16,
    /// Who may see it.
    pub visibility: Visibility,
    /// When the last of its links ends, milliseconds since 1970.
    pub link_until_ms: Option<i64>,
    /// How the dev server is spoken to.
    pub mode: Mode,
    /// Where browsers find it. None when the gateway has no hosts for previews any more.
    pub url: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
}

/// The previews of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspacePreviews {
    /// The workspace.
    pub workspace_id: String,
    /// Its previews, by port.
    pub previews: Vec<Preview>,
    /// What listens on its box, by port, as the box last reported it.
    pub ports: Vec<Port>,
}

/// A port of a box on which a program listens.
#[derive(Debug, Serialize, ToSchema)]
pub struct Port {
    /// The port.
    pub port: u16,
    /// The program's name, in its own words.
    pub process: Option<String>,
    /// What kind of server it seems to be, such as `vite`.
    pub kind: Option<String>,
}

/// A preview to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreview {
    /// A port of the box; nothing has to listen there yet.
    pub port: u16,
}

/// Changes to a preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewPatch {
    /// Who may see it.
    #[serde(default)]
    pub visibility: Option<NewVisibility>,
    /// That everybody may is meant: without it no preview becomes public.
    #[serde(default)]
    pub confirm_public: bool,
    /// How the dev server is spoken to.
    #[serde(default)]
    pub mode: Option<Mode>,
}

/// A link to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreviewLink {
    /// Whom it is for: 1 to 64 characters.
    #[serde(default = "default_name")]
    #[schema(default = "Guests")]
    pub name: String,
    /// How long it lasts, 60 to 604800.
    #[serde(default = "default_lifetime")]
    #[schema(default = 86_400)]
    pub expires_in_seconds: u64,
}

fn default_name() -> String {
    "Guests".to_owned()
}

fn default_lifetime() -> u64 {
    24 * 3600
}

/// A link by which whoever has it may see a preview for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewLink {
    /// Its identifier.
    pub id: String,
    /// Whom it is for.
    pub name: String,
    /// The link, for callers who may make one.
    pub url: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it ends, milliseconds since 1970.
    pub expires_at_ms: i64,
    /// How often it was opened.
    pub opened: u64,
    /// When it was last opened.
    pub opened_at_ms: Option<i64>,
}

/// The links to a preview.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewLinks {
    /// Those that have not ended, oldest first.
    pub links: Vec<PreviewLink>,
}

/// What stands behind the `#` of a link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewLinkCode {
    /// The code.
    pub code: String,
}

/// A preview that was opened by a link.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedPreviewLink {
    /// Where the preview is.
    pub url: String,
    /// When the link ends, milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// A request to a preview.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewRequest {
    /// Its number among the preview's; the gateway begins anew when it is started.
    pub number: u64,
    /// When it came, milliseconds since 1970.
    pub at_ms: i64,
    /// Its method.
    pub method: String,
    /// Its path, without what was asked there.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Milliseconds until the answer began.
    pub millis: u64,
}

/// Requests to a preview that were not told yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewRequests {
    /// The newest first.
    pub requests: Vec<PreviewRequest>,
}

impl Preview {
    /// A preview with its address.
    #[must_use]
    pub fn new(app: &App, preview: store::Preview) -> Self {
        let named = Named { preview: preview.id.clone(), workspace: preview.workspace.clone() };
        let link_until_ms = preview.link_until_ms.filter(|until| *until > now_ms());
        Self {
            url: app.previews.names.as_ref().map(|names| format!("{}/", names.origin(&named))),
            id: preview.id.into(),
            workspace_id: preview.workspace.into(),
            port: preview.port,
            visibility: match preview.visibility {
                store::Visibility::Public => Visibility::Public,
                store::Visibility::Private if link_until_ms.is_some() => Visibility::Link,
                store::Visibility::Private => Visibility::Private,
            },
            link_until_ms,
            mode: preview.mode.into(),
            created_at_ms: preview.created_at_ms,
        }
    }
}

impl From<ObservedPort> for Port {
    fn from(port: ObservedPort) -> Self {
        Self { port: port.port, process: port.process, kind: port.kind }
    }
}

impl From<NewVisibility> for store::Visibility {
    fn from(visibility: NewVisibility) -> Self {
        match visibility {
            NewVisibility::Private => Self::Private,
            NewVisibility::Public => Self::Public,
        }
    }
}

impl From<Exchange> for PreviewRequest {
    fn from(exchange: Exchange) -> Self {
        let Exchange { number, at_ms, method, path, status, millis } = exchange;
        Self { number, at_ms, method, path, status, millis }
    }
}

impl From<preview::Mode> for Mode {
    fn from(mode: preview::Mode) -> Self {
        match mode {
            preview::Mode::Standard => Self::Standard,
            preview::Mode::Localhost => Self::Localhost,
            preview::Mode::Transparent => Self::Transparent,
        }
    }
}

impl From<Mode> for preview::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Standard => Self::Standard,
            Mode::Localhost => Self::Localhost,
            Mode::Transparent => Self::Transparent,
        }
    }
}
