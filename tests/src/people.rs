//! People with accounts: made by the operator's command line, signed in by their links.

use crate::process::stdout;
use crate::{Client, Stack};

impl Stack {
    /// Makes an account and signs it in.
    pub async fn person(&self, name: &str) -> Client {
        Client::sign_in(self.origin(), &stdout(&self.gateway_verb(&["user", "add", name]))).await
    }

    /// The same, with a role in the workspace `main`.
    pub async fn member(&self, name: &str, role: &str) -> Client {
        let client = self.person(name).await;
        self.operate(&["member", "set", "main", name, role]);
        client
    }

    /// Runs a verb of the gateway's command line that must succeed.
    pub fn operate(&self, arguments: &[&str]) -> String {
        stdout(&self.gateway_verb(arguments))
    }
}
