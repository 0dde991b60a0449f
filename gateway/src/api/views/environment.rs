//! A workspace's environment, as the API shows it and takes it.

use std::collections::BTreeMap;

use berth_protocol::environment::report::{EnvironmentReport, FileState, WorkReport, WorkState};
use berth_protocol::environment::{
    DesiredEnvironment, DesiredFile, FileMode, InvalidItem, MAX_ENVIRONMENT_BYTES, Repository, Secret,
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::StoredEnvironment;

/// A workspace's environment, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct Environment {
    /// Counts up whenever it changes; 0: it was never set.
    pub version: u64,
    /// Variables of terminals and commands.
    pub variables: Vec<Variable>,
    /// Files below the home directory.
    pub files: Vec<EnvironmentFile>,
    /// The repository that is cloned once.
    pub repository: Option<EnvironmentRepository>,
    /// The script that is run after each start of a box.
    pub post_start: Option<String>,
    /// Bytes of everything in it.
    pub bytes: u64,
    /// Bytes that it may have.
    pub max_bytes: u64,
    /// What the box last said of it; null: it has not said anything about this version.
    pub report: Option<Report>,
}

/// A variable. Its value is not told.
#[derive(Debug, Serialize, ToSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Bytes of its value.
    pub bytes: u64,
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnvironmentFile {
    /// Its path below the home directory.
    pub destination: String,
    /// Its permissions, in octal.
    #[schema(example = "0600")]
    pub mode: String,
    /// Whether it is never on the volume, and its content is not told.
    pub secret: bool,
    /// How long it is.
    pub bytes: u64,
    /// Its content in base64; null when it is secret.
    pub content: Option<String>,
}

/// A repository. Its token is not told.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnvironmentRepository {
    /// Where it is.
    pub url: String,
    /// Its directory below `projects`.
    pub directory: String,
    /// The branch; null: the repository's own choice.
    pub branch: Option<String>,
    /// Whether there is a token.
    pub has_token: bool,
}

/// What a box says of its environment. Programs on the box decide some of it: show it as text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Report {
    /// Whether the box has started anew and waits for its secrets.
    pub waits_for_secrets: bool,
    /// Why variables could not be set.
    pub message: Option<String>,
    /// Files that are not as they should be.
    pub files: Vec<ReportedFile>,
    /// The repository, if there is to be one.
    pub repository: Option<ReportedWork>,
    /// The script, if there is to be one.
    pub post_start: Option<ReportedWork>,
}

/// A file that is not as it should be.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportedFile {
    /// Its path below the home directory.
    pub destination: String,
    /// `kept`: something of the user's is there, and was left alone; `failed`: it could not be written; or `unknown`.
    pub state: String,
    /// Why.
    pub message: String,
}

/// How a piece of work is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportedWork {
    /// `waiting`, `running`, `done`, `failed` or `unknown`.
    pub state: String,
    /// How much of the present phase is done, 0 to 100.
    pub percent: Option<u8>,
    /// The phase, or what went wrong.
    pub message: Option<String>,
}

/// An environment to be. Everything that is not in it is taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnvironment {
    /// The version that this was made from.
    pub version: u64,
    /// At most 128.
    #[serde(default)]
    pub variables: Vec<NewVariable>,
    /// At most 64.
    #[serde(default)]
    pub files: Vec<NewFile>,
    /// A repository to clone, once.
    pub repository: Option<NewRepository>,
    /// A script to run after each start of a box, at most 64 KiB.
    pub post_start: Option<String>,
}

/// A variable to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVariable {
    /// A-Z, a-z, 0-9 and _, the first of them no digit, and none that Berth or a shell sets itself.
    pub name: String,
    /// Its value; null: the one that it has.
    pub value: Option<String>,
}

/// A file to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Its path below the home directory.
    pub destination: String,
    /// Its permissions in octal; by default 0600 for a secret file and 0644 for another.
    pub mode: Option<String>,
    /// Whether it must never be on the volume. It lives in the box's memory then, behind a symbolic link.
    #[serde(default)]
    pub secret: bool,
    /// Its content in base64; null: the one that it has. A secret file's content can't become another's.
    pub content: Option<String>,
}

/// A repository to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// An https or ssh address, without user and password.
    pub url: String,
    /// Its directory below `projects`.
    pub directory: String,
    /// A branch or a tag.
    pub branch: Option<String>,
    /// What the server asks for, over https.
    pub token: Option<String>,
    /// Whether to keep the token that there is; only while the address stays on the same server.
    #[serde(default)]
    pub keep_token: bool,
}

impl Environment {
    /// What may be told of an environment.
    #[must_use]
    pub fn new(environment: &DesiredEnvironment, stored: Option<&StoredEnvironment>) -> Self {
        let DesiredEnvironment { variables, files, repository, post_start, withheld: _ } = environment;
        let variables = variables
            .iter()
            .map(|(name, value)| Variable { name: name.to_string(), bytes: value.bytes() as u64 });
        let files = files.iter().map(|(destination, file)| EnvironmentFile {
            destination: destination.to_string(),
            mode: file.mode.to_string(),
            secret: file.secret,
            bytes: file.content.bytes() as u64,
            content: (!file.secret).then(|| BASE64.encode(file.content.expose())),
        });
        Self {
            version: stored.map_or(0, |stored| stored.desired_seq),
            variables: variables.collect(),
            files: files.collect(),
            repository: repository.as_ref().map(|repository| EnvironmentRepository {
                url: repository.url.to_string(),
                directory: repository.directory.to_string(),
                branch: repository.branch.as_ref().map(ToString::to_string),
                has_token: repository.token.is_some(),
            }),
            post_start: post_start.clone(),
            bytes: environment.bytes() as u64,
            max_bytes: MAX_ENVIRONMENT_BYTES as u64,
            report: stored.and_then(|stored| stored.report.clone()).map(Report::from),
        }
    }
}

