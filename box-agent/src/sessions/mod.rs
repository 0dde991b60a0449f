//! Sessions: what should run against what runs. [`plan`] decides, [`worker`] acts.

pub mod plan;
pub mod worker;
