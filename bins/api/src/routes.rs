//! The routes of the public contract, each resource with its types and handlers in one file.

pub(crate) mod admin;
pub(crate) mod auth;
mod contact;
mod contacts;
mod queue;
mod queues;
pub(crate) mod send;
mod webhooks;

use std::num::ParseIntError;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use regua_domain::{Language, QueueId};
use utoipa_axum::router::OpenApiRouter;

use crate::Context;
use crate::error::{Code, FieldError, Problem};
use crate::request::note;

/// Where the intake API lives.
pub(crate) const BASE: &str = "/api/v1/billing";
const USUAL_LIMIT: i64 = 100;
const HIGHEST_LIMIT: i64 = 1000;

/// All of them.
pub(crate) fn router() -> OpenApiRouter<Context> {
    let queues = queue::router().merge(contacts::router()).merge(queues::router());
    OpenApiRouter::new()
        .nest(BASE, send::router().merge(queues).merge(contact::router()))
        .merge(webhooks::router())
        .nest(auth::BASE, auth::router())
        .nest(admin::BASE, admin::router())
}

/// Whether a route, by its path, asks for a key or a secret, and so judges itself how often it may be called.
pub(crate) fn asks_who_calls(path: &str) -> bool {
    path.starts_with(BASE) || path.starts_with(webhooks::BASE)
}

/// The queue that a path names; what is no id at all names nothing.
struct InPath(QueueId);

impl FromRequestParts<Context> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, context).await.map_err(|_| Problem::of(Code::NotFound))?;
        let queue = text.parse().map_err(|_| Problem::of(Code::NotFound))?;
        note("queue_id", queue);
        Ok(Self(queue))
    }
}

/// The parameters of a listing, read one by one; all that is wrong is answered at once.
struct Parameters {
    language: Language,
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Parameters {
    fn of(uri: &Uri, language: Language) -> Self {
        let given = Query::try_from_uri(uri).map(|Query(given)| given).unwrap_or_default();
        Self { language, given, known: Vec::new(), errors: Vec::new() }
    }

    /// A parameter's text. An empty one is no absent one: a filter that somebody forgot to fill must not list everything.
    fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let place = self.given.iter().position(|(other, _)| other == name)?;
        let text = self.given.swap_remove(place).1;
        if text.chars().any(char::is_control) {
            let message = self.language.pick("Remova os caracteres de controle.", "Remove the control characters.");
            self.refuse(name, "invalid_characters", message.to_owned());
            return None;
        }
        Some(text)
    }

    /// A parameter that is one of a few words.
    fn word<T: std::str::FromStr>(&mut self, name: &'static str, words: &[&str]) -> Option<T> {
        let text = self.text(name)?;
        let word = text.parse().ok();
        if word.is_none() {
            let words = words.join(", ");
            let message =
                self.language.pick(format!("Valores aceitos: {words}."), format!("Values that are taken: {words}."));
            self.refuse(name, "invalid_value", message);
        }
        word
    }

    /// Where the page before ended, as it was answered in `next_cursor`.
    fn cursor<T: std::str::FromStr>(&mut self) -> Option<T> {
        let cursor = self.text("cursor")?.parse().ok();
        if cursor.is_none() {
            let message = self.language.pick(
                "Use o valor de \"next_cursor\" da página anterior, sem alterá-lo.",
                "Use the value of the page before's \"next_cursor\" as it is.",
            );
            self.refuse("cursor", "invalid_cursor", message.to_owned());
        }
        cursor
    }

    /// How many items a page has.
    fn limit(&mut self) -> i64 {
        let Some(text) = self.text("limit") else { return USUAL_LIMIT };
        let limit: Result<i64, ParseIntError> = text.parse();
        limit.ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit)).unwrap_or_else(|| {
            let message = self.language.pick(
                format!("Envie um número de 1 a {HIGHEST_LIMIT}."),
                format!("Send a number from 1 to {HIGHEST_LIMIT}."),
            );
            self.refuse("limit", "invalid_limit", message);
            USUAL_LIMIT
        })
    }

    fn refuse(&mut self, field: &str, code: &str, message: String) {
        self.errors.push(FieldError { field: field.to_owned(), code: code.to_owned(), message });
    }

    fn finish(mut self) -> Result<(), Problem> {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.given) {
            let message = self.language.pick(
                format!("O parâmetro não existe ou está repetido. Parâmetros aceitos: {known}."),
                format!("There is no such parameter, or it is repeated. Parameters that are taken: {known}."),
            );
            self.refuse(&crate::form::shown(&name), "unknown_parameter", message);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Code::ValidationFailed, self.errors)) }
    }
}

/// Splits one item too many off a page; the page's last item tells where the next one begins.
fn page<T>(mut items: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(cursor);
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/queues?{query}").parse().unwrap(), Language::English)
    }

    #[test]
    fn a_listing_has_its_usual_limit_and_no_filters() {
        let mut parameters = parameters("");
        assert_eq!(parameters.limit(), USUAL_LIMIT);
        assert_eq!(parameters.word::<regua_domain::QueueStatus>("status", &[]), None);
        assert_eq!(parameters.cursor::<QueueId>(), None);
        assert!(parameters.finish().is_ok());
    }

    #[test]
    fn all_wrong_parameters_are_named_at_once() {
        let mut parameters = parameters("status=done&limit=0&cursor=x&page=2&limit=3");
        parameters.limit();
        parameters.cursor::<QueueId>();
        parameters.word::<regua_domain::QueueStatus>("status", &["running"]);
        let fields: Vec<_> = parameters.errors.iter().map(|error| error.field.clone()).collect();
        assert_eq!(fields, ["limit", "cursor", "status"]);
        assert!(parameters.errors[2].message.contains("running"));
        assert_eq!(parameters.given.len(), 2, "a stranger and a repetition are left");
        assert!(parameters.finish().is_err());
    }

    #[test]
    fn an_empty_parameter_is_a_wrong_one() {
        let mut parameters = parameters("status=&limit=&cursor=");
        parameters.limit();
        parameters.cursor::<QueueId>();
        parameters.word::<regua_domain::QueueStatus>("status", &[]);
        assert_eq!(parameters.errors.len(), 3);
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let cursor = |item: &i32| item.to_string();
        assert_eq!(page(vec![1, 2, 3], 2, cursor), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(page(vec![1, 2], 2, cursor), (vec![1, 2], None));
        assert_eq!(page(vec![], 2, cursor), (vec![], None));
    }
}
