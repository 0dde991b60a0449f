//! Puts one object into a bucket, in parts: its length is not known when it begins. Requests are signed by `rusty-s3` in
//! their URL, which no error repeats; keys are never in it.

use std::time::Duration;

use berth_daemon::exit::chain;
use bytes::Bytes;
use reqwest::{Client, Method, Response};
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, HeadObject, S3Action, UploadPart,
};
use rusty_s3::{Credentials, UrlStyle};
use url::Url;

use super::problem::{Problem, short};
use super::target::Target;
use crate::host::names::Resolver;

/// How long a signature counts.
const SIGNED_FOR: Duration = Duration::from_hours(1);

/// Bytes of a part, at least. They are in memory, once.
const LEAST_PART: u64 = 16 << 20;

/// Parts that an object may have, with some to spare: servers take 10 000.
const MAX_PARTS: u64 = 9000;

/// The slowest that a part may go.
const SLOWEST_BYTES_PER_SEC: u64 = 32 << 10;

/// Bytes of an answer that are read, at most.
const MAX_ANSWER: usize = 64 << 10;

/// Bytes of each part of an object of about so many: all but the last are equal, as R2 wants them.
pub(super) fn part_bytes(total: u64) -> usize {
    let needed = total.div_ceil(MAX_PARTS).next_multiple_of(1 << 20);
    usize::try_from(needed.max(LEAST_PART)).unwrap_or(usize::MAX)
}

/// What is asked of the server, about one object.
pub(super) enum Ask<'a> {
    /// To begin it.
    Begin,
    /// To take a part of it; they count from 1.
    Put { upload: &'a str, number: usize, bytes: Bytes },
    /// To put the parts with these tags together.
    Complete { upload: &'a str, tags: &'a [String] },
    /// How many bytes it has.
    Size,
    /// To forget its parts.
    GiveUp { upload: &'a str },
}

/// What the server answers.
#[derive(Debug)]
pub(super) struct Answer {
    tag: Option<String>,
    length: Option<u64>,
    text: String,
}

impl Answer {
    /// What the server calls the upload that was begun.
    ///
    /// # Errors
    /// [`Problem::Export`].
    pub(super) fn upload(self) -> Result<String, Problem> {
        let id = between(&self.text, "UploadId").filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| nonsense("the name of an upload"))
    }

    /// The tag of a part.
    ///
    /// # Errors
    /// [`Problem::Export`].
    pub(super) fn tag(self) -> Result<String, Problem> {
        self.tag.ok_or_else(|| nonsense("a part's tag"))
    }

    /// How many bytes the object has.
    ///
    /// # Errors
    /// [`Problem::Export`].
    pub(super) fn size(self) -> Result<u64, Problem> {
        self.length.ok_or_else(|| nonsense("the object's length"))
    }
}

/// Speaks to the server of a target. Nothing is tried twice here.
pub(super) struct Bucket {
    client: Client,
    stall: Duration,
    /// The object's name.
    key: String,
}

