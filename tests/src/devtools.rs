//! What WebDriver alone can't do: commands of the DevTools protocol, passed on by ChromeDriver.

use std::str::FromStr;

use http::Method;
use reqwest::Url;
use serde_json::{Value, json};

use crate::Browser;

/// A script that slows every WebSocket of a page down by so many milliseconds each way. Chromium's own
/// emulation of slow networks leaves WebSockets alone.
const SLOW_SOCKETS: &str = "
const Fast = window.WebSocket;
window.WebSocket = class extends Fast {
  send(data) { setTimeout(() => { if (this.readyState === 1) super.send(data); }, DELAY); }
  set onmessage(handler) {
    super.onmessage = handler && ((event) => setTimeout(() => handler(event), DELAY));
  }
};";

/// One command of the DevTools protocol.
#[derive(Debug)]
struct Command {
    name: &'static str,
    parameters: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.name, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

/// WebDriver's own command for an authenticator that is not there: it has passkeys, and its user says yes to all.
#[derive(Debug)]
struct AddAuthenticator;

impl fantoccini::wd::WebDriverCompatibleCommand for AddAuthenticator {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/webauthn/authenticator", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserConsenting": true,
            "isUserVerified": true,
        });
        (Method::POST, Some(body.to_string()))
    }
}

impl Browser {
    /// Gives the browser an authenticator that has passkeys, and a user who says yes to all.
    ///
    /// # Panics
    /// When the driver can't.
    pub async fn add_authenticator(&self) {
        self.page.issue_cmd(AddAuthenticator).await.expect("a virtual authenticator");
    }

    /// Runs a command of the DevTools protocol.
    ///
    /// # Panics
    /// When it fails.
    pub async fn devtools(&self, name: &'static str, parameters: Value) -> Value {
        let command = Command { name, parameters };
        self.page.issue_cmd(command).await.unwrap_or_else(|error| panic!("{name} fails: {error}"))
    }

    /// Makes every WebSocket of the pages to come this slow each way.
    pub async fn slow_sockets(&self, milliseconds: u32) {
        let source = SLOW_SOCKETS.replace("DELAY", &milliseconds.to_string());
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
    }

    /// Cuts the page's network, or joins it again.
    pub async fn offline(&self, offline: bool) {
        self.devtools("Network.enable", json!({})).await;
        let conditions =
            json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Lets the page send so many bytes a second; -1 for as many as there is room for.
    pub async fn slow_uploads(&self, bytes: i64) {
        self.devtools("Network.enable", json!({})).await;
        let conditions =
            json!({ "offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes });
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Lets the page read and write the clipboard without asking anybody.
    pub async fn allow_clipboard(&self, origin: &str) {
        let permissions = json!(["clipboardReadWrite", "clipboardSanitizedWrite"]);
        self.devtools("Browser.grantPermissions", json!({ "origin": origin, "permissions": permissions }))
            .await;
    }

    /// Prefers the dark colour scheme, or the light one.
    pub async fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Touches the page: fingers at these places; none lifts them.
    pub async fn touch(&self, phase: &str, fingers: &[(f64, f64)]) {
        let points: Vec<Value> =
            fingers.iter().enumerate().map(|(id, (x, y))| json!({ "x": x, "y": y, "id": id })).collect();
        self.devtools("Input.dispatchTouchEvent", json!({ "type": phase, "touchPoints": points })).await;
    }

    /// Drags the mouse while Shift is held.
    pub async fn drag_with_shift(&self, from: (f64, f64), to: (f64, f64)) {
        for (phase, (x, y), buttons) in
            [("mousePressed", from, 1), ("mouseMoved", to, 1), ("mouseReleased", to, 0)]
        {
            // 8 is Shift.
            let event = json!({
                "type": phase, "x": x, "y": y,
                "button": "left", "buttons": buttons, "clickCount": 1, "modifiers": 8,
            });
            self.devtools("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Turns the mouse wheel, downwards if positive.
    pub async fn wheel(&self, x: f64, y: f64, pixels: f64) {
        let event = json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": pixels });
        self.devtools("Input.dispatchMouseEvent", event).await;
    }
}
