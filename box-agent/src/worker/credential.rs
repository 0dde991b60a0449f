//! What git asks for a token: the token's own server gets it, and no other. A redirection, a submodule or another
//! address in the user's settings may make git ask for others.

use std::io::{BufRead, Write};

/// Whom git names when it asks for a password that is a token. Servers want some name, and most take any.
const USER: &str = "x-access-token";

/// Answers git's credential helper protocol: `question` is what git writes, `server` the scheme and authority that
/// the token is for.
///
/// # Errors
/// When git does not read.
pub fn answer(
    operation: &str,
    question: impl BufRead,
    server: (&str, &str),
    token: &[u8],
    mut git: impl Write,
) -> std::io::Result<()> {
    let lines: Vec<String> =
        question.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let asks = |name: &str, value: &str| lines.iter().any(|line| line.split_once('=') == Some((name, value)));
    // Not "store" or "erase": nothing is kept, and nothing of ours is git's to remove.
    if operation != "get" || !asks("protocol", server.0) || !asks("host", server.1) {
        return Ok(());
    }
    git.write_all(&[format!("username={USER}\npassword=").as_bytes(), token, b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(operation: &str, question: &str) -> String {
        let mut said = Vec::new();
        answer(operation, question.as_bytes(), ("https", "git.example:8443"), b"hush", &mut said).unwrap();
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn the_tokens_own_server_gets_it_and_no_other() {
        let right = "protocol=https\nhost=git.example:8443\npath=a\n\n";
        assert_eq!(asked("get", right), "username=x-access-token\npassword=hush\n");
        assert_eq!(asked("store", right), "");
        assert_eq!(asked("erase", right), "");
        for question in [
            "protocol=http\nhost=git.example:8443\n\n",
            "protocol=https\nhost=git.example\n\n",
            "protocol=https\nhost=evil.example\n\n",
            "protocol=https\n\nhost=git.example:8443\n",
            "",
        ] {
            assert_eq!(asked("get", question), "", "{question:?}");
        }
    }
}
