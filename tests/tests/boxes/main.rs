//! How a box and the gateway find, know and tell each other: enrolment, certificates, the link, the ways to a door.

mod ca_rotation;
mod enrollment;
mod environment;
mod identity_renewal;
mod link;
mod outbox;
mod revoke;
mod routes;
