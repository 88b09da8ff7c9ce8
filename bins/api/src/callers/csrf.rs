//! Cross-site request forgery: requests that another site's page makes with a user's cookie are recognized by the
//! headers of browsers.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

/// Whether a request with a cookie is allowed: it reads, or it comes from a page of this host. Another site's page
/// cannot see the answer to a read.
///
/// Current browsers send `Sec-Fetch-Site` with every request, older ones send `Origin` with every request that changes
/// something. A request with neither does not come from a browser, and programs use access tokens.
pub(super) fn is_same_origin(parts: &Parts) -> bool {
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

    fn is_allowed(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).header("host", "regua.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_same_origin(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn cross_site_request_with_a_cookie_changes_nothing() {
        assert!(is_allowed("GET", &[("sec-fetch-site", "cross-site")]));
        assert!(is_allowed("POST", &[("sec-fetch-site", "same-origin")]));
        assert!(is_allowed("DELETE", &[("origin", "https://regua.example")]));
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://regua.example")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "https://regua.example.evil.example")],
        ] {
            assert!(!is_allowed("POST", headers), "{headers:?}");
        }
    }
}
