//! What a box is asked to do, and what it is asked about, through its door.

use berth_protocol::attention::Answer;
use berth_protocol::backup::Look;
use berth_protocol::control::files::Uploaded;
use berth_protocol::control::{Exec, Input, PaneAddress, Screen};
use berth_protocol::ids::{RequestId, SessionId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control::{self, BackupFile, Command, ExecOutput};
use super::door::{self, DoorError};
use super::handle::BoxHandle;
use super::upload::{self, Upload};

impl BoxHandle {
    /// What panes of a session show.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn screen(
        &self,
        session: &SessionId,
        address: PaneAddress,
        request_id: &RequestId,
    ) -> Result<Screen, DoorError> {
        let answer = self.command(&Command::screen(session, address, request_id)).await?;
        serde_json::from_slice(&answer).map_err(|_| DoorError::Nonsense)
    }

    /// Types into a pane of a session.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn input(
        &self,
        session: &SessionId,
        input: &Input,
        request_id: &RequestId,
    ) -> Result<(), DoorError> {
        self.command(&Command::input(session, input, request_id)).await.map(drop)
    }

    /// Answers a question of a pane, if the pane still shows it.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn answer(
        &self,
        session: &SessionId,
        answer: &Answer,
        request_id: &RequestId,
    ) -> Result<(), DoorError> {
        self.command(&Command::answer(session, answer, request_id)).await.map(drop)
    }

    /// Runs a command, which ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`DoorError`], when it was not started.
    pub async fn exec(&self, exec: &Exec, request_id: &RequestId) -> Result<ExecOutput, DoorError> {
        let command = Command::exec(exec, request_id);
        if let Some(connection) = self.take_warm() {
            // The prober replaces what was taken.
            self.nudge();
            match control::exec(connection, &command).await {
                // The box starts a command once for each request id, so it may be asked again.
                Err(DoorError::Lost(_)) => self.drop_warm(),
                outcome => return outcome,
            }
        }
        control::exec(self.connect().await?, &command).await
    }

    /// Asks something of backups that is only read: `what` is the rest of its path.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup_read<T: DeserializeOwned>(
        &self,
        what: &str,
        request_id: &RequestId,
    ) -> Result<T, DoorError> {
        self.backup_command(&Command::backup_read(what, request_id)).await
    }

    /// Asks something of backups with a body. The box acts once for each request id.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &impl Serialize,
        request_id: &RequestId,
    ) -> Result<T, DoorError> {
        self.backup_command(&Command::backup(what, body, request_id)).await
    }

    async fn backup_command<T: DeserializeOwned>(&self, command: &Command) -> Result<T, DoorError> {
        // A connection of its own: the repository may take its time, and warm ones are for those who don't.
        let answer = self.answered(control::ask_backup(self.connect().await?, command).await)?;
        serde_json::from_slice(&answer).map_err(|_| DoorError::Nonsense)
    }

    /// A file of a backup.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup_file(&self, look: &Look, request_id: &RequestId) -> Result<BackupFile, DoorError> {
        let command = Command::backup("/file", look, request_id);
        let file = control::backup_file(self.connect().await?, &command).await?;
        if file.length.is_some() { Ok(file) } else { Err(DoorError::Nonsense) }
    }

    /// An archive of the user's tree, which is written as it is read.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup_archive(&self, request_id: &RequestId) -> Result<BackupFile, DoorError> {
        control::backup_file(self.connect().await?, &Command::backup_read("/archive", request_id)).await
    }

    /// Sends a file for a session.
    ///
    /// # Errors
    /// [`DoorError`]; see [`super::Broken::of`] for a file that did not come.
    pub async fn upload(&self, upload: Upload) -> Result<Uploaded, DoorError> {
        if let Some(connection) = self.take_warm() {
            self.nudge();
            // A stream can't be sent twice, so that a warm connection has to prove itself first.
            if let Ok((_, connection)) = door::status(connection).await {
                return upload::send(connection, upload).await;
            }
            self.drop_warm();
        }
        upload::send(self.connect().await?, upload).await
    }
}
