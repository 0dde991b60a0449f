use std::collections::BTreeSet;

use super::*;

#[test]
fn the_description_has_exactly_the_routes_of_the_table() {
    let table: BTreeSet<(String, String)> = routes()
        .iter()
        .map(|route| {
            (route.method.as_str().to_lowercase(), format!("{PREFIX}{}", route.path.replace("{*", "{")))
        })
        .collect();
    let document = serde_json::to_value(document::description()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
        })
        .collect();
    assert_eq!(table, described);
    assert!(!table.is_empty());
}

#[test]
fn paths_with_an_owner_are_resolved_by_their_policy() {
    for route in routes() {
        let expected = match route.path {
            path if path.ends_with("/terminal") => "ticket",
            "/sessions/{session}/ticket" => "watch",
            "/sessions/{session}" if route.method == Method::GET => "watch",
            path if path.contains("{session}") => "session",
            path if path.contains("{workspace}") => "workspace",
            path if path.contains("{organization}") => "organization",
            "/organizations" if route.method == Method::POST => "installation",
            "/invites" | "/invites/{invite}" => "installation",
            path if path.contains("{preview}") => "preview",
            "/openapi.json" | "/shares/open" | "/preview-links/open" | "/receipts" => "public",
            path if path.starts_with("/sign-in/") || path == "/invites/redeem" => "public",
            "/sign-out" => "person",
            path if ["/tokens", "/devices", "/credentials"].iter().any(|own| path.starts_with(own)) => {
                "person"
            }
            path if path.contains("{notification}") => "notification",
            path if path.contains("{channel}") => "channel",
            _ => "signed_in",
        };
        let policy = route.demand.policy.to_string();
        let resolves = policy.split(':').next().unwrap_or_default();
        assert_eq!(resolves, expected, "{} {}", route.method, route.path);
    }
}

/// What viewers may change all the same: what is theirs alone.
const OF_VIEWERS: [&str; 2] = ["/notifications/{notification}/ack", "/sessions/{session}/mute"];

#[test]
fn viewers_change_nothing_that_others_see() {
    for route in routes().iter().filter(|route| route.method != Method::GET) {
        if let Policy::Workspace(role)
        | Policy::Session(role)
        | Policy::Notification(role)
        | Policy::Organization(role) = route.demand.policy
        {
            let theirs = OF_VIEWERS.contains(&route.path);
            assert_eq!(role == Viewer, theirs, "{} {}", route.method, route.path);
        }
    }
}

#[test]
fn whatever_lets_somebody_in_or_goes_on_is_limited() {
    let document = serde_json::to_value(document::description()).unwrap();
    let mut streams = 0;
    for route in routes() {
        let path = format!("{PREFIX}{}", route.path.replace("{*", "{"));
        let described = &document["paths"][path][route.method.as_str().to_lowercase()];
        let stream = described["responses"]["200"]["content"].get("text/event-stream").is_some();
        streams += usize::from(stream);
        let guessed = route.demand.policy == Policy::Public && route.method != Method::GET;
        let expected =
            stream || guessed || route.path.ends_with("/ticket") || route.path.ends_with("/terminal");
        assert_eq!(route.limited.is_some(), expected, "{} {}", route.method, route.path);
        assert_eq!(route.limited == Some(Limited::Stream), stream, "{} {}", route.method, route.path);
    }
    assert!(streams >= 3, "{streams}");
}
