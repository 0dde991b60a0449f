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

    /// Starts the gateway again as one that browsers reach by a name, which passkeys need. The console's origin.
    ///
    /// # Panics
    /// When its settings can't be changed, or it does not start.
    pub async fn name_localhost(&mut self) -> String {
        let origin = self.origin().replace("127.0.0.1", "localhost");
        let file = self.path("gateway.toml");
        let settings = std::fs::read_to_string(&file).expect("settings");
        let named = settings.replace("[front]\n", &format!("[front]\npublic_url = \"{origin}\"\n"));
        std::fs::write(&file, named).expect("the settings are written");
        self.gateway.stop();
        self.gateway.start();
        self.wait_for_gateway().await;
        origin
    }

    /// Runs a verb of the gateway's command line that must succeed.
    pub fn operate(&self, arguments: &[&str]) -> String {
        stdout(&self.gateway_verb(arguments))
    }
}
