//! The API description is true: real answers fit the schemas that it promises.

use berth_protocol::ids::{OrganizationId, PreviewId, SessionId, WorkspaceId};
use berth_tests::{Exec, Stack};
use http::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use serde_json::{Value, json};

/// The schema of an answer, with the document's definitions, so that references resolve.
fn schema(document: &Value, path: &str, method: &str, status: &str) -> Value {
    let answer = &document["paths"][path][method]["responses"][status];
    let mut schema = answer["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{method} {path} promises nothing for {status}");
    schema["components"] = document["components"].clone();
    schema
}

#[tokio::test]
async fn answers_fit_their_description() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let document = client.get("/openapi.json").await;
    let workspace = client.workspace().await;
    let (in_workspace, of_session) = (format!("/workspaces/{workspace}"), format!("/sessions/{session}"));
    let sessions = format!("{in_workspace}/sessions");
    let ticket = format!("{of_session}/ticket");
    let (screen, input) = (format!("{of_session}/screen"), format!("{of_session}/input"));
    let (exec, audit) = (format!("{in_workspace}/exec"), format!("{in_workspace}/audit"));
    let previews = format!("{in_workspace}/previews");
    let environment = format!("{in_workspace}/environment");
    let wish = json!({
        "version": 0,
        "variables": [{ "name": "A", "value": "b" }],
        "files": [{ "destination": "a", "content": "" }],
        "repository": { "url": "git@127.0.0.1:a", "directory": "a" },
        "post_start": "true",
    });
    let name = Some(json!({"name": "second"}));
    let hours = json!({"time_zone": "UTC", "from_minute": 0, "to_minute": 60});
    let quiet = json!({"quiet": hours, "escalate_after_secs": 60});
    let target = json!({"kind": "ntfy", "url": "https://ntfy.example/topic"});
    let channel = json!({"name": "phone", "target": target});
    let made = client.call(Method::POST, "/organizations", Some(json!({ "name": "first" }))).await;
    let organization = format!("/organizations/{}", made.body["id"].as_str().unwrap());
    let (members, invites) = (format!("{organization}/members"), format!("{organization}/invites"));
    let member = json!({ "name": "owner", "role": "owner" });
    let last = json!({ "name": "owner", "role": "viewer" });
    let team = Some(json!({ "name": "team" }));
    let into = json!({ "access": { "kind": "workspace", "id": workspace, "role": "viewer" } });
    let calls = [
        (Method::POST, "/organizations", "/organizations", team.clone(), 201),
        (Method::POST, "/organizations", "/organizations", team, 409),
        (Method::GET, "/organizations", "/organizations", None, 200),
        (Method::GET, "/organizations/{organization}", &organization, None, 200),
        (Method::PATCH, "/organizations/{organization}", &organization, Some(json!({"name": "crew"})), 200),
        (Method::PUT, "/organizations/{organization}/members", &members, Some(member), 200),
        (Method::PUT, "/organizations/{organization}/members", &members, Some(last), 409),
        (
            Method::POST,
            "/organizations/{organization}/invites",
            &invites,
            Some(json!({"role": "owner"})),
            201,
        ),
        (Method::GET, "/organizations/{organization}/invites", &invites, None, 200),
        (Method::POST, "/invites", "/invites", Some(into), 201),
        (Method::POST, "/invites", "/invites", Some(json!({"uses": 0})), 422),
        (Method::GET, "/invites", "/invites", None, 200),
        (Method::GET, "/me", "/me", None, 200),
        (Method::GET, "/workspaces", "/workspaces", None, 200),
        (Method::GET, "/workspaces/{workspace}", &in_workspace, None, 200),
        (Method::GET, "/workspaces/{workspace}/sessions", &sessions, None, 200),
        (Method::POST, "/workspaces/{workspace}/sessions", &sessions, name.clone(), 201),
        (Method::POST, "/workspaces/{workspace}/sessions", &sessions, name, 409),
        (Method::GET, "/sessions/{session}", &of_session, None, 200),
        (Method::PATCH, "/sessions/{session}", &of_session, Some(json!({"name": "third"})), 200),
        (Method::POST, "/sessions/{session}/ticket", &ticket, None, 200),
        (Method::GET, "/sessions/{session}", "/sessions/nothing", None, 404),
        (Method::GET, "/sessions/{session}/screen", &screen, None, 200),
        (Method::POST, "/sessions/{session}/input", &input, Some(json!({"keys": ["x"]})), 422),
        (Method::POST, "/workspaces/{workspace}/exec", &exec, Some(json!({"argv": ["nothing"]})), 422),
        (Method::GET, "/workspaces/{workspace}/environment", &environment, None, 200),
        (Method::PUT, "/workspaces/{workspace}/environment", &environment, Some(wish), 200),
        (Method::PUT, "/workspaces/{workspace}/environment", &environment, Some(json!({"version": 99})), 409),
        (Method::GET, "/workspaces/{workspace}/audit", &audit, None, 200),
        (Method::POST, "/workspaces/{workspace}/previews", &previews, Some(json!({"port": 3000})), 201),
        (Method::POST, "/workspaces/{workspace}/previews", &previews, Some(json!({"port": 80})), 422),
        (Method::GET, "/workspaces/{workspace}/previews", &previews, None, 200),
        (Method::POST, "/tokens", "/tokens", Some(json!({"name": "ci"})), 201),
        (Method::POST, "/tokens", "/tokens", Some(json!({"name": ""})), 422),
        (Method::GET, "/tokens", "/tokens", None, 200),
        (Method::GET, "/notifications", "/notifications", None, 200),
        (Method::GET, "/notifications/settings", "/notifications/settings", None, 200),
        (Method::PUT, "/notifications/settings", "/notifications/settings", Some(quiet), 200),
        (Method::POST, "/channels", "/channels", Some(channel), 201),
        (Method::GET, "/channels", "/channels", None, 200),
    ];
    for (method, template, path, body, status) in calls {
        let answer = client.call(method.clone(), path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let template = format!("/api/v1{template}");
        let schema = schema(&document, &template, &method.as_str().to_lowercase(), &status.to_string());
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<String> =
            validator.iter_errors(&answer.body).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{method} {path}: {problems:?}\n{}", answer.body);
    }
}

