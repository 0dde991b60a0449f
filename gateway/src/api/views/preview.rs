//! Previews, and what listens on a box.

use berth_protocol::ports::ObservedPort;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::preview::{self, Named};
use crate::store;

/// Who may see a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Who may use the workspace, in a browser that is signed in at the console.
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
    pub visibility: Option<Visibility>,
    /// That everybody may is meant: without it no preview becomes public.
    #[serde(default)]
    pub confirm_public: bool,
    /// How the dev server is spoken to.
    #[serde(default)]
    pub mode: Option<Mode>,
}

impl Preview {
    /// A preview with its address.
    #[must_use]
    pub fn new(app: &App, preview: store::Preview) -> Self {
        let named = Named { preview: preview.id.clone(), workspace: preview.workspace.clone() };
        Self {
            url: app.previews.names.as_ref().map(|names| format!("{}/", names.origin(&named))),
            id: preview.id.into(),
            workspace_id: preview.workspace.into(),
            port: preview.port,
            visibility: preview.visibility.into(),
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

impl From<store::Visibility> for Visibility {
    fn from(visibility: store::Visibility) -> Self {
        match visibility {
            store::Visibility::Private => Self::Private,
            store::Visibility::Public => Self::Public,
        }
    }
}

impl From<Visibility> for store::Visibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Private => Self::Private,
            Visibility::Public => Self::Public,
        }
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
