//! The stand-in for Hetzner's API, asked by a client that others have made from Hetzner's own description of it: what
//! it answers to Packer is what Hetzner would, field by field, or the client could not read it.

use std::sync::{Arc, Mutex};

use berth_tests::machine::hetzner::Hetzner;
use hcloud::apis::actions_api::{self, GetActionParams};
use hcloud::apis::configuration::Configuration;
use hcloud::apis::servers_api::{
    self, CreateImageFromServerParams, CreateServerParams, DeleteServerParams, GetServerParams,
    ShutdownServerParams,
};
use hcloud::apis::ssh_keys_api::{self, CreateSshKeyParams, DeleteSshKeyParams};
use hcloud::models::{
    CreateImageFromServerRequest, CreateServerRequest, CreateSshKeyRequest, action, image, server,
};

#[tokio::test]
async fn the_stand_in_for_hetzners_api_is_understood_by_an_independent_client() {
    let admitted = Arc::new(Mutex::new(Vec::new()));
    let heard = admitted.clone();
    let hetzner = Hetzner::start(move |key| heard.lock().unwrap().push(key.to_owned()));
    let mut api = Configuration::new();
    api.base_path_mapping.insert("https://api.hetzner.cloud/v1".to_owned(), hetzner.endpoint());
    api.bearer_access_token = Some("token-of-the-test".to_owned());

    let key = CreateSshKeyRequest { name: "k".into(), public_key: "ssh-ed25519 AAAA".into(), labels: None };
    let key = ssh_keys_api::create_ssh_key(&api, CreateSshKeyParams { create_ssh_key_request: key }).await;
    let key = key.expect("a key").ssh_key;
    assert_eq!((key.name.as_str(), key.public_key.as_str()), ("k", "ssh-ed25519 AAAA"));
    assert_eq!(*admitted.lock().unwrap(), ["ssh-ed25519 AAAA"]);

    let wanted = CreateServerRequest {
        name: "image".into(),
        server_type: "cx23".into(),
        image: "debian-13".into(),
        ssh_keys: Some(vec![key.id.to_string()]),
        ..CreateServerRequest::default()
    };
    let made = servers_api::create_server(&api, CreateServerParams { create_server_request: wanted }).await;
    let made = made.expect("a server");
    let id = made.server.id;
    for action in made.next_actions.iter().chain([made.action.as_ref()]) {
        let asked = actions_api::get_action(&api, GetActionParams { id: action.id }).await;
        assert_eq!(asked.expect("an action").action.status, action::Status::Success);
    }
    let found = servers_api::get_server(&api, GetServerParams { id }).await.expect("the server").server;
    let found = found.expect("the server");
    assert_eq!((found.status, found.server_type.name.as_str()), (server::Status::Running, "cx23"));
    assert_eq!(found.public_net.ipv4.expect("an address").ip, "127.0.0.1");

    let down = servers_api::shutdown_server(&api, ShutdownServerParams { id }).await.expect("it goes down");
    assert_eq!(down.action.resources[0].id, id);
    let wanted = CreateImageFromServerParams {
        id,
        create_image_from_server_request: CreateImageFromServerRequest {
            description: Some("berth-box".into()),
            labels: Some([("berth".to_owned(), "box".to_owned())].into()),
            ..CreateImageFromServerRequest::default()
        },
    };
    let made = servers_api::create_image_from_server(&api, wanted).await.expect("a snapshot");
    let made = made.image.expect("a snapshot");
    assert_eq!((made.r#type, made.description.as_str()), (image::Type::Snapshot, "berth-box"));
    assert_eq!(made.labels["berth"], "box");

    servers_api::delete_server(&api, DeleteServerParams { id }).await.expect("the server is gone");
    ssh_keys_api::delete_ssh_key(&api, DeleteSshKeyParams { id: key.id }).await.expect("the key is gone");
    let unknown = servers_api::get_server(&api, GetServerParams { id: 1 }).await;
    assert!(unknown.is_err_and(|error| error.to_string().contains("404")), "there is one server");
}
