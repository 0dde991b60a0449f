//! What users are called.

/// What a name is, in words.
pub const NAME_RULE: &str = "a name has 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter";

/// Whether a text can be a user's name. Capitals and other scripts are left out: no two names look the same.
#[must_use]
pub fn is_user_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    (2..=LONGEST_NAME).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
}

/// The longest name.
pub const LONGEST_NAME: usize = 32;

/// A name made of the first of some words that one can be made of, or one that says nothing.
#[must_use]
pub fn user_name_of<'a>(wishes: impl Iterator<Item = &'a str>) -> String {
    let plain = |wish: &str| -> String {
        let letters =
            wish.trim().chars().map(|c| if c.is_whitespace() { '-' } else { c.to_ascii_lowercase() });
        let plain =
            letters.filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'));
        let name: String = plain.skip_while(|c| !c.is_ascii_lowercase()).take(LONGEST_NAME).collect();
        name.trim_end_matches(['-', '.']).to_owned()
    };
    wishes.map(plain).find(|name| is_user_name(name)).unwrap_or_else(|| "user".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_somebody_is_called_elsewhere_becomes_a_name() {
        for (wishes, expected) in [
            (&["Ana", "other"][..], "ana"),
            (&["Ana Maria Ó"], "ana-maria"),
            (&["42", "a", "Анна", "b.c@d"], "b.cd"),
            (&["42ana"], "ana"),
            (&["", " "], "user"),
            (&[], "user"),
            (&[&"x".repeat(99)], &"x".repeat(32)),
        ] {
            assert_eq!(user_name_of(wishes.iter().copied()), expected, "{wishes:?}");
        }
    }

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
