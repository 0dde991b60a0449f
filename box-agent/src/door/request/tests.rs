use berth_protocol::door::Role;
use berth_protocol::ids::{ClientId, SessionId};
use hyper::header::HeaderValue;

use super::*;

fn ask(method: &Method, target: &str, headers: &[(&'static str, String)]) -> Result<Asked, u16> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    read(method, &target.parse().unwrap(), &map).map_err(|refusal| refusal.status.as_u16())
}

#[test]
fn a_size_counts_unless_it_is_said_to_be_ignored() {
    let ask_with = |value: Option<&str>| {
        let size = value.map(|value| (HEADER_SIZE, value.to_owned()));
        let headers: Vec<_> = good().into_iter().chain(size).collect();
        ask(&Method::CONNECT, "ttyd", &headers)
    };
    let sized = |asked| matches!(asked, Ok(Asked::Terminal(Grant { sized: true, .. })));
    assert!(sized(ask_with(None)));
    assert!(!sized(ask_with(Some(SIZE_IGNORED))) && ask_with(Some(SIZE_IGNORED)).is_ok());
    assert_eq!(ask_with(Some("80x24")), Err(400));
}

fn good() -> Vec<(&'static str, String)> {
    vec![
        (HEADER_SESSION, SessionId::random().to_string()),
        (HEADER_ROLE, "viewer".to_owned()),
        (HEADER_CLIENT, ClientId::random().to_string()),
        (HEADER_REQUEST_ID, RequestId::random().to_string()),
    ]
}

#[test]
fn a_terminal_needs_all_its_headers_once_and_in_order() {
    let headers = good();
    let Ok(Asked::Terminal(grant)) = ask(&Method::CONNECT, "ttyd", &headers) else {
        panic!("a good request is read")
    };
    assert_eq!((grant.session.as_str(), grant.role), (headers[0].1.as_str(), Role::Viewer));
    for index in 0..4 {
        let mut missing = good();
        missing.remove(index);
        assert_eq!(ask(&Method::CONNECT, "ttyd", &missing), Err(400));
        let mut twice = good();
        twice.push(twice[index].clone());
        assert_eq!(ask(&Method::CONNECT, "ttyd", &twice), Err(400));
        let mut wrong = good();
        wrong[index].1 = "-v".to_owned();
        assert_eq!(ask(&Method::CONNECT, "ttyd", &wrong), Err(400));
    }
}

#[test]
fn a_port_is_a_plain_number_of_this_machine() {
    let port = |target: &str| ask(&Method::CONNECT, target, &[]);
    assert_eq!(port("localhost:3000"), Ok(Asked::Port(3000)));
    assert_eq!(port("localhost:65535"), Ok(Asked::Port(65_535)));
    for target in [
        "localhost:0",
        "localhost:65536",
        "localhost:080",
        "localhost",
        "127.0.0.1:80",
        "[::1]:80",
        "LOCALHOST:80",
        "localhost.:80",
        "ttyd:80",
        "TTYD",
        "user@localhost:80",
        "example.org:80",
    ] {
        assert_eq!(port(target), Err(404), "{target}");
    }
}

#[test]
fn backups_are_asked_by_plain_paths_and_what_acts_says_which_request_it_is() {
    let asked = |asked| Ok(Asked::Backup(asked));
    assert_eq!(ask(&Method::GET, "/v1/backup", &[]), asked(BackupAsked::State));
    assert_eq!(ask(&Method::GET, "/v1/backup/snapshots", &[]), asked(BackupAsked::Snapshots));
    assert_eq!(ask(&Method::POST, "/v1/backup/file", &[]), asked(BackupAsked::File));
    assert_eq!(ask(&Method::POST, "/v1/backup/preview", &[]), asked(BackupAsked::Preview));
    let id = [(HEADER_REQUEST_ID, RequestId::random().to_string())];
    for (path, expected) in [
        ("/v1/backup/run", BackupAsked::Run),
        ("/v1/backup/restore", BackupAsked::Restore),
        ("/v1/backup/check", BackupAsked::Check),
        ("/v1/backup/cancel", BackupAsked::Cancel),
    ] {
        assert_eq!(ask(&Method::POST, path, &[]), Err(400), "{path}");
        assert_eq!(ask(&Method::POST, path, &id), asked(expected));
        assert_eq!(ask(&Method::GET, path, &id), Err(405));
    }
    for path in ["/v1/backups", "/v1/backup/", "/v1/backup/run/x", "/v1/backup?x=1"] {
        assert_eq!(ask(&Method::POST, path, &id), Err(404), "{path}");
    }
}

#[test]
fn commands_name_session_and_panes() {
    let id = SessionId::random();
    let request = [(HEADER_REQUEST_ID, RequestId::random().to_string())];
    for (query, window, pane) in
        [("", None, None), ("?pane=2", None, Some(2)), ("?window=1&pane=0", Some(1), Some(0))]
    {
        let asked = ask(&Method::GET, &format!("/v1/sessions/{id}/screen{query}"), &[]);
        assert_eq!(asked, Ok(Asked::Screen(id.clone(), PaneAddress { window, pane })), "{query}");
    }
    for query in ["?", "?pane=", "?pane=-1", "?pane=+1", "?pane=%32", "?pane=1&pane=1", "?x=1", "?pane=1&"] {
        let asked = ask(&Method::GET, &format!("/v1/sessions/{id}/screen{query}"), &[]);
        assert_eq!(asked, Err(404), "{query}");
    }
    let input = format!("/v1/sessions/{id}/input");
    assert_eq!(ask(&Method::POST, &input, &request), Ok(Asked::Input(id.clone())));
    assert_eq!(ask(&Method::POST, &input, &[]), Err(400), "without a request id");
    assert_eq!(ask(&Method::GET, &input, &request), Err(405));
    assert_eq!(ask(&Method::POST, "/v1/exec", &request), Ok(Asked::Exec));
    assert_eq!(ask(&Method::POST, "/v1/exec", &[]), Err(400), "without a request id");
    for (path, asked) in [("/v1/suspend", Asked::Suspend), ("/v1/resume", Asked::Resume)] {
        assert_eq!(ask(&Method::POST, path, &request), Ok(asked));
        assert_eq!(ask(&Method::POST, path, &[]), Err(400), "without a request id");
        assert_eq!(ask(&Method::DELETE, path, &request), Err(405));
    }
    assert_eq!(ask(&Method::GET, "/v1/suspend", &[]), Ok(Asked::Suspension));
    let answer = format!("/v1/sessions/{id}/answer");
    assert_eq!(ask(&Method::POST, &answer, &request), Ok(Asked::Answer(id.clone())));
    assert_eq!(ask(&Method::POST, &answer, &[]), Err(400), "without a request id");
    assert_eq!(ask(&Method::GET, &answer, &request), Err(405));
    let files = format!("/v1/sessions/{id}/files");
    assert_eq!(ask(&Method::POST, &files, &request), Ok(Asked::Upload(id)));
    assert_eq!(ask(&Method::POST, &files, &[]), Err(400), "without a request id");
    assert_eq!(ask(&Method::PUT, &files, &request), Err(405));
    for path in ["/v1/sessions/work/input", "/v1/sessions/-t/input", "/v1/exec?x", "http://localhost/v1/exec"]
    {
        assert_eq!(ask(&Method::POST, path, &request), Err(404), "{path}");
    }
}

#[test]
fn a_file_has_one_name_that_leads_nowhere_else() {
    let name = |values: &[&str]| {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(HEADER_FILE_NAME, HeaderValue::from_str(value).unwrap());
        }
        file_name(&map).map_err(|refusal| refusal.kind)
    };
    let good = FileName::parse("a b.png").unwrap();
    assert_eq!(name(&[&good.to_header()]), Ok(good.clone()));
    assert_eq!(name(&[]), Err("bad_request"));
    assert_eq!(name(&[&good.to_header(), &good.to_header()]), Err("bad_request"));
    // "../x" and ".a", as they would come.
    for value in ["Li4veA", "LmE", "a b.png", ""] {
        assert_eq!(name(&[value]), Err(KIND_INVALID), "{value}");
    }
}

#[test]
fn all_else_is_refused() {
    assert_eq!(ask(&Method::GET, "/v1/status", &[]), Ok(Asked::Status));
    for (method, target, status) in [
        (Method::POST, "/v1/status", 405),
        (Method::GET, "/v1/status?x", 404),
        (Method::GET, "/v1/status/", 404),
        (Method::GET, "/", 404),
        (Method::GET, "http://localhost:80/", 404),
        (Method::OPTIONS, "*", 404),
    ] {
        assert_eq!(ask(&method, target, &[]), Err(status), "{method} {target}");
    }
}
