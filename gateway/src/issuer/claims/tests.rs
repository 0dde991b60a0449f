use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: f64 = 1_800_000_000.0;
const ISSUER: &str = "https://issuer.example";

fn oidc() -> IssuerSettings {
    IssuerSettings {
        url: Some(ISSUER.into()),
        client_id: Some("berth".into()),
        audiences: vec!["api".into()],
        ..IssuerSettings::default()
    }
}

fn clerk() -> IssuerSettings {
    IssuerSettings {
        url: Some(ISSUER.into()),
        kind: IssuerKind::Clerk,
        authorized_parties: vec!["https://app.example".into()],
        ..IssuerSettings::default()
    }
}

fn claims(more: Value) -> Claims {
    let mut all = json!({
        "iss": ISSUER, "sub": "user_1", "exp": NOW + 60.0, "nbf": NOW - 10.0, "iat": NOW,
        "aud": "api", "azp": "https://app.example", "sid": "sess_1", "nonce": "n",
    });
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    serde_json::from_value(all).unwrap()
}

fn brought(settings: &IssuerSettings, more: Value) -> Result<(), Refused> {
    claims(more).check(settings, Way::Brought, NOW)
}

#[test]
fn a_token_is_taken_from_its_issuer_in_its_time_and_by_those_it_is_for() {
    for (more, expected) in [
        (json!({}), Ok(())),
        (json!({ "aud": ["other", "api"] }), Ok(())),
        (json!({ "iss": "https://issuer.example/" }), Err(Refused::Issuer)),
        (json!({ "iss": "https://ISSUER.example" }), Err(Refused::Issuer)),
        (json!({ "sub": "" }), Err(Refused::Subject)),
        (json!({ "sub": "x".repeat(256) }), Err(Refused::Subject)),
        (json!({ "exp": NOW - 9.0 }), Ok(())),
        (json!({ "exp": NOW - 10.0 }), Err(Refused::Expired)),
        (json!({ "exp": -1 }), Err(Refused::Expired)),
        (json!({ "nbf": NOW + 10.0 }), Ok(())),
        (json!({ "nbf": NOW + 11.0 }), Err(Refused::NotYet)),
        (json!({ "iat": NOW + 11.0 }), Err(Refused::NotYet)),
        (json!({ "nbf": null, "iat": null }), Ok(())),
        (json!({ "aud": null }), Err(Refused::Audience)),
        (json!({ "aud": [] }), Err(Refused::Audience)),
        (json!({ "aud": "API" }), Err(Refused::Audience)),
        // An ID token is for the sign-in that asked for it.
        (json!({ "aud": "berth" }), Err(Refused::Audience)),
    ] {
        assert_eq!(brought(&oidc(), more.clone()), expected, "{more}");
    }
    let both = IssuerSettings { authorized_parties: vec!["web".into()], ..oidc() };
    assert_eq!(brought(&both, json!({ "azp": "web" })), Ok(()));
    assert_eq!(brought(&both, json!({ "azp": "other" })), Err(Refused::Party));
    assert_eq!(brought(&both, json!({ "azp": null })), Err(Refused::Party));
    let neither = IssuerSettings { audiences: vec![], ..oidc() };
    for aud in [json!(null), json!("berth"), json!([])] {
        assert_eq!(brought(&neither, json!({ "aud": aud })), Err(Refused::Audience));
    }
}

#[test]
fn a_token_of_clerk_is_of_a_session_that_is_signed_in() {
    for (more, expected) in [
        (json!({ "aud": null }), Ok(())),
        (json!({ "aud": null, "azp": null }), Ok(())),
        (json!({ "aud": null, "sts": "active" }), Ok(())),
        (json!({ "aud": null, "sts": "pending" }), Err(Refused::Session)),
        (json!({ "aud": null, "sid": null }), Err(Refused::Session)),
        (json!({ "aud": null, "sid": "" }), Err(Refused::Session)),
        (json!({ "aud": null, "azp": "https://evil.example" }), Err(Refused::Party)),
        (json!({ "aud": null, "azp": "https://app.example.evil" }), Err(Refused::Party)),
        // It is for somebody, and that is not us.
        (json!({ "aud": "other" }), Err(Refused::Audience)),
    ] {
        assert_eq!(brought(&clerk(), more.clone()), expected, "{more}");
    }
}