/// Statuses that the description names once, for every route.
const EVERYWHERE: [u16; 2] = [421, 500];

#[tokio::test]
async fn no_route_answers_with_a_status_that_it_does_not_name() {
    let stack = Stack::start_gateway().await;
    let document = stack.client().await.get("/openapi.json").await;
    let about = document["info"]["description"].as_str().unwrap();
    assert!(EVERYWHERE.iter().all(|status| about.contains(&status.to_string())), "{about}");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, description) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let named = |status: u16| {
                !description["responses"][status.to_string()].is_null() || EVERYWHERE.contains(&status)
            };
            for (how, status) in statuses(&stack, &method, path).await {
                assert!(named(status), "{method} {path} answers {how} with {status} and does not name it");
            }
        }
    }
}

/// What a route answers to requests of every kind.
async fn statuses(stack: &Stack, method: &Method, path: &str) -> Vec<(&'static str, u16)> {
    // Of its own, because one of the routes signs out, and one deletes the session.
    let client = stack.client().await;
    // The end of a path tells it from others, and a name has at most 64 characters.
    let name = format!("{method} {path}").replace('/', "-");
    let session = client.create_session(&name[name.len().saturating_sub(64)..]).await;
    let path = path.strip_prefix("/api/v1").unwrap();
    let in_ours = format!("/workspaces/{}/previews", client.workspace().await);
    // One of the routes deletes it.
    let made = client.call(Method::POST, &in_ours, Some(json!({ "port": 5000 }))).await;
    let listed = client.get(&in_ours).await;
    let preview = made.body["id"].as_str().or(listed["previews"][0]["id"].as_str()).unwrap();
    let path = path.replace("{path}", "path");
    let _ = client.call(Method::POST, "/organizations", Some(json!({ "name": "team" }))).await;
    let ours = client.get("/organizations").await["organizations"][0]["id"].as_str().unwrap().to_owned();
    let of_ours = path
        .replace("{organization}", &ours)
        .replace("{workspace}", &client.workspace().await)
        .replace("{session}", &session)
        .replace("{preview}", preview);
    let of_nobody = path
        .replace("{organization}", OrganizationId::random().as_str())
        .replace("{workspace}", WorkspaceId::random().as_str())
        .replace("{session}", SessionId::random().as_str())
        .replace("{preview}", PreviewId::random().as_str());
    let request = |path: &str| client.request(method.clone(), path);
    let plain = berth_tests::client::plain();
    let bare = || plain.request(method.clone(), format!("{}/api/v1{of_ours}", stack.origin()));
    let named = request(&of_ours).json(&json!({"name": "a", "keys": ["enter"], "argv": ["true"]}));
    let mut found = Vec::new();
    for (how, request) in [
        ("nobody", bare().header(ORIGIN, stack.origin())),
        ("another page", bare().header(COOKIE, client.cookie())),
        ("what nobody has", request(&of_nobody).json(&json!({}))),
        ("a wrong query", request(&format!("{of_ours}?limit=x&window=x&pane=x"))),
        ("a wrong body", request(&of_ours).header(CONTENT_TYPE, "application/json").body("{")),
        ("an empty body", request(&of_ours).json(&json!({}))),
        ("fields that it may know", named),
        ("nothing", request(&of_ours)),
    ] {
        found.push((how, request.send().await.unwrap().status().as_u16()));
    }
    found
}

#[tokio::test]
async fn an_uploaded_file_fits_its_description() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let document = client.get("/openapi.json").await;
    let path = "/api/v1/sessions/{session}/files";
    let body = &document["paths"][path]["post"]["requestBody"]["content"];
    assert!(body.get("application/octet-stream").is_some(), "{body}");
    for (name, status) in [("a", "201"), ("a/b", "422")] {
        let answer = client.upload(&session, name, b"x".to_vec()).await;
        assert_eq!(answer.status.to_string(), status, "{}", answer.body);
        let schema = schema(&document, path, "post", status);
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&answer.body), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_lines_of_an_exec_fit_their_description() {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let document = client.get("/openapi.json").await;
    let answer = &document["paths"]["/api/v1/workspaces/{workspace}/exec"]["post"]["responses"]["200"];
    let mut schema = answer["content"]["application/x-ndjson"]["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(!validator.is_valid(&json!({ "stream": 1 })), "{schema} takes everything");
    for script in ["echo out; echo err >&2", "kill -9 $$"] {
        let mut exec = Exec::start(&client, &json!({ "argv": ["sh", "-c", script] })).await;
        while let Some(line) = exec.line().await {
            assert!(validator.is_valid(&line), "{line}");
        }
    }
}
