//! The tree that every volume has: said as data, compared with what is there, and what is missing made.
//!
//! Nothing is ever deleted, overwritten or reached through a link: [`rules`] say what should be, [`plan`]
//! decides without touching anything, [`apply`] acts by handle.

pub mod apply;
pub mod plan;
pub mod rules;

use std::path::Path;

use apply::{LayoutError, Tree};

/// Makes what is missing below `root`. What is in the way is left alone and reported in the log, unless the
/// agent can't work without it.
///
/// # Errors
/// [`LayoutError`].
pub fn ensure(root: &Path) -> Result<(), LayoutError> {
    let tree = Tree::open(root)?;
    // One rule at a time: what a rule finds depends on what those before it have made.
    for rule in rules::RULES {
        let found = tree.look(rule.path)?;
        match plan::plan(rule, &found) {
            plan::Step::Nothing => {}
            plan::Step::Make => tree.make(rule)?,
            plan::Step::Close => tree.close(rule.path)?,
            plan::Step::Obstructed if rule.required => {
                return Err(LayoutError::Obstructed { path: root.join(rule.path), wanted: rule.kind });
            }
            plan::Step::Obstructed => {
                let path = root.join(rule.path);
                tracing::warn!(path = %path.display(), wanted = %rule.kind, "something else is there; left alone");
            }
        }
    }
    Ok(())
}
