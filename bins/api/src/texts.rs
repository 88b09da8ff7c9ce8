//! The words of all texts for people: one Fluent file a language, in `texts/`. The code has a text's id and data, as a
//! [`Text`].

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentError, FluentResource};
use regua_domain::{Argument, Language, Text};

type Catalogue = FluentBundle<FluentResource>;

static CATALOGUES: LazyLock<[Catalogue; Language::ALL.len()]> = LazyLock::new(|| Language::ALL.map(catalogue));

/// The file of a language.
const fn source(language: Language) -> &'static str {
    match language {
        Language::Portuguese => include_str!("../texts/pt-BR.ftl"),
        Language::English => include_str!("../texts/en.ftl"),
    }
}

/// A text in the words of a language. A text that is not in the catalogue is shown as its id; tests exclude it.
pub fn render_text(text: &Text, language: Language) -> String {
    let mut faults = Vec::new();
    let rendered = render(text, &CATALOGUES[language as usize], &mut faults);
    debug_assert!(faults.is_empty(), "{}: {faults:?}", text.id());
    rendered
}

fn render(text: &Text, catalogue: &Catalogue, faults: &mut Vec<FluentError>) -> String {
    let mut arguments = FluentArgs::with_capacity(text.arguments().len());
    for (name, argument) in text.arguments() {
        match argument {
            Argument::Data(data) => arguments.set(*name, data),
            Argument::Text(part) => arguments.set(*name, render(part, catalogue, faults)),
        }
    }
    let Some(words) = catalogue.get_message(text.id()).and_then(|message| message.value()) else {
        debug_assert!(false, "the catalogue has no text {}", text.id());
        return text.id().to_owned();
    };
    catalogue.format_pattern(words, Some(&arguments), faults).into_owned()
}

fn catalogue(language: Language) -> Catalogue {
    let resource = FluentResource::try_new(source(language).to_owned()).unwrap_or_else(|(readable, _)| readable);
    let mut catalogue = FluentBundle::new_concurrent(language.as_str().parse().into_iter().collect());
    // Data is shown as it was sent, without invisible marks around it.
    catalogue.set_use_isolating(false);
    catalogue.add_resource_overriding(resource);
    catalogue
}

#[cfg(test)]
mod tests;
