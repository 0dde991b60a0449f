use serde_json::{Value, json};

use super::*;

fn new(body: Value) -> NewEnvironment {
    serde_json::from_value(body).unwrap()
}

fn held() -> DesiredEnvironment {
    new(json!({
        "version": 0,
        "variables": [{ "name": "KEY", "value": "hush-variable" }],
        "files": [
            { "destination": ".ssh/id", "secret": true, "content": BASE64.encode(b"hush-file") },
            { "destination": "plain", "content": BASE64.encode(b"open") },
        ],
        "repository": { "url": "https://git.example/a.git", "directory": "a", "token": "hush-token" },
        "post_start": "make",
    }))
    .merged(&DesiredEnvironment::default())
    .unwrap()
}

#[test]
fn what_is_told_has_names_and_sizes_and_no_secret() {
    let told = serde_json::to_value(Environment::new(&held(), None)).unwrap();
    assert_eq!(told["variables"], json!([{ "name": "KEY", "bytes": 13 }]));
    assert_eq!(told["files"][0]["content"], Value::Null);
    assert_eq!((&told["files"][0]["mode"], &told["files"][1]["mode"]), (&json!("0600"), &json!("0644")));
    assert_eq!(told["files"][1]["content"], BASE64.encode(b"open"));
    assert_eq!(told["repository"]["has_token"], true);
    let text = told.to_string();
    for secret in ["hush-variable", "hush-file", "hush-token"] {
        assert!(!text.contains(secret) && !text.contains(&BASE64.encode(secret.as_bytes())), "{text}");
    }
}

#[test]
fn what_is_named_without_a_value_keeps_it_and_what_is_not_named_goes() {
    let held = held();
    let kept = new(json!({
        "version": 1,
        "variables": [{ "name": "KEY" }],
        "files": [{ "destination": ".ssh/id", "secret": true }],
        "repository": { "url": "https://git.example/b.git", "directory": "b", "keep_token": true },
    }))
    .merged(&held)
    .unwrap();
    assert_eq!(kept.variables, held.variables);
    assert_eq!(kept.files.len(), 1);
    assert_eq!(kept.files.values().next(), held.files.values().next());
    assert_eq!(kept.repository.unwrap().token, held.repository.as_ref().unwrap().token);
    assert_eq!(kept.post_start, None);
}

#[test]
fn a_secret_is_not_got_at_by_a_change_around_it() {
    let refused = |body: Value| match new(body).merged(&held()) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    };
    let says = refused(json!({ "version": 1, "files": [{ "destination": ".ssh/id" }] }));
    assert_eq!(says, "file .ssh/id: its secret content is not told; give the content again");
    for url in ["https://evil.example/a.git", "http://localhost/a.git", "https://git.example:444/a.git"] {
        let repository = json!({ "url": url, "directory": "a", "keep_token": true });
        let says = refused(json!({ "version": 1, "repository": repository }));
        assert_eq!(says, "repository token: there is none for this server; give it again", "{url}");
    }
    let says = refused(json!({ "version": 1, "variables": [{ "name": "NEW" }] }));
    assert_eq!(says, "variable NEW: it has no value yet; give it one");
    let twice = json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]);
    let says = refused(json!({ "version": 1, "variables": twice }));
    assert_eq!(says, "variable A: it is there twice; leave one out");
}
