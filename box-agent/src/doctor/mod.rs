//! What an operator would look at, looked at in one go: each check says what it found and what to do about it. It
//! changes nothing, and needs no running agent.
//!
//! | module | what |
//! |---|---|
//! | [`machine`] | what the agent needs of the machine: programs, user, directories, space, units |
//! | [`agent`] | what the running agent says, and the way to the gateway |

pub mod agent;
pub mod machine;

use std::fmt;

use serde::Serialize;

use crate::settings::Settings;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failure,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found; what to do about it when it is not fine.
    pub sentence: String,
}

impl Finding {
    fn new(check: impl Into<String>, verdict: Verdict, sentence: impl Into<String>) -> Self {
        Self { check: check.into(), verdict, sentence: sentence.into() }
    }

    fn fine(check: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::new(check, Verdict::Fine, sentence)
    }

    fn warning(check: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, sentence)
    }

    fn failure(check: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::new(check, Verdict::Failure, sentence)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        })
    }
}

/// Looks at everything.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = machine::examine(settings).await;
    findings.extend(agent::examine(settings).await);
    findings
}
