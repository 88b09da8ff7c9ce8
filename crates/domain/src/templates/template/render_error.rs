//! Errors of rendering a valid template.

use crate::templates::active_text::active_text;

input_error! {
    /// Why a template cannot be rendered for a contact. The code is also the contact's reason. `Engine` should not
    /// happen.
    pub enum RenderError {
        MissingVariable { name: String } = "missing_variable", "the variable {name:?} is missing";
        Blank = "message_blank", "the message is blank";
        TooLong = "message_too_long", "the message has more than 4096 characters";
        ForbiddenMarkup { found: String } = "message_forbidden_markup", "{found} is not allowed in a message",
            with_text problem = active_text(found);
        Engine { message: String } = "render_failed", "the template engine failed: {message}";
    }
}
