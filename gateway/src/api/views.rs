//! What answers look like. These shapes are the public API: they gain fields, and lose none.

pub mod access;
pub mod audit;
pub mod backup;
pub mod channel;
pub mod control;
pub mod credential;
pub mod device;
pub mod environment;
pub mod invite;
pub mod member;
pub mod notification;
pub mod organization;
pub mod preview;
pub mod token;

use berth_protocol::event::Telemetry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::member::MemberRole;
use crate::app::App;
use crate::boxes::{PresenceState, Route};
use crate::store;

/// Who is signed in, and to what.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The user.
    pub user: User,
    /// Whether it is the installation's owner, who makes invites and organisations.
    pub installation_owner: bool,
    /// The installation.
    #[schema(example = "inst-aaaaaaaaaaaaaaaaaaaaaaaaaa")]
    pub installation: String,
    /// The gateway's version.
    pub version: String,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A workspace and its box.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspace {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How much the caller may do there.
    pub role: MemberRole,
    /// Counts its changes; a lower number is older.
    pub change_seq: u64,
    /// Its box.
    pub r#box: WorkspaceBox,
}

/// The box of a workspace. Its addresses are nobody's business.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceBox {
    /// Whether it answers.
    pub state: BoxState,
    /// The way by which it is reached, while it answers.
    pub route: Option<BoxRoute>,
    /// Version of its agent.
    pub agent_version: Option<String>,
    /// Its last telemetry.
    pub telemetry: Option<BoxTelemetry>,
}

/// Whether a box answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxState {
    /// It does.
    Online,
    /// It does not.
    Offline,
    /// No box was ever enrolled for the workspace.
    NotEnrolled,
}

/// A way to a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoxRoute {
    /// The gateway dials its public address.
    Public,
    /// The gateway dials its address in the tailnet.
    Tailscale,
    /// It dials the gateway: it can't be dialled itself.
    DialBack,
}

/// How a box is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoxTelemetry {
    /// Processor time in use, 0 to 100.
    pub cpu_percent: f32,
    /// Memory in use, bytes.
    pub memory_used_bytes: u64,
    /// Memory there is, bytes.
    pub memory_total_bytes: u64,
    /// Space in use on the workspace volume, bytes.
    pub disk_used_bytes: u64,
    /// Space on the workspace volume, bytes.
    pub disk_total_bytes: u64,
}

/// Workspaces.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspaces {
    /// The caller's workspaces.
    pub workspaces: Vec<Workspace>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// Its identifier.
    pub id: String,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// Its name.
    pub name: String,
    /// The template its panes were made from.
    pub template: String,
    /// `starting`, `running`, `failed`, or `unknown` when a newer agent says what this gateway does not know; newer
    /// gateways may know more words.
    pub state: String,
    /// Why it is not as desired.
    pub message: Option<String>,
    /// Terminals attached to it.
    pub attachments: u64,
    /// What it is doing, if its box says so.
    pub attention: Option<notification::Attention>,
    /// When it was created, milliseconds since 1970.
    pub created_at_ms: i64,
    /// The workspace's count of changes when it last changed; a lower number is older.
    pub change_seq: u64,
}

/// Sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sessions {
    /// The workspace's sessions, oldest first.
    pub sessions: Vec<Session>,
}

/// A session to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// 1 to 64 characters, unique in the workspace.
    pub name: String,
    /// A template that the box knows.
    #[serde(default = "default_template")]
    #[schema(default = "default")]
    pub template: String,
}

/// Changes to a session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionPatch {
    /// 1 to 64 characters, unique in the workspace.
    pub name: String,
}

/// Everything a page shows, at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Snapshot {
    /// The caller's workspaces.
    pub workspaces: Vec<Workspace>,
    /// Their sessions.
    pub sessions: Vec<Session>,
    /// Their previews.
    pub previews: Vec<preview::WorkspacePreviews>,
    /// The newest of the caller's inbox.
    pub inbox: notification::Inbox,
}

/// A session that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedSession {
    /// The session.
    pub id: String,
    /// Its workspace.
    pub workspace_id: String,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
pub struct Error {
    /// The one field.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable word.
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// The request, as the logs name it.
    pub request_id: String,
}

fn default_template() -> String {
    "default".to_owned()
}

impl Workspace {
    /// A workspace with what is known of its box now.
    #[must_use]
    pub fn new(app: &App, view: store::WorkspaceView, role: store::MemberRole) -> Self {
        let store::WorkspaceView { workspace, instance } = view;
        let presence = app.boxes.of(&workspace.id).map(|handle| handle.presence());
        let state = match (&instance, presence.map(|presence| presence.state)) {
            (None, _) => BoxState::NotEnrolled,
            (Some(_), Some(PresenceState::Online)) => BoxState::Online,
            (Some(_), _) => BoxState::Offline,
        };
        let route = presence.and_then(|presence| presence.route).filter(|_| state == BoxState::Online);
        let (agent_version, telemetry) =
            instance.map_or((None, None), |instance| (instance.agent_version, instance.telemetry));
        Self {
            id: workspace.id.into(),
            name: workspace.name,
            role: role.into(),
            change_seq: workspace.change_seq,
            r#box: WorkspaceBox {
                state,
                route: route.map(BoxRoute::from),
                agent_version,
                telemetry: telemetry.map(BoxTelemetry::from),
            },
        }
    }
}

impl From<Route> for BoxRoute {
    fn from(route: Route) -> Self {
        match route {
            Route::Public => Self::Public,
            Route::Tailscale => Self::Tailscale,
            Route::DialBack => Self::DialBack,
        }
    }
}

impl From<Telemetry> for BoxTelemetry {
    fn from(telemetry: Telemetry) -> Self {
        Self {
            cpu_percent: telemetry.cpu_percent,
            memory_used_bytes: telemetry.memory_used_bytes,
            memory_total_bytes: telemetry.memory_total_bytes,
            disk_used_bytes: telemetry.disk_used_bytes,
            disk_total_bytes: telemetry.disk_total_bytes,
        }
    }
}

impl From<store::Session> for Session {
    fn from(session: store::Session) -> Self {
        Self {
            id: session.id.into(),
            workspace_id: session.workspace.into(),
            name: session.name,
            template: session.template,
            state: session.state,
            message: session.message,
            attachments: session.attachments,
            attention: session.attention.map(|believed| (*believed).into()),
            created_at_ms: session.created_at_ms,
            change_seq: session.change_seq,
        }
    }
}

impl From<store::CurrentUser> for User {
    fn from(user: store::CurrentUser) -> Self {
        Self { id: user.id.into(), name: user.name }
    }
}
