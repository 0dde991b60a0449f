//! Who is let in, proven in real TLS handshakes over in-memory streams.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says so by panicking, its helpers too")]

use std::sync::Arc;

use berth_protocol::ids::{GatewayId, InstallationId, InstanceId};
use berth_protocol::name::BerthName;
use berth_protocol::standing::Standing;
use berth_protocol::tls::{ALPN_DOOR, Credentials, client_config, server_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier, fingerprint};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConnection, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Credentials with the given names, valid until the end of a year.
    fn issue(&self, names: &[String], until: i32, usages: &[ExtendedKeyUsagePurpose]) -> Credentials {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params.subject_alt_names =
            names.iter().map(|name| SanType::URI(name.as_str().try_into().unwrap())).collect();
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        Credentials { chain, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }

    fn valid(&self, name: &BerthName) -> Credentials {
        self.issue(&[name.to_string()], 2040, &BOTH)
    }
}

const BOTH: [ExtendedKeyUsagePurpose; 2] =
    [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

struct World {
    installation: InstallationId,
    ca: Authority,
    gateway: BerthName,
    boxed: BerthName,
    instance: InstanceId,
}

fn world() -> World {
    let installation = InstallationId::random();
    let instance = InstanceId::random();
    World {
        ca: Authority::new(),
        gateway: BerthName::Gateway { installation: installation.clone(), gateway: GatewayId::random() },
        boxed: BerthName::Box { installation: installation.clone(), instance: instance.clone() },
        instance,
        installation,
    }
}

impl World {
    fn verifier(&self, admit: Admit, dates: Dates) -> Arc<PeerVerifier> {
        PeerVerifier::new(vec![self.ca.certificate.clone()], admit, dates)
    }

    /// A gateway dials this world's box: whether the handshake succeeds.
    fn dial(&self, dialler: Option<Credentials>, door: Credentials) -> Result<(), rustls::Error> {
        let to_box = Admit::Box(self.installation.clone(), self.instance.clone());
        self.dial_with(dialler, door, self.verifier(to_box, Dates::Judged), Dates::Ignored)
    }

    fn dial_with(
        &self,
        dialler: Option<Credentials>,
        door: Credentials,
        client_verifier: Arc<dyn ServerCertVerifier>,
        door_dates: Dates,
    ) -> Result<(), rustls::Error> {
        let any_gateway = Admit::AnyGateway(self.installation.clone());
        let server = server_config(door, self.verifier(any_gateway, door_dates), &[ALPN_DOOR]).unwrap();
        let client = Arc::new(client_config(dialler, client_verifier, ALPN_DOOR).unwrap());
        handshake(
            ClientConnection::new(client, server_name()).unwrap(),
            ServerConnection::new(server).unwrap(),
        )
    }
}

/// Moves bytes between both ends until both are done or one refuses.
fn handshake(mut client: ClientConnection, mut server: ServerConnection) -> Result<(), rustls::Error> {
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

#[test]
fn a_gateway_and_its_box_meet() {
    let world = world();
    world.dial(Some(world.ca.valid(&world.gateway)), world.ca.valid(&world.boxed)).unwrap();
}

#[test]
fn a_door_opens_for_gateways_of_its_installation_only() {
    let world = world();
    let door = || world.ca.valid(&world.boxed);
    assert!(world.dial(None, door()).is_err(), "no certificate");
    assert!(world.dial(Some(Authority::new().valid(&world.gateway)), door()).is_err(), "another CA");
    assert!(world.dial(Some(world.ca.valid(&world.boxed)), door()).is_err(), "the box itself");
    let other = BerthName::Box { installation: world.installation.clone(), instance: InstanceId::random() };
    assert!(world.dial(Some(world.ca.valid(&other)), door()).is_err(), "another box");
    let foreign = BerthName::Gateway { installation: InstallationId::random(), gateway: GatewayId::random() };
    assert!(world.dial(Some(world.ca.valid(&foreign)), door()).is_err(), "another installation");
}

#[test]
fn a_gateway_reaches_the_box_it_meant_and_no_other() {
    let world = world();
    let dialler = || Some(world.ca.valid(&world.gateway));
    let other = BerthName::Box { installation: world.installation.clone(), instance: InstanceId::random() };
    assert!(world.dial(dialler(), world.ca.valid(&other)).is_err(), "another box");
    assert!(world.dial(dialler(), world.ca.valid(&world.gateway)).is_err(), "a gateway");
    assert!(world.dial(dialler(), Authority::new().valid(&world.boxed)).is_err(), "another CA");
}

#[test]
fn a_certificate_has_one_name_and_serves_its_purpose() {
    let world = world();
    let door = || world.ca.valid(&world.boxed);
    let (gateway, boxed) = (world.gateway.to_string(), world.boxed.to_string());
    let two = world.ca.issue(&[gateway.clone(), boxed], 2040, &BOTH);
    assert!(world.dial(Some(two), door()).is_err(), "two names");
    assert!(world.dial(Some(world.ca.issue(&[], 2040, &BOTH)), door()).is_err(), "no name");
    let server_only = world.ca.issue(&[gateway], 2040, &[ExtendedKeyUsagePurpose::ServerAuth]);
    assert!(world.dial(Some(server_only), door()).is_err(), "a server's certificate dials");
}

#[test]
fn dates_count_where_the_clock_is_right() {
    let world = world();
    let expired = |name: &BerthName| world.ca.issue(&[name.to_string()], 2001, &BOTH);
    world.dial(Some(expired(&world.gateway)), world.ca.valid(&world.boxed)).unwrap();
    assert!(world.dial(Some(world.ca.valid(&world.gateway)), expired(&world.boxed)).is_err());
    // Ignoring dates ignores nothing else.
    let foreign = Authority::new().issue(&[world.gateway.to_string()], 2001, &BOTH);
    assert!(world.dial(Some(foreign), world.ca.valid(&world.boxed)).is_err());
}

#[test]
fn a_pinned_authority_is_the_only_one_believed() {
    let world = world();
    let pin = |certificate| PeerVerifier::pinned(fingerprint(certificate), world.installation.clone());
    // The gateway answers, so the roles are turned round: its link listener demands nothing here.
    let listener = |verifier: Arc<PeerVerifier>, credentials: Credentials| {
        let roots = vec![world.ca.certificate.clone()];
        let admit = Admit::AnyBox(world.installation.clone());
        let nobody = PeerVerifier::optional(roots, admit, Dates::Judged);
        let server = server_config(credentials, nobody, &[ALPN_DOOR]).unwrap();
        let client = Arc::new(client_config(None, verifier, ALPN_DOOR).unwrap());
        handshake(
            ClientConnection::new(client, server_name()).unwrap(),
            ServerConnection::new(server).unwrap(),
        )
    };
    listener(pin(&world.ca.certificate), world.ca.valid(&world.gateway)).unwrap();
    let other = Authority::new();
    assert!(listener(pin(&other.certificate), world.ca.valid(&world.gateway)).is_err());
    assert!(listener(pin(&world.ca.certificate), other.valid(&world.gateway)).is_err());
    assert!(listener(pin(&world.ca.certificate), world.ca.valid(&world.boxed)).is_err(), "a box poses");
    // A chain that shows the pinned CA without being signed by it.
    let mut posing = other.valid(&world.gateway);
    posing.chain[1] = world.ca.certificate.clone();
    assert!(listener(pin(&world.ca.certificate), posing).is_err());
}

#[test]
fn a_certificate_says_who_signed_it_and_how_long_it_counts() {
    let world = world();
    let (ca, other) = (world.ca.certificate.clone(), Authority::new().certificate);
    let certificate = &world.ca.issue(&[world.boxed.to_string()], 2001, &BOTH).chain[0];
    let standing = Standing::of(certificate, &[other.clone(), ca.clone()]).unwrap();
    assert_eq!(standing.ca_sha256, fingerprint(&ca));
    // 2000-01-01 and 2001-01-01.
    assert_eq!((standing.not_before, standing.not_after), (946_684_800, 978_307_200));
    assert!(standing.counts_at(946_684_800) && standing.counts_at(978_307_200));
    assert!(!standing.counts_at(946_684_799) && !standing.counts_at(978_307_201));
    assert!(Standing::of(certificate, &[other]).is_err(), "nobody vouches for it");
    assert!(Standing::of(certificate, &[]).is_err());
}
