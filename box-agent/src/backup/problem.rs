//! What can go wrong with a backup, by name and with advice; and what restic's exit codes and words mean.
//!
//! restic tells only some failures apart by its exit code. Where it says 1, what it says of the server's answer decides.
//! An exit code that is not known is a failure like any other.

use berth_protocol::backup::Problem as Told;

/// Words that are repeated of a program, at most.
const MAX_WORDS: usize = 300;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nobody said where to.
    #[error("no repository is known: set one up for this workspace at the gateway, or in backup.repository")]
    NotConfigured,
    /// The machine's settings or files do not do.
    #[error("{0}")]
    Settings(String),
    /// restic is not there, or too old.
    #[error("{0}")]
    Tool(String),
    /// A program can't be started or read.
    #[error("failed to run restic: {0}")]
    NotStarted(String),
    /// The password is not the repository's.
    #[error(
        "the password does not open the repository: it was made with another one; put the right one in place, or \
         choose another prefix to begin anew"
    )]
    WrongPassword,
    /// There is no repository.
    #[error("there is no repository at that place: check endpoint, bucket and prefix")]
    NoRepository,
    /// Another program has locked it.
    #[error(
        "the repository is locked by another program that is at work: wait for it; a lock that was left behind counts \
         for half an hour at most"
    )]
    Locked,
    /// The server refuses the keys.
    #[error(
        "the server refuses the access key ({words}): check that it is right, not expired, and allowed to read and \
         write this bucket"
    )]
    AccessDenied {
        /// What the server said.
        words: String,
    },
    /// The server or this machine has no room.
    #[error("there is no space left ({0}): make room there, or raise the bucket's quota")]
    NoSpace(String),
    /// The server is not reached, or not well.
    #[error(
        "the server does not answer as it should ({words}): it is tried again; check the endpoint and the network"
    )]
    Unreachable {
        /// What was last heard.
        words: String,
    },
    /// It took too long.
    #[error("it was not done within {secs} s and was ended{words}")]
    Late {
        /// The deadline.
        secs: u64,
        /// What it waited for, if that is known.
        words: String,
    },
    /// Nothing of what is to be backed up is there.
    #[error("nothing that is to be backed up is there: {0}")]
    NoSource(String),
    /// The volume is new, and what is in the repository is another's or from before.
    #[error(
        "this volume has no backup yet, and the repository has some of this workspace, the newest of {0}: restore with \
         `box-agent backup restore --all`, or begin with what is here by `box-agent backup run`"
    )]
    NewVolume(String),
    /// Somebody ended it.
    #[error("it was ended before it was done")]
    Cancelled,
    /// What was read back is not what was backed up.
    #[error("{0}")]
    Differs(String),
    /// The repository is damaged.
    #[error("the repository is damaged ({0}): keep it, and ask `restic check` what is wrong")]
    Damaged(String),
    /// What is to be restored is not in the snapshot.
    #[error("{0}")]
    NotFound(String),
    /// An archive could not be made, or is not where it should be.
    #[error("{0}")]
    Export(String),
    /// Whatever else.
    #[error("restic failed ({how}): {words}")]
    Failed {
        /// Its exit code or signal.
        how: String,
        /// What it said.
        words: String,
    },
}

