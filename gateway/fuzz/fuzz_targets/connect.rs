//! The head of a request at a box's door: a line with method and target, then headers.

#![no_main]

use box_agent::door::request::{Asked, read};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let Some((method, target)) = first.split_once(' ') else { return };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), target.parse::<Uri>()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    // A door leads to ttyd and to loopback ports, nowhere else, and only CONNECT leads anywhere.
    match read(&method, &uri, &headers) {
        Ok(Asked::Port(port)) => {
            assert_eq!((method, uri.to_string()), (Method::CONNECT, format!("localhost:{port}")));
        }
        Ok(Asked::Terminal(_)) => assert_eq!((method, uri.to_string()), (Method::CONNECT, "ttyd".to_owned())),
        Ok(_) => assert!(method != Method::CONNECT && uri.authority().is_none()),
        Err(refusal) => assert!(refusal.status.is_client_error()),
    }
});
