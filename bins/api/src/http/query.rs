//! The query parameters of a listing.

use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;
use regua_domain::{Language, Text};

use super::error::Problem;
use super::form::Faults;

const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;

/// The query parameters of a listing, read one by one. All errors are answered together.
pub(crate) struct Parameters {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    faults: Faults,
}

impl Parameters {
    pub(crate) fn of(uri: &Uri, language: Language) -> Self {
        let given = Query::try_from_uri(uri).map(|Query(given)| given).unwrap_or_default();
        Self { given, known: Vec::new(), faults: Faults::new(language) }
    }

    /// The text of a parameter. An empty text is not an absent one: a filter left empty by mistake must not list
    /// everything.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let index = self.given.iter().position(|(other, _)| other == name)?;
        let (_, text) = self.given.swap_remove(index);
        if text.chars().any(char::is_control) {
            self.refuse(name, "invalid_characters", &Text::of("parameter-control-characters"));
            return None;
        }
        Some(text)
    }

    /// A parameter with one of a few values.
    pub(crate) fn word<T: FromStr>(&mut self, name: &'static str, words: &[&str]) -> Option<T> {
        let text = self.text(name)?;
        let word = text.parse().ok();
        if word.is_none() {
            self.refuse(name, "invalid_value", &Text::of("accepted-values").with("values", words.join(", ")));
        }
        word
    }

    /// The `next_cursor` of the previous page.
    pub(crate) fn cursor<T: FromStr>(&mut self) -> Option<T> {
        let cursor = self.text("cursor")?.parse().ok();
        if cursor.is_none() {
            self.refuse("cursor", "invalid_cursor", &Text::of("parameter-cursor"));
        }
        cursor
    }

    /// Number of items of a page.
    pub(crate) fn limit(&mut self) -> i64 {
        let Some(text) = self.text("limit") else { return DEFAULT_LIMIT };
        text.parse::<i64>().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).unwrap_or_else(|| {
            self.refuse("limit", "invalid_limit", &Text::of("parameter-limit").with("most", MAX_LIMIT));
            DEFAULT_LIMIT
        })
    }

    pub(crate) fn refuse(&mut self, field: &str, code: &str, text: &Text) {
        self.faults.refuse(field, code, text);
    }

    /// Adds the errors of unread parameters, and answers all errors.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let text = Text::of("parameter-unknown").with("known", self.known.join(", "));
        self.faults.refuse_unknown(self.given.iter().map(|(name, _)| name), "unknown_parameter", &text);
        self.faults.answer()
    }
}

#[cfg(test)]
mod tests {
    use regua_domain::QueueId;

    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/queues?{query}").parse().unwrap(), Language::English)
    }

    #[test]
    fn listing_has_a_default_limit_and_no_filters() {
        let mut parameters = parameters("");
        assert_eq!(parameters.limit(), DEFAULT_LIMIT);
        assert_eq!(parameters.word::<regua_domain::QueueStatus>("status", &[]), None);
        assert_eq!(parameters.cursor::<QueueId>(), None);
        assert!(parameters.finish().is_ok());
    }

    #[test]
    fn all_wrong_parameters_are_answered_together() {
        let mut parameters = parameters("status=done&limit=0&cursor=x&page=2&limit=3");
        parameters.limit();
        parameters.cursor::<QueueId>();
        parameters.word::<regua_domain::QueueStatus>("status", &["running"]);
        let fields: Vec<_> = parameters.faults.errors.iter().map(|error| error.field.clone()).collect();
        assert_eq!(fields, ["limit", "cursor", "status"]);
        assert!(parameters.faults.errors[2].message.contains("running"));
        assert_eq!(parameters.given.len(), 2, "an unknown and a repeated parameter are left");
        assert!(parameters.finish().is_err());
    }

    #[test]
    fn empty_parameter_is_an_error() {
        let mut parameters = parameters("status=&limit=&cursor=");
        parameters.limit();
        parameters.cursor::<QueueId>();
        parameters.word::<regua_domain::QueueStatus>("status", &[]);
        assert_eq!(parameters.faults.errors.len(), 3);
    }
}
