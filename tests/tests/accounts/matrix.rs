//! Every route × everybody who may call it or may not, as the router's own table says: a route that is added is looked
//! at here, or this fails.

use berth_protocol::ids::{
    DeviceId, InviteId, NotificationId, PasskeyId, PreviewLinkId, ShareId, TokenId, UserId,
};
use berth_tests::{Client, Stack};
use http::Method;
use serde_json::{Value, json};

/// What a caller may do in the workspace, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Not signed in, not any more, or blocked.
    Unknown,
    /// Signed in, and no member.
    Stranger,
    Viewer,
    Editor,
    Owner,
}

struct Caller {
    who: &'static str,
    client: Client,
    standing: Standing,
}

/// What a route's answer must be like.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// 401.
    NotSignedIn,
    /// 404, as for what does not exist.
    NotThere,
    /// 403.
    RoleNotEnough,
    /// Whatever the handler says.
    LetIn,
}

/// A route as the description tells it.
struct Route {
    method: Method,
    path: String,
    policy: String,
}

impl Route {
    fn kind(&self) -> &str {
        self.policy.split(':').next().unwrap_or_default()
    }

    /// Routes after which things are not there any more come last, signing out after all others.
    fn order(&self) -> (bool, bool, &str, &str) {
        (self.path.ends_with("/sign-out"), self.method == Method::DELETE, &self.path, self.method.as_str())
    }

    fn expected(&self, caller: &Caller) -> Answer {
        let demanded = match self.policy.split_once(':') {
            Some((_, "owner")) => Standing::Owner,
            Some((_, "editor")) => Standing::Editor,
            Some((_, "viewer")) => Standing::Viewer,
            Some((_, other)) => panic!("{} demands the unknown role {other}", self.path),
            None => match self.policy.as_str() {
                "public" | "ticket" => Standing::Unknown,
                "signed_in" | "person" => Standing::Stranger,
                "watch" | "preview" => Standing::Viewer,
                // The owner's alone, whoever else may do what in the workspace.
                "channel" => Standing::Owner,
                // The first user's, who is one owner of the workspace among others.
                "installation" => Standing::Owner,
                other => panic!("{} has the unknown policy {other}", self.path),
            },
        };
        match caller.standing {
            Standing::Unknown if demanded > Standing::Unknown => Answer::NotSignedIn,
            _ if self.policy == "installation" && caller.who != "owner" => Answer::RoleNotEnough,
            standing if standing >= demanded => Answer::LetIn,
            Standing::Unknown | Standing::Stranger => Answer::NotThere,
            _ if self.policy == "channel" => Answer::NotThere,
            _ => Answer::RoleNotEnough,
        }
    }
}

async fn routes(stack: &Stack) -> Vec<Route> {
    let url = format!("{}/api/v1/openapi.json", stack.origin());
    let document = berth_tests::client::plain().get(url).send().await.unwrap().bytes().await.unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let policy = operation["x-berth-policy"].as_str();
            routes.push(Route {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                policy: policy.unwrap_or_else(|| panic!("{method} {path} has no policy")).to_owned(),
            });
        }
    }
    routes.sort_by(|one, other| one.order().cmp(&other.order()));
    routes
}

/// What is there to be asked for, all of it the owner's.
struct Things<'a> {
    owner: &'a Client,
    workspace: String,
    session: String,
    preview: String,
    channel: String,
    notification: String,
    organization: String,
    made: u32,
}

impl<'a> Things<'a> {
    async fn make(stack: &Stack, owner: &'a Client) -> Self {
        let workspace = owner.workspace().await;
        let session = owner.create_session("matrix").await;
        let body = json!({ "port": 3000 });
        let preview =
            owner.call(Method::POST, &format!("/workspaces/{workspace}/previews"), Some(body)).await;
        let preview = preview.body["id"].as_str().unwrap().to_owned();
        let notification = notify(stack, &workspace);
        let organization = organization(owner).await;
        let channel = String::new();
        let mut things =
            Self { owner, workspace, session, preview, channel, notification, organization, made: 0 };
        things.channel = things.channel().await;
        things
    }

