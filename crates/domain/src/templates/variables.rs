//! The variables of a message: those that the fleet fills, and the contact's own.

mod own;

use std::fmt;

use chrono::NaiveDate;
use handlebars::Context;
use serde_json::{Map, Value};

use crate::{ContactName, Money, PhoneNumber, Reference, days_late, days_until_due, format_date_br};

pub use own::{MAX_VARIABLES, OwnVariables, VariablesError, exact_number};

/// The variables that the fleet fills; own variables may not have these names.
pub const VARIABLE_NAMES: [&str; 9] = [
    "nome",
    "primeiro_nome",
    "telefone",
    "valor",
    "vencimento",
    "dias_atraso",
    "dias_para_vencer",
    "empresa",
    "referencia",
];

/// The contact's values of [`VARIABLE_NAMES`].
#[derive(Clone, Copy, Debug)]
pub struct ContactDetails<'a> {
    /// `nome` and `primeiro_nome`.
    pub name: &'a ContactName,
    /// `telefone`, in the national form.
    pub phone: &'a PhoneNumber,
    /// `valor`, such as `R$ 1.234,56`.
    pub amount: Option<Money>,
    /// `vencimento`, `dias_atraso` and `dias_para_vencer`.
    pub due_date: Option<NaiveDate>,
    /// `empresa`: the tenant's name; absent where blank.
    pub company: &'a str,
    /// `referencia`.
    pub reference: Reference,
}

/// All variables of one message. Debug shows the names only.
pub struct Variables {
    context: Context,
}

impl Variables {
    /// The variables of a message on `today`, the tenant's date. Counts of days are numbers, so `{{#if dias_atraso}}`
    /// is false on the due date.
    pub fn new(details: &ContactDetails<'_>, own: &OwnVariables, today: NaiveDate) -> Self {
        let mut values = own.as_map().clone();
        let mut set = |name: &str, value: Value| values.insert(name.to_owned(), value);
        set("nome", details.name.display().into());
        set("primeiro_nome", details.name.first_name().into());
        set("telefone", details.phone.national().into());
        set("referencia", details.reference.to_string().into());
        if !details.company.trim().is_empty() {
            set("empresa", details.company.trim().into());
        }
        if let Some(amount) = details.amount {
            set("valor", amount.format_brl().into());
        }
        if let Some(due_date) = details.due_date {
            set("vencimento", format_date_br(due_date).into());
            set("dias_atraso", days_late(due_date, today).into());
            set("dias_para_vencer", days_until_due(due_date, today).into());
        }
        let mut context = Context::null();
        *context.data_mut() = Value::Object(values);
        Self { context }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.context.data().get(name)
    }

    /// The values by name.
    pub fn as_map(&self) -> Option<&Map<String, Value>> {
        self.context.data().as_object()
    }

    /// The template engine's form, built once so that rendering does not copy.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.as_map().into_iter().flat_map(Map::keys)).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables(due_date: Option<&str>, company: &str) -> Variables {
        let name = ContactName::parse("MARIA DA SILVA").unwrap();
        let phone = PhoneNumber::parse("11988887777").unwrap();
        let details = ContactDetails {
            name: &name,
            phone: &phone,
            amount: due_date.map(|_| Money::parse("1234.56").unwrap()),
            due_date: due_date.map(|text| text.parse().unwrap()),
            company,
            reference: Reference::parse("7K3F9Q").unwrap(),
        };
        let own = OwnVariables::parse(json!({"link_boleto": "https://pagar.example/1"}).as_object().unwrap()).unwrap();
        Variables::new(&details, &own, "2026-11-21".parse().unwrap())
    }

    #[test]
    fn bill_fills_every_variable() {
        let variables = variables(Some("2026-11-10"), " ACME Ltda ");
        let expected = json!({
            "nome": "Maria da Silva", "primeiro_nome": "Maria", "telefone": "(11) 98888-7777", "valor": "R$ 1.234,56",
            "vencimento": "10/11/2026", "dias_atraso": 11, "dias_para_vencer": 0, "empresa": "ACME Ltda",
            "referencia": "7K3F9Q", "link_boleto": "https://pagar.example/1",
        });
        assert_eq!(variables.as_map(), expected.as_object());
        assert!(VARIABLE_NAMES.iter().all(|name| variables.get(name).is_some()));
    }

    #[test]
    fn unknown_values_are_absent() {
        let variables = variables(None, " ");
        for name in ["valor", "vencimento", "dias_atraso", "dias_para_vencer", "empresa"] {
            assert_eq!(variables.get(name), None, "{name}");
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!("{:?}", variables(Some("2026-11-10"), "ACME"));
        assert!(shown.contains("primeiro_nome") && !shown.contains("Maria") && !shown.contains("8888"));
    }
}
