//! Whether a change of the CAs may be made now: pure, asked in the transaction that makes it.

use super::TrustingBox;

/// A CA, as far as changes look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The trust generation that brought it: its number.
    pub generation: u64,
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// Whether it signs.
    pub signing: bool,
}

/// Why the CAs stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Two are there already.
    #[error(
        "CA {0} was added and does not sign yet: `gateway ca switch {0}` has it sign, `gateway ca remove {0}` gives it up"
    )]
    Waiting(u64),
    /// The one before is still there.
    #[error("CA {0}, which signed before, is still trusted: `gateway ca remove {0}` comes first")]
    NotRemoved(u64),
    /// There is none of that number.
    #[error("there is no CA {0}: `gateway ca list` prints those there are")]
    Unknown(u64),
    /// It signs already.
    #[error("CA {0} signs already")]
    Signs(u64),
    /// The one that signs can't be removed.
    #[error("CA {0} signs: have another sign first (`gateway ca add`, `gateway ca switch`)")]
    Needed(u64),
    /// Boxes don't know it yet.
    #[error(
        "these boxes have not acknowledged CA {generation} yet: {}. Wait for them (`gateway ca boxes`), or use --force: \
         they go on with the CA that they know until that one is removed",
        boxes.join(", ")
    )]
    NotAcknowledged {
        /// The CA.
        generation: u64,
        /// Names of workspaces.
        boxes: Vec<String>,
    },
    /// Boxes would be cut off.
    #[error(
        "these boxes still need CA {generation}: {}. Wait for them (`gateway ca boxes`), or use --force: they are cut off, \
         and each must be enrolled again (`gateway workspace enroll`, `box-agent enroll --replace`)",
        boxes.join(", ")
    )]
    InUse {
        /// The CA.
        generation: u64,
        /// Names of workspaces.
        boxes: Vec<String>,
    },
}

/// Whether another CA may be added: there are two at most, so that nobody loses track.
///
/// # Errors
/// [`Refusal`].
pub fn may_add(authorities: &[Trusted]) -> Result<(), Refusal> {
    let signing = authorities.iter().find(|ca| ca.signing).map_or(0, |ca| ca.generation);
    match authorities.iter().find(|ca| !ca.signing) {
        Some(ca) if ca.generation > signing => Err(Refusal::Waiting(ca.generation)),
        Some(ca) => Err(Refusal::NotRemoved(ca.generation)),
        None => Ok(()),
    }
}

/// Whether a CA may sign from now on. Which boxes have not acknowledged it, if that is forced.
///
/// # Errors
/// [`Refusal`].
pub fn may_switch(
    authorities: &[Trusted],
    boxes: &[TrustingBox],
    to: u64,
    force: bool,
) -> Result<Vec<String>, Refusal> {
    if find(authorities, to)?.signing {
        return Err(Refusal::Signs(to));
    }
    let behind = names(boxes, |one| one.acknowledged < to);
    if behind.is_empty() || force {
        return Ok(behind);
    }
    Err(Refusal::NotAcknowledged { generation: to, boxes: behind })
}

/// Whether a CA may be believed no more. Which boxes that cuts off, if it is forced.
///
/// # Errors
/// [`Refusal`].
pub fn may_remove(
    authorities: &[Trusted],
    boxes: &[TrustingBox],
    which: u64,
    force: bool,
) -> Result<Vec<String>, Refusal> {
    let leaving = find(authorities, which)?;
    if leaving.signing {
        return Err(Refusal::Needed(which));
    }
    let signing = authorities.iter().find(|ca| ca.signing).map_or(0, |ca| ca.generation);
    let needing = names(boxes, |one| {
        // One that has never linked may have been given any.
        let uses = one.certificate_ca.as_ref().is_none_or(|ca| *ca == leaving.fingerprint);
        uses || one.acknowledged < signing
    });
    if needing.is_empty() || force {
        return Ok(needing);
    }
    Err(Refusal::InUse { generation: which, boxes: needing })
}

fn find(authorities: &[Trusted], generation: u64) -> Result<&Trusted, Refusal> {
    authorities.iter().find(|ca| ca.generation == generation).ok_or(Refusal::Unknown(generation))
}

fn names(boxes: &[TrustingBox], which: impl Fn(&TrustingBox) -> bool) -> Vec<String> {
    boxes.iter().filter(|one| which(one)).map(|one| one.workspace_name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::InstanceId;

    use super::*;

    fn ca(generation: u64, signing: bool) -> Trusted {
        Trusted { generation, fingerprint: format!("ca-{generation}"), signing }
    }

    fn one(name: &str, certificate_ca: Option<u64>, acknowledged: u64) -> TrustingBox {
        TrustingBox {
            workspace_name: name.into(),
            instance: InstanceId::random(),
            certificate_ca: certificate_ca.map(|generation| format!("ca-{generation}")),
            certificate_until_ms: None,
            acknowledged,
        }
    }

    #[test]
    fn there_are_two_cas_at_most() {
        assert_eq!(may_add(&[ca(1, true)]), Ok(()));
        assert_eq!(may_add(&[ca(1, true), ca(2, false)]), Err(Refusal::Waiting(2)));
        assert_eq!(may_add(&[ca(1, false), ca(2, true)]), Err(Refusal::NotRemoved(1)));
    }

    #[test]
    fn a_ca_signs_once_every_box_knows_it() {
        let both = [ca(1, true), ca(2, false)];
        let boxes = [one("main", Some(1), 2), one("lab", Some(1), 1)];
        let behind = vec!["lab".to_owned()];
        let refused = Refusal::NotAcknowledged { generation: 2, boxes: behind.clone() };
        assert_eq!(may_switch(&both, &boxes, 2, false), Err(refused));
        assert_eq!(may_switch(&both, &boxes, 2, true), Ok(behind));
        assert_eq!(may_switch(&both, &boxes[..1], 2, false), Ok(vec![]));
        assert_eq!(may_switch(&both, &boxes, 1, true), Err(Refusal::Signs(1)));
        assert_eq!(may_switch(&both, &boxes, 3, true), Err(Refusal::Unknown(3)));
        // Back again, to what every box was given at its enrolment.
        assert_eq!(may_switch(&[ca(1, false), ca(2, true)], &boxes, 1, false), Ok(vec![]));
    }

    #[test]
    fn a_ca_is_removed_once_no_box_needs_it() {
        let both = [ca(1, false), ca(2, true)];
        let [done, uses, behind, new] = [
            one("done", Some(2), 2),
            one("uses", Some(1), 2),
            one("behind", Some(2), 1),
            one("new", None, 0),
        ];
        assert_eq!(may_remove(&both, std::slice::from_ref(&done), 1, false), Ok(vec![]));
        for needs in [&uses, &behind, &new] {
            let boxes = [done.clone(), needs.clone()];
            let named = vec![needs.workspace_name.clone()];
            let refused = Refusal::InUse { generation: 1, boxes: named.clone() };
            assert_eq!(may_remove(&both, &boxes, 1, false), Err(refused));
            assert_eq!(may_remove(&both, &boxes, 1, true), Ok(named));
        }
        assert_eq!(may_remove(&both, &[], 2, true), Err(Refusal::Needed(2)));
        // One that never signed is given up although no box has heard of it.
        let added = [ca(1, true), ca(2, false)];
        assert_eq!(may_remove(&added, &[one("main", Some(1), 1)], 2, false), Ok(vec![]));
    }
}
