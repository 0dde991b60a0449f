//! What a gateway asks through the door, read strictly: every value parses or the request is refused.

use std::str::FromStr;

use berth_protocol::backup::BACKUP_PATH;
use berth_protocol::control::files::{FileName, HEADER_FILE_NAME};
use berth_protocol::control::{EXEC_PATH, KIND_INVALID, PaneAddress, SESSIONS_PATH};
use berth_protocol::door::{
    HEADER_CLIENT, HEADER_REQUEST_ID, HEADER_ROLE, HEADER_SESSION, HEADER_SIZE, LOOPBACK_HOST, SIZE_IGNORED,
    STATUS_PATH, TARGET_TTYD,
};
use berth_protocol::ids::{RequestId, SessionId};
use berth_protocol::suspend::{RESUME_PATH, SUSPEND_PATH};
use hyper::{HeaderMap, Method, StatusCode, Uri};

use crate::terminal::attachments::Grant;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A stream to a terminal.
    Terminal(Grant),
    /// A stream to a loopback port.
    Port(u16),
    /// How the box is.
    Status,
    /// What panes of a session show.
    Screen(SessionId, PaneAddress),
    /// Input to a pane of a session; its body says what.
    Input(SessionId),
    /// An answer to a question that a pane of a session shows; its body says which.
    Answer(SessionId),
    /// A command to run; its body says which.
    Exec,
    /// Let the volume go.
    Suspend,
    /// Take it back.
    Resume,
    /// How that is.
    Suspension,
    /// Something about backups.
    Backup(BackupAsked),
    /// A file for a session's directory; its headers name it, and its body is the file.
    Upload(SessionId),
}

/// What is asked about backups; bodies say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupAsked {
    /// How they are.
    State,
    /// Make one.
    Run,
    /// Bring files back.
    Restore,
    /// Read them back.
    Check,
    /// Put an archive of all beside the repository.
    Export,
    /// That archive's bytes.
    Archive,
    /// End what goes on.
    Cancel,
    /// Which snapshots there are.
    Snapshots,
    /// What is in a directory.
    Entries,
    /// What restoring something in place would change.
    Preview,
    /// A file's bytes.
    File,
}

impl BackupAsked {
    /// What the rest of a path stands for, and the method that goes with it.
    fn of(rest: &str) -> Option<(Self, Method)> {
        Some(match rest {
            "" => (Self::State, Method::GET),
            "/run" => (Self::Run, Method::POST),
            "/restore" => (Self::Restore, Method::POST),
            "/check" => (Self::Check, Method::POST),
            "/export" => (Self::Export, Method::POST),
            "/archive" => (Self::Archive, Method::GET),
            "/cancel" => (Self::Cancel, Method::POST),
            "/snapshots" => (Self::Snapshots, Method::GET),
            // Their bodies are paths, which may hold anything.
            "/entries" => (Self::Entries, Method::POST),
            "/preview" => (Self::Preview, Method::POST),
            "/file" => (Self::File, Method::POST),
            _ => return None,
        })
    }

    fn acts(self) -> bool {
        matches!(self, Self::Run | Self::Restore | Self::Check | Self::Export | Self::Cancel)
    }
}

impl Asked {
    /// Its name in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Terminal(_) => "terminal",
            Self::Port(_) => "port",
            Self::Status => "status",
            Self::Screen(..) => "screen",
            Self::Input(_) => "input",
            Self::Answer(_) => "answer",
            Self::Exec => "exec",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Suspension => "suspension",
            Self::Backup(_) => "backup",
            Self::Upload(_) => "upload",
        }
    }
}

/// A request that is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable word.
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }
}

/// Reads a request's head.
///
/// # Errors
/// [`Refusal`] with a status of 4xx.
pub fn read(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Asked, Refusal> {
    if method == Method::CONNECT {
        let target = uri.authority().map_or("", |authority| authority.as_str());
        return connect(target, headers);
    }
    let (asked, allowed) = command(method, uri)
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such path at a door"))?;
    if method != allowed {
        let message = format!("{} is only for {allowed}", uri.path());
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message));
    }
    let acts = Asked::Exec == asked || Asked::Suspend == asked || Asked::Resume == asked;
    let acts = acts || matches!(asked, Asked::Backup(asked) if asked.acts());
    if acts || matches!(asked, Asked::Input(_) | Asked::Answer(_) | Asked::Upload(_)) {
        // What acts must say which request it is, so that it is not done twice.
        header::<RequestId>(headers, HEADER_REQUEST_ID)?;
    }
    Ok(asked)
}

