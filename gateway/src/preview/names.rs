//! The hosts of previews: one each, made from a template, so that a preview has an origin of its own.
//!
//! Identifiers are names here: they are unguessable, fit a DNS label together, and need no look-up to be told apart.

use berth_protocol::ids::{PreviewId, WorkspaceId};

use crate::auth::Origin;

/// The template on one machine, where every name below `localhost` leads back to it.
pub const ON_ONE_MACHINE: &str = "{preview}.{workspace}.localhost";

const PREVIEW: &str = "{preview}";
const WORKSPACE: &str = "{workspace}";

/// Characters of a DNS label, and of a name, at most.
const LABEL: usize = 63;
const NAME: usize = 253;

/// A template that makes no hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// Its beginning is not one of the two that there are.
    #[error("begin with {{preview}}--{{workspace}}. or {{preview}}.{{workspace}}.")]
    Beginning,
    /// What follows is not a domain.
    #[error("what follows {{workspace}}. must be a domain in small letters, without a port")]
    Domain,
    /// The hosts would be too long for DNS.
    #[error("the hosts would be longer than DNS allows")]
    TooLong,
}

/// What stands between the two identifiers, and after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    between: &'static str,
    domain: String,
}

impl std::str::FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let rest = text.strip_prefix(PREVIEW).ok_or(InvalidTemplate::Beginning)?;
        let between = ["--", "."].into_iter().find(|between| rest.starts_with(between));
        let between = between.ok_or(InvalidTemplate::Beginning)?;
        let domain = rest[between.len()..]
            .strip_prefix(WORKSPACE)
            .and_then(|rest| rest.strip_prefix('.'))
            .ok_or(InvalidTemplate::Beginning)?;
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= LABEL
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !domain.split('.').all(is_label) {
            return Err(InvalidTemplate::Domain);
        }
        let template = Self { between, domain: domain.to_owned() };
        if template.authority(&PreviewId::random(), &WorkspaceId::random(), "").len() > NAME {
            return Err(InvalidTemplate::TooLong);
        }
        Ok(template)
    }
}

impl Template {
    /// `port` is empty, or begins with its colon.
    fn authority(&self, preview: &PreviewId, workspace: &WorkspaceId, port: &str) -> String {
        [preview.as_str(), self.between, workspace.as_str(), ".", &self.domain, port].concat()
    }

    /// Whether hosts of previews seem to belong to the same site as the console's, which lets previews set
    /// cookies for it. Without the list of public suffixes, two names that end in the same two labels seem to.
    #[must_use]
    pub fn shares_site_with(&self, console: &str) -> bool {
        let ending = |name: &str| {
            let labels: Vec<&str> = name.rsplit('.').take(2).collect();
            labels.join(".")
        };
        console.parse::<std::net::IpAddr>().is_err()
            && (ending(&self.domain) == ending(console) || console == self.domain)
    }
}

/// Which preview a host stands for. Whether there is such a one is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The preview.
    pub preview: PreviewId,
    /// The workspace that it is said to belong to.
    pub workspace: WorkspaceId,
}

/// The names of all previews: they share scheme and port with the console.
#[derive(Debug, Clone)]
pub struct Names {
    template: Template,
    scheme: &'static str,
    port: String,
    console: String,
}

impl Names {
    /// Names from a template, at the scheme and port of the console's origin.
    #[must_use]
    pub fn new(template: Template, console: &Origin) -> Self {
        let (scheme, rest) = if console.is_secure() { ("https", "https://") } else { ("http", "http://") };
        let authority = console.as_str().strip_prefix(rest).unwrap_or_default();
        // An address in brackets has colons of its own.
        let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
        let port = behind.find(':').map_or("", |at| &behind[at..]);
        Self { template, scheme, port: port.to_owned(), console: console.as_str().to_owned() }
    }

    /// `host` or `host:port` of a preview, as browsers send it.
    #[must_use]
    pub fn authority(&self, named: &Named) -> String {
        self.template.authority(&named.preview, &named.workspace, &self.port)
    }

    /// The origin of a preview, as browsers send it.
    #[must_use]
    pub fn origin(&self, named: &Named) -> String {
        self.origin_of(&self.authority(named))
    }

    /// The origin of a preview's authority.
    #[must_use]
    pub fn origin_of(&self, authority: &str) -> String {
        [self.scheme, "://", authority].concat()
    }

    /// The console's origin.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// What stands for every preview in a content security policy.
    #[must_use]
    pub fn source(&self) -> String {
        format!("{}://*.{}{}", self.scheme, self.template.domain, self.port)
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The preview whose `host` or `host:port` this is.
    #[must_use]
    pub fn of_authority(&self, authority: &str) -> Option<Named> {
        let host = authority.strip_suffix(self.port.as_str())?;
        // Browsers write small letters.
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.of_host(&host.to_ascii_lowercase());
        }
        self.of_host(host)
    }

