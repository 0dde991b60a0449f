//! What an environment keeps to as a whole: checked by the gateway, whose user gets to read why, and again by
//! the box.

use super::{DesiredEnvironment, InvalidItem};

/// Variables, at most.
pub const MAX_VARIABLES: usize = 128;

/// Bytes of one variable's value, at most: no program starts with one of 128 KiB.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Files, at most.
pub const MAX_FILES: usize = 64;

/// Bytes of the script, at most.
pub const MAX_SCRIPT_BYTES: usize = 64 * 1024;

/// Bytes of everything, at most: it travels in the desired state, whose messages have a bound.
pub const MAX_ENVIRONMENT_BYTES: usize = 256 * 1024;

impl DesiredEnvironment {
    /// Checks the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), InvalidItem> {
        hold(self.variables.len() <= MAX_VARIABLES, "variables", || {
            format!(
                "there are {}, and {MAX_VARIABLES} at most can be set; put some into a file",
                self.variables.len()
            )
        })?;
        hold(self.files.len() <= MAX_FILES, "files", || {
            format!("there are {}, and {MAX_FILES} at most can be written", self.files.len())
        })?;
        for (name, value) in &self.variables {
            hold(value.bytes() <= MAX_VALUE_BYTES, format!("variable {name}"), || {
                format!("its value has more than {MAX_VALUE_BYTES} bytes; put it into a file")
            })?;
            let text = std::str::from_utf8(value.expose()).is_ok_and(|text| !text.contains('\0'));
            hold(text, format!("variable {name}"), || "its value has a NUL character or is no text".into())?;
        }
        self.check_files()?;
        self.check_repository()?;
        if let Some(script) = &self.post_start {
            hold(script.len() <= MAX_SCRIPT_BYTES, "script", || {
                format!("it has {} bytes, and {MAX_SCRIPT_BYTES} at most are run", script.len())
            })?;
            let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
            hold(!script.chars().any(odd), "script", || "it has control characters; leave them out".into())?;
        }
        let bytes = self.bytes();
        hold(bytes <= MAX_ENVIRONMENT_BYTES, "environment", || {
            format!(
                "it has {bytes} bytes in all, and {MAX_ENVIRONMENT_BYTES} at most travel to a box; clone larger files"
            )
        })
    }

    /// Bytes of everything in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let variables = self.variables.iter().map(|(name, value)| name.as_str().len() + value.bytes());
        let files = self.files.iter().map(|(path, file)| path.as_str().len() + file.content.bytes());
        let repository = self.repository.iter().map(|repository| {
            repository.url.as_str().len() + repository.token.as_ref().map_or(0, super::Secret::bytes)
        });
        let script = self.post_start.as_ref().map_or(0, String::len);
        variables.chain(files).chain(repository).sum::<usize>() + script
    }

    fn check_files(&self) -> Result<(), InvalidItem> {
        for (path, file) in &self.files {
            let closed = !file.secret || !file.mode.is_shared();
            hold(closed, format!("file {path}"), || {
                "a secret file is its owner's alone; use mode 0600 or 0700".into()
            })?;
            if let Some(inner) =
                self.files.keys().find(|other| *other != path && other.is_within(path.as_str()))
            {
                return Err(InvalidItem::new(
                    format!("file {path}"),
                    format!("it can't be a file while {inner} is in it; move one of them"),
                ));
            }
        }
        Ok(())
    }

    fn check_repository(&self) -> Result<(), InvalidItem> {
        let Some(repository) = &self.repository else { return Ok(()) };
        let place = format!("projects/{}", repository.directory);
        let taken = self.files.keys().find(|path| path.as_str() == place || path.as_str() == "projects");
        hold(taken.is_none(), "repository directory", || {
            "a file has the same place; move one of them".into()
        })?;
        let Some(token) = &repository.token else { return Ok(()) };
        hold(repository.url.http_authority().is_some(), "repository token", || {
            "it is sent over https only; give an ssh address a key as a secret file, such as .ssh/id_ed25519"
                .into()
        })?;
        let plain = token.expose().iter().all(u8::is_ascii_graphic) && token.bytes() > 0;
        hold(plain, "repository token", || "a token has printable ASCII characters and no blank".into())
    }
}

fn hold(rule: bool, item: impl Into<String>, problem: impl FnOnce() -> String) -> Result<(), InvalidItem> {
    if rule { Ok(()) } else { Err(InvalidItem::new(item, problem())) }
}
