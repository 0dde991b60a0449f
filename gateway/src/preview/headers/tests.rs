use super::*;

const PREVIEW: &str = "pre.ws.localhost:7391";
const ORIGIN_OF_IT: &str = "http://pre.ws.localhost:7391";

fn passage(mode: Mode) -> Passage<'static> {
    Passage {
        mode,
        port: 5173,
        authority: PREVIEW,
        origin: ORIGIN_OF_IT,
        scheme: "http",
        peer: Some(IpAddr::from([192, 0, 2, 1])),
    }
}

fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// `Host`, `Origin` and `X-Forwarded-Host` that reach the dev server.
fn seen(mode: Mode, path: &str, upgrade: bool, origin: &str) -> (String, String, Option<String>) {
    let mut headers = map(&[("host", PREVIEW), ("origin", origin)]);
    inward(&mut headers, &passage(mode), path, upgrade);
    let own = |name| text(&headers, name).map(str::to_owned);
    (own("host").unwrap(), own("origin").unwrap(), own("x-forwarded-host"))
}

#[test]
fn dev_servers_are_spoken_to_as_they_want_it() {
    let (local, from_local) = ("localhost:5173".to_owned(), "http://localhost:5173".to_owned());
    let (host, own) = (Some(PREVIEW.to_owned()), ORIGIN_OF_IT.to_owned());
    let standard = |path, upgrade| seen(Mode::Standard, path, upgrade, ORIGIN_OF_IT);
    assert_eq!(standard("/", false), (local.clone(), own.clone(), host.clone()));
    for (path, upgrade) in
        [("/", true), ("/_next/x.js", false), ("/docs/_next/x.js", false), ("/__nextjs", false)]
    {
        assert_eq!(standard(path, upgrade), (local.clone(), from_local.clone(), host.clone()), "{path}");
    }
    assert_eq!(seen(Mode::Localhost, "/", false, ORIGIN_OF_IT), (local, from_local, None));
    assert_eq!(seen(Mode::Transparent, "/_next", true, ORIGIN_OF_IT), (PREVIEW.to_owned(), own, host));
    for foreign in ["https://evil.example", "null", "http://pre.ws.localhost:7392"] {
        assert_eq!(
            seen(Mode::Localhost, "/_next", true, foreign).1,
            foreign,
            "another page's origin is passed on"
        );
    }
}

#[test]
fn forged_words_of_proxies_are_replaced() {
    let mut headers = map(&[
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "root"),
        ("x_forwarded_for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("berth-session", "x"),
        ("expect", "100-continue"),
        ("accept", "*/*"),
        ("authorization", "Bearer of-the-app"),
    ]);
    inward(&mut headers, &passage(Mode::Standard), "/", false);
    let mut found: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("accept", "*/*"),
            ("authorization", "Bearer of-the-app"),
            ("host", "localhost:5173"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", PREVIEW),
            ("x-forwarded-proto", "http"),
        ]
    );
}

#[test]
fn our_cookies_stay_with_us() {
    let mut headers = map(&[
        ("cookie", "a=1; berth-inst-x=secret; b=2;__Host-berth-preview=secret"),
        ("cookie", "__host-BERTH-guest-x=secret; c=3"),
    ]);
    inward(&mut headers, &passage(Mode::Standard), "/", false);
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    let mut headers = map(&[("cookie", "berth-preview=secret")]);
    inward(&mut headers, &passage(Mode::Standard), "/", false);
    assert!(!headers.contains_key("cookie"));
}

#[test]
fn cookies_are_for_the_previews_host_alone() {
    let mut headers = map(&[
        ("set-cookie", "a=1; Path=/; Domain=localhost; HttpOnly"),
        ("set-cookie", "domain=x; DOMAIN = .example"),
        ("set-cookie", "__Host-berth-preview=fixed; Path=/"),
        ("set-cookie", "b=2"),
    ]);
    outward(&mut headers, &passage(Mode::Standard));
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/; HttpOnly", "domain=x", "b=2"]);
}

#[test]
fn redirections_to_the_dev_server_lead_to_the_preview() {
    let to = |location: &str| {
        let mut headers = map(&[("location", location)]);
        outward(&mut headers, &passage(Mode::Standard));
        text(&headers, "location").unwrap().to_owned()
    };
    assert_eq!(to("http://localhost:5173/a?b#c"), format!("{ORIGIN_OF_IT}/a?b#c"));
    assert_eq!(to("https://127.0.0.1:5173"), ORIGIN_OF_IT);
    assert_eq!(to("http://[::1]:5173/"), format!("{ORIGIN_OF_IT}/"));
    for kept in [
        "/a",
        "//localhost:5173/",
        "http://localhost:5174/",
        "http://localhost/",
        "http://localhost:5173@evil.example/",
        "https://example.org/localhost:5173",
    ] {
        assert_eq!(to(kept), kept);
    }
}

#[test]
fn a_mode_is_written_as_it_is_read() {
    for mode in [Mode::Standard, Mode::Localhost, Mode::Transparent] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    assert_eq!("other".parse::<Mode>(), Err(InvalidMode));
}
