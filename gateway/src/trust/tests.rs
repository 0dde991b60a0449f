//! TLS between a gateway that has two CAs and boxes that know one or both.

use berth_protocol::ids::{GatewayId, InstanceId};
use berth_protocol::tls::{client_config, meeting_name, server_config, server_name};
use rustls::{ClientConnection, ServerConnection};
use rustls_pki_types::ServerName;
use tempfile::TempDir;

use super::*;
use crate::settings::SealingSettings;

const RULES: Rules = Rules { life_secs: 7_776_000, grace_secs: 0 };

/// An installation's CAs, and a gateway's view of them.
pub(crate) struct Fixture {
    pub(crate) installation: InstallationId,
    pub(crate) trust: Arc<Trust>,
    set: TrustedSet,
    sealer: Sealer,
    _dir: TempDir,
}

impl Fixture {
    /// With so many CAs, of which the first signs.
    pub(crate) fn new(count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&SealingSettings::default(), dir.path(), true).unwrap();
        let installation = InstallationId::random();
        let authorities = (1..=count).map(|generation| {
            let new = CertificateAuthority::generate(&installation, 1_800_000_000).unwrap();
            let ca = CertificateAuthority::load(&new.certificate_pem, &new.key_pem).unwrap();
            let fingerprint = berth_protocol::trust::fingerprint(ca.certificate());
            let key_sealed = sealer.seal(&key_purpose(&fingerprint), new.key_pem.as_bytes());
            let (certificate_pem, signing) = (new.certificate_pem, generation == 1);
            Authority { fingerprint, certificate_pem, key_sealed, generation, signing, created_at_ms: 0 }
        });
        let set = TrustedSet { generation: count, authorities: authorities.collect() };
        let name = BerthName::Gateway { installation: installation.clone(), gateway: GatewayId::random() };
        let trust = Arc::new(Trust::open(&installation, name, RULES, &set, &sealer).unwrap());
        Self { installation, trust, set, sealer, _dir: dir }
    }

    /// Credentials of a box under one of the CAs, as enrolment gives them, but for who made the key.
    pub(crate) fn box_credentials(&self, instance: &InstanceId, ca: usize) -> Credentials {
        let name = BerthName::Box { installation: self.installation.clone(), instance: instance.clone() };
        self.trust.now().members[ca].ca.gateway_credentials(&name).unwrap()
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

/// A box of one CA, which believes these, dials and says a name.
fn dials(f: &Fixture, ca: usize, believes: &[usize], name: ServerName<'static>) -> Result<(), rustls::Error> {
    let now = f.trust.now();
    let roots = believes.iter().map(|one| now.roots()[*one].clone()).collect();
    let verifier = PeerVerifier::new(roots, Admit::AnyGateway(f.installation.clone()), Dates::Ignored);
    let credentials = f.box_credentials(&InstanceId::random(), ca);
    let config = client_config(Some(credentials), verifier, ALPN_LINK).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    handshake(client, ServerConnection::new(now.listener()).unwrap())
}

#[test]
fn a_box_is_met_under_the_ca_that_it_says() {
    let f = Fixture::new(2);
    let name = |ca: usize| meeting_name(&f.set.authorities[ca].fingerprint);
    dials(&f, 0, &[0], name(0)).unwrap();
    dials(&f, 1, &[1], name(1)).unwrap();
    dials(&f, 0, &[0, 1], name(1)).unwrap();
    dials(&f, 0, &[0], name(1)).unwrap_err();
    // Agents of before say nothing, and know the first alone.
    dials(&f, 0, &[0], server_name()).unwrap();
    dials(&f, 1, &[1], server_name()).unwrap_err();
}

#[test]
fn a_door_is_shown_the_certificate_of_the_ca_that_its_box_has() {
    let f = Fixture::new(2);
    let now = f.trust.now();
    let opens = |box_ca: usize, known: Option<&str>| {
        let roots = vec![now.roots()[box_ca].clone()];
        let verifier = PeerVerifier::new(roots, Admit::AnyGateway(f.installation.clone()), Dates::Ignored);
        let instance = InstanceId::random();
        let door = server_config(f.box_credentials(&instance, box_ca), verifier, &[ALPN_DOOR]).unwrap();
        let verifier = PeerVerifier::new(
            now.roots().to_vec(),
            Admit::Box(f.installation.clone(), instance),
            Dates::Judged,
        );
        let dialler = client_config(Some(now.credentials(known).clone()), verifier, ALPN_DOOR).unwrap();
        let client = ClientConnection::new(Arc::new(dialler), server_name()).unwrap();
        handshake(client, ServerConnection::new(door).unwrap())
    };
    for ca in [0, 1] {
        opens(ca, Some(&f.set.authorities[ca].fingerprint)).unwrap();
    }
    opens(0, None).unwrap();
    opens(0, Some(&f.set.authorities[1].fingerprint)).unwrap_err();
}

#[test]
fn what_was_removed_is_believed_no_more() {
    let f = Fixture::new(2);
    let old = f.box_credentials(&InstanceId::random(), 0);
    assert!(f.trust.now().standing(&old.chain[0]).is_ok());
    let mut set = f.set.clone();
    set.authorities.remove(0);
    assert!(matches!(
        State::open(&f.installation, &f.trust.name, &set, &f.sealer, &f.trust.now().members),
        Err(TrustError::NobodySigns)
    ));
    set.authorities[0].signing = true;
    let state = State::open(&f.installation, &f.trust.name, &set, &f.sealer, &f.trust.now().members).unwrap();
    assert!(state.standing(&old.chain[0]).is_err());
    assert!(!state.trusts(&f.set.authorities[0].fingerprint));
    assert_eq!(state.signing().fingerprint, f.set.authorities[1].fingerprint);
}
