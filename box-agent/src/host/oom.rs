//! Whom the kernel ends when memory runs out. systemd protects the agent, and what the agent starts inherits that;
//! a user's program that is protected more than the rest of the machine would take the machine along.

use std::path::Path;

/// Takes the agent's protection, if it has one, from a child that was just started.
pub(super) fn unprotect(child: Option<u32>) {
    let Some(child) = child else { return };
    if let Err(error) = unprotect_in(Path::new("/proc"), child) {
        tracing::debug!(child, %error, "failed to give a child its ordinary score for running out of memory");
    }
}

fn unprotect_in(proc: &Path, child: u32) -> std::io::Result<()> {
    let score = |process: &str| proc.join(process).join("oom_score_adj");
    let own = std::fs::read_to_string(score("self"))?;
    // Whatever raised it, raised it for the children, too.
    if own.trim().parse::<i32>().is_ok_and(|own| own < 0) {
        std::fs::write(score(&child.to_string()), "0")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_inherits_what_makes_it_likelier_and_not_what_protects() {
        for (own, expected) in [("-900\n", "0"), ("0\n", "inherited"), ("300\n", "inherited")] {
            let proc = tempfile::tempdir().unwrap();
            for (process, score) in [("self", own), ("7", "inherited")] {
                std::fs::create_dir(proc.path().join(process)).unwrap();
                std::fs::write(proc.path().join(process).join("oom_score_adj"), score).unwrap();
            }
            unprotect_in(proc.path(), 7).unwrap();
            let child = std::fs::read_to_string(proc.path().join("7/oom_score_adj")).unwrap();
            assert_eq!(child, expected, "{own}");
        }
    }
}
