//! Sessions that need their users: from a signal on the box to an inbox, a push service, an answer.

mod channels;
mod inboxes;
mod signals;
mod soak;
