//! People: how they prove who they are, what they show afterwards, and what they may do. Programs with an API key are `auth`'s.

mod access;
mod body;
mod crossing;
mod password;
mod token;
mod totp;

pub use access::CommandLine;
pub(crate) use access::{Access, Actor, Change, Client, Person, Visitor, cookie, record};
pub(crate) use body::JsonBody;
pub(crate) use password::{Passwords, fault as password_fault};
pub(crate) use token::{ACCESS_TOKEN_LIFE, AccessTokens, SESSION_COOKIE, SessionSecret, random_secret};
pub(crate) use totp::{RecoveryCodes, SecondFactor};
