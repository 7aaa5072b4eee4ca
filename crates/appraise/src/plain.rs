//! Text from outside, as it may be shown to people.

use std::fmt::{self, Write};

/// Shows a text with every character escaped that would not be seen as what it is: control characters and ends of lines, what takes no
/// room, what turns the direction of writing, spaces other than the usual one, and what no character is assigned to (`\n`, `\u{202e}`).
/// Whoever chose the text cannot steer a terminal with it, nor have another text read than is there.
///
/// ```
/// # use sealwright_appraise::Plain;
/// assert_eq!(Plain("grün\u{202e}nepo\u{1b}[2J").to_string(), r"grün\u{202e}nepo\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl Plain<'_> {
    /// The characters that are shown.
    pub(crate) fn characters(self) -> impl Iterator<Item = char> {
        self.0.chars().flat_map(|character| {
            let plain = is_plain(character);
            let escaped = (!plain).then(|| character.escape_debug());
            plain.then_some(character).into_iter().chain(escaped.into_iter().flatten())
        })
    }
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters().try_for_each(|character| f.write_char(character))
    }
}

/// Whether a character is seen as what it is. The standard library knows: it escapes the others in what it shows to programmers.
pub fn is_plain(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ if character.is_ascii() => false,
        // Behind a letter, because a text may not begin with a mark that combines with the letter before it.
        _ => ["a", character.encode_utf8(&mut [0; 4])].concat().escape_debug().nth(1) != Some('\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped() {
        // Unicode's categories Cc, Cf, Zl and Zp in the planes' inhabited parts.
        let ranges = [
            '\0'..='\u{1f}',
            '\u{7f}'..='\u{9f}',
            '\u{ad}'..='\u{ad}',
            '\u{600}'..='\u{605}',
            '\u{61c}'..='\u{61c}',
            '\u{180e}'..='\u{180e}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{feff}'..='\u{feff}',
            '\u{fff9}'..='\u{fffb}',
            '\u{e0001}'..='\u{e0001}',
            '\u{e0020}'..='\u{e007f}',
        ];
        for character in ranges.into_iter().flatten() {
            let shown = Plain(&character.to_string()).to_string();
            assert!(shown.starts_with('\\') && shown.is_ascii(), "{shown:?}");
        }
        assert_eq!(Plain("\n\t\0\u{a0}\u{e000}").to_string(), r"\n\t\0\u{a0}\u{e000}");
    }

    #[test]
    fn what_is_seen_stays() {
        for text in ["", r#"C:\ "a" 'b'"#, "grün", "e\u{301}", "данные", "模型", "🙂 …"] {
            assert_eq!(Plain(text).to_string(), text);
        }
    }
}
