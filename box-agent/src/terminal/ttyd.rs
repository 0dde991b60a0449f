//! The ttyd of this box: how it is started, and the guard that ends it with the agent.

use std::ffi::OsString;
use std::path::Path;

use crate::host::account::Account;
use crate::host::command::Invocation;
use crate::host::runtime::RuntimeDir;
use crate::supervise::driver::Program;

/// ttyd hangs up on a client that answers no ping within this and a few seconds. A terminal that is not read
/// for a while answers none, and the gateway looks after liveness itself.
const PING_SECS: &str = "300";

/// What ttyd logs: errors and warnings. More of it would name every connection.
const LOG_LEVEL: &str = "3";

/// The program to supervise: ttyd behind `box-agent guard`, showing `box-agent attach`.
///
/// `agent` is this program's own path.
#[must_use]
pub fn program(
    ttyd: &Path,
    agent: &Path,
    runtime: &RuntimeDir,
    account: &Account,
    env: Vec<(OsString, OsString)>,
) -> Program {
    let parent = std::process::id().to_string();
    let (ttyd_socket, agent_socket) = (runtime.ttyd_socket(), runtime.agent_socket());
    let mut args: Vec<OsString> = ["guard", "--parent", &parent, "--"].map(OsString::from).into();
    args.push(ttyd.into());
    args.extend(["--writable", "--url-arg", "--ping-interval", PING_SECS].map(OsString::from));
    args.extend(["--debug", LOG_LEVEL, "--interface"].map(OsString::from));
    args.extend([ttyd_socket.clone().into(), "--".into(), agent.into()]);
    args.extend(["attach".into(), "--socket".into(), agent_socket.into()]);
    // Whatever follows from a URL is an argument and never an option.
    args.push("--".into());
    let invocation = Invocation::new(agent, args).with_env(env).as_user(account);
    Program { name: "ttyd", invocation, socket: ttyd_socket }
}
