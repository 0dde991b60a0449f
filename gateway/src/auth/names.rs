//! What users are called.

/// What a name is, in words.
pub const NAME_RULE: &str = "a name has 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter";

/// Whether a text can be a user's name. Capitals and other scripts are left out: no two names look the same.
#[must_use]
pub fn is_user_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    (2..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        for name in ["ana", "a1", "ana.maria_b-2"] {
            assert!(is_user_name(name), "{name}");
        }
        for name in ["", "a", "Ana", "1a", "-a", "ana maria", "аna", &"a".repeat(33)] {
            assert!(!is_user_name(name), "{name}");
        }
    }
}
