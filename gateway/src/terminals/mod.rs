//! Open terminals: from a ticket to a running relay, and how the gateway ends one.
//!
//! | file | what |
//! |---|---|
//! | `registry` | who is attached to what, so that a deleted session closes its terminals |
//! | `attach` | ticket → door → ttyd → relay, for both kinds of client |

mod attach;
mod registry;

pub use attach::{Attachment, BrowserUpgrade, serve};
pub use registry::{Attached, Registration, Terminals};
