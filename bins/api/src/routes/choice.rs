//! Text fields of a body that name one of a few options.

use regua_domain::Text;

use crate::http::Form;

/// The option that `text` names. Refuses the field when there is none; `Form` has already refused an empty text.
pub(crate) fn choose<T: Copy>(
    form: &mut Form<'_>,
    field: &str,
    text: &str,
    options: &[T],
    name: impl Fn(T) -> &'static str,
) -> Option<T> {
    let chosen = options.iter().copied().find(|&option| name(option) == text);
    if chosen.is_none() && !text.is_empty() {
        let accepted = options.iter().map(|&option| name(option)).collect::<Vec<_>>().join(", ");
        form.refuse(field, "invalid_value", &Text::of("accepted-values").with("values", accepted));
    }
    chosen
}
