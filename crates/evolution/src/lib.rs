//! The gateway: the client for Evolution API 2.3.7 and the meaning of its answers. This crate has no retries and no
//! database: a send is one POST, and the caller decides by its [`Outcome`] about a retry.

mod address;
mod client;
mod history;
mod local_errors;
mod message;
mod networks;
mod outcome;
mod reason;
mod resolver;
mod state;
pub mod webhook;

pub use address::{InstanceAddress, InvalidAddress, Token};
pub use client::{ClientError, ClientSettings, EvolutionClient, LINK_PREVIEW, MAX_RESPONSE_BYTES};
pub use history::{LookResult, Search};
pub use message::is_same_text;
pub use networks::{AllowedNetworks, InvalidNetworks};
pub use outcome::{Outcome, Reply, outcome};
pub use reason::Reason;
pub use state::{ConnectionState, connection_state};
