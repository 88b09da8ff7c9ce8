//! Output with a limit, so that long variables in a long template never render megabytes.

use std::io::Error;

use handlebars::Output;

pub(super) struct Bounded {
    text: String,
    characters_left: usize,
}

impl Bounded {
    pub(super) fn new(most_characters: usize) -> Self {
        Self { text: String::new(), characters_left: most_characters }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Output for Bounded {
    fn write(&mut self, piece: &str) -> Result<(), Error> {
        let left = self.characters_left.checked_sub(piece.chars().count());
        self.characters_left = left.ok_or_else(|| Error::other("the message is too long"))?;
        self.text.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_above_the_limit_is_not_stored() {
        let mut output = Bounded::new(4);
        assert!(output.write("áé").is_ok());
        assert!(output.write("íóú").is_err());
        assert_eq!(output.text, "áé");
        assert!(output.write("íó").is_ok() && output.write("x").is_err());
        assert_eq!(output.into_text(), "áéíó");
    }
}
