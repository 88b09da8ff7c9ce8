//! Requests that another site makes with somebody's cookie (CSRF) are told by what browsers say of where they come from.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

/// Whether a request that is made with a cookie may change anything: it comes from our own pages. Reading is safe, because another
/// site cannot see the answer.
///
/// `Sec-Fetch-Site` is in every request of a browser of today; an older one names the page's `Origin` in whatever changes
/// something. A request with neither is no browser's, and no program has reason to use the cookie.
pub(super) fn is_of_our_own(parts: &Parts) -> bool {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return true;
    }
    match text(&parts.headers, "sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => is_same_host(&parts.headers).unwrap_or(false),
    }
}

fn is_same_host(headers: &HeaderMap) -> Option<bool> {
    let (_, origin) = text(headers, header::ORIGIN.as_str())?.split_once("://")?;
    Some(origin.eq_ignore_ascii_case(text(headers, header::HOST.as_str())?))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn is_ours(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).header("host", "regua.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_of_our_own(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn another_site_cannot_change_anything_with_a_cookie() {
        assert!(is_ours("GET", &[("sec-fetch-site", "cross-site")]));
        assert!(is_ours("POST", &[("sec-fetch-site", "same-origin")]));
        assert!(is_ours("DELETE", &[("origin", "https://regua.example")]));
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://regua.example")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "https://regua.example.evil.example")],
        ] {
            assert!(!is_ours("POST", headers), "{headers:?}");
        }
    }
}
