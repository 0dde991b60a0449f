//! Secrets that must not be in logs: known by their shape, or planted. Every log of every test is searched for them.

/// What a secret that a test plants begins with.
pub const PLANTED: &str = "planted-secret-";

/// Shapes of secrets: what they begin with, and how many characters of a secret's alphabet follow at least.
const SHAPES: [(&str, usize); 8] =
    // API tokens, enrolment tokens, codes in links, tickets, keys, tokens of issuers and codes for them.
    [
        ("berth_", 24),
        ("berth1.", 24),
        ("code=", 16),
        ("ticket.", 16),
        ("PRIVATE KEY-----", 0),
        ("eyJ", 16),
        ("code-of-the-issuer-", 8),
        (PLANTED, 0),
    ];

/// The line of a log that tells a secret, if one does.
#[must_use]
pub fn told(log: &str) -> Option<&str> {
    log.lines().find(|line| SHAPES.iter().any(|(begin, length)| holds(line, begin, *length)))
}

fn holds(line: &str, begin: &str, length: usize) -> bool {
    let secret = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    line.match_indices(begin)
        .any(|(at, _)| line[at + begin.len()..].chars().take_while(secret).count() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_and_nothing_else_is_taken_for_one() {
        let secret = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6";
        for line in [
            format!("a berth_{secret}"),
            format!("token=berth1.{secret}"),
            format!("GET /sign-in?code={secret}"),
            format!("protocols: berth.v1, ticket.{secret}"),
            "-----BEGIN PRIVATE KEY-----".to_owned(),
            format!("Authorization: Bearer eyJ{secret}.eyJ{secret}.{secret}"),
            "code-of-the-issuer-1234567890".to_owned(),
            format!("env: {PLANTED}variable"),
        ] {
            assert_eq!(told(&format!("first\n{line}\nlast")), Some(line.as_str()));
        }
        for line in
            ["berth_tests::wait", "__Host-berth-inst-a", "exit_code=137", "ticket.rs:12", "berth1.service"]
        {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
