//! The API under `/api/v1`: one table of routes, each with its policy.
//!
//! | file | what |
//! |---|---|
//! | `routes` | the table, and the router made from it |
//! | `policy` | user → workspace → session, resolved in one place before any handler runs |
//! | `patience` | how often, how much and how slowly may be asked |
//! | `error` | how errors look |
//! | `document` | the OpenAPI description, compared with the table |
//! | `views` | what answers look like |
//! | `account`, `workspaces`, `sessions`, `events`, `terminal`, `shares`, `previews` | handlers |
//! | `links` | links to previews |
//! | `cut` | answers that end with the right to them |
//! | `members`, `organizations` | who may use a workspace, and the workspaces of a group |
//! | `invites` | how others get accounts |
//! | `sign_in`, `credentials` | passwords, passkeys and invites |
//! | `issued` | signing in by an issuer's token |
//! | `tokens`, `devices` | API tokens; browsers that are signed in |
//! | `notifications`, `channels` | inboxes; ways by which users are told elsewhere |
//! | `environment` | what terminals find on the box |
//! | `backup_repository`, `backups` | where backups go, how they are, and what is in them |
//! | `screen`, `input`, `exec`, `upload`, `audit` | handlers of what needs no terminal; `commands` is what they share |

mod account;
mod audit;
mod backup_repository;
mod backups;
mod channels;
mod commands;
mod credentials;
mod cut;
mod devices;
mod document;
mod environment;
mod error;
mod events;
mod exec;
mod input;
mod invites;
mod issued;
mod links;
mod members;
mod notifications;
mod organizations;
mod patience;
mod policy;
mod previews;
mod routes;
mod screen;
mod sessions;
mod shares;
mod sign_in;
mod terminal;
mod tokens;
mod upload;
mod views;
mod workspaces;

pub use error::ApiError;
pub(crate) use issued::enter as enter_by_issuer;
pub use policy::{Demand, Policy, usable_preview};
pub use routes::{PREFIX, Route, router, routes};
pub(crate) use sign_in::set_cookies;
pub use tokens::token_created;
