//! Messages to browsers, encrypted so that push services can't read them: RFC 8291 over RFC 8188, one record.

use data_encoding::BASE64URL_NOPAD;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a message that every push service takes, before it is encrypted.
pub const MAX_PLAIN: usize = 3_900;

/// Bytes of the one record.
const RECORD: u32 = 4_096;

/// Ends the last record's content.
const LAST: u8 = 2;

/// The browser's keys are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the browser's keys are not usable")]
pub struct BadKeys;

/// Encrypts a message for the browser with these keys, base64url.
///
/// # Errors
/// [`BadKeys`].
pub fn encrypt(plain: &[u8], p256dh: &str, auth: &str) -> Result<Vec<u8>, BadKeys> {
    let theirs = BASE64URL_NOPAD.decode(p256dh.as_bytes()).map_err(|_| BadKeys)?;
    let auth = BASE64URL_NOPAD.decode(auth.as_bytes()).map_err(|_| BadKeys)?;
    let random = SystemRandom::new();
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| BadKeys)?;
    let our_public = ours.compute_public_key().map_err(|_| BadKeys)?;
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| BadKeys)?;
    agree_ephemeral(ours, &UnparsedPublicKey::new(&ECDH_P256, &theirs), |shared| {
        seal(plain, shared, &theirs, our_public.as_ref(), &auth, &salt)
    })
    .map_err(|_| BadKeys)?
}

/// What remains once both sides share a secret.
fn seal(
    plain: &[u8],
    shared: &[u8],
    theirs: &[u8],
    ours: &[u8],
    auth: &[u8],
    salt: &[u8; 16],
) -> Result<Vec<u8>, BadKeys> {
    let mut input = [0; 32];
    let info = [b"WebPush: info\0", theirs, ours];
    derive(auth, shared, &info, &mut input)?;
    let (mut key, mut nonce) = ([0; 16], [0; 12]);
    derive(salt, &input, &[b"Content-Encoding: aes128gcm\0"], &mut key)?;
    derive(salt, &input, &[b"Content-Encoding: nonce\0"], &mut nonce)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| BadKeys)?);
    let mut record = plain.to_vec();
    record.push(LAST);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
        .map_err(|_| BadKeys)?;
    let length = u8::try_from(ours.len()).map_err(|_| BadKeys)?;
    Ok([salt.as_slice(), &RECORD.to_be_bytes(), &[length], ours, &record].concat())
}

/// A length that HKDF is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], secret: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), BadKeys> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    prk.expand(info, Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| BadKeys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    }

    /// The example of RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_standard_is_met() {
        let salt: [u8; 16] = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let sealed = seal(
            b"When I grow up, I want to be a watermelon",
            &bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs"),
            &bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            &bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"),
            &bytes("BTBZMqHH6r4Tts7J_aSIgg"),
            &salt,
        );
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS\
                        6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu\
                        lcy4a-fN";
        assert_eq!(BASE64URL_NOPAD.encode(&sealed.unwrap()), expected);
    }

    #[test]
    fn every_message_has_keys_of_its_own() {
        let browser = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = BASE64URL_NOPAD.encode(browser.compute_public_key().unwrap().as_ref());
        let auth = BASE64URL_NOPAD.encode(&[7; 16]);
        let one = encrypt(b"same", &public, &auth).unwrap();
        let other = encrypt(b"same", &public, &auth).unwrap();
        assert_ne!(one[..86], other[..86]);
        assert!(encrypt(&[0; MAX_PLAIN], &public, &auth).unwrap().len() <= RECORD as usize);
        assert_eq!(
            encrypt(b"x", &BASE64URL_NOPAD.encode(&[4; 65]), &auth),
            Err(BadKeys),
            "no point of the curve"
        );
    }
}
