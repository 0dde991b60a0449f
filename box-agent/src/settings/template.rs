//! What sessions are made of: the templates of the settings.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Panes of one template: more would be too small to read on any screen.
const MAX_PANES: usize = 8;

/// What a session is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Where its panes begin, as [`start_directory`] understands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The first pane is large and left, the others share the right column.
    pub panes: Vec<Pane>,
}

/// One pane of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pane {
    /// What it is for.
    pub name: String,
    /// Where it begins, if not where the template says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The program and its arguments; a shell when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// What runs in the place of the command when a lost session is rebuilt: it takes the work up again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume: Vec<String>,
}

impl Template {
    /// Checks what was written in the settings as `templates.<name>`; terminals' home directory is `home`.
    ///
    /// # Errors
    /// What is wrong, with the template and the pane.
    pub fn check(&self, name: &str, home: &Path) -> Result<(), String> {
        let panes = self.panes.len();
        if panes == 0 || panes > MAX_PANES {
            return Err(format!("templates.{name} has {panes} panes: give it 1 to {MAX_PANES}"));
        }
        check_directory(self.directory.as_deref(), home)
            .map_err(|problem| format!("templates.{name}: {problem}"))?;
        for (index, pane) in self.panes.iter().enumerate() {
            pane.check(home).map_err(|problem| {
                let shown = if pane.name.is_empty() { String::new() } else { format!(" ({:?})", pane.name) };
                format!("templates.{name}, pane {}{shown}: {problem}", index + 1)
            })?;
        }
        Ok(())
    }
}

impl Pane {
    fn check(&self, home: &Path) -> Result<(), String> {
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            return Err("its name is empty or has control characters".into());
        }
        for (key, words) in [("command", &self.command), ("resume", &self.resume)] {
            if words.iter().any(|word| word.contains('\0')) || words.first().is_some_and(String::is_empty) {
                return Err(format!("its {key} has an empty program or a NUL character"));
            }
        }
        check_directory(self.directory.as_deref(), home)
    }
}

fn check_directory(directory: Option<&str>, home: &Path) -> Result<(), String> {
    let Some(text) = directory else { return Ok(()) };
    let refused = |problem: &str| Err(format!("its directory {text:?} {problem}"));
    let path = Path::new(text);
    if text.is_empty() || text.chars().any(char::is_control) {
        return refused("is empty or has control characters");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return refused("leads upwards: leave out \"..\"");
    }
    if text.starts_with('~') && path.components().next() != Some(Component::Normal("~".as_ref())) {
        return refused("is another user's home: begin it with \"~/\" or with a name below projects");
    }
    if path.is_absolute() && !path.starts_with(home) {
        return refused(&format!(
            "is not below {}: begin it with \"~/\" or with a name below projects",
            home.display()
        ));
    }
    Ok(())
}

/// The directory that the settings mean: a name below the projects, `~` or something below it, or an absolute path
/// within the home directory. The projects themselves when absent.
#[must_use]
pub fn start_directory(directory: Option<&str>, home: &Path) -> PathBuf {
    let projects = home.join("projects");
    let Some(text) = directory else { return projects };
    match Path::new(text).strip_prefix("~") {
        Ok(below) => home.join(below),
        // An absolute path replaces the whole.
        Err(_) => projects.join(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "/v/user/home";

    fn refusal(template: &str) -> String {
        let template: Template = toml::from_str(template).unwrap();
        template.check("go", Path::new(HOME)).unwrap_err()
    }

    #[test]
    fn a_directory_is_below_the_projects_or_in_the_home() {
        let meant = |text| start_directory(text, Path::new(HOME)).display().to_string();
        assert_eq!(meant(None), "/v/user/home/projects");
        assert_eq!(meant(Some("app/web")), "/v/user/home/projects/app/web");
        assert_eq!(meant(Some("~")), "/v/user/home/");
        assert_eq!(meant(Some("~/notes")), "/v/user/home/notes");
        assert_eq!(meant(Some("/v/user/home/x")), "/v/user/home/x");
        for text in ["app", "a b/ü", "~", "~/x", "/v/user/home/x", "./x"] {
            check_directory(Some(text), Path::new(HOME)).unwrap();
        }
        for text in
            ["", "..", "a/../b", "~/..", "~root/x", "/", "/etc", "/v/user/homes", "a\nb", "/v/user/home/../x"]
        {
            assert!(check_directory(Some(text), Path::new(HOME)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_template_and_pane() {
        let pane = |text: &str| refusal(&format!("panes = [{{ name = \"a\" }}, {{ {text} }}]"));
        assert_eq!(refusal("panes = []"), "templates.go has 0 panes: give it 1 to 8");
        assert_eq!(pane("name = \"\""), "templates.go, pane 2: its name is empty or has control characters");
        assert_eq!(
            pane("name = \"b\", resume = [\"\"]"),
            "templates.go, pane 2 (\"b\"): its resume has an empty program or a NUL character"
        );
        assert!(pane("name = \"b\", command = [\"x\", \"\\u0000\"]").contains("pane 2 (\"b\"): its command"));
        assert!(
            pane("name = \"b\", directory = \"../x\"")
                .contains("pane 2 (\"b\"): its directory \"../x\" leads")
        );
        let whole = refusal("directory = \"/etc\"\npanes = [{ name = \"a\" }]");
        assert!(
            whole.starts_with("templates.go: its directory \"/etc\" is not below /v/user/home"),
            "{whole}"
        );
    }
}
