//! Open terminals: from a ticket to a running relay, and how the gateway ends one.
//!
//! | file | what |
//! |---|---|
//! | `registry` | who is attached to what, so that a deleted session closes its terminals |
//! | `former` | how terminals ended, so that one that comes again is known |
//! | `warden` | ends terminals whose right has ended, however that came about |
//! | `attach` | ticket → door → ttyd → relay, for both kinds of client |
//! | `opening` | streams to a terminal: the first, and others in its place |

mod attach;
mod former;
mod opening;
mod registry;
mod warden;

pub use attach::{Attachment, BrowserUpgrade, serve};
pub use registry::{Attached, Registration, Terminals};
pub use warden::watch_over;
