//! A real broker, driven over HTTPS. One program for all, because linking it takes longer than running it.

mod abandoned;
mod administration;
mod crash;
mod desk;
mod frames;
mod operations;
mod pitfalls;
mod policies;
mod protocol;
mod raw;
