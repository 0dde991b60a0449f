//! Who makes a request, and from where.
//!
//! | file | what |
//! |---|---|
//! | `origin` | the one origin that browsers use: checks of `Host` and `Origin` |
//! | `cookie` | the cookies of signed-in browsers, of guests, and on the hosts of previews |
//! | `identity` | the user behind a cookie or a token |
//! | `in_use`, `warden` | which rights are used now, and how what goes on by one ends with it |
//! | `password`, `passkeys`, `names` | how people prove who they are, and what they are called |
//! | `device` | what a browser runs on, in our words |
//! | `secret` | secrets that are handed out once |

mod cookie;
mod device;
mod identity;
mod in_use;
mod names;
mod origin;
mod passkeys;
mod password;
mod secret;
mod warden;

pub use cookie::{CookieOf, Shown};
pub use device::device;
pub use identity::{Identity, has_authorization, identify, identify_browser, new_token};
pub(crate) use identity::{bearer, is_lately, issued};
pub use in_use::InUse;
pub use names::{LONGEST_NAME, NAME_RULE, is_user_name, user_name_of};
pub use origin::Origin;
pub use passkeys::{PasskeyError, Passkeys};
pub use password::{PasswordError, Passwords};
pub use secret::new_secret;
pub use warden::watch_over;

use std::time::Duration;

/// How long a browser stays signed in without being used, ...
pub const BROWSER_SESSION: Duration = Duration::from_secs(30 * 24 * 3600);

/// ... and however much it is. Its cookie lasts so long: when the time is up is the store's to say.
pub const LONGEST_SIGN_IN: Duration = Duration::from_secs(180 * 24 * 3600);

/// How lately somebody must have proved who they are for what is dangerous.
pub const LATELY: Duration = Duration::from_secs(15 * 60);

/// How many days an API token may last.
pub const TOKEN_DAYS: std::ops::RangeInclusive<u16> = 1..=365;

/// How long a sign-in link works.
pub const SIGN_IN_LINK: Duration = Duration::from_secs(15 * 60);