impl Bucket {
    /// For one object; an answer may take so long.
    ///
    /// # Errors
    /// [`Problem::Export`].
    pub(super) fn new(key: String, stall: Duration) -> Result<Self, Problem> {
        // Another part of the process has done it before, or does it now; it is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).dns_resolver(Resolver);
        let client = client.build();
        let client =
            client.map_err(|error| Problem::Export(format!("nothing can be sent: {}", chain(&error))))?;
        Ok(Self { client, stall, key })
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`Problem`].
    pub(super) async fn ask(&self, target: &Target, ask: &Ask<'_>) -> Result<Answer, Problem> {
        let (method, url, body) = self.signed(target, ask)?;
        let time = self.stall + Duration::from_secs(body.len() as u64 / SLOWEST_BYTES_PER_SEC);
        let sent = self.client.request(method, url).timeout(time).body(body).send().await;
        let answer = sent.map_err(unreachable)?;
        let status = answer.status();
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let tag = header(reqwest::header::ETAG);
        let length = header(reqwest::header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let text = text(answer).await?;
        // A server that takes its time to put parts together says first that all is well.
        if !status.is_success() || text.contains("<Error") {
            return Err(refused(status.as_str(), &text));
        }
        Ok(Answer { tag, length, text })
    }

    fn signed(&self, target: &Target, ask: &Ask<'_>) -> Result<(Method, Url, Bytes), Problem> {
        let to = Signing::of(target)?;
        let (bucket, keys, key) = (&to.bucket, Some(&to.keys), self.key.as_str());
        let none = Bytes::new();
        Ok(match ask {
            Ask::Begin => {
                (Method::POST, CreateMultipartUpload::new(bucket, keys, key).sign(SIGNED_FOR), none)
            }
            Ask::Put { upload, number, bytes } => {
                let number = u16::try_from(*number)
                    .map_err(|_| Problem::Export("the archive has too many parts".into()))?;
                let url = UploadPart::new(bucket, keys, key, number, upload).sign(SIGNED_FOR);
                (Method::PUT, url, bytes.clone())
            }
            Ask::Complete { upload, tags } => {
                let tags = tags.iter().map(String::as_str);
                let action = CompleteMultipartUpload::new(bucket, keys, key, upload, tags);
                let url = action.sign(SIGNED_FOR);
                (Method::POST, url, action.body().into())
            }
            Ask::Size => (Method::HEAD, HeadObject::new(bucket, keys, key).sign(SIGNED_FOR), none),
            Ask::GiveUp { upload } => {
                let url = AbortMultipartUpload::new(bucket, keys, key, upload).sign(SIGNED_FOR);
                (Method::DELETE, url, none)
            }
        })
    }
}

/// Who signs, for which bucket.
struct Signing {
    bucket: rusty_s3::Bucket,
    keys: Credentials,
}

impl Signing {
    fn of(target: &Target) -> Result<Self, Problem> {
        let invalid = |what: &str| Problem::Settings(format!("{what} of the repository can't be used"));
        let (repository, keys) = (&target.repository, &target.credentials);
        let endpoint = repository.endpoint.parse().map_err(|_| invalid("the endpoint"))?;
        let (name, region) = (repository.bucket.clone(), repository.region.clone());
        let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, name, region);
        let plain = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| invalid("a key"));
        let secret = plain(keys.secret_key.expose())?;
        let keys = match &keys.session_token {
            Some(token) => Credentials::new_with_token(keys.key_id.clone(), secret, plain(token.expose())?),
            None => Credentials::new(keys.key_id.clone(), secret),
        };
        Ok(Self { bucket: bucket.map_err(|_| invalid("the endpoint"))?, keys })
    }
}

async fn text(mut answer: Response) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error of the network. The URL that it may hold is signed.
fn unreachable(error: reqwest::Error) -> Problem {
    Problem::Unreachable { words: short(&chain(&error.without_url()).to_string()) }
}

/// What a refusal means.
fn refused(status: &str, body: &str) -> Problem {
    let part = |name| between(body, name).unwrap_or_default();
    let words = short(&format!("{status} {} {}", part("Code"), part("Message")));
    match (status, Problem::of_words(&words)) {
        (_, Some(Problem::NoSpace(words))) => Problem::NoSpace(words),
        ("401" | "403", _) => Problem::AccessDenied { words },
        ("429", _) => Problem::Unreachable { words },
        (status, _) if status.starts_with('5') => Problem::Unreachable { words },
        (_, Some(known)) => known,
        (_, None) => Problem::Export(format!("the server does not take the archive: {words}")),
    }
}

fn nonsense(what: &str) -> Problem {
    Problem::Export(format!("the server does not tell {what}: it speaks another S3 than Berth"))
}

/// The text of an element. Servers differ in what is around it.
fn between<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_and_never_too_many() {
        for (total, bytes) in [(0, 16 << 20), (100 << 30, 16 << 20), (1 << 40, 117 << 20)] {
            assert_eq!(part_bytes(total), bytes, "{total}");
            assert!(total / (part_bytes(total) as u64) < 10_000);
        }
    }

    #[test]
    fn a_refusal_says_what_it_means() {
        let kind = |status: &str, body: String| refused(status, &body).kind();
        let body =
            |code| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>x</Message></Error>");
        for (status, code, expected) in [
            ("403", "SignatureDoesNotMatch", "access_denied"),
            ("401", "", "access_denied"),
            ("403", "QuotaExceeded", "no_space"),
            ("507", "InsufficientStorage", "no_space"),
            ("503", "SlowDown", "unreachable"),
            ("500", "", "unreachable"),
            ("200", "InternalError", "unreachable"),
            ("404", "NoSuchBucket", "export_failed"),
        ] {
            assert_eq!(kind(status, body(code)), expected, "{status} {code}");
        }
        assert_eq!(between("<a><UploadId>x-1</UploadId></a>", "UploadId"), Some("x-1"));
    }
}
