//! What an input and an exec must keep to, checked by the gateway, whose user gets to read why, and again by
//! the box.

use std::path::{Component, Path};

use super::{Exec, Input, MAX_EXEC_TIMEOUT, MAX_INPUT_KEYS, MAX_INPUT_TEXT};

/// Words of a command, at most.
const MAX_ARGS: usize = 256;

/// Bytes of all words of a command, at most.
const MAX_ARGV_BYTES: usize = 64 * 1024;

/// Variables, at most.
const MAX_VARIABLES: usize = 64;

/// Bytes of all variables, at most.
const MAX_ENV_BYTES: usize = 32 * 1024;

/// Bytes of a directory's path, at most.
const MAX_CWD_BYTES: usize = 1024;

/// Bytes that a command may be given to read.
const MAX_STDIN_BYTES: usize = 1024 * 1024;

/// The rule that was broken, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

impl Input {
    /// Checks the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), Broken> {
        let Self { address: _, text, keys } = self;
        hold(!text.is_empty() || !keys.is_empty(), || "there is neither text nor a key".into())?;
        hold(text.len() <= MAX_INPUT_TEXT, || format!("text has more than {MAX_INPUT_TEXT} bytes"))?;
        hold(!text.contains('\0'), || "text has a NUL character".into())?;
        hold(keys.len() <= MAX_INPUT_KEYS, || format!("there are more than {MAX_INPUT_KEYS} keys"))
    }
}

impl Exec {
    /// Checks the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), Broken> {
        let Self { argv, cwd, env, stdin, timeout_seconds } = self;
        hold(argv.first().is_some_and(|program| !program.is_empty()), || "argv names no program".into())?;
        hold(argv.len() <= MAX_ARGS, || format!("argv has more than {MAX_ARGS} words"))?;
        let bytes: usize = argv.iter().map(String::len).sum();
        hold(bytes <= MAX_ARGV_BYTES, || format!("argv has more than {MAX_ARGV_BYTES} bytes"))?;
        hold(argv.iter().all(|word| !word.contains('\0')), || "argv has a NUL character".into())?;

        let below_home = cwd.as_deref().is_none_or(is_below);
        hold(below_home, || "cwd is no path below the home directory, such as projects/app".into())?;

        hold(env.len() <= MAX_VARIABLES, || format!("env has more than {MAX_VARIABLES} variables"))?;
        hold(env.keys().all(|name| is_variable(name)), || "env has a name that no variable has".into())?;
        hold(env.values().all(|value| !value.contains('\0')), || "env has a NUL character".into())?;
        let bytes: usize = env.iter().map(|(name, value)| name.len() + value.len()).sum();
        hold(bytes <= MAX_ENV_BYTES, || format!("env has more than {MAX_ENV_BYTES} bytes"))?;

        let bytes = stdin.as_ref().map_or(0, String::len);
        hold(bytes <= MAX_STDIN_BYTES, || format!("stdin has more than {MAX_STDIN_BYTES} bytes"))?;
        let seconds = 1..=MAX_EXEC_TIMEOUT;
        hold(seconds.contains(timeout_seconds), || {
            format!("timeout_seconds is not between 1 and {MAX_EXEC_TIMEOUT}")
        })
    }
}

fn hold(rule: bool, words: impl FnOnce() -> String) -> Result<(), Broken> {
    if rule { Ok(()) } else { Err(Broken(words())) }
}

/// Whether a path leads down by its words alone. Links on the way are the user's own business.
fn is_below(path: &str) -> bool {
    let down = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    down && !path.is_empty() && path.len() <= MAX_CWD_BYTES && !path.contains('\0')
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain) && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{DEFAULT_EXEC_TIMEOUT, PaneAddress};

    fn exec(change: impl FnOnce(&mut Exec)) -> bool {
        let mut exec = Exec {
            argv: vec!["true".into()],
            cwd: None,
            env: [].into(),
            stdin: None,
            timeout_seconds: DEFAULT_EXEC_TIMEOUT,
        };
        change(&mut exec);
        exec.check().is_ok()
    }

    #[test]
    fn a_command_is_bounded_in_every_direction() {
        assert!(exec(|_| {}));
        assert!(exec(|exec| exec.argv.extend(["".into(), "-x; rm".into(), "$(x)".into()])));
        assert!(!exec(|exec| exec.argv.clear()));
        assert!(!exec(|exec| exec.argv[0].clear()));
        assert!(!exec(|exec| exec.argv.push("a\0b".into())));
        assert!(!exec(|exec| exec.argv.resize(MAX_ARGS + 1, "x".into())));
        assert!(exec(|exec| exec.argv.push("x".repeat(MAX_ARGV_BYTES - 4))));
        assert!(!exec(|exec| exec.argv.push("x".repeat(MAX_ARGV_BYTES - 3))));
        assert!(exec(|exec| exec.timeout_seconds = MAX_EXEC_TIMEOUT));
        assert!(!exec(|exec| exec.timeout_seconds = MAX_EXEC_TIMEOUT + 1));
        assert!(!exec(|exec| exec.timeout_seconds = 0));
        assert!(!exec(|exec| exec.stdin = Some("x".repeat(MAX_STDIN_BYTES + 1))));
        for name in ["", "A=B", "1A", "Ü", "A B", "A\0"] {
            assert!(!exec(|exec| drop(exec.env.insert(name.into(), String::new()))), "{name:?}");
        }
        assert!(exec(|exec| drop(exec.env.insert("_A1".into(), "=;$(x)".into()))));
    }

    #[test]
    fn a_directory_is_below_home() {
        for cwd in ["projects", "projects/a b/", "..."] {
            assert!(exec(|exec| exec.cwd = Some(cwd.into())), "{cwd}");
        }
        for cwd in ["", ".", "/", "/etc", "..", "projects/..", "a/../../b", "a\0b", &"x/".repeat(600)] {
            assert!(!exec(|exec| exec.cwd = Some(cwd.into())), "{cwd}");
        }
    }

    #[test]
    fn an_input_says_something_and_not_too_much() {
        let input = |text: &str, keys: usize| {
            let keys = vec!["Enter".parse().unwrap(); keys];
            Input { address: PaneAddress::default(), text: text.into(), keys }.check().is_ok()
        };
        assert!(input("x", 0) && input("", 1) && input("; rm -rf /\u{1b}\u{3}", 1));
        assert!(!input("", 0) && !input("a\0", 0));
        assert!(input(&"x".repeat(MAX_INPUT_TEXT), MAX_INPUT_KEYS));
        assert!(!input(&"x".repeat(MAX_INPUT_TEXT + 1), 0) && !input("", MAX_INPUT_KEYS + 1));
    }
}
