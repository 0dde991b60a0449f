//! Files for a session: `POST /v1/sessions/{session}/files` writes one into the session's directory.
//!
//! The body is the file, with its length (`content-length`); the headers name the request (`berth-request-id`)
//! and the file (`berth-file-name`, base64url of its UTF-8). The answer is 201 with [`Uploaded`]. Nothing that
//! is there already is ever replaced: a name that is taken gets a number. A body that does not come whole
//! leaves nothing.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::SESSIONS_PATH;
use crate::ids::SessionId;

/// Request header: the file's name, base64url of its UTF-8.
pub const HEADER_FILE_NAME: &str = "berth-file-name";

/// Bytes of one file, at most.
pub const MAX_UPLOAD: u64 = 25 * 1024 * 1024;

/// How long an upload waits for its next bytes, and for its end after the last, seconds.
pub const UPLOAD_STALL_SECONDS: u64 = 30;

/// Error: the request does not say how long the file is.
pub const KIND_LENGTH_REQUIRED: &str = "length_required";

/// Error: the file has more than [`MAX_UPLOAD`] bytes.
pub const KIND_FILE_TOO_LARGE: &str = "too_large";

/// Error: the file did not come whole, or not in time.
pub const KIND_UPLOAD_INCOMPLETE: &str = "upload_incomplete";

/// Error: as many uploads as may go on do.
pub const KIND_UPLOAD_BUSY: &str = "upload_busy";

/// Error: the session's directory is not there.
pub const KIND_DIRECTORY_GONE: &str = "directory_gone";

/// Error: the session's directory can't be written to.
pub const KIND_DIRECTORY_NOT_WRITABLE: &str = "directory_not_writable";

/// Error: the name is taken, with every number that is tried.
pub const KIND_FILE_NAMES_TAKEN: &str = "file_names_taken";

/// Error: the file does not fit on the box.
pub const KIND_NO_SPACE: &str = "no_space";

/// Error: the box failed to write the file.
pub const KIND_UPLOAD_FAILED: &str = "upload_failed";

/// Bytes of a name, at most. It leaves room for a number within the 255 that file systems take.
const MAX_NAME_BYTES: usize = 200;

/// The path of a session's files.
#[must_use]
pub fn files_path(session: &SessionId) -> String {
    format!("{SESSIONS_PATH}{session}/files")
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// Where it is: the session's directory and the name.
    pub path: String,
    /// The name that it got.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
}

/// The name of a file: one that any shell, listing or log can show as it is, and that leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

/// A text that is not a name for a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a name for an uploaded file: {0}")]
pub struct InvalidFileName(&'static str);

impl FileName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidFileName`], with the rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidFileName> {
        let broken = if text.is_empty() {
            Some("it is empty")
        } else if text.len() > MAX_NAME_BYTES {
            Some("it has more than 200 bytes")
        } else if text.contains('/') {
            Some("it has a slash")
        } else if text.chars().any(|c| c.is_control() || breaks_lines_or_order(c)) {
            Some("it has a character that can't be shown")
        } else if text.starts_with(['.', '-']) {
            Some("it begins with a dot or a dash")
        } else if text.trim() != text {
            Some("it begins or ends with a blank")
        } else {
            None
        };
        broken.map_or_else(|| Ok(Self(text.to_owned())), |rule| Err(InvalidFileName(rule)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as the value of [`HEADER_FILE_NAME`].
    #[must_use]
    pub fn to_header(&self) -> String {
        BASE64URL_NOPAD.encode(self.0.as_bytes())
    }

    /// The name in a value of [`HEADER_FILE_NAME`].
    ///
    /// # Errors
    /// [`InvalidFileName`].
    pub fn from_header(value: &str) -> Result<Self, InvalidFileName> {
        let bytes = BASE64URL_NOPAD.decode(value.as_bytes());
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Self::parse(&text.ok_or(InvalidFileName("it is not base64url of UTF-8"))?)
    }

    /// The same with a number in front of its extension: `a.txt` becomes `a-1.txt`.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let (stem, extension) = self
            .0
            .rsplit_once('.')
            .map_or((self.0.as_str(), None), |(stem, extension)| (stem, Some(extension)));
        Self(match extension {
            Some(extension) => format!("{stem}-{number}.{extension}"),
            None => format!("{stem}-{number}"),
        })
    }
}

/// Line and paragraph separators, and what turns the order of a text around.
fn breaks_lines_or_order(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, InvalidFileName> {
        Self::parse(text)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_taken_as_they_are() {
        let long = "x".repeat(MAX_NAME_BYTES);
        for name in ["a", "photo.png", "a b (1).tar.gz", "$(x);'\".md", "日本 é.txt", "~", "a.", "x..", &long]
        {
            let parsed = FileName::parse(name).unwrap();
            assert_eq!(parsed.as_str(), name);
            assert_eq!(FileName::from_header(&parsed.to_header()).unwrap(), parsed, "{name}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_can_not_be_shown_is_no_name() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let names = [
            "",
            ".",
            "..",
            ".bashrc",
            "-rf",
            "a/b",
            "/etc/passwd",
            "../x",
            "a\0",
            "a\n",
            "\u{1b}[2J",
            "a\u{7f}b",
            "a\u{9b}31m",
            "a\u{202e}gpj.exe",
            "a\u{2066}b",
            "a\u{200f}b",
            "a\u{61c}b",
            "a\u{2028}b",
            " a",
            "a ",
            "a\u{a0}",
            "\t",
            &long,
        ];
        for name in names {
            assert!(FileName::parse(name).is_err(), "{name:?}");
            let header = BASE64URL_NOPAD.encode(name.as_bytes());
            assert!(FileName::from_header(&header).is_err(), "{name:?}");
        }
        for header in ["photo.png", "YQ==", "_w", "Y Q", "é"] {
            assert!(FileName::from_header(header).is_err(), "{header}");
        }
    }

    #[test]
    fn a_number_goes_before_the_extension() {
        let numbered = |name: &str, number| FileName::parse(name).unwrap().numbered(number).to_string();
        assert_eq!(numbered("a.txt", 1), "a-1.txt");
        assert_eq!(numbered("Makefile", 12), "Makefile-12");
        assert_eq!(numbered("a.tar.gz", 999), "a.tar-999.gz");
        assert_eq!(numbered("a.", 2), "a-2.");
    }
}