impl Problem {
    /// A stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Settings(_) => "settings",
            Self::Tool(_) => "restic_too_old",
            Self::NotStarted(_) => "restic_not_started",
            Self::WrongPassword => "wrong_password",
            Self::NoRepository => "no_repository",
            Self::Locked => "repository_locked",
            Self::AccessDenied { .. } => "access_denied",
            Self::NoSpace(_) => "no_space",
            Self::Unreachable { .. } => "unreachable",
            Self::Late { .. } => "too_late",
            Self::NoSource(_) => "no_source",
            Self::NewVolume(_) => "new_volume",
            Self::Cancelled => "cancelled",
            Self::Differs(_) => "differs",
            Self::Damaged(_) => "repository_damaged",
            Self::NotFound(_) => "not_found",
            Self::Export(_) => "export_failed",
            Self::Failed { .. } => "restic_failed",
        }
    }

    /// For those who are told.
    #[must_use]
    pub fn told(&self) -> Told {
        Told { kind: self.kind().to_owned(), message: self.to_string() }
    }

    /// What a program that ended with this code and these words means. `None`: it did all that it was asked.
    #[must_use]
    pub fn of(code: i32, words: &str) -> Option<Self> {
        Some(match code {
            0 => return None,
            10 => Self::NoRepository,
            11 => Self::Locked,
            12 => Self::WrongPassword,
            130 => Self::Cancelled,
            _ => Self::of_words(words)
                .unwrap_or_else(|| Self::Failed { how: format!("exit code {code}"), words: short(words) }),
        })
    }

    /// What words about a server's answer mean, where they are about one.
    #[must_use]
    pub fn of_words(words: &str) -> Option<Self> {
        let lower = words.to_lowercase();
        let has = |any: &[&str]| any.iter().any(|word| lower.contains(word));
        // Before the words about access: a full server may answer 403 with its quota.
        if has(&[
            "no space left",
            "insufficient storage",
            "insufficientstorage",
            "507 ",
            "quota",
            "disk full",
        ]) {
            return Some(Self::NoSpace(short(words)));
        }
        if has(&[
            "access denied",
            "accessdenied",
            "unauthorized",
            "forbidden",
            "invalidaccesskeyid",
            "access key id you provided",
            "signaturedoesnotmatch",
            "signature we calculated",
            "expiredtoken",
            "invalidtoken",
            "permission denied",
        ]) {
            return Some(Self::AccessDenied { words: short(words) });
        }
        if has(&[
            "connection refused",
            "connection reset",
            "no such host",
            "i/o timeout",
            "timeout",
            "timed out",
            "unexpected eof",
            "server closed",
            "network is unreachable",
            "no route to host",
            "tls:",
            "x509",
            "internal error",
            "internal server error",
            "gateway timeout",
            "internalerror",
            "service unavailable",
            "bad gateway",
            "slow down",
            "slowdown",
            "temporary failure",
            "broken pipe",
            "eof",
        ]) {
            return Some(Self::Unreachable { words: short(words) });
        }
        None
    }
}

/// One line, not too long, without what could move a cursor.
#[must_use]
pub fn short(words: &str) -> String {
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.replace("Fatal: ", "");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_mean_what_restic_says_and_unknown_ones_are_failures() {
        assert_eq!(Problem::of(0, "anything"), None);
        let kind = |code, words| Problem::of(code, words).unwrap().kind();
        assert_eq!(kind(10, ""), "no_repository");
        assert_eq!(kind(11, ""), "repository_locked");
        assert_eq!(kind(12, ""), "wrong_password");
        assert_eq!(kind(130, ""), "cancelled");
        for code in [1, 2, 99, 255] {
            assert_eq!(kind(code, "whatever"), "restic_failed", "{code}");
        }
    }

    #[test]
    fn what_the_server_said_decides_where_the_code_does_not() {
        let kind = |words| Problem::of(1, words).unwrap().kind();
        for (words, expected) in [
            ("Fatal: unable to open config file: Stat: Access Denied.\ns3:http://x/b/p", "access_denied"),
            ("Stat(<config/>) failed: 401 Unauthorized", "access_denied"),
            ("Stat: The Access Key Id you provided does not exist in our records.", "access_denied"),
            ("Save(<data/ab>): write: no space left on device", "no_space"),
            ("507 Insufficient Storage", "no_space"),
            ("dial tcp 127.0.0.1:9: connect: connection refused", "unreachable"),
            ("We encountered an internal error, please try again.", "unreachable"),
            ("Load(<key/ab>): unexpected EOF", "unreachable"),
            ("500 Internal Server Error", "unreachable"),
            ("invalid argument", "restic_failed"),
        ] {
            assert_eq!(kind(words), expected, "{words}");
        }
    }

    #[test]
    fn words_are_one_bounded_line() {
        assert_eq!(short("Fatal: a\n\u{1b}[31mb"), "a [31mb");
        assert_eq!(short(&"x".repeat(1000)).chars().count(), MAX_WORDS + 1);
    }
}