    async fn channel(&mut self) -> String {
        self.made += 1;
        let target = json!({ "kind": "ntfy", "url": format!("https://ntfy.example/topic-{}", self.made) });
        let body = json!({ "name": "phone", "target": target });
        let answer = self.owner.call(Method::POST, "/channels", Some(body)).await;
        answer.body["id"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    }

    /// Makes anew what a route may have taken away.
    async fn renew(&mut self, route: &Route) {
        if route.method != Method::DELETE {
            return;
        }
        match route.kind() {
            "session" => {
                self.made += 1;
                self.session = self.owner.create_session(&format!("matrix-{}", self.made)).await;
            }
            "channel" => self.channel = self.channel().await,
            _ => {}
        }
    }

    fn fill(&self, path: &str) -> String {
        let path = path
            .trim_start_matches("/api/v1")
            .replace("{workspace}", &self.workspace)
            .replace("{session}", &self.session)
            .replace("{preview}", &self.preview)
            .replace("{channel}", &self.channel)
            .replace("{notification}", &self.notification)
            .replace("{share}", ShareId::random().as_str())
            .replace("{link}", PreviewLinkId::random().as_str())
            .replace("{token}", TokenId::random().as_str())
            .replace("{device}", DeviceId::random().as_str())
            .replace("{passkey}", PasskeyId::random().as_str())
            .replace("{organization}", &self.organization)
            .replace("{invite}", InviteId::random().as_str())
            .replace("{user}", UserId::random().as_str())
            .replace("{path}", "path");
        assert!(!path.contains('{'), "{path} has a parameter that is not known here: make one in `Things`");
        path
    }
}

/// An organisation in which everybody has the role that they have in the workspace.
async fn organization(owner: &Client) -> String {
    let made = owner.call(Method::POST, "/organizations", Some(json!({ "name": "matrix" }))).await;
    let id = made.body["id"].as_str().unwrap_or_else(|| panic!("{}", made.body)).to_owned();
    for (name, role) in [("second", "owner"), ("editor", "editor"), ("viewer", "viewer")] {
        let body = json!({ "name": name, "role": role });
        let set = owner.call(Method::PUT, &format!("/organizations/{id}/members"), Some(body)).await;
        assert_eq!(set.status, 200, "{}", set.body);
    }
    id
}

/// Puts a notification into everybody's inbox.
fn notify(stack: &Stack, workspace: &str) -> String {
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(berth_tests::wait::PATIENCE).unwrap();
    let id = NotificationId::random().to_string();
    let sql = "INSERT INTO notifications
            (id, workspace_id, reason, severity, evidence, confidence, text, signal_ms, created_at_ms)
        VALUES (?1, ?2, 'waiting', 'high', 'bell', 50, 'text', 1, 1)";
    store.execute(sql, [&id, workspace]).unwrap();
    let sql = "INSERT INTO inbox (user_id, notification_id, change_seq) SELECT id, ?1, 1 FROM users";
    store.execute(sql, [&id]).unwrap();
    id
}

async fn answer(route: &Route, path: &str, client: &Client) -> (u16, String) {
    let request = client.request(route.method.clone(), path);
    let request = if route.method == Method::GET { request } else { request.json(&json!({})) };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    // Streams go on for ever; what is refused is short.
    if status < 400 {
        return (status, String::new());
    }
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null);
    (status, body["error"]["kind"].as_str().unwrap_or_default().to_owned())
}

fn judged(route: &Route, status: u16, kind: &str) -> Answer {
    let resource = if route.kind() == "watch" { "session" } else { route.kind() };
    match (status, kind) {
        (401, "not_signed_in") => Answer::NotSignedIn,
        (403, "role_not_enough") => Answer::RoleNotEnough,
        (404, kind) if kind.strip_suffix("_not_found") == Some(resource) => Answer::NotThere,
        // Nobody here comes from another page, or proved too long ago who they are.
        (_, "wrong_origin" | "prove_again" | "right_ended" | "internal") => panic!("{status} {kind}"),
        _ => Answer::LetIn,
    }
}

async fn callers(stack: &Stack) -> Vec<Caller> {
    let owner = stack.client().await;
    let nobody = Client::with_cookie(stack.origin(), "");
    let mut callers = vec![Caller { who: "nobody", client: nobody, standing: Standing::Unknown }];
    for (who, role, standing) in [
        ("expired", "owner", Standing::Unknown),
        ("revoked", "owner", Standing::Unknown),
        ("blocked", "owner", Standing::Unknown),
        ("removed", "owner", Standing::Stranger),
        ("viewer", "viewer", Standing::Viewer),
        ("editor", "editor", Standing::Editor),
        ("second", "owner", Standing::Owner),
    ] {
        callers.push(Caller { who, client: stack.member(who, role).await, standing });
    }
    let stranger = stack.person("stranger").await;
    callers.push(Caller { who: "stranger", client: stranger, standing: Standing::Stranger });
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(berth_tests::wait::PATIENCE).unwrap();
    let sql = "UPDATE browser_sessions SET expires_at_ms = 1
               WHERE user_id = (SELECT id FROM users WHERE name = 'expired')";
    assert_eq!(store.execute(sql, []).unwrap(), 1);
    let revoked = &callers.iter().find(|caller| caller.who == "revoked").unwrap().client;
    assert_eq!(revoked.call(Method::POST, "/sign-out", None).await.status, 204);
    stack.operate(&["user", "block", "blocked"]);
    stack.operate(&["member", "remove", "main", "removed"]);
    callers.push(Caller { who: "owner", client: owner, standing: Standing::Owner });
    callers
}

#[tokio::test]
async fn every_route_answers_everybody_as_its_policy_says() {
    let stack = Stack::start_gateway().await;
    let callers = callers(&stack).await;
    let owner = callers.last().unwrap().client.clone();
    let mut things = Things::make(&stack, &owner).await;
    let routes = routes(&stack).await;
    let mut wrong = Vec::new();
    let mut asked = 0;
    for route in &routes {
        for caller in &callers {
            // A channel is one user's, and being another owner of the workspace is nothing there.
            let expected = match route.expected(caller) {
                Answer::LetIn if route.kind() == "channel" && caller.who != "owner" => Answer::NotThere,
                expected => expected,
            };
            things.renew(route).await;
            let path = things.fill(&route.path);
            let (status, kind) = answer(route, &path, &caller.client).await;
            let found = judged(route, status, &kind);
            if found != expected {
                let (method, path) = (&route.method, &route.path);
                wrong.push(format!(
                    "{method} {path} for {}: {found:?} ({status} {kind}), not {expected:?}",
                    caller.who
                ));
            }
            asked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(routes.len() > 75 && asked == routes.len() * callers.len(), "{} routes only", routes.len());
}
