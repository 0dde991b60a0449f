//! What listens on the box, for previews: found in the kernel's tables, named by the process that listens.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | reads `/proc/net/tcp` and `/proc/net/tcp6` |
//! | [`naming`] | what kind of server a command line is |
//! | [`worker`] | looks again and again, and says what has changed |

pub mod naming;
pub mod table;
pub mod worker;
