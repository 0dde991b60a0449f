//! What every request handler and every link can reach.

use std::sync::Arc;

use berth_protocol::ids::GatewayId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{InUse, Origin, Passkeys, Passwords};
use crate::boxes::Boxes;
use crate::changes::Changes;
use crate::issuer::Issuer;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::notifications::Notifications;
use crate::previews::Previews;
use crate::sealing::Sealer;
use crate::store::{Installation, Right, Store};
use crate::terminals::Terminals;
use crate::trust::Trust;

/// The parts of a running gateway, shared by handle.
pub type SharedApp = Arc<App>;

/// The parts of a running gateway.
pub struct App {
    /// The installation that this gateway serves.
    pub installation: Installation,
    /// This gateway.
    pub gateway: GatewayId,
    /// Everything that is remembered.
    pub store: Store,
    /// Seals what is remembered and secret.
    pub sealer: Sealer,
    /// Whom boxes and this gateway believe; signs boxes.
    pub trust: Arc<Trust>,
    /// The origin that browsers use.
    pub origin: Origin,
    /// Tells what changed.
    pub changes: Changes,
    /// Doors of boxes.
    pub boxes: Boxes,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Checks passkeys.
    pub passkeys: Passkeys,
    /// Who else says who somebody is.
    pub issuer: Option<Issuer>,
    /// Rights by which requests are being answered.
    pub rights: InUse<Right>,
    /// Open terminals.
    pub terminals: Terminals,
    /// Previews.
    pub previews: Previews,
    /// Channels by which users are told.
    pub notifications: Notifications,
    /// How often something may be tried.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the gateway is to stop.
    pub stopping: CancellationToken,
    /// Tasks that are waited for when it does.
    pub tasks: TaskTracker,
}
