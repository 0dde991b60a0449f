use super::*;

#[test]
fn the_patterns_of_this_build_are_right() {
    let patterns = Patterns::built_in();
    patterns.check().unwrap();
    shapes::check().unwrap();
    assert!(patterns.foreground("-bash", false).shell && patterns.foreground("claude", true).agent);
    assert!(!patterns.foreground("cargo", true).shell);
}

#[test]
fn an_operators_patterns_come_first_and_wrong_ones_are_named() {
    let entry = |extra: &str| {
        format!(
            "[[prompt]]\nname = \"own\"\nkind = \"input\"\nshape = \"line\"\nconfidence = 80\nask = ['^Own\\?$']\n{extra}"
        )
    };
    let patterns = Patterns::with(&entry("")).unwrap();
    let seen = patterns.see(&Look::of(vec!["Own?".into()], 0, 5));
    assert_eq!(seen.prompt.unwrap().pattern, "own");
    for (text, word) in [
        ("prompts = 1", "unknown field"),
        (&entry("also = ['(']"), "\"own\" is not a regular expression"),
        (&entry("choose = \"x\""), "unknown variant"),
    ] {
        let error = Patterns::with(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