/// What a path stands for, and the method that goes with it. A target with a host is no path.
fn command(method: &Method, uri: &Uri) -> Option<(Asked, Method)> {
    if uri.authority().is_some() {
        return None;
    }
    match (uri.path(), uri.query()) {
        (STATUS_PATH, None) => Some((Asked::Status, Method::GET)),
        (SUSPEND_PATH, None) if method == Method::GET => Some((Asked::Suspension, Method::GET)),
        (SUSPEND_PATH, None) => Some((Asked::Suspend, Method::POST)),
        (RESUME_PATH, None) => Some((Asked::Resume, Method::POST)),
        (EXEC_PATH, None) => Some((Asked::Exec, Method::POST)),
        (path, None) if path.starts_with(BACKUP_PATH) => {
            let (asked, method) = BackupAsked::of(path.strip_prefix(BACKUP_PATH)?)?;
            Some((Asked::Backup(asked), method))
        }
        (path, query) => {
            let (session, what) = path.strip_prefix(SESSIONS_PATH)?.split_once('/')?;
            let session = session.parse().ok()?;
            match (what, query) {
                ("screen", query) => Some((Asked::Screen(session, address(query)?), Method::GET)),
                ("input", None) => Some((Asked::Input(session), Method::POST)),
                ("answer", None) => Some((Asked::Answer(session), Method::POST)),
                ("files", None) => Some((Asked::Upload(session), Method::POST)),
                _ => None,
            }
        }
    }
}

/// A query that names panes: each part at most once, and nothing else.
fn address(query: Option<&str>) -> Option<PaneAddress> {
    let mut address = PaneAddress::default();
    for part in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, index) = part.split_once('=')?;
        let place = match name {
            "window" => &mut address.window,
            "pane" => &mut address.pane,
            _ => return None,
        };
        let plain = index.bytes().all(|byte| byte.is_ascii_digit());
        let index = index.parse().ok().filter(|_| plain)?;
        if place.replace(index).is_some() {
            return None;
        }
    }
    Some(address)
}

fn connect(target: &str, headers: &HeaderMap) -> Result<Asked, Refusal> {
    if target == TARGET_TTYD {
        return Ok(Asked::Terminal(Grant {
            session: header(headers, HEADER_SESSION)?,
            role: header(headers, HEADER_ROLE)?,
            sized: sized(headers)?,
            client: header(headers, HEADER_CLIENT)?,
            request_id: header(headers, HEADER_REQUEST_ID)?,
        }));
    }
    let port = target.strip_prefix(LOOPBACK_HOST).and_then(|rest| rest.strip_prefix(':')).and_then(port);
    port.map(Asked::Port).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "target_unknown",
            "a door leads to ttyd and to localhost:<port>, nowhere else",
        )
    })
}

/// A port as it is usually written: no sign, no leading zero, not 0.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

fn header<T: FromStr<Err: std::fmt::Display>>(headers: &HeaderMap, name: &str) -> Result<T, Refusal> {
    text(headers, name)?.parse().map_err(|error| Refusal::bad(format!("the header {name} is {error}")))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::bad(format!("the header {name} is needed, once")));
    };
    value.to_str().map_err(|_| Refusal::bad(format!("the header {name} is not plain text")))
}

/// The name of the file that an upload brings.
///
/// # Errors
/// [`Refusal`], when there is none or it breaks a rule.
pub fn file_name(headers: &HeaderMap) -> Result<FileName, Refusal> {
    FileName::from_header(text(headers, HEADER_FILE_NAME)?).map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            KIND_INVALID,
            format!("the header {HEADER_FILE_NAME} is {error}"),
        )
    })
}

/// Whether the attachment's size counts. It does, unless the gateway says the one word that there is.
fn sized(headers: &HeaderMap) -> Result<bool, Refusal> {
    if !headers.contains_key(HEADER_SIZE) {
        return Ok(true);
    }
    match header::<String>(headers, HEADER_SIZE)?.as_str() {
        SIZE_IGNORED => Ok(false),
        _ => Err(Refusal::bad(format!("the header {HEADER_SIZE} is not {SIZE_IGNORED}"))),
    }
}

/// The request's id: one that is missing gets a new one, so that every log line has one.
///
/// # Errors
/// [`Refusal`] for one that does not parse.
pub fn request_id(headers: &HeaderMap) -> Result<RequestId, Refusal> {
    if headers.contains_key(HEADER_REQUEST_ID) {
        header(headers, HEADER_REQUEST_ID)
    } else {
        Ok(RequestId::random())
    }
}

#[cfg(test)]
mod tests;
