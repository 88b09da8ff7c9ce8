//! Counts the round trips of programs to PostgreSQL, by the messages that they send through a proxy.

use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

/// Codes in the place of a protocol version: the client asks for encryption first, and its startup message follows.
const ASKS_FOR_ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// A message after which the client waits for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundTrip {
    /// A simple query, or the messages of a prepared statement with their `Sync`.
    Statement,
    /// A `Sync` alone: the pool tests a connection.
    Ping,
}

/// The round trips of all connections of a proxy, in the order of their messages.
#[derive(Clone, Debug, Default)]
pub struct RoundTrips(Arc<Mutex<Vec<RoundTrip>>>);

impl RoundTrips {
    /// The round trips since the last call.
    pub fn take(&self) -> Vec<RoundTrip> {
        take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A reader of one connection, from its beginning.
    pub(crate) fn reader(&self) -> Reader {
        Reader { round_trips: self.clone(), unread: Vec::new(), has_started: false, has_messages: false }
    }

    fn push(&self, round_trip: RoundTrip) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(round_trip);
    }
}

/// Reads what a client sends on one connection.
pub(crate) struct Reader {
    round_trips: RoundTrips,
    unread: Vec<u8>,
    has_started: bool,
    /// Whether messages wait for their `Sync`.
    has_messages: bool,
}

impl Reader {
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while self.read_message() {}
    }

    /// Reads one message; false when it is not complete yet.
    fn read_message(&mut self) -> bool {
        let kind_length = usize::from(self.has_started);
        let Some(length) = self.number_at(kind_length) else { return false };
        let end = kind_length + length as usize;
        if self.unread.len() < end {
            return false;
        }
        if !self.has_started {
            self.has_started = self.number_at(4).is_some_and(|code| !ASKS_FOR_ENCRYPTION.contains(&code));
        } else if let Some(kind) = self.unread.first().copied() {
            self.count(kind);
        }
        self.unread.drain(..end);
        true
    }

    fn count(&mut self, kind: u8) {
        match kind {
            b'Q' => self.round_trips.push(RoundTrip::Statement),
            b'S' if take(&mut self.has_messages) => self.round_trips.push(RoundTrip::Statement),
            b'S' => self.round_trips.push(RoundTrip::Ping),
            // Parse, Bind, Describe, Execute, Close
            b'P' | b'B' | b'D' | b'E' | b'C' => self.has_messages = true,
            _ => {}
        }
    }

    fn number_at(&self, place: usize) -> Option<u32> {
        let bytes = self.unread.get(place..place + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap() + 4;
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn statements_and_pings_are_counted_wherever_the_bytes_are_cut() {
        let startup = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes(), &9_u32.to_be_bytes(), b"\0\x03\0\0u"];
        let query = message(b'Q', b"begin\0");
        let prepared = [message(b'B', b"SSQQ"), message(b'E', b"\0\0"), message(b'S', b"")].concat();
        let sent = [startup.concat(), query, prepared, message(b'S', b""), message(b'X', b"")].concat();
        for size in 1..sent.len() {
            let round_trips = RoundTrips::default();
            let mut reader = round_trips.reader();
            sent.chunks(size).for_each(|bytes| reader.read(bytes));
            assert_eq!(round_trips.take(), [RoundTrip::Statement, RoundTrip::Statement, RoundTrip::Ping], "{size}");
        }
    }
}
