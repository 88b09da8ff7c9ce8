//! The rows of one page of a listing, bounded by their number and by their size.

use std::io;

use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use sqlx::Error;

/// Most bytes of a page as JSON. A single larger row has a page of its own.
const PAGE_BYTES: usize = 1 << 20;
/// Bytes that a member or an element counts beyond its text. A parsed JSON of tiny ones takes many times its text in
/// memory.
const MEMBER_BYTES: usize = 16;

/// The rows of one page. It has fewer rows than requested where they are large.
#[derive(Clone, Debug)]
pub struct PageRows<T> {
    /// In the order of the listing.
    pub rows: Vec<T>,
    /// Whether another page follows.
    pub has_more: bool,
}

impl<T: Serialize> PageRows<T> {
    /// Reads up to `limit` rows of a statement that yields at least one more. Rows beyond the page are not kept.
    pub(crate) async fn read(
        mut stream: impl Stream<Item = Result<T, Error>> + Unpin,
        limit: i64,
    ) -> Result<Self, Error> {
        let limit = usize::try_from(limit).unwrap_or(0);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = stream.try_next().await? {
            bytes += size(&row)?;
            if rows.len() == limit || (bytes > PAGE_BYTES && !rows.is_empty()) {
                return Ok(Self { rows, has_more: true });
            }
            rows.push(row);
        }
        Ok(Self { rows, has_more: false })
    }
}

/// The size of a row, without a copy of its JSON.
fn size(row: &impl Serialize) -> Result<usize, Error> {
    let mut size = Size(0);
    serde_json::to_writer(&mut size, row).map_err(|error| Error::Decode(error.into()))?;
    Ok(size.0)
}

struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        let members = json.iter().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count();
        self.0 += json.len() + members * MEMBER_BYTES;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
