//! Errors of what a caller sent: each has a code in problem documents and a text for people.

/// Declares such an error. Each line is `Variant { fields } = "code", "description";`, and the description, which is for
/// logs, documents the variant. The text has the code's id and shows the fields by their names; `with name = data` and
/// `with_text name = text` add more.
macro_rules! input_error {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($variant:ident $({ $($field:ident: $type:ty),+ })? = $code:literal, $description:literal
                $(, $add:ident $data:ident = $value:expr)*;)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $(
                #[doc = $description]
                #[error($description)]
                $variant $({ $(#[doc = "Shown in the text."] $field: $type),+ })?,
            )+
        }

        impl $name {
            /// Stable name in problem documents.
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code),+
                }
            }

            /// The explanation for people.
            pub fn text(&self) -> $crate::Text {
                let explanation = $crate::Text::of_code(self.code());
                match self {
                    $(Self::$variant $({ $($field),+ })? => explanation
                        $($(.with(stringify!($field), $field))+)?
                        $(.$add(stringify!($data), $value))*),+
                }
            }
        }
    };
}
