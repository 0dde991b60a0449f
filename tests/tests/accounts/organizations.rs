//! Organisations and invites through the API: who may run them, and what they give.

use berth_tests::people::page;
use berth_tests::{Client, Stack, wait};
use http::Method;
use serde_json::{Value, json};

async fn id_of(client: &Client) -> String {
    client.get("/me").await["user"]["id"].as_str().unwrap().to_owned()
}

/// Makes the organisation `team`; its path.
async fn team(owner: &Client) -> String {
    let made = owner.call(Method::POST, "/organizations", Some(json!({ "name": "team" }))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    format!("/organizations/{}", made.body["id"].as_str().unwrap())
}

/// Gives somebody a role; status and the error's kind.
async fn set(by: &Client, organization: &str, name: &str, role: &str) -> (u16, String) {
    let body = json!({ "name": name, "role": role });
    let answer = by.call(Method::PUT, &format!("{organization}/members"), Some(body)).await;
    (answer.status, answer.kind().to_owned())
}

/// The one workspace's role, if it is there for somebody.
async fn role(client: &Client) -> Value {
    client.get("/workspaces").await["workspaces"][0]["role"].clone()
}

#[tokio::test]
async fn an_organisation_is_run_by_its_owners_and_keeps_one() {
    let stack = Stack::start_gateway().await;
    let owner = stack.client().await;
    let (ana, bob) = (stack.person("ana").await, stack.person("bob").await);
    let name = |name: &str| Some(json!({ "name": name }));
    let refused = ana.call(Method::POST, "/organizations", name("team")).await;
    assert_eq!((refused.status, refused.kind()), (403, "role_not_enough"), "only the installation's owner");
    let team = team(&owner).await;
    assert_eq!(owner.call(Method::POST, "/organizations", name("A b")).await.kind(), "invalid_name");
    assert_eq!(owner.call(Method::POST, "/organizations", name("team")).await.kind(), "name_taken");
    assert_eq!(ana.call(Method::GET, &team, None).await.kind(), "organization_not_found");

    assert_eq!(set(&owner, &team, "ana", "owner").await.0, 200);
    assert_eq!(set(&ana, &team, "bob", "viewer").await.0, 200, "an owner among others");
    assert_eq!(set(&ana, &team, "nobody", "viewer").await.1, "user_not_found");
    assert_eq!(set(&bob, &team, "bob", "owner").await, (403, "role_not_enough".to_owned()));
    assert_eq!(role(&bob).await, Value::Null);
    stack.operate(&["organization", "give", "main", "team"]);
    assert_eq!((role(&ana).await, role(&bob).await), (json!("owner"), json!("viewer")));
    assert_eq!(set(&ana, &team, "bob", "editor").await.0, 200);
    assert_eq!(role(&bob).await, json!("editor"));
    let shown = bob.get(&team).await;
    assert_eq!((&shown["role"], &shown["workspaces"][0]["name"]), (&json!("editor"), &json!("main")));
    let names: Vec<&str> = shown["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["user"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ana", "bob", "owner"]);

    // Its last owner neither leaves nor becomes less.
    assert_eq!(set(&ana, &team, "owner", "editor").await.0, 200);
    let of = |id: &str| format!("{team}/members/{id}");
    let (anas, bobs) = (id_of(&ana).await, id_of(&bob).await);
    let leave = ana.call(Method::DELETE, &of(&anas), None).await;
    assert_eq!((leave.status, leave.kind()), (409, "last_owner"), "{}", leave.body);
    assert_eq!(set(&ana, &team, "ana", "viewer").await, (409, "last_owner".to_owned()));
    let operator = stack.gateway_verb(&["organization", "remove", "team", "ana"]);
    assert!(!operator.status.success(), "the command line takes it");

    assert_eq!(owner.call(Method::DELETE, &of(&bobs), None).await.status, 403, "not an owner any more");
    assert_eq!(ana.call(Method::DELETE, &of(&bobs), None).await.status, 204);
    assert_eq!(role(&bob).await, Value::Null);
    assert_eq!(ana.call(Method::DELETE, &of(&bobs), None).await.kind(), "member_not_found");
    assert_eq!(owner.call(Method::PATCH, &team, name("crew")).await.status, 403);
    assert_eq!(ana.call(Method::PATCH, &team, name("crew")).await.body["name"], "crew");
    assert!(stack.operate(&["organization", "list"]).starts_with("crew\torg-"));

    // What is dangerous wants a proof; and all of it is on the record, with who did it.
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(wait::PATIENCE).unwrap();
    store.execute("UPDATE browser_sessions SET proved_at_ms = 1", []).unwrap();
    assert_eq!(set(&ana, &team, "bob", "viewer").await.1, "prove_again");
    assert_eq!(ana.call(Method::DELETE, &of(&id_of(&owner).await), None).await.kind(), "prove_again");
    let invites = format!("{team}/invites");
    let invite = Some(json!({ "role": "viewer" }));
    assert_eq!(ana.call(Method::POST, &invites, invite).await.kind(), "prove_again");
    let record = ana.get("/audit").await;
    let hers: Vec<&str> = record["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["user_name"] == "ana")
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "organization_renamed",
        "organization_member_removed",
        "organization_member_set",
        "organization_member_set",
        "organization_member_set",
        "signed_in",
    ];
    assert_eq!(hers, expected, "newest first");
}

