//! People: how they prove who they are, what they show afterwards, and what they may do. Programs with an API key are `auth`'s.

mod access;
mod crossing;
mod password;
mod token;
mod totp;

pub use access::CommandLine;
pub(crate) use access::{Access, Client};
pub(crate) use password::Passwords;
pub(crate) use token::{AccessTokens, SESSION_COOKIE, SessionSecret, random_secret};
pub(crate) use totp::{RecoveryCodes, SecondFactor};