    fn of_host(&self, host: &str) -> Option<Named> {
        let ids = host.strip_suffix(self.template.domain.as_str())?.strip_suffix('.')?;
        let (preview, workspace) = ids.split_once(self.template.between)?;
        Some(Named { preview: preview.parse().ok()?, workspace: workspace.parse().ok()? })
    }

    /// The preview whose origin this is, to the letter.
    #[must_use]
    pub fn of_origin(&self, origin: &str) -> Option<Named> {
        let authority = origin.strip_prefix(self.scheme)?.strip_prefix("://")?;
        self.of_authority(authority).filter(|named| self.origin(named) == origin)
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn names(template: &str, console: &str) -> Names {
        Names::new(template.parse().unwrap(), &Origin::new(&Url::parse(console).unwrap()))
    }

    fn named() -> Named {
        Named { preview: PreviewId::random(), workspace: WorkspaceId::random() }
    }

    #[test]
    fn a_host_leads_back_to_its_preview_and_no_other_does() {
        for (template, console) in [
            (ON_ONE_MACHINE, "http://127.0.0.1:7391"),
            (ON_ONE_MACHINE, "http://[::1]:7391"),
            ("{preview}--{workspace}.preview.example", "https://berth.example"),
            ("{preview}--{workspace}.preview.example", "https://berth.example:8443"),
        ] {
            let (names, named) = (names(template, console), named());
            let (authority, origin) = (names.authority(&named), names.origin(&named));
            assert!(authority.split(['.', ':']).all(|label| label.len() <= LABEL), "{authority}");
            assert_eq!(names.of_authority(&authority), Some(named.clone()));
            assert_eq!(names.of_authority(&authority.to_ascii_uppercase()), Some(named.clone()));
            assert_eq!(names.of_origin(&origin), Some(named.clone()));
            for other in [
                format!("{authority}.evil.example"),
                format!("{authority}0"),
                format!("x{authority}"),
                format!("x.{authority}"),
                format!("{authority}."),
                format!("user@{authority}"),
                authority.replacen("pre-", "pre_", 1),
                console.split("//").nth(1).unwrap().to_owned(),
                String::new(),
            ] {
                assert_eq!(names.of_authority(&other), None, "{other}");
            }
            for other in [origin.to_ascii_uppercase(), format!("{origin}/"), "null".to_owned()] {
                assert_eq!(names.of_origin(&other), None, "{other}");
            }
        }
    }

    #[test]
    fn one_pattern_stands_for_all_hosts_and_not_for_the_console() {
        assert_eq!(names(ON_ONE_MACHINE, "http://127.0.0.1:7391").source(), "http://*.localhost:7391");
        let https = names("{preview}--{workspace}.preview.example", "https://berth.example");
        assert_eq!(https.source(), "https://*.preview.example");
    }

    #[test]
    fn a_port_is_part_of_the_host() {
        let (names, named) = (names(ON_ONE_MACHINE, "http://127.0.0.1:7391"), named());
        let host = names.authority(&named).replace(":7391", "");
        assert_eq!(names.of_authority(&host), None);
        assert_eq!(names.of_authority(&format!("{host}:7392")), None);
    }

    #[test]
    fn templates_that_make_no_hosts_are_refused() {
        for (template, expected) in [
            ("preview.example", InvalidTemplate::Beginning),
            ("{workspace}.{preview}.example", InvalidTemplate::Beginning),
            ("{preview}{workspace}.example", InvalidTemplate::Beginning),
            ("{preview}--{workspace}", InvalidTemplate::Beginning),
            ("{preview}--{workspace}x.example", InvalidTemplate::Beginning),
            ("{preview}--{workspace}.", InvalidTemplate::Domain),
            ("{preview}--{workspace}.a..b", InvalidTemplate::Domain),
            ("{preview}--{workspace}.Example", InvalidTemplate::Domain),
            ("{preview}--{workspace}.example:8443", InvalidTemplate::Domain),
            ("{preview}--{workspace}.{preview}.example", InvalidTemplate::Domain),
        ] {
            assert_eq!(template.parse::<Template>(), Err(expected), "{template}");
        }
        let long = format!("{{preview}}.{{workspace}}.{}", ["a"; 120].join("."));
        assert_eq!(long.parse::<Template>(), Err(InvalidTemplate::TooLong));
    }

    #[test]
    fn a_site_that_is_shared_with_the_console_is_noticed() {
        let shares =
            |template: &str, console: &str| template.parse::<Template>().unwrap().shares_site_with(console);
        assert!(shares("{preview}--{workspace}.preview.berth.example", "berth.example"));
        assert!(shares("{preview}--{workspace}.berth.example", "console.berth.example"));
        assert!(shares(ON_ONE_MACHINE, "localhost"));
        assert!(!shares(ON_ONE_MACHINE, "127.0.0.1"));
        assert!(!shares("{preview}--{workspace}.berth-previews.example", "berth.example"));
    }
}
