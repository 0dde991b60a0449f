//! The terminal relay: a browser's WebSocket on one side, ttyd's on the other, and as little as possible
//! between them.
//!
//! ```text
//!            masked frames                                   masked frames, written anew
//!  browser ───────────────▶ input ─▶ Event ─▶ to_ttyd ─────────────────────────────────▶ ttyd
//!     ▲                        │ Ack    │ Resize                                           │
//!     │                        ▼        ▼                                                  │
//!     │                      flow     size::Throttle                                       │
//!     │                        │                                                           │
//!     └──────────────────── output ◀───────────────────────────────────────────────────────┘
//!       ttyd's OUTPUT frames as they came; our text between messages
//! ```
//!
//! Both handshakes are done by then: the front answers the browser with [`check_upgrade`], the box is opened with
//! [`open_ttyd`], and [`run`] moves bytes until one of the two, or the gateway, ends it. No WebSocket library is
//! involved: with one, an idle terminal costs hundreds of kilobytes and a keystroke nearly twice the time.
//!
//! The two directions are opposites. Input is small and hostile (a single empty message crashes ttyd, and with it
//! every terminal of the box), so it is parsed to the last byte and rewritten. Output is large and needs nothing
//! but that titles be cut out, so only frame headers are read.
//!
//! Nothing queues, and nothing old is drawn. When the browser's socket or the page's window is full, ttyd is not read; TCP
//! stops ttyd, and tmux drops what nobody sees and redraws later. If that lasts, a little is read each second and dropped,
//! so that the stream does not stand still, and after the stall another takes its place. When ttyd's socket is full, the
//! browser is not read.
//!
//! | module | |
//! |---|---|
//! | `handshake`, `upstream`, `first` | upgrade of the browser, of ttyd; a stock client's first message |
//! | `frame` | RFC 6455 headers, masks, encoding |
//! | `input`, `output` | the two directions, as pure machines |
//! | `to_ttyd` | the only writer towards ttyd |
//! | `flow`, `size`, `liveness`, `echo` | window, sizes and their rate, silence, what of the input may be seen by now |
//! | `room` | who else is at the session, and whose screen decides its size |
//! | `answers` | what waits to be said to the browser between two messages of the box |
//! | `meters` | what is counted while it runs |
//! | `side`, `scratch` | a stream with its unsent rest; the buffers that all terminals share |
//! | `terminal`, `greeting`, `closing` | what a terminal is opened with, what became of it, what its client is told |
//! | `invariants` | what holds for any bytes: for property tests and the fuzz targets in `gateway/fuzz` |
//! | `session`, `farewell` | the driver, and how it takes leave of both peers |
//! | `renewal`, `alarm` | a new stream to the box after a stall; the driver's timer |

mod alarm;
mod answers;
mod closing;
mod echo;
mod farewell;
mod first;
mod flow;
mod frame;
mod greeting;
mod handshake;
mod input;
mod liveness;
mod meters;
mod output;
mod renewal;
mod room;
mod scratch;
mod session;
mod side;
mod size;
mod terminal;
mod to_ttyd;
mod upstream;

#[cfg(any(test, fuzzing))]
pub mod invariants;
#[cfg(test)]
mod tests;

pub use closing::Closing;
pub use farewell::refuse;
pub use first::{First, FirstError, read_first};
pub use frame::FrameError;
pub(crate) use handshake::accept_value;
pub use handshake::{HandshakeError, Mode, Ticket, Upgrade, check_upgrade};
pub use input::Violation;
pub use meters::Meters;
pub use output::BoxViolation;
pub use renewal::Door;
pub use room::{Room, Seat, Sitter};
pub use session::run;
pub use side::Side;
pub use size::Size;
pub use terminal::{Options, Outcome, Reason};
pub use upstream::{OpenError, open_ttyd};