#[tokio::test]
async fn an_invite_into_an_organisation_makes_members_while_its_maker_is_an_owner() {
    let stack = Stack::start_gateway().await;
    let owner = stack.client().await;
    let (ana, bob) = (stack.person("ana").await, stack.person("bob").await);
    let team = team(&owner).await;
    let other = owner.call(Method::POST, "/organizations", Some(json!({ "name": "other" }))).await;
    let other = format!("/organizations/{}", other.body["id"].as_str().unwrap());
    set(&owner, &team, "ana", "owner").await;
    set(&owner, &team, "bob", "editor").await;
    let (invites, wish) = (format!("{team}/invites"), json!({ "uses": 3, "role": "editor" }));
    for client in [&bob, &owner] {
        let answer = client.call(Method::POST, "/invites", Some(json!({ "uses": 1001 }))).await;
        let expected = if std::ptr::eq(client, &bob) { "role_not_enough" } else { "invalid_uses" };
        assert_eq!(answer.kind(), expected);
    }
    assert_eq!(bob.call(Method::POST, &invites, Some(wish.clone())).await.kind(), "role_not_enough");
    for (body, kind) in [
        (json!({ "role": "editor", "uses": 0 }), "invalid_uses"),
        (json!({ "role": "editor", "expires_in_seconds": 59 }), "invalid_lifetime"),
        (json!({ "role": "king" }), "malformed_request"),
        (json!({}), "malformed_request"),
    ] {
        assert_eq!(ana.call(Method::POST, &invites, Some(body.clone())).await.kind(), kind, "{body}");
    }
    let made = ana.call(Method::POST, &invites, Some(wish)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let url = made.body["url"].as_str().unwrap();
    let (page_url, code) = url.split_once('#').expect("the code is in the fragment, which no server sees");
    assert_eq!(page_url, format!("{}/invite", stack.origin()));
    let id = made.body["invite"]["id"].as_str().unwrap();
    let redeem = |name: &'static str| {
        page(
            &stack,
            "/invites/redeem",
            json!({ "code": code, "name": name, "password": "tricky-otter-lamp-31" }),
        )
    };

    let (status, _, eva) = redeem("eva").await;
    assert_eq!(status, 200);
    let eva = eva.unwrap();
    assert_eq!(eva.get("/organizations").await["organizations"][0]["role"], "editor");
    // Shown to its owners and to the installation's, without the code, and to nobody else.
    for (client, path) in [(&ana, invites.as_str()), (&owner, "/invites")] {
        let listed = client.get(path).await;
        let one = &listed["invites"][0];
        assert_eq!((&one["uses_left"], &one["maker"]), (&json!(2), &json!("ana")), "{listed}");
        assert_eq!(
            (&one["access"]["name"], &one["access"]["kind"]),
            (&json!("team"), &json!("organization"))
        );
        assert!(!listed.to_string().contains(code), "the code is told again");
    }
    for (client, path) in [(&ana, "/invites"), (&eva, invites.as_str())] {
        assert_eq!(client.call(Method::GET, path, None).await.kind(), "role_not_enough");
    }
    assert_eq!(eva.call(Method::GET, &format!("{other}/invites"), None).await.status, 404);

    // It is worth what its maker's role is.
    set(&owner, &team, "ana", "viewer").await;
    assert_eq!(redeem("kim").await.1["error"]["kind"], "invite_invalid");
    set(&owner, &team, "ana", "owner").await;
    assert_eq!(redeem("kim").await.0, 200);
    let elsewhere = format!("{other}/invites/{id}");
    assert_eq!(owner.call(Method::DELETE, &elsewhere, None).await.kind(), "invite_not_found");
    assert_eq!(ana.call(Method::DELETE, &format!("{invites}/{id}"), None).await.status, 204);
    assert_eq!(ana.call(Method::DELETE, &format!("{invites}/{id}"), None).await.status, 404);
    assert_eq!(redeem("lea").await.1["error"]["kind"], "invite_invalid");

    // The operator's, and the installation's owner's, who gives no more than is theirs.
    let link = stack.operate(&["invite", "generate", "--organization", "team", "--role", "viewer"]);
    assert!(link.contains("/invite#"), "{link}");
    let listed = stack.operate(&["invite", "list"]);
    assert!(listed.ends_with("\t-\tteam\tviewer"), "{listed}");
    let into = |kind: &str, id: &str| Some(json!({ "access": { "kind": kind, "id": id, "role": "viewer" } }));
    let team_id = team.rsplit('/').next().unwrap();
    let main = owner.workspace().await;
    assert_eq!(owner.call(Method::POST, "/invites", into("workspace", &main)).await.status, 201);
    stack.operate(&["organization", "give", "main", "team"]);
    set(&ana, &team, "owner", "viewer").await;
    for (kind, id) in [("organization", team_id), ("workspace", &main)] {
        let answer = owner.call(Method::POST, "/invites", into(kind, id)).await;
        assert_eq!((answer.status, answer.kind()), (403, "role_not_enough"), "{kind}");
    }

    let record = stack.operate(&["audit", "export"]);
    let entries: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let by = |action: &str, name: &str| {
        entries.iter().any(|entry| {
            entry["action"] == action && entry["user_name"] == name && entry["detail"]["invite"] == id
        })
    };
    assert!(
        by("invite_made", "ana") && by("invite_redeemed", "eva") && by("invite_revoked", "ana"),
        "{record}"
    );
    assert!(!record.contains(code) && !stack.gateway.log().contains(code), "the code is in the log");
}
