//! Commands through the API, with an answer that is read as it comes.

use data_encoding::BASE64;
use http::Method;
use serde_json::{Value, json};

use crate::Client;
use crate::wait::PATIENCE;

/// A command that was started. Dropping it closes the connection.
pub struct Exec {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

/// All that a command said.
#[derive(Debug, Default)]
pub struct Said {
    /// On standard output.
    pub stdout: Vec<u8>,
    /// On standard error.
    pub stderr: Vec<u8>,
    /// The `exit` of the last line.
    pub exit: Value,
}

impl Said {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Exec {
    /// Starts a command in the client's one workspace.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn start(client: &Client, body: &Value) -> Self {
        let path = format!("/workspaces/{}/exec", client.workspace().await);
        let response = client.request(Method::POST, &path).json(body).send().await.expect("an answer");
        let (status, kind) = (response.status(), response.headers().get("content-type").cloned());
        if status != 200 {
            panic!("{body} was refused: {}", response.text().await.unwrap_or_default());
        }
        assert_eq!(kind.expect("a content type"), "application/x-ndjson");
        Self { response, buffer: Vec::new() }
    }

    /// The next line; `None` at the end of the answer.
    ///
    /// # Panics
    /// When nothing comes, or no JSON.
    pub async fn line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line of JSON"));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match chunk.expect("something comes").expect("the answer goes on") {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return None,
            }
        }
    }

    /// The next line of text on standard output.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn text_line(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\n") {
            let line = self.line().await.expect("a line");
            assert_eq!(line["stream"], "stdout", "{line}");
            text.extend(data(&line));
        }
        String::from_utf8(text).expect("text").trim_end().to_owned()
    }

    /// Reads to the end.
    ///
    /// # Panics
    /// When the answer breaks a rule.
    pub async fn rest(mut self) -> Said {
        let mut said = Said::default();
        while let Some(line) = self.line().await {
            assert!(said.exit.is_null(), "{line} after the end");
            match line["stream"].as_str() {
                Some("stdout") => said.stdout.extend(data(&line)),
                Some("stderr") => said.stderr.extend(data(&line)),
                _ => said.exit = line["exit"].clone(),
            }
        }
        assert!(said.exit.is_object(), "the answer has no end");
        said
    }

    /// Runs a command to its end.
    pub async fn run(client: &Client, body: &Value) -> Said {
        Self::start(client, body).await.rest().await
    }

    /// Runs a script to its end.
    pub async fn sh(client: &Client, script: &str) -> Said {
        Self::run(client, &json!({ "argv": ["sh", "-c", script] })).await
    }
}

fn data(line: &Value) -> Vec<u8> {
    let text = line["data"].as_str().expect("data");
    BASE64.decode(text.as_bytes()).expect("base64")
}
