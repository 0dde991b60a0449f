//! Secrets at rest: the key that seals them is changed while everything goes on, and what was planted is told nowhere.

use std::fs;

use berth_tests::process::{Process, stdout};
use berth_tests::secrets::{PLANTED, told};
use berth_tests::{Client, Stack, programs, wait};
use http::Method;
use serde_json::{Value, json};

fn keys(stack: &Stack) -> Vec<String> {
    let text = fs::read_to_string(stack.path("gateway/sealing.key")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A channel, an environment and a repository, each with a secret.
async fn plant(client: &Client) {
    let target = json!({ "kind": "ntfy", "url": format!("https://ntfy.example/{PLANTED}topic"), "token": format!("{PLANTED}token") });
    let made = client.call(Method::POST, "/channels", Some(json!({ "name": "n", "target": target }))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(!made.body.to_string().contains(PLANTED), "{}", made.body);
    let put = client.put_environment(environment("planted")).await;
    assert!(!put.to_string().contains(PLANTED), "{put}");
    let repository = json!({
        "version": 0, "endpoint": "https://s3.example", "bucket": "bucket", "prefix": "main",
        "key_id": "id", "secret_key": format!("{PLANTED}repository"),
    });
    let path = format!("/workspaces/{}/backup-repository", client.workspace().await);
    let put = client.call(Method::PUT, &path, Some(repository)).await;
    assert_eq!(put.status, 200, "{}", put.body);
    assert!(!put.body.to_string().contains(PLANTED), "{}", put.body);
}

#[tokio::test]
async fn the_key_is_changed_while_the_gateway_serves_and_whatever_cuts_that_short() {
    let mut stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    plant(&client).await;
    wait_for_word(&stack, "planted").await;
    let old = keys(&stack);
    assert_eq!(old.len(), 1);

    // Killed as soon as both keys are there: everything still opens, by either.
    let config = stack.path("gateway.toml");
    let arguments = ["keys", "rotate", "--config", config.to_str().unwrap()];
    let mut rotation = Process::new("rotation", programs::built("gateway"), &arguments, &stack.path(""));
    rotation.start();
    wait::until("both keys", async || (keys(&stack).len() == 2).then_some(())).await;
    rotation.kill();
    let both = keys(&stack);
    assert_eq!(both[1], old[0]);
    plant_again(&stack, &client, "between").await;
    stack.gateway.kill();
    stack.gateway.start();
    stack.wait_for_gateway().await;

    // The next one goes on with the same new key, and the running gateway with it.
    let done = stdout(&stack.gateway_verb(&["keys", "rotate"]));
    assert!(done.contains("stored secrets have another key"), "{done}");
    assert_eq!(keys(&stack), both[..1]);
    plant_again(&stack, &client, "after").await;
    let listed = client.get("/channels").await;
    assert_eq!(listed["channels"].as_array().unwrap().len(), 1);
    stack.gateway.stop();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    client.wait_for_box("online").await;
    plant_again(&stack, &client, "with the new key alone").await;
    let record = stdout(&stack.gateway_verb(&["audit", "--action", "sealing_key_rotated"]));
    assert_eq!(record.lines().count(), 1, "{record}");

    // The old key opens nothing any more.
    stack.gateway.stop();
    fs::write(stack.path("gateway/sealing.key"), &old[0]).unwrap();
    let refused = stack.gateway_verb(&["serve"]);
    assert_eq!(refused.status.code(), Some(73));
    fs::write(stack.path("gateway/sealing.key"), &both[0]).unwrap();

    // What was planted is in no log, in no answer, in the store in no readable form, and on nobody's command line.
    stack.gateway.start();
    stack.wait_for_gateway().await;
    for log in [stack.gateway.log(), stack.agent.log()] {
        assert_eq!(told(&log), None);
    }
    let store = [fs::read(stack.path("gateway/gateway.db")).unwrap(), read(&stack, "gateway/gateway.db-wal")]
        .concat();
    let volume = [
        read(&stack, "workspace/system/state/agent.db"),
        read(&stack, "workspace/system/state/agent.db-wal"),
    ]
    .concat();
    for bytes in [store, volume] {
        assert!(
            !bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes()),
            "it is stored as it is"
        );
    }
    for path in ["/channels", "/audit", "/me", "/workspaces"] {
        assert!(!client.call(Method::GET, path, None).await.body.to_string().contains(PLANTED), "{path}");
    }
    assert!(!client.environment().await.to_string().contains(PLANTED));
}

fn environment(word: &str) -> Value {
    json!({ "variables": [
        { "name": "API_KEY", "value": format!("{PLANTED}variable") }, { "name": "WORD", "value": word },
    ] })
}

/// Changes the environment, and sees the box have it: it was sealed and opened on the way.
async fn plant_again(stack: &Stack, client: &Client, word: &str) {
    client.put_environment(environment(word)).await;
    wait_for_word(stack, word).await;
}

async fn wait_for_word(stack: &Stack, word: &str) {
    let wanted = format!("export WORD='{word}'\n");
    wait::until("the box to have it", async || {
        fs::read_to_string(stack.path("run/secrets/environment.sh"))
            .ok()
            .filter(|text| text.contains(&wanted))
    })
    .await;
}

fn read(stack: &Stack, name: &str) -> Vec<u8> {
    fs::read(stack.path(name)).unwrap_or_default()
}
