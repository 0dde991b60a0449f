//! The one URI name that every certificate of an installation carries.

use std::fmt;
use std::str::FromStr;

use crate::ids::{GatewayId, InstallationId, InstanceId};

/// Whom a certificate stands for: `berth://<installation>/gateway/<id>` or `berth://<installation>/box/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BerthName {
    /// A gateway: may open any door and answers on the link listener.
    Gateway {
        /// The installation whose CA wrote the name.
        installation: InstallationId,
        /// The gateway.
        gateway: GatewayId,
    },
    /// A box: may open its own link and answers on its own door.
    Box {
        /// The installation whose CA wrote the name.
        installation: InstallationId,
        /// The instance.
        instance: InstanceId,
    },
}

/// A text that is not a Berth name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a Berth name: expected berth://<installation>/gateway/<id> or berth://<installation>/box/<id>")]
pub struct InvalidName;

impl fmt::Display for BerthName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway { installation, gateway } => write!(f, "berth://{installation}/gateway/{gateway}"),
            Self::Box { installation, instance } => write!(f, "berth://{installation}/box/{instance}"),
        }
    }
}

impl FromStr for BerthName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rest = text.strip_prefix("berth://").ok_or(InvalidName)?;
        let mut parts = rest.split('/');
        let (Some(installation), Some(role), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidName);
        };
        let installation = installation.parse().map_err(|_| InvalidName)?;
        match role {
            "gateway" => Ok(Self::Gateway { installation, gateway: id.parse().map_err(|_| InvalidName)? }),
            "box" => Ok(Self::Box { installation, instance: id.parse().map_err(|_| InvalidName)? }),
            _ => Err(InvalidName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_being_written() {
        let installation = InstallationId::random();
        for name in [
            BerthName::Gateway { installation: installation.clone(), gateway: GatewayId::random() },
            BerthName::Box { installation, instance: InstanceId::random() },
        ] {
            assert_eq!(name.to_string().parse::<BerthName>().unwrap(), name);
        }
    }

    #[test]
    fn near_misses_are_no_names() {
        let installation = InstallationId::random();
        let instance = InstanceId::random();
        for text in [
            format!("https://{installation}/box/{instance}"),
            format!("berth://{installation}/box/{instance}/more"),
            format!("berth://{installation}/gateway/{instance}"),
            format!("berth://{installation}/root/{instance}"),
            format!("berth:///box/{instance}"),
        ] {
            assert_eq!(text.parse::<BerthName>(), Err(InvalidName), "{text}");
        }
    }
}
