//! The gateway: the client for Evolution API 2.3.7 and the one place that says what its answers mean.
//! There is no trait, no retry and no database in this room: a send is one POST, and who may repeat it is decided by
//! the caller from the [`Outcome`].

mod address;
mod client;
mod history;
mod networks;
mod outcome;
mod reason;
mod resolver;
mod state;
pub mod webhook;

pub use address::{InstanceAddress, InvalidAddress, Token};
pub use client::{ClientError, ClientSettings, EvolutionClient, LINK_PREVIEW, MAX_RESPONSE_BYTES};
pub use history::{Found, Search, is_same_text};
pub use networks::{AllowedNetworks, InvalidNetworks};
pub use outcome::{Outcome, Reply, outcome};
pub use reason::Reason;
pub use state::{ConnectionState, connection_state};