impl NewEnvironment {
    /// The environment that is meant, with the values that it keeps from the one that there is.
    ///
    /// # Errors
    /// [`InvalidItem`], for the first that can't be.
    pub fn merged(self, held: &DesiredEnvironment) -> Result<DesiredEnvironment, InvalidItem> {
        let mut variables = BTreeMap::new();
        for NewVariable { name, value } in self.variables {
            let name = name.parse()?;
            let value = value.map(Secret::new).or_else(|| held.variables.get(&name).cloned());
            let item = format!("variable {name}");
            let value = value.ok_or_else(|| invalid(&item, "it has no value yet; give it one"))?;
            if variables.insert(name, value).is_some() {
                return Err(invalid(&item, "it is there twice; leave one out"));
            }
        }
        let mut files = BTreeMap::new();
        for file in self.files {
            let destination = file.destination.parse()?;
            let item = format!("file {destination}");
            let file = file.merged(&item, held.files.get(&destination))?;
            if files.insert(destination, file).is_some() {
                return Err(invalid(&item, "it is there twice; leave one out"));
            }
        }
        let repository = self.repository.map(|new| new.merged(held.repository.as_ref())).transpose()?;
        let post_start = self.post_start.filter(|script| !script.trim().is_empty());
        Ok(DesiredEnvironment { variables, files, repository, post_start, withheld: false })
    }
}

impl NewFile {
    fn merged(self, item: &str, held: Option<&DesiredFile>) -> Result<DesiredFile, InvalidItem> {
        let content = match (self.content, held) {
            (Some(content), _) => {
                let content = BASE64.decode(content.as_bytes());
                Secret::new(content.map_err(|_| invalid(item, "its content is not base64; encode it"))?)
            }
            // Whoever may change an environment may not read what is secret in it.
            (None, Some(held)) if held.secret && !self.secret => {
                return Err(invalid(item, "its secret content is not told; give the content again"));
            }
            (None, Some(held)) => held.content.clone(),
            (None, None) => return Err(invalid(item, "it has no content yet; give it some")),
        };
        let default = if self.secret { FileMode::PRIVATE } else { FileMode::PUBLIC };
        let mode = self.mode.map_or(Ok(default), |mode| mode.parse::<FileMode>());
        let mode = mode.map_err(|error| invalid(item, &error.to_string()))?;
        Ok(DesiredFile { content, mode, secret: self.secret })
    }
}

impl NewRepository {
    fn merged(self, held: Option<&Repository>) -> Result<Repository, InvalidItem> {
        let url: berth_protocol::environment::RepositoryUrl = self.url.parse()?;
        let token = match (self.token, self.keep_token) {
            (Some(token), _) => Some(Secret::new(token)),
            (None, false) => None,
            (None, true) => {
                // Another server must not be sent what was meant for the first.
                let same = held.filter(|held| held.url.http_authority() == url.http_authority());
                let kept = same.and_then(|held| held.token.clone());
                Some(kept.ok_or_else(|| {
                    invalid("repository token", "there is none for this server; give it again")
                })?)
            }
        };
        let branch = self.branch.filter(|branch| !branch.is_empty());
        let branch = branch.map(|branch| branch.parse()).transpose()?;
        Ok(Repository { url, directory: self.directory.parse()?, branch, token })
    }
}

fn invalid(item: &str, problem: &str) -> InvalidItem {
    InvalidItem { item: item.to_owned(), problem: problem.to_owned() }
}

impl From<EnvironmentReport> for Report {
    fn from(report: EnvironmentReport) -> Self {
        let EnvironmentReport { desired: _, waits_for_secrets, message, files, repository, post_start } =
            report;
        let files = files.into_iter().map(|file| ReportedFile {
            destination: file.destination.into(),
            state: match file.state {
                FileState::Kept => "kept",
                FileState::Failed => "failed",
                FileState::Unknown => "unknown",
            }
            .to_owned(),
            message: file.message,
        });
        Self {
            waits_for_secrets,
            message,
            files: files.collect(),
            repository: repository.map(ReportedWork::from),
            post_start: post_start.map(ReportedWork::from),
        }
    }
}

impl From<WorkReport> for ReportedWork {
    fn from(work: WorkReport) -> Self {
        let state = match work.state {
            WorkState::Waiting => "waiting",
            WorkState::Running => "running",
            WorkState::Done => "done",
            WorkState::Failed => "failed",
            WorkState::Unknown => "unknown",
        };
        Self { state: state.to_owned(), percent: work.percent, message: work.message }
    }
}

#[cfg(test)]
mod tests;
