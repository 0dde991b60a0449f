//! CAs: what changes them, and what boxes know of them.

use super::*;

fn sealed(name: &str) -> SealedAuthority {
    SealedAuthority { fingerprint: name.into(), certificate_pem: "c".into(), key_sealed: vec![1] }
}

/// Number, fingerprint and whether it signs.
async fn known(f: &Fixture) -> (u64, Vec<(u64, String, bool)>) {
    let set = f.store.trusted().await.unwrap();
    let of = |ca: Authority| (ca.generation, ca.fingerprint, ca.signing);
    (set.generation, set.authorities.into_iter().map(of).collect())
}

#[tokio::test]
async fn cas_are_added_switched_and_removed_on_the_record() {
    let f = fixture().await;
    f.store.put_first_authority(sealed("one")).await.unwrap();
    f.store.put_first_authority(sealed("late")).await.unwrap();
    assert_eq!(known(&f).await, (1, vec![(1, "one".into(), true)]), "the faster process counts");
    let instance = f.enrolled().await;
    let link = f.linked(&instance).await;
    let change = async |change| f.store.change_trust(change).await.unwrap();

    assert_eq!(change(TrustChange::Add(sealed("two"))).await.unwrap().generation, 2);
    let refused = change(TrustChange::Switch { to: 2, force: false }).await.unwrap_err();
    assert!(matches!(refused, TrustRefusal::NotAcknowledged { generation: 2, .. }), "{refused}");
    assert_eq!(known(&f).await.0, 2, "a refusal changes nothing");
    let acknowledge = async |epoch, generation| {
        f.store.acknowledge_trust(f.workspace.clone(), instance.clone(), epoch, generation).await.unwrap()
    };
    assert!(!acknowledge(link + 1, 2).await, "another link");
    assert!(acknowledge(link, 2).await && acknowledge(link, 2).await);
    change(TrustChange::Switch { to: 2, force: false }).await.unwrap();
    assert_eq!(known(&f).await, (2, vec![(1, "one".into(), false), (2, "two".into(), true)]));

    let removed = change(TrustChange::Remove { which: 1, force: false }).await.unwrap();
    assert_eq!(removed.boxes, Vec::<String>::new(), "the box shows another CA's certificate");
    assert_eq!(known(&f).await, (3, vec![(2, "two".into(), true)]));
    // Numbers are not given twice.
    assert_eq!(change(TrustChange::Add(sealed("three"))).await.unwrap().generation, 4);
    change(TrustChange::Remove { which: 4, force: false }).await.unwrap();
    assert_eq!(change(TrustChange::Add(sealed("four"))).await.unwrap().generation, 6);

    let record = f.store.audit(AuditFilter::default(), 100).await.unwrap();
    let words = ["ca_added", "ca_switched", "ca_removed", "trust_acknowledged"];
    let counts = words.map(|word| record.iter().filter(|entry| entry.action == word).count());
    assert_eq!(counts, [3, 1, 2, 1]);
}

#[tokio::test]
async fn only_the_owning_instance_is_given_a_newer_certificate() {
    let f = fixture().await;
    let first = f.enrolled().await;
    assert!(f.store.certificate_renewed(first.clone(), 1, 1).await.unwrap());
    let second = f.enrolled().await;
    assert!(!f.store.certificate_renewed(first.clone(), 1, 1).await.unwrap());
    assert!(!f.store.instance_owns(first).await.unwrap() && f.store.instance_owns(second).await.unwrap());
    assert!(!f.store.certificate_renewed(InstanceId::random(), 1, 1).await.unwrap());
    let record = f.store.audit(AuditFilter::default(), 100).await.unwrap();
    assert_eq!(record.iter().filter(|entry| entry.action == "certificate_renewed").count(), 1);
}
