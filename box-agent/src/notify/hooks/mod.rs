//! What coding agents say by themselves: their programs call `box-agent notify`, which tells the agent, or leaves it in
//! the spool while the agent is away.
//!
//! | module | what |
//! |---|---|
//! | [`words`] | what their JSON means |
//! | [`upkeep`] | has them entered into the settings of coding agents |
//! | [`caller`] | which pane a caller is in |
//! | [`spool`] | what was said while nobody listened |

pub mod caller;
pub mod spool;
pub mod upkeep;
pub mod words;

use std::path::Path;

use berth_protocol::ids::random_base32;
use serde::{Deserialize, Serialize};

use self::words::Speaker;
use super::signal::HookSignal;
use crate::control::client::ask;
use crate::control::{Answer, Request};

/// What a hook tells the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookMessage {
    /// Drawn by the one who says it: it counts once, however often it is sent.
    pub id: String,
    /// The pane that the caller believes to be in.
    #[serde(default)]
    pub pane: Option<u32>,
    /// Its terminal's device number, for when nobody can look any more.
    #[serde(default)]
    pub tty: Option<u64>,
    /// What is said.
    pub said: HookSignal,
}

/// Says what a coding agent's JSON means; what means nothing to Berth is let go. A coding agent waits for its hooks, so
/// nothing of this takes long, and nothing of it is the coding agent's problem.
pub fn say(speaker: Speaker, json: &str, socket: &Path, spool: &Path) {
    let Some(said) = words::understood(speaker, json) else { return };
    let pane = std::env::var("TMUX_PANE").ok();
    let pane = pane.and_then(|pane| pane.strip_prefix('%')?.parse().ok());
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let tty = crate::host::foreground::terminal_of(own);
    let message = HookMessage { id: random_base32(), pane, tty, said };
    // A refusal counts as no answer: the agent says so while it begins and while it is suspended.
    if !matches!(ask(socket, &Request::Notify(message.clone())), Ok((Answer::Noted, _)))
        && let Err(error) = spool::put(spool, &message)
    {
        eprintln!("box-agent: failed to keep what the hook said for later: {error}");
    }
}

impl HookMessage {
    /// Whether it may be kept: its id is one that was drawn.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let drawn = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        (16..=64).contains(&self.id.len()) && self.id.chars().all(drawn)
    }
}
