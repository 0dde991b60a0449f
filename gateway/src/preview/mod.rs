//! Previews: moves a browser's HTTP and WebSockets to a dev server on a box and back.
//!
//! Knows neither store nor users: who may see which preview is decided in [`crate::previews`], before anything comes
//! here. The box is one that was found there; nothing that a client says chooses a host or a port.
//!
//! | file | what |
//! |---|---|
//! | `names` | the hosts of previews |
//! | `hop` | what concerns one connection only, and what a request asks for |
//! | `headers` | what of a request's headers goes in, and what of an answer's comes out |
//! | `proxy` | one request and its answer |
//! | `stream`, `pool`, `rewind` | streams to dev servers |
//! | `body`, `tunnel` | what moves once both sides have agreed |
//! | `hold` | how many exchanges there are, and how they end |
//! | `trouble` | why there is no answer, as a page and as JSON |
//! | `meters` | what is counted |

mod body;
mod headers;
mod hold;
mod hop;
mod meters;
mod names;
mod pool;
mod proxy;
mod rewind;
mod stream;
mod trouble;
mod tunnel;

pub use headers::{InvalidMode, Mode, Passage};
pub use hop::{Asked, check};
pub use meters::Meters;
pub use names::{InvalidTemplate, Named, Names, ON_ONE_MACHINE, Template};
pub use proxy::{Limits, Proxy, Target};
pub use trouble::{Form, Trouble};
