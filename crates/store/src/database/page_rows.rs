//! The rows of one page of a listing, bounded by their number and by their size.

use std::io;

use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use sqlx::Error;

/// Most bytes of a page as JSON. A single larger row has a page of its own.
const PAGE_BYTES: usize = 1 << 20;
/// Most rows of a statement: a page of 200, and the row that shows that another page follows.
const PART_ROWS: usize = 201;
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

/// A page that is read by several statements. The database reads and sends every row of a statement, also those beyond
/// the page, so a statement has few rows.
pub(crate) struct PageReader<T> {
    rows: Vec<T>,
    bytes: usize,
    limit: usize,
    /// Rows that the current statement may yield.
    requested: usize,
    /// Whether another page follows; none: the page is not complete.
    has_more: Option<bool>,
}

impl<T: Serialize> PageReader<T> {
    pub(crate) fn up_to(limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        Self { rows: Vec::new(), bytes: 0, limit, requested: 0, has_more: None }
    }

    /// The number of rows that the next statement may yield, one beyond the page included; none when the page is
    /// complete.
    pub(crate) fn next_part(&mut self) -> Option<i64> {
        self.requested = (self.limit + 1 - self.rows.len()).min(PART_ROWS);
        self.has_more.is_none().then(|| i64::try_from(self.requested).unwrap_or(i64::MAX))
    }

    /// The row after which the next statement begins; none: at the beginning of the page.
    pub(crate) fn last(&self) -> Option<&T> {
        self.rows.last()
    }

    /// Adds the rows of a statement. Those beyond the page are not kept.
    pub(crate) async fn add(&mut self, mut stream: impl Stream<Item = Result<T, Error>> + Unpin) -> Result<(), Error> {
        let before = self.rows.len();
        while let Some(row) = stream.try_next().await? {
            self.bytes += size(&row)?;
            if self.rows.len() == self.limit || (self.bytes > PAGE_BYTES && !self.rows.is_empty()) {
                self.has_more = Some(true);
                return Ok(());
            }
            self.rows.push(row);
        }
        if self.rows.len() - before < self.requested {
            self.has_more = Some(false);
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> PageRows<T> {
        PageRows { rows: self.rows, has_more: self.has_more.unwrap_or(false) }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// Reads a page of rows with these sizes. Returns the number of its rows, whether more follow, and the rows that
    /// each statement yielded.
    async fn read(limit: i64, sizes: &[usize]) -> (usize, bool, Vec<usize>) {
        let (mut page, mut parts) = (PageReader::up_to(limit), Vec::new());
        let mut begin = 0;
        while let Some(count) = page.next_part() {
            let end = sizes.len().min(begin + usize::try_from(count).unwrap());
            page.add(stream::iter(sizes[begin..end].iter().map(|size| Ok("x".repeat(*size))))).await.unwrap();
            parts.push(end - begin);
            begin = page.rows.len();
        }
        let page = page.finish();
        (page.rows.len(), page.has_more, parts)
    }

    #[tokio::test]
    async fn small_rows_fill_the_page() {
        assert_eq!(read(100, &[10; 100]).await, (100, false, vec![100]));
        assert_eq!(read(100, &[10; 101]).await, (100, true, vec![101]));
        assert_eq!(read(1000, &[10; 1000]).await, (1000, false, vec![201, 201, 201, 201, 196]));
        assert_eq!(read(1000, &[10; 1001]).await, (1000, true, vec![201, 201, 201, 201, 197]));
        assert_eq!(read(402, &[10; 402]).await, (402, false, vec![201, 201, 0]));
        assert_eq!(read(5, &[]).await, (0, false, vec![0]));
    }

    #[tokio::test]
    async fn large_rows_end_the_page_and_few_are_read_beyond_it() {
        assert_eq!(read(1000, &[10_000; 1000]).await, (104, true, vec![201]));
        assert_eq!(read(1000, &[4_000; 1000]).await, (262, true, vec![201, 201]));
        assert_eq!(read(10, &[2 << 20, 2 << 20]).await, (1, true, vec![2]), "one row is a page");
    }
}
