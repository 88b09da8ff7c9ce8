//! The document against the contract.
