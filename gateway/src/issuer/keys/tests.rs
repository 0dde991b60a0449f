use data_encoding::BASE64URL_NOPAD as BASE64;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use super::*;

const ALLOWED: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Made for tests; it signs nothing else.
const RSA: [&[u8]; 2] = [
    include_bytes!("../../../../tests/fixtures/issuer-rsa-1.der"),
    include_bytes!("../../../../tests/fixtures/issuer-rsa-2.der"),
];

fn rsa(number: usize) -> RsaKeyPair {
    super::super::ring::install();
    RsaKeyPair::from_pkcs8(RSA[number]).unwrap()
}

fn rsa_jwk(key: &RsaKeyPair, id: &str) -> Value {
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": BASE64.encode(&n), "e": BASE64.encode(&e) })
}

fn ec() -> (EcdsaKeyPair, Value) {
    super::super::ring::install();
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk =
        json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": BASE64.encode(x), "y": BASE64.encode(y) });
    (key, jwk)
}

fn unsigned(head: &Value) -> String {
    let claims = json!({ "iss": "i", "sub": "s", "exp": 1 });
    format!("{}.{}", BASE64.encode(head.to_string().as_bytes()), BASE64.encode(claims.to_string().as_bytes()))
}

fn by_rsa(key: &RsaKeyPair, head: &Value) -> String {
    let text = unsigned(head);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", BASE64.encode(&signature))
}

fn by_ec(key: &EcdsaKeyPair, head: &Value) -> String {
    let text = unsigned(head);
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64.encode(signature.as_ref()))
}

fn keys(keys: &[Value]) -> Result<Keys, NoKeys> {
    Keys::read(json!({ "keys": keys }).to_string().as_bytes(), &ALLOWED)
}

fn open(keys: &Keys, token: &str) -> Result<String, Refused> {
    let token = Token::read(token)?;
    let key = keys.find(token.key_id()).ok_or(Refused::UnknownKey)?;
    token.open(key).map(|claims| claims.sub)
}

#[test]
fn a_token_is_opened_by_the_key_that_signed_it_and_no_other() {
    let (first, second, (curve, curve_jwk)) = (rsa(0), rsa(1), ec());
    let keys = keys(&[rsa_jwk(&first, "one"), rsa_jwk(&second, "two"), curve_jwk]).unwrap();
    let head = |alg: &str, kid: &str| json!({ "typ": "JWT", "alg": alg, "kid": kid });
    let good = by_rsa(&first, &head("RS256", "one"));
    let other = good.rsplit_once('.').unwrap().1;
    for (token, expected) in [
        (good.clone(), Ok(())),
        (by_rsa(&second, &head("RS256", "two")), Ok(())),
        (by_ec(&curve, &head("ES256", "ec")), Ok(())),
        // Swapped: keys, signatures, and what the head says.
        (by_rsa(&first, &head("RS256", "two")), Err(Refused::Signature)),
        (by_rsa(&first, &head("RS256", "three")), Err(Refused::UnknownKey)),
        (by_rsa(&first, &json!({ "alg": "RS256" })), Err(Refused::UnknownKey)),
        (by_rsa(&first, &head("RS512", "one")), Err(Refused::Algorithm)),
        (by_rsa(&first, &head("PS256", "one")), Err(Refused::Algorithm)),
        (by_rsa(&first, &head("RS256", "ec")), Err(Refused::Algorithm)),
        (by_ec(&curve, &head("ES256", "one")), Err(Refused::Algorithm)),
        (format!("{}.{other}", unsigned(&head("RS256", "one"))), Ok(())),
        (format!("{}.{other}", unsigned(&json!({ "alg": "RS256", "kid": "one" }))), Err(Refused::Signature)),
        (format!("{}.", unsigned(&head("RS256", "one"))), Err(Refused::Signature)),
        // Without a signature, in every spelling.
        (format!("{}.", unsigned(&head("none", "one"))), Err(Refused::Malformed)),
        (format!("{}.", unsigned(&head("None", "one"))), Err(Refused::Malformed)),
        (format!("{}.{other}", unsigned(&head("", "one"))), Err(Refused::Malformed)),
        (by_rsa(&first, &json!({ "kid": "one" })), Err(Refused::Malformed)),
        // Of another kind, or with what must be understood.
        (
            by_rsa(&first, &json!({ "alg": "RS256", "kid": "one", "typ": "logout+jwt" })),
            Err(Refused::Malformed),
        ),
        (by_rsa(&first, &json!({ "alg": "RS256", "kid": "one", "crit": ["b64"] })), Err(Refused::Malformed)),
        (format!("{good}.x"), Err(Refused::Malformed)),
        (format!("{good}{}", "A".repeat(MOST_TOKEN)), Err(Refused::Malformed)),
        (String::new(), Err(Refused::Malformed)),
    ] {
        assert_eq!(open(&keys, &token).map(drop), expected, "{token}");
    }
}

