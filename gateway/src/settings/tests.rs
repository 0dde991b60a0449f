use super::*;

fn load(text: &str) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(&Sources { file: Some(&file), env_prefix: ENV_PREFIX, ..Sources::default() })
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

/// The reference with its settings switched on: lines `# key = …` become settings, prose stays a comment.
fn switched_on() -> String {
    let setting = |line: &str| {
        let body = line.strip_prefix("# ")?;
        let key = body.split(" = ").next().filter(|_| body.contains(" = "))?;
        key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then(|| body.to_owned())
    };
    REFERENCE.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn the_reference_states_the_defaults_and_every_key() {
    let stated = load(&switched_on()).unwrap();
    let defaults = Settings::default();
    // Keys without a default are in the reference as examples; the others are equal.
    let table = |settings: &Settings| toml::Table::try_from(settings).unwrap();
    let (stated, defaults) = (table(&stated), table(&defaults));
    for (section, expected) in &defaults {
        match expected {
            toml::Value::Table(keys) => {
                for (key, value) in keys {
                    assert_eq!(stated[section].get(key), Some(value), "{section}.{key}");
                }
            }
            value => assert_eq!(stated.get(section), Some(value), "{section}"),
        }
    }
    for key in [
        "public_url",
        "tls_certificate",
        "tls_key",
        "advertise",
        "key",
        "host",
        "contact",
        "trusted_proxies",
        "key_file",
        "url",
        "name",
        "client_id",
        "client_secret_file",
        "jwks_url",
        "organization",
    ] {
        assert!(REFERENCE.contains(&format!("# {key} = ")), "{key} is not in the reference");
    }
}

#[test]
fn the_reference_alone_changes_nothing() {
    let settings = load(REFERENCE).unwrap();
    assert_eq!(config::show(&settings), config::show(&Settings::default()));
}

#[test]
fn links_listen_beside_the_front() {
    let settings = load("[front]\nlisten = \"127.0.0.1:8000\"\n").unwrap();
    assert_eq!(settings.link_listen(), "127.0.0.1:8001".parse().unwrap());
}

#[test]
fn plain_http_is_for_loopback_only() {
    assert!(refusal("[front]\nlisten = \"192.0.2.1:80\"\n").contains("front.tls_certificate"));
    assert!(refusal("[front]\nlisten = \"0.0.0.0:80\"\n").contains("front.public_url"));
    assert!(refusal("[front]\npublic_url = \"http://berth.example\"\n").contains("plain http"));
    let proxied = "[front]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://berth.example\"\n";
    assert!(refusal(proxied).contains("front.trusted_proxies"));
    assert!(refusal(&format!("{proxied}trusted_proxies = []\n")).contains("front.trusted_proxies"));
    let settings = load(&format!("{proxied}trusted_proxies = [\"10.0.0.0/8\"]\n")).unwrap();
    let proxies = settings.trusted_proxies();
    assert!(proxies.include([10, 1, 2, 3].into()) && !proxies.include([127, 0, 0, 1].into()));
    let on_this_machine = load("[front]\npublic_url = \"https://berth.example\"\n").unwrap();
    assert!(on_this_machine.trusted_proxies().include([127, 0, 0, 1].into()));
    for nobody in
        ["", "[front]\npublic_url = \"https://a.example\"\ntls_certificate = \"/c\"\ntls_key = \"/k\"\n"]
    {
        assert!(!load(nobody).unwrap().trusted_proxies().include([127, 0, 0, 1].into()), "{nobody}");
    }
    load("[front]\npublic_url = \"http://localhost:7391\"\n").unwrap();
}

#[test]
fn half_settings_are_refused() {
    assert!(refusal("[front]\ntls_key = \"/k\"\n").contains("belong together"));
    assert!(refusal("[front]\npublic_url = \"https://a.example/path\"\n").contains("origin"));
    let tls = "tls_certificate = \"/c\"\ntls_key = \"/k\"\n";
    assert!(refusal(&format!("[front]\npublic_url = \"http://localhost\"\n{tls}")).contains("plain http"));
    assert!(refusal("[metrics]\nlisten = \"0.0.0.0:1\"\n").contains("loopback"));
}

#[test]
fn hosts_of_previews_are_checked() {
    assert!(refusal("[preview]\nhost = \"preview.example\"\n").contains("preview.host"));
    assert!(refusal("[preview]\nin_flight = 0\n").contains("preview.in_flight"));
    let settings = load("[preview]\nhost = \"{preview}--{workspace}.preview.example\"\n").unwrap();
    assert!(settings.preview.template(false).is_some());
    assert!(
        Settings::default().preview.template(false).is_none(),
        "a public console has no previews by itself"
    );
    assert!(Settings::default().preview.template(true).is_some());
}

#[test]
fn an_issuer_is_checked_before_anybody_is_sent_to_it() {
    let issuer = |more: &str| format!("[issuer]\nurl = \"https://issuer.example\"\n{more}\n");
    let client = "client_id = \"berth\"";
    for (settings, words) in [
        ("[issuer]\nclient_id = \"berth\"\n".to_owned(), "set issuer.url"),
        ("[issuer]\nurl = \"issuer.example\"\n".to_owned(), "no address"),
        ("[issuer]\nurl = \"http://issuer.example\"\n".to_owned(), "use https"),
        ("[issuer]\nurl = \"https://me@issuer.example\"\n".to_owned(), "use https"),
        ("[issuer]\nurl = \"https://issuer.example/?a=b\"\n".to_owned(), "query"),
        (issuer(""), "lets nobody in"),
        (issuer("client_id = \" \""), "says nothing"),
        (issuer("audiences = [\"a\"]\nclient_secret_file = \"/s\""), "client_id"),
        (issuer("audiences = [\"a\"]\njwks_url = \"http://issuer.example/keys\""), "issuer.jwks_url"),
        (issuer("kind = \"clerk\"\nauthorized_parties = [\"https://app.example/\"]"), "no origin"),
        (issuer(&format!("{client}\nalgorithms = []")), "takes no token"),
        (issuer(&format!("{client}\nalgorithms = [\"RS256\", \"HS256\"]")), "HS256"),
        (issuer(&format!("{client}\nalgorithms = [\"none\"]")), "none"),
        (issuer(&format!("{client}\nleeway_secs = 61")), "at most 60"),
        (issuer(&format!("{client}\nrefetch_secs = 0")), "1 or more"),
        (issuer(&format!("{client}\nkeys_kept_secs = 599")), "issuer.keys_secs or more"),
        (issuer(&format!("{client}\nsign_in_hours = 0")), "use 1 to 4320"),
        (issuer(&format!("{client}\nemail_domains = [\"a.example\"]")), "new_users"),
        (issuer(&format!("{client}\nnew_users = \"create\"\nemail_domains = [\"@a.example\"]")), "no domain"),
        (issuer(&format!("{client}\nrole = \"admin\"")), "viewer"),
    ] {
        assert!(refusal(&settings).contains(words), "{settings}: {}", refusal(&settings));
    }
    let more = "email_domains = [\"example.com\"]\norganization = \"team\"\nrole = \"editor\"";
    load(&issuer(&format!("{client}\nnew_users = \"create\"\n{more}"))).unwrap();
    load("[issuer]\nurl = \"http://127.0.0.1:9\"\naudiences = [\"berth\"]\n").unwrap();
}
