//! The part of the table that is about groups of people, and how others get accounts.

use axum::routing::{delete, get, patch, post, put};
use http::Method;

use super::Route;
use crate::api::policy::Policy;
use crate::api::{invites, organizations};
use crate::store::MemberRole::{Owner, Viewer};

const ORGANIZATION: &str = "/organizations/{organization}";
const MEMBERS: &str = "/organizations/{organization}/members";
const MEMBER: &str = "/organizations/{organization}/members/{user}";
const INVITES: &str = "/organizations/{organization}/invites";
const INVITE: &str = "/organizations/{organization}/invites/{invite}";

pub(super) fn routes() -> Vec<Route> {
    let route = Route::new;
    vec![
        route(Method::GET, "/organizations", Policy::SignedIn, get(organizations::list)),
        route(Method::POST, "/organizations", Policy::Installation, post(organizations::create)).lately(),
        route(Method::GET, ORGANIZATION, Policy::Organization(Viewer), get(organizations::show)),
        route(Method::PATCH, ORGANIZATION, Policy::Organization(Owner), patch(organizations::rename)),
        route(Method::PUT, MEMBERS, Policy::Organization(Owner), put(organizations::set_member)).lately(),
        // Whoever takes a session over must not shut the other owners out.
        route(Method::DELETE, MEMBER, Policy::Organization(Owner), delete(organizations::remove_member))
            .lately(),
        route(Method::GET, INVITES, Policy::Organization(Owner), get(invites::list_into)),
        route(Method::POST, INVITES, Policy::Organization(Owner), post(invites::create_into)).lately(),
        route(Method::DELETE, INVITE, Policy::Organization(Owner), delete(invites::revoke_into)),
        route(Method::GET, "/invites", Policy::Installation, get(invites::list)),
        route(Method::POST, "/invites", Policy::Installation, post(invites::create)).lately(),
        route(Method::DELETE, "/invites/{invite}", Policy::Installation, delete(invites::revoke)),
    ]
}
