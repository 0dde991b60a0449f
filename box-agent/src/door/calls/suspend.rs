//! Suspension at the door: asked for once for each request id, and closed to other commands while it lasts.

use berth_protocol::ids::RequestId;
use berth_protocol::suspend::{KIND_SUSPENDED, SuspendState, Suspension};
use hyper::StatusCode;

use super::once::Once;
use crate::door::request::{Asked, Refusal};
use crate::suspend::Handle;

/// The suspension, for gateways.
pub struct Suspensions {
    handle: Handle,
    seen: Once<()>,
}

impl Suspensions {
    /// What this handle does.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self { handle, seen: Once::default() }
    }

    /// Does what is asked, unless this request did it before. Returns how it is then.
    pub fn act(&self, id: &RequestId, asked: &Asked) -> Suspension {
        match (asked, self.seen.first(id)) {
            (Asked::Suspend, Ok(turn)) => {
                turn.done(());
                self.handle.suspend()
            }
            (Asked::Resume, Ok(turn)) => {
                turn.done(());
                self.handle.resume()
            }
            _ => self.handle.now(),
        }
    }

    /// How it is.
    #[must_use]
    pub fn now(&self) -> Suspension {
        self.handle.now()
    }

    /// Refuses what needs the volume while it is not there, or about to go: what is begun now would hold it, or would be
    /// done on the root disk.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(&self, asked: &Asked) -> Result<(), Refusal> {
        let needs_volume = matches!(
            asked,
            Asked::Terminal(_) | Asked::Screen(..) | Asked::Input(_) | Asked::Exec | Asked::Upload(_)
        );
        let message = match self.handle.now().state {
            SuspendState::Serving | SuspendState::Unknown => return Ok(()),
            _ if !needs_volume => return Ok(()),
            SuspendState::Suspending => "this box is being suspended",
            SuspendState::Suspended => "this box is suspended",
            SuspendState::Resuming => "this box is about to be back; try again soon",
        };
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, KIND_SUSPENDED, message))
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::control::PaneAddress;
    use berth_protocol::ids::SessionId;

    use super::*;

    #[test]
    fn a_repeated_request_asks_for_nothing_and_commands_wait_outside() {
        let (handle, _orders) = crate::suspend::channel();
        handle.open();
        let door = Suspensions::new(handle.clone());
        let id = RequestId::random();
        assert!(door.admit(&Asked::Exec).is_ok());
        assert_eq!(door.act(&id, &Asked::Suspend).state, SuspendState::Suspending);
        for asked in [Asked::Exec, Asked::Screen(SessionId::random(), PaneAddress::default())] {
            assert_eq!(door.admit(&asked).unwrap_err().kind, KIND_SUSPENDED);
        }
        for asked in [Asked::Status, Asked::Suspension, Asked::Resume, Asked::Port(80)] {
            assert!(door.admit(&asked).is_ok());
        }
        handle.set(SuspendState::Serving, Some("in use".into()), vec![]);
        let again = door.act(&id, &Asked::Suspend);
        assert_eq!((again.state, again.message.as_deref()), (SuspendState::Serving, Some("in use")));
    }
}