/// The public key as an HMAC secret, in every form that an attacker has it in.
#[test]
fn a_public_key_is_no_shared_secret() {
    use ring::hmac;
    let key = rsa(0);
    let jwk = rsa_jwk(&key, "one");
    let keys = keys(std::slice::from_ref(&jwk)).unwrap();
    let PublicKeyComponents { n, .. } = PublicKeyComponents::<Vec<u8>>::from(key.public());
    for secret in [n, key.public().as_ref().to_vec(), jwk.to_string().into_bytes()] {
        let text = unsigned(&json!({ "alg": "HS256", "kid": "one" }));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        let token = format!("{text}.{}", BASE64.encode(tag.as_ref()));
        assert_eq!(open(&keys, &token), Err(Refused::Algorithm));
    }
}

#[test]
fn keys_are_for_what_they_say_and_what_is_allowed() {
    let key = rsa(0);
    let with = |name: &str, value: Value| {
        let mut jwk = rsa_jwk(&key, "one");
        jwk[name] = value;
        jwk
    };
    let (_, curve) = ec();
    for (jwk, usable) in [
        (rsa_jwk(&key, "one"), true),
        (with("alg", Value::Null), true),
        (with("use", Value::Null), true),
        (with("use", json!("enc")), false),
        (with("alg", json!("RS512")), false),
        (with("alg", json!("HS256")), false),
        (with("alg", json!("RSA-OAEP")), false),
        (with("kty", json!("oct")), false),
        (json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "one" }), false),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "one" }), false),
        (json!({ "kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA" }), false),
        (json!("key"), false),
    ] {
        assert_eq!(keys(std::slice::from_ref(&jwk)).is_ok(), usable, "{jwk}");
        // What can't be used leaves what can alone.
        assert!(keys(&[jwk, curve.clone()]).unwrap().find(Some("ec")).is_some());
    }
    for document in ["", "{}", "[]", "{\"keys\": []}", "{\"keys\": {}}"] {
        assert!(Keys::read(document.as_bytes(), &ALLOWED).is_err(), "{document}");
    }
    let silent = with("alg", Value::Null).to_string();
    let by = |allowed: &[Algorithm]| {
        let keys = Keys::read(format!("{{\"keys\": [{silent}]}}").as_bytes(), allowed).unwrap();
        keys.find(None).unwrap().algorithm
    };
    assert_eq!(
        by(&[Algorithm::ES256, Algorithm::PS256, Algorithm::RS256]),
        Algorithm::PS256,
        "the first that fits"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_a_key_or_a_token_or_break_anything(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Keys::read(&bytes, &ALLOWED);
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(token) = Token::read(&text) {
            let keys = keys(&[rsa_jwk(&rsa(0), "one")]).unwrap();
            prop_assert!(token.open(keys.find(None).unwrap()).is_err());
        }
    }

    #[test]
    fn a_token_with_one_letter_changed_is_not_opened(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.-]") {
        let key = rsa(0);
        let keys = keys(&[rsa_jwk(&key, "one")]).unwrap();
        let good = by_rsa(&key, &json!({ "alg": "RS256", "kid": "one" }));
        let mut changed = good.clone();
        let at = at.index(good.len());
        changed.replace_range(at..=at, &letter);
        // Some letters at the end of a part stand for the same bytes; strict decoders refuse all but one of them.
        prop_assume!(changed != good);
        prop_assert!(open(&keys, &changed).is_err(), "{}", at);
    }
}