#[test]
fn a_token_that_was_asked_for_answers_that_question_alone() {
    let way = Way::Asked { nonce: "n" };
    for (more, expected) in [
        (json!({ "aud": "berth", "azp": null }), Ok(())),
        (json!({ "aud": "berth", "azp": "berth" }), Ok(())),
        (json!({ "aud": ["berth", "api"], "azp": "berth" }), Ok(())),
        (json!({ "aud": ["berth", "api"], "azp": null }), Err(Refused::Party)),
        (json!({ "aud": "berth", "azp": "other" }), Err(Refused::Party)),
        (json!({ "aud": "api", "azp": null }), Err(Refused::Audience)),
        (json!({ "aud": "berth", "azp": null, "nonce": "m" }), Err(Refused::Nonce)),
        (json!({ "aud": "berth", "azp": null, "nonce": null }), Err(Refused::Nonce)),
        (json!({ "aud": "berth", "azp": null, "exp": NOW - 10.0 }), Err(Refused::Expired)),
    ] {
        assert_eq!(claims(more.clone()).check(&oidc(), way, NOW), expected, "{more}");
    }
}

#[test]
fn a_claim_that_is_said_twice_is_not_chosen_from() {
    let twice = r#"{"iss": "a", "sub": "b", "exp": 1, "sub": "c"}"#;
    assert!(serde_json::from_str::<Claims>(twice).is_err());
    assert!(serde_json::from_str::<Claims>(r#"{"iss": "a", "sub": "b"}"#).is_err(), "for ever");
    assert!(serde_json::from_str::<Claims>(r#"{"iss": "a", "sub": "b", "exp": "9999999999"}"#).is_err());
}

#[test]
fn what_somebody_proved_is_as_old_as_the_issuer_says() {
    let at = |settings: &IssuerSettings, more| claims(more).proved_at(settings, NOW);
    assert_eq!(at(&oidc(), json!({})), None);
    assert_eq!(at(&oidc(), json!({ "auth_time": NOW - 300.0 })), Some(NOW - 300.0));
    assert_eq!(at(&oidc(), json!({ "auth_time": NOW + 5.0 })), Some(NOW), "clocks differ");
    assert_eq!(at(&oidc(), json!({ "auth_time": NOW + 99.0 })), None);
    assert_eq!(at(&oidc(), json!({ "fva": [1, -1] })), None, "not Clerk's");
    assert_eq!(at(&clerk(), json!({ "fva": [2, -1] })), Some(NOW - 120.0));
    assert_eq!(at(&clerk(), json!({ "fva": [-1, -1] })), None);
}

#[test]
fn an_address_counts_when_it_is_verified() {
    let domain = |more| claims(more).verified_domain();
    assert_eq!(domain(json!({ "email": "a@Example.com" })), None);
    for verified in [json!(true), json!("true")] {
        let email = json!({ "email": "a@b@Example.com", "email_verified": verified });
        assert_eq!(domain(email).as_deref(), Some("example.com"));
    }
    for (email, verified) in
        [("a@example.com", json!("yes")), ("@example.com", json!(true)), ("example.com", json!(true))]
    {
        assert_eq!(domain(json!({ "email": email, "email_verified": verified })), None, "{email}");
    }
}

proptest! {
    /// Whatever else it says, a token is not taken out of its time, from elsewhere, or for others.
    #[test]
    fn no_token_is_taken_that_breaks_a_rule(
        iss in prop_oneof![Just(ISSUER.to_owned()), "[a-z:/.]{0,20}"],
        exp in -100.0..100.0f64,
        nbf in prop::option::of(-100.0..100.0f64),
        aud in prop::collection::vec(prop_oneof![Just("api".to_owned()), "[a-z]{0,4}"], 0..3),
        azp in prop::option::of(prop_oneof![Just("https://app.example".to_owned()), "[a-z]{0,4}"]),
        sid in prop::option::of("[a-z]{0,2}"),
        sts in prop::option::of(prop_oneof![Just("active".to_owned()), Just("pending".to_owned())]),
        clerks in any::<bool>(),
    ) {
        let settings = if clerks { clerk() } else { oidc() };
        let said = Claims {
            iss: iss.clone(), sub: "user".into(), exp: NOW + exp, nbf: nbf.map(|nbf| NOW + nbf),
            aud: Some(Audience::Many(aud.clone())), azp: azp.clone(), sid: sid.clone(), sts: sts.clone(),
            ..Claims::default()
        };
        let good = iss == ISSUER && exp > -10.0 && nbf.is_none_or(|nbf| nbf <= 10.0)
            && if clerks {
                aud.is_empty()
                    && azp.as_deref().is_none_or(|azp| azp == "https://app.example")
                    && sid.as_deref().is_some_and(|sid| !sid.is_empty())
                    && sts.as_deref() != Some("pending")
            } else {
                aud.iter().any(|one| one == "api")
            };
        prop_assert_eq!(said.check(&settings, Way::Brought, NOW).is_ok(), good);
        let asked = Way::Asked { nonce: "n" };
        prop_assert!(said.check(&settings, asked, NOW).is_err());
    }
}
