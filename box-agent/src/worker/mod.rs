//! Work in the user's own files, done by a process of its own (`box-agent worker`) as the user of the
//! terminals. The agent itself opens nothing there: a link or a mount that a program of the user puts in the
//! way leads that user's process astray and nobody else's.
//!
//! | module | what |
//! |---|---|
//! | [`upload`] | writes one file that nothing may be overwritten by |
//! | [`environment`] | puts variables and files of the environment in place |
//! | [`clone`], [`credential`] | clones a repository, and tells git its token |
//! | [`post_start`] | runs the workspace's script |
//! | [`databases`] | makes consistent copies of SQLite databases, for backups |
//! | [`export`] | writes all of it as one archive |
//! | [`sample`] | takes hashes of some files, for drills |
//! | [`compare`] | says what restoring in place would change |
//! | [`restore`] | puts what was restored in its place |
//! | [`hooks`] | enters Berth's hooks into the settings of coding agents, and takes them out |
//! | [`tree`] | paths in the user's tree, which never lead out of it |
//! | [`holders`] | names what the user's processes have on a device |
//! | [`fresh`] | a file that is not there until it is whole |

pub mod clone;
pub mod compare;
pub mod credential;
pub mod databases;
pub mod environment;
pub mod export;
pub mod fresh;
pub mod holders;
pub mod hooks;
pub mod post_start;
pub mod restore;
pub mod sample;
pub mod tree;
pub mod upload;
