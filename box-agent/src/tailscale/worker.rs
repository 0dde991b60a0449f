//! The one task that looks after the tailnet.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use berth_daemon::exit::chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::plan::{Step, plan, without_keys};
use super::status::Status;

use crate::backoff::Backoff;
use crate::host::command::{CommandError, Invocation};
use crate::settings::TailscaleSettings;
use crate::troubles::Troubles;

/// The part that is in trouble.
const PART: &str = "tailscale";

/// How often a machine that is in is looked at.
const LOOK_PAUSE: Duration = Duration::from_secs(30);

/// How long joining may take; without a limit the program waits for ever.
const JOIN_LIMIT: &str = "15s";

/// Pauses after trouble.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// What the task needs.
pub struct Tailscale {
    /// The settings.
    pub settings: TailscaleSettings,
    /// Where trouble is told.
    pub troubles: Troubles,
    /// The address, for whoever wants to know.
    pub address: watch::Sender<Option<IpAddr>>,
}

/// How a look went.
enum Look {
    Fine,
    OnItsWay,
    Trouble(String),
}

impl Tailscale {
    /// Keeps the machine in its tailnet until `stop`, and leaves it there then.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let look = tokio::select! {
                // Cancel-safe: a program that is cut short is ended, and asked again at the next start.
                look = self.look() => look,
                () = stop.cancelled() => return,
            };
            let pause = match look {
                Look::Fine => {
                    self.troubles.clear(PART);
                    backoff.reset();
                    LOOK_PAUSE
                }
                Look::OnItsWay => backoff.next_pause().min(LOOK_PAUSE),
                Look::Trouble(sentence) => {
                    self.troubles.set(PART, sentence);
                    self.publish(None);
                    backoff.next_pause()
                }
            };
            tokio::select! {
                // Cancel-safe, both: a timer and a token.
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&self) -> Look {
        let said = match self.tailscale(["status", "--json"]).run().await {
            Ok(said) => said,
            Err(error) => return self.unreachable(&error).await,
        };
        let status = match Status::parse(&said) {
            Ok(status) => status,
            Err(error) => return Look::Trouble(format!("failed to understand tailscale's status: {error}")),
        };
        match plan(&status, self.key().is_some()) {
            Step::Publish(address) => {
                self.publish(address);
                let complaints = status.complaints();
                if !complaints.is_empty() {
                    tracing::info!(complaints, "Tailscale is not content");
                }
                Look::Fine
            }
            Step::Wait => Look::OnItsWay,
            Step::Join => self.join().await,
            Step::Trouble(sentence) => Look::Trouble(sentence),
        }
    }

    async fn join(&self) -> Look {
        let settings = &self.settings;
        let mut args: Vec<OsString> = vec!["up".into(), format!("--timeout={JOIN_LIMIT}").into()];
        if let Some(file) = self.key() {
            // The program reads the file itself, so that no list of processes ever shows the key.
            let mut arg = OsString::from("--auth-key=file:");
            arg.push(file);
            args.push(arg);
        }
        args.extend(settings.hostname.iter().map(|name| format!("--hostname={name}").into()));
        if !settings.tags.is_empty() {
            args.push(format!("--advertise-tags={}", settings.tags.join(",")).into());
        }
        if settings.ssh {
            args.push("--ssh".into());
        }
        match self.tailscale(args).run().await {
            Ok(_) => {
                tracing::info!("joined the tailnet");
                Look::OnItsWay
            }
            Err(error) => {
                Look::Trouble(format!("failed to join the tailnet: {}", without_keys(&chain(&error))))
            }
        }
    }

    /// The daemon does not answer, or the program is not there. Its unit is started where there is one: it waits for
    /// the volume, where its state is.
    async fn unreachable(&self, error: &CommandError) -> Look {
        if let (CommandError::Failed { .. }, Some(unit)) = (error, &self.settings.unit) {
            let start = Invocation::new("/usr/bin/systemctl", ["start", "--no-block", "--", unit.as_str()]);
            if let Err(error) = start.run().await {
                return Look::Trouble(format!("failed to start {unit}: {}", chain(&error)));
            }
        }
        let sentence = match error {
            CommandError::Start { .. } => format!(
                "{} can't be started: install Tailscale, or set tailscale.enabled = false",
                self.settings.program.display()
            ),
            CommandError::Hung { .. } => {
                "tailscaled does not answer: restart it (systemctl restart tailscaled)".into()
            }
            CommandError::Failed { .. } => without_keys(&chain(error)),
        };
        Look::Trouble(sentence)
    }

    /// The file with the key, while it is there: a key that works once may be taken away after its use.
    fn key(&self) -> Option<&PathBuf> {
        self.settings.auth_key_file.as_ref().filter(|file| file.is_file())
    }

    fn publish(&self, address: Option<IpAddr>) {
        let news = self.address.send_if_modified(|said| {
            let news = *said != address;
            *said = address;
            news
        });
        if let (true, Some(address)) = (news, address) {
            tracing::info!(%address, "reachable in the tailnet");
        }
    }

    fn tailscale<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        Invocation::new(&self.settings.program, args)
            .with_env([("PATH".into(), std::env::var_os("PATH").unwrap_or_default())])
    }
}
