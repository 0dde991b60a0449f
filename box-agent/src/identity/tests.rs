use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

use super::*;

/// An enrolment by a CA of the test's own.
fn documents(installation: &InstallationId, name: &BerthName) -> Documents {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca_params = CertificateParams::default();
    ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(name.to_string().try_into().unwrap())];
    let certificate = params.signed_by(&key, &Issuer::from_params(&ca_params, &ca_key)).unwrap();
    let instance = match name {
        BerthName::Box { instance, .. } => instance.clone(),
        BerthName::Gateway { .. } => InstanceId::random(),
    };
    Documents {
        facts: Facts {
            installation: installation.clone(),
            workspace: WorkspaceId::random(),
            instance,
            instance_epoch: 3,
            link_address: "127.0.0.1:1".into(),
            trust_generation: 1,
        },
        key_pem: key.serialize_pem(),
        certificate_pem: certificate.pem(),
        ca_pem: ca.pem(),
    }
}

fn good() -> Documents {
    let installation = InstallationId::random();
    let name = BerthName::Box { installation: installation.clone(), instance: InstanceId::random() };
    documents(&installation, &name)
}

#[test]
fn an_identity_is_stored_whole_and_read_back() {
    let state = tempfile::tempdir().unwrap();
    assert!(matches!(load(state.path()), Err(IdentityError::NotEnrolled)));
    let first = good();
    store(state.path(), &first, false).unwrap();
    assert_eq!(load(state.path()).unwrap().facts, first.facts);
    let entries: Vec<_> = std::fs::read_dir(state.path()).unwrap().collect();
    assert_eq!(entries.len(), 1, "nothing but the identity stays: {entries:?}");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = state.path().join("identity").join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("key.pem"), mode("")), (0o600, 0o700));
}

#[test]
fn an_identity_is_replaced_only_when_asked() {
    let state = tempfile::tempdir().unwrap();
    let (first, second) = (good(), good());
    store(state.path(), &first, false).unwrap();
    assert!(matches!(store(state.path(), &second, false), Err(IdentityError::AlreadyEnrolled(_))));
    assert_eq!(load(state.path()).unwrap().facts, first.facts);
    store(state.path(), &second, true).unwrap();
    assert_eq!(load(state.path()).unwrap().facts, second.facts);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 1);
}

#[test]
fn what_does_not_belong_together_is_not_stored() {
    let state = tempfile::tempdir().unwrap();
    let refused = |documents: &Documents| {
        let error = store(state.path(), documents, false).unwrap_err().to_string();
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "something was left behind");
        error
    };
    let other_key = Documents { key_pem: KeyPair::generate().unwrap().serialize_pem(), ..good() };
    assert!(refused(&other_key).contains("don't belong together"));
    let mut other_name = good();
    other_name.facts.instance = InstanceId::random();
    assert!(refused(&other_name).contains("does not carry the name"));
    assert!(refused(&Documents { ca_pem: String::new(), ..good() }).contains("ca.pem holds no certificate"));
    let installation = InstallationId::random();
    let gateway = BerthName::Gateway {
        installation: installation.clone(),
        gateway: berth_protocol::ids::GatewayId::random(),
    };
    assert!(refused(&documents(&installation, &gateway)).contains("does not carry the name"));
}
