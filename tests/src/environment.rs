//! A workspace's environment through the API.

use http::Method;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::{Client, wait};

impl Client {
    /// The one workspace's environment.
    ///
    /// # Panics
    /// When the gateway does not tell it.
    pub async fn environment(&self) -> Value {
        self.get(&format!("/workspaces/{}/environment", self.workspace().await)).await
    }

    /// Replaces the one workspace's environment, from the version that there is.
    pub async fn try_put_environment(&self, mut environment: Value) -> Answer {
        let path = format!("/workspaces/{}/environment", self.workspace().await);
        let version = self.environment().await["version"].clone();
        environment["version"] = version;
        self.call(Method::PUT, &path, Some(environment)).await
    }

    /// The same, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn put_environment(&self, environment: Value) -> Value {
        let answer = self.try_put_environment(environment).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Waits until the box's report of the environment is as `expected` wants it.
    ///
    /// # Panics
    /// When it does not get there.
    pub async fn wait_for_report(&self, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, async || {
            let report = self.environment().await["report"].clone();
            (report != json!(null) && expected(&report)).then_some(report)
        })
        .await
    }
}
