//! Who may see which preview, and what a request to a preview's host becomes: an answer of its dev server, passed on
//! by [`crate::preview`], a way to be let in, or a refusal.
//!
//! A private preview lets a browser in that is signed in at the console. It asks on the preview's own host for a page,
//! gets a **nonce** cookie there and is sent to the console, which sends it back with a **code**: single use, for half
//! a minute, and only for the exact preview and the browser with the nonce. It is exchanged at once for a cookie of
//! the preview's host. The console's own cookie is never sent there, and no page on it can get the code.
//!
//! Whoever has a **link** is let in the same way, without an account: the console exchanges the link's code for a cookie
//! of its own, which takes the sign-in's place. In a frame of the console all of this happens too, with cookies that
//! belong to the console's frames alone.
//!
//! | file | what |
//! |---|---|
//! | `serve` | one request to a preview's host |
//! | `side` | from which page it comes |
//! | `enter` | nonce, code, cookie |
//! | `code` | the codes of links |
//! | `cors` | calls between previews of one workspace |
//! | `memory` | who may see what, for a moment |
//! | `recent` | the last requests |
//! | `warden` | how what goes on by a right that has ended is ended |

mod code;
mod cors;
mod enter;
mod memory;
mod recent;
mod serve;
mod side;
mod warden;

use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::auth::{InUse, Origin};
use crate::preview::{Limits, Meters, Names, Proxy};
use crate::settings::PreviewSettings;
use crate::store::Seen;
use memory::Memory;
use recent::Recent;

pub use code::Code;
pub use enter::{OPEN_PATH, open, way_back};
pub use recent::Exchange;
pub use serve::{bytes, route};
pub use side::{is_foreign, is_navigation};
pub use warden::watch_over;

/// The previews of a running gateway.
pub struct Previews {
    /// Their hosts; without them there are no previews.
    pub names: Option<Names>,
    /// The lowest port that may be published.
    pub lowest_port: u16,
    /// Their last requests.
    pub recent: Recent,
    proxy: Proxy,
    viewers: InUse<Seen>,
    memory: Memory,
}

impl Previews {
    /// Previews as the settings want them; WebSockets are among `tasks`.
    #[must_use]
    pub fn new(settings: &PreviewSettings, console: &Origin, meters: Meters, tasks: TaskTracker) -> Self {
        let template = settings.template(console.is_loopback());
        if let Some(template) = &template
            && template.shares_site_with(console.host())
        {
            tracing::warn!(
                host = settings.host.as_deref().unwrap_or_default(),
                console = console.as_str(),
                "previews seem to belong to the console's site, where they can set cookies for it: choose \
                 another domain in preview.host"
            );
        }
        let limits = Limits {
            silence: Duration::from_secs(settings.answer_secs),
            in_flight: usize::from(settings.in_flight),
        };
        Self {
            names: template.map(|template| Names::new(template, console)),
            lowest_port: settings.lowest_port,
            proxy: Proxy::new(limits, meters, tasks),
            recent: Recent::default(),
            viewers: InUse::default(),
            memory: Memory::default(),
        }
    }

    /// Forgets who may see what: something has changed.
    pub fn forget(&self) {
        self.memory.forget();
    }
}
