//! Message templates: their grammar, their variables and forbidden text.

mod active_text;
mod template;
mod variables;
mod variables_schema;

pub use template::{MessageTemplate, RenderError, TemplateError, TemplateProblem, Variations, VariationsError};
pub use variables::{
    ContactDetails, MAX_VARIABLES, OwnVariables, VARIABLE_NAMES, Variables, VariablesError, exact_number,
};
pub use variables_schema::{SchemaError, SchemaViolation, VariablesSchema};
