//! What the gateway counts.

use serde_json::Value;

use crate::{Stack, client, wait};

/// The gateway's metrics as a scrape reads them.
pub async fn scrape(stack: &Stack) -> Option<String> {
    let addresses = std::fs::read(stack.path("gateway/addresses.json")).ok()?;
    let addresses: Value = serde_json::from_slice(&addresses).ok()?;
    let url = format!("http://{}/metrics", addresses["metrics"].as_str()?);
    let answer = client::plain().get(url).send().await.ok()?.bytes().await.ok()?;
    String::from_utf8(answer.to_vec()).ok()
}

/// The number behind the metric whose line begins so, if there is one.
pub async fn metric(stack: &Stack, name: &str) -> Option<f64> {
    let text = scrape(stack).await?;
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// Waits until a metric's number pleases.
///
/// # Panics
/// When it does not.
pub async fn wait_for_metric(stack: &Stack, name: &str, pleases: impl Fn(f64) -> bool) {
    wait::until(name, async || metric(stack, name).await.filter(|number| pleases(*number))).await;
}
