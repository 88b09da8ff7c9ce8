//! The digits of a written amount, without the marks of its thousands. No number is a float, so no digit is changed.

/// Blanks are those between digits only; the caller has removed the others.
const THOUSANDS_MARKS: [char; 8] = ['.', ',', ' ', '\u{a0}', '\u{2009}', '\u{202f}', '\'', '’'];
/// The largest exponent whose zeros are written out: the largest amount has nine digits before its decimal mark.
const MAX_EXPONENT: usize = 9;

/// A number without sign.
pub(super) struct Numeral {
    /// The digits before the decimal mark.
    pub(super) whole: String,
    /// The digits after it.
    pub(super) decimals: String,
    /// The only mark is a point or a comma, and may be the mark of thousands: `1.234`.
    pub(super) is_ambiguous: bool,
}

impl Numeral {
    /// Reads digits with an optional decimal mark, which is a point or a comma, and with marks of thousands, which are
    /// equal to one another and not to the decimal mark. Only a mark of thousands occurs twice.
    ///
    /// A single point or comma is ambiguous where exactly three digits follow it, and one to three digits are before it
    /// that are not all zeros: `0.123` and `1234.567` have decimals.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (whole, decimals) = match text.rfind(['.', ',']) {
            Some(at) if !text[..at].contains(&text[at..=at]) => (&text[..at], Some(&text[at + 1..])),
            _ => (text, None),
        };
        if !decimals.map_or(!whole.is_empty(), is_digits) {
            return None;
        }
        let decimals = decimals.unwrap_or_default();
        let may_be_thousands = is_digits(whole) && whole.len() <= 3 && whole.bytes().any(|digit| digit != b'0');
        Some(Self {
            is_ambiguous: may_be_thousands && decimals.len() == 3,
            whole: without_thousands_marks(whole)?,
            decimals: decimals.to_owned(),
        })
    }

    pub(super) fn is_zero(&self) -> bool {
        [&self.whole, &self.decimals].iter().all(|digits| digits.bytes().all(|digit| digit == b'0'))
    }
}

/// Whether a text is a number in scientific notation, and that number where its digits can be written out.
pub(super) fn read_scientific(text: &str) -> Option<Option<Numeral>> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let Numeral { whole, decimals, .. } = Numeral::read(mantissa)?;
    if !is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)) {
        return None;
    }
    let exponent = exponent.parse().ok().filter(|exponent| *exponent <= MAX_EXPONENT);
    Some(exponent.map(|exponent| {
        let (shifted, decimals) = (format!("{decimals:0<exponent$}"), decimals.get(exponent..).unwrap_or_default());
        Numeral {
            whole: format!("{whole}{}", &shifted[..exponent]),
            decimals: decimals.to_owned(),
            is_ambiguous: false,
        }
    }))
}

/// Digits without the marks between their groups of three.
fn without_thousands_marks(whole: &str) -> Option<String> {
    let Some(mark) = whole.chars().find(|other| !other.is_ascii_digit()) else { return Some(whole.to_owned()) };
    let mut groups = whole.split(mark);
    let is_first = |group: &str| is_digits(group) && group.len() <= 3;
    let is_grouped = groups.next().is_some_and(is_first) && groups.all(|group| is_digits(group) && group.len() == 3);
    (is_grouped && THOUSANDS_MARKS.contains(&mark)).then(|| whole.replace(mark, ""))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
