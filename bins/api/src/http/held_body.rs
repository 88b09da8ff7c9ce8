//! A body that holds a guard until its last byte is written, or until it is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// hyper takes a small body at once and writes it over time, so each piece of the body holds the guard too.
pub(super) struct HeldBody<B, G> {
    body: B,
    guard: Arc<G>,
}

impl<B, G> HeldBody<B, G> {
    pub(super) const fn new(body: B, guard: Arc<G>) -> Self {
        Self { body, guard }
    }
}

impl<B: Body<Data = Bytes> + Unpin, G: Send + Sync + 'static> Body for HeldBody<B, G> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, guard } = self.get_mut();
        let hold = |bytes| Bytes::from_owner(Piece { bytes, _guard: Arc::clone(guard) });
        Pin::new(body).poll_frame(cx).map_ok(|frame| frame.map_data(hold))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Piece<G> {
    bytes: Bytes,
    _guard: Arc<G>,
}

impl<G> AsRef<[u8]> for Piece<G> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
