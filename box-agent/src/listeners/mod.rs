//! What listens on the box, for previews: found by asking the kernel, named by the process that listens.
//!
//! | module | what |
//! |---|---|
//! | [`diag`] | asks the kernel what listens |
//! | [`table`] | reads the same in `/proc/net/tcp` and `/proc/net/tcp6`, where the kernel can't be asked |
//! | [`naming`] | what kind of server a command line is |
//! | [`worker`] | looks again and again, and says what has changed |

pub mod diag;
pub mod naming;
pub mod table;
pub mod worker;
