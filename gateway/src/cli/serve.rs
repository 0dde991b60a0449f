//! `gateway serve`.

use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::{limits, logging, signals};

use crate::server::{ServeError, Server};
use crate::settings::Settings;

pub(super) fn run(settings: &Settings) -> Result<(), Fatal> {
    logging::init(&settings.log).map_err(Fatal::with(Exit::Config))?;
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Fatal::with(Exit::Failure))?.block_on(serve(settings))
}

async fn serve(settings: &Settings) -> Result<(), Fatal> {
    let stop = signals::stop_token().map_err(Fatal::with(Exit::Failure))?;
    let server = Server::start(settings).await.map_err(|error| Fatal::with(exit_of(&error))(error))?;
    // Outside of systemd there is nobody to tell, which is fine.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    stop.cancelled().await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    server.stop().await;
    Ok(())
}

fn exit_of(error: &ServeError) -> Exit {
    match error {
        ServeError::State(_) | ServeError::Open(_) | ServeError::Store(_) => Exit::State,
        ServeError::Listen { .. } => Exit::Unavailable,
        ServeError::Config(_) | ServeError::Tls(_) | ServeError::Issuer(_) => Exit::Config,
        ServeError::Trust(_) | ServeError::PushKey(_) => Exit::State,
        ServeError::Password(_) => Exit::Failure,
    }
}
