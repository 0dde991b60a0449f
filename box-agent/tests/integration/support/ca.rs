//! A certificate authority of the test's own, which plays the installation's.

use berth_protocol::ids::{GatewayId, InstallationId, InstanceId, WorkspaceId};
use berth_protocol::name::BerthName;
use berth_protocol::tls::Credentials;
use box_agent::identity::{Documents, Facts};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub struct Ca {
    pub installation: InstallationId,
    issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
    pub pem: String,
}

impl Ca {
    pub fn new() -> Self {
        Self::of(InstallationId::random())
    }

    /// Another CA that claims to be of the same installation.
    pub fn of(installation: InstallationId) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { installation, issuer: Issuer::new(params, key), certificate: der, pem }
    }

    fn params(name: &BerthName) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(name.to_string().try_into().unwrap())];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params
    }

    pub fn box_name(&self, instance: &InstanceId) -> BerthName {
        BerthName::Box { installation: self.installation.clone(), instance: instance.clone() }
    }

    /// Credentials of a gateway. The chain ends with the CA, as a gateway's does.
    pub fn gateway(&self) -> Credentials {
        let name =
            BerthName::Gateway { installation: self.installation.clone(), gateway: GatewayId::random() };
        self.credentials(&name)
    }

    pub fn credentials(&self, name: &BerthName) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let certificate = Self::params(name).signed_by(&key, &self.issuer).unwrap();
        Credentials {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// What a box that was enrolled with this CA keeps.
    pub fn enrolment(&self, link_address: &str) -> Documents {
        let instance = InstanceId::random();
        let key = KeyPair::generate().unwrap();
        let certificate = Self::params(&self.box_name(&instance)).signed_by(&key, &self.issuer).unwrap();
        Documents {
            facts: Facts {
                installation: self.installation.clone(),
                workspace: WorkspaceId::random(),
                instance,
                instance_epoch: 1,
                link_address: link_address.to_owned(),
                trust_generation: 0,
            },
            key_pem: key.serialize_pem(),
            certificate_pem: certificate.pem(),
            ca_pem: self.pem.clone(),
        }
    }

    /// Signs the key of a request under a name, as a gateway does.
    pub fn sign(&self, csr_pem: &str, name: &BerthName) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        request.params = Self::params(name);
        request.signed_by(&self.issuer).unwrap().pem()
    }
}
