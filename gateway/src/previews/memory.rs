//! Who may see what, remembered for a moment, so that a page of a thousand files asks the store once.
//!
//! Forgotten at every change that the warden looks at, and after two seconds anyway: a right that has ended is never
//! good for longer, whoever ended it. What was looked up while something changed is not remembered at all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use berth_protocol::ids::PreviewId;
use tokio::time::Instant;

use crate::store::{Grant, Granted, Preview, Store, StoreError, Visibility};

/// How long an answer of the store counts.
const MOMENT: Duration = Duration::from_secs(2);

/// Answers that are remembered. Only rights that hold are, so that guesses fill nothing.
const MOST: usize = 4096;

type Asked = (PreviewId, Option<Grant>);

/// A preview, and the right to it that was asked for, if it holds.
pub type Access = (Preview, Option<Granted>);

/// What the store said just now.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Raised whenever everything is forgotten.
    generation: u64,
    answers: HashMap<Asked, (Instant, Access)>,
}

impl Memory {
    /// A preview, and the right to it of a browser that holds `grant`. `None`: there is no such preview.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn access(
        &self,
        store: &Store,
        id: &PreviewId,
        grant: Option<Grant>,
    ) -> Result<Option<Access>, StoreError> {
        let asked = (id.clone(), grant);
        let generation = match self.look(&asked) {
            Ok(access) => return Ok(Some(access)),
            Err(generation) => generation,
        };
        let found = store.preview_access(asked.0.clone(), asked.1.clone()).await?;
        if let Some(access) = &found {
            self.keep(asked, access, generation);
        }
        Ok(found)
    }

    /// Forgets everything.
    pub fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.generation += 1;
        known.answers.clear();
    }

    /// What is remembered; if nothing is, the generation in which it was looked for.
    fn look(&self, asked: &Asked) -> Result<Access, u64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.answers.get(asked) {
            Some((since, access)) if since.elapsed() < MOMENT => Ok(access.clone()),
            _ => Err(known.generation),
        }
    }

    fn keep(&self, asked: Asked, access: &Access, generation: u64) {
        let holds = access.1.is_some() || asked.1.is_none() && access.0.visibility == Visibility::Public;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if holds && known.generation == generation {
            if known.answers.len() >= MOST {
                known.answers.clear();
            }
            known.answers.insert(asked, (Instant::now(), access.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::WorkspaceId;

    use super::*;
    use crate::preview::Mode;

    fn preview(visibility: Visibility) -> Preview {
        Preview {
            id: PreviewId::random(),
            workspace: WorkspaceId::random(),
            port: 3000,
            visibility,
            mode: Mode::Standard,
            created_at_ms: 1,
            link_until_ms: None,
        }
    }

    fn keep(memory: &Memory, preview: &Preview, grant: Option<Grant>, generation: u64) -> Asked {
        let asked = (preview.id.clone(), grant.clone());
        let granted = grant.map(|grant| Granted { grant, user: None });
        memory.keep(asked.clone(), &(preview.clone(), granted), generation);
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_is_remembered_for_a_moment_and_never_past_a_change() {
        let memory = Memory::default();
        let grant = || Some(Grant::of_token("token"));
        let asked = keep(&memory, &preview(Visibility::Private), grant(), 0);
        assert!(memory.look(&asked).is_ok());
        tokio::time::advance(MOMENT).await;
        assert_eq!(memory.look(&asked), Err(0), "a moment is over");
        let asked = keep(&memory, &preview(Visibility::Private), grant(), 0);
        memory.forget();
        assert_eq!(memory.look(&asked), Err(1));
        let asked = keep(&memory, &preview(Visibility::Private), grant(), 0);
        assert_eq!(memory.look(&asked), Err(1), "looked up before the change");
    }

    #[test]
    fn what_nobody_may_see_is_not_remembered() {
        let memory = Memory::default();
        let private = preview(Visibility::Private);
        let guess = (private.id.clone(), Some(Grant::of_token("guess")));
        memory.keep(guess.clone(), &(private.clone(), None), 0);
        assert!(memory.look(&guess).is_err());
        assert!(memory.look(&keep(&memory, &private, None, 0)).is_err());
        assert!(memory.look(&keep(&memory, &preview(Visibility::Public), None, 0)).is_ok());
        for _ in 0..2 * MOST {
            keep(&memory, &preview(Visibility::Public), None, 0);
        }
        assert!(memory.0.lock().unwrap().answers.len() <= MOST);
    }
}
