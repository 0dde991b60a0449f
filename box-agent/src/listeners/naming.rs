//! What kind of server a command line is. A hint for people, and no more. Pure.

/// Words of command lines and what they stand for, the more particular first.
const KINDS: [(&str, &str); 22] = [
    ("storybook", "storybook"),
    ("astro", "astro"),
    ("nuxt", "nuxt"),
    ("next-server", "next"),
    ("next", "next"),
    ("vite", "vite"),
    ("webpack", "webpack"),
    ("webpack-dev-server", "webpack"),
    ("react-scripts", "react"),
    ("ng", "angular"),
    ("rails", "rails"),
    ("puma", "rails"),
    ("jupyter", "jupyter"),
    ("jupyter-lab", "jupyter"),
    ("jupyter-notebook", "jupyter"),
    ("manage.py", "django"),
    ("flask", "flask"),
    ("uvicorn", "uvicorn"),
    ("gunicorn", "gunicorn"),
    ("streamlit", "streamlit"),
    ("hugo", "hugo"),
    ("http.server", "python"),
];

/// What a program seems to be, by the words of its command line.
#[must_use]
pub fn kind(command_line: &[String]) -> Option<&'static str> {
    let names = || command_line.iter().take(6).flat_map(|word| word.split_whitespace()).map(name);
    KINDS.iter().find(|(mark, _)| names().any(|name| name == *mark)).map(|(_, kind)| *kind)
}

/// The last part of a path, without what tells its language.
fn name(word: &str) -> &str {
    let last = word.rsplit('/').next().unwrap_or(word);
    [".js", ".mjs", ".cjs"].iter().find_map(|ending| last.strip_suffix(ending)).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<&'static str> {
        kind(&line.split('|').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn servers_are_known_by_their_command_lines() {
        for (line, expected) in [
            ("node|/home/x/app/node_modules/.bin/vite", Some("vite")),
            ("node|/home/x/app/node_modules/vite/bin/vite.js|--port|3000", Some("vite")),
            ("next-server (v16.4.6)", Some("next")),
            ("node|/app/node_modules/.bin/next|dev", Some("next")),
            ("python3|-m|http.server|8000", Some("python")),
            ("python3|manage.py|runserver", Some("django")),
            ("/usr/bin/python3|/usr/bin/jupyter-lab", Some("jupyter")),
            ("puma 6.4.2 (tcp://localhost:3000) [app]", Some("rails")),
            ("node|server.js", None),
            ("/home/vite-fan/bin/thing", None),
            ("", None),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }
}
