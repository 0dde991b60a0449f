//! Who makes a request, and from where.
//!
//! | file | what |
//! |---|---|
//! | `origin` | the one origin that browsers use: checks of `Host` and `Origin` |
//! | `cookie` | the cookies of signed-in browsers, of guests, and on the hosts of previews |
//! | `identity` | the user behind a cookie or a token |
//! | `device` | what a browser runs on, in our words |
//! | `secret` | secrets that are handed out once |

mod cookie;
mod device;
mod identity;
mod origin;
mod secret;

pub use cookie::{CookieOf, Shown};
pub use device::device;
pub(crate) use identity::bearer;
pub use identity::{Identity, has_authorization, identify, new_token};
pub use origin::Origin;
pub use secret::new_secret;

use std::time::Duration;

/// How long a browser stays signed in.
pub const BROWSER_SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many days an API token may last.
pub const TOKEN_DAYS: std::ops::RangeInclusive<u16> = 1..=365;

/// How long a sign-in link works.
pub const SIGN_IN_LINK: Duration = Duration::from_secs(15 * 60);
