//! People with accounts: made by the operator's command line, signed in by their links.

use reqwest::header::{ORIGIN, SET_COOKIE};
use serde_json::Value;

use crate::process::stdout;
use crate::{Client, Stack};

/// What a page without a cookie is answered: status, body, and the cookie that it is given.
///
/// # Panics
/// When the gateway does not answer, or gives a cookie that scripts can read.
pub async fn page(stack: &Stack, path: &str, body: Value) -> (u16, Value, Option<Client>) {
    let url = format!("{}/api/v1{path}", stack.origin());
    let request = crate::client::plain().post(url).header(ORIGIN, stack.origin()).json(&body);
    let answer = request.send().await.expect("the gateway answers");
    let status = answer.status().as_u16();
    let cookie = answer.headers().get(SET_COOKIE).map(|cookie| {
        let cookie = cookie.to_str().expect("a plain cookie");
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        Client::with_cookie(stack.origin(), cookie.split(';').next().unwrap_or_default())
    });
    let body = answer.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null), cookie)
}

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
        self.be_reached_at(&origin);
        origin
    }

    /// Runs a verb of the gateway's command line that must succeed.
    pub fn operate(&self, arguments: &[&str]) -> String {
        stdout(&self.gateway_verb(arguments))
    }
}
