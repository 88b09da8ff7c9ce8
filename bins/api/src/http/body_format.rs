//! The form of a request's body: its media type, its charset and its compression.

use std::io::Read;

use axum::http::{HeaderMap, HeaderValue, header};
use encoding_rs::{Encoding, UTF_8};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use regua_domain::{Text, printable};

use super::error::{Code, Problem};

/// Characters of a header that an answer repeats.
const SHOWN: usize = 60;
/// A character of one byte takes at most three in UTF-8.
const MOST_GROWTH: usize = 3;

/// How the bytes of a JSON body are read.
#[derive(Clone, Copy)]
pub(super) struct BodyFormat {
    compression: Compression,
    encoding: &'static Encoding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Deflate,
}

impl BodyFormat {
    /// The format that the headers name, UTF-8 by default. The problem names the header to change.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let compression = Compression::of(headers)?;
        let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(content_type);
        let mut parts = text.split(';').map(str::trim);
        let is_json = parts.next().is_some_and(|media_type| {
            ["application/json", "text/json"].iter().any(|json| media_type.eq_ignore_ascii_case(json))
        });
        if !is_json {
            return Err(refuse(Text::of("body-content-type").with("sent", shown(content_type))));
        }
        let label = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        });
        let encoding = label.map_or(Some(UTF_8), |label| Encoding::for_label(label.as_bytes()));
        let unknown = || refuse(Text::of("body-charset").with("sent", shown(label.unwrap_or_default().as_bytes())));
        encoding.map(|encoding| Self { compression, encoding }).ok_or_else(unknown)
    }

    /// Whether the body is not compressed, and declared as UTF-8. It stays as it is, and its reader names the place of an
    /// error.
    pub(super) fn is_plain(self) -> bool {
        self.compression == Compression::None && self.encoding == UTF_8
    }

    /// Bytes of memory for a body of a length, of at most `limit` bytes.
    pub(super) fn memory(self, length: Option<usize>, limit: usize) -> usize {
        let length = length.filter(|_| self.compression == Compression::None).unwrap_or(limit);
        if self.encoding == UTF_8 { length } else { length.saturating_mul(MOST_GROWTH) }
    }

    /// The body unpacked and in UTF-8; none when it is longer than `limit`.
    pub(super) fn decode(self, body: Vec<u8>, limit: usize) -> Result<Option<Vec<u8>>, Problem> {
        let body = self.compression.unpack(body, limit)?;
        if self.encoding == UTF_8 || body.len() > limit {
            return Ok(Some(body).filter(|body| body.len() <= limit));
        }
        let (text, has_errors) = self.encoding.decode_without_bom_handling(&body);
        if has_errors {
            let text = Text::of("body-not-of-charset").with("charset", self.encoding.name());
            return Err(Problem::with_detail(Code::MalformedJson, text));
        }
        Ok(Some(text.into_owned().into_bytes()).filter(|body| body.len() <= limit))
    }
}

impl Compression {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let sent = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or(b"identity");
        let is = |name: &str| sent.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("identity") => Ok(Self::None),
            () if is("gzip") || is("x-gzip") => Ok(Self::Gzip),
            () if is("deflate") => Ok(Self::Deflate),
            () => Err(refuse(Text::of("body-content-encoding").with("sent", shown(sent)))),
        }
    }

    /// The body, or one byte more than `limit` of it.
    fn unpack(self, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Problem> {
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut unpacked = Vec::new();
        let read = match self {
            Self::None => return Ok(body),
            Self::Gzip => MultiGzDecoder::new(body.as_slice()).take(most).read_to_end(&mut unpacked),
            Self::Deflate => ZlibDecoder::new(body.as_slice()).take(most).read_to_end(&mut unpacked),
        };
        let damaged = |_| Problem::with_detail(Code::MalformedJson, Text::of("body-damaged"));
        read.map(|_| unpacked).map_err(damaged)
    }
}

fn refuse(text: Text) -> Problem {
    Problem::with_detail(Code::UnsupportedMediaType, text)
}

fn shown(value: &[u8]) -> String {
    printable(&String::from_utf8_lossy(value), SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(pairs: &[(header::HeaderName, &'static str)]) -> Result<BodyFormat, Problem> {
        BodyFormat::of(&pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect())
    }

    fn of_type(content_type: &'static str) -> Result<BodyFormat, Problem> {
        format(&[(header::CONTENT_TYPE, content_type)])
    }

    #[test]
    fn json_is_named_by_the_content_type() {
        for good in ["application/json", "Application/JSON ; charset=utf-8", "text/json", "text/json;charset=\"UTF-8\""]
        {
            assert!(of_type(good).is_ok_and(|format| format.encoding == UTF_8), "{good}");
        }
        for bad in ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=klingon"] {
            assert_eq!(of_type(bad).err().map(|problem| problem.code()), Some(Code::UnsupportedMediaType), "{bad}");
        }
        assert!(format(&[]).is_err());
        let packed = |with: &'static str| {
            format(&[(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, with)])
        };
        assert!(packed("identity").is_ok());
        assert!(packed("br").is_err());
    }

    #[test]
    fn declared_charset_is_decoded() {
        for (charset, bytes) in [
            ("application/json; charset=ISO-8859-1", &b"Concei\xe7\xe3o"[..]),
            ("application/json; charset=windows-1252", b"Concei\xe7\xe3o"),
            ("application/json; charset=utf-8", "Conceição".as_bytes()),
        ] {
            let decoded = of_type(charset).unwrap().decode(bytes.to_vec(), 100).unwrap();
            assert_eq!(String::from_utf8(decoded.unwrap()).unwrap(), "Conceição", "{charset}");
        }
        let shift_jis = of_type("application/json; charset=shift_jis").unwrap();
        assert_eq!(shift_jis.decode(vec![0xff], 100).unwrap_err().code(), Code::MalformedJson);
        let latin1 = of_type("application/json; charset=iso-8859-1").unwrap();
        assert_eq!(latin1.decode(vec![0xe7; 51], 100).unwrap(), None, "two bytes each");
    }
}
