//! What the engine's parser must not be given, because it would not come to an end of it: looked for in the text alone, before it is parsed.

use super::PolicyError;

/// How deep brackets and braces of a policy may nest. The engine's parser reads what is in brackets twice, first as a comprehension and then as a
/// list, so that each further level doubles its time.
pub const MAX_NESTING: usize = 16;
/// The largest exponent of a number in a policy, that of the largest number in binary64. The engine writes out every digit of a larger one.
pub const MAX_EXPONENT: u32 = 308;

/// Whether the parser comes to an end of a text.
pub(super) fn check(text: &str) -> Result<(), PolicyError> {
    let deepest = nesting(code(text));
    if deepest > MAX_NESTING {
        return Err(PolicyError::TooDeep { found: deepest });
    }
    match largest_exponent(code(text)) {
        Some(found) if found > MAX_EXPONENT => Err(PolicyError::Exponent { found }),
        _ => Ok(()),
    }
}

/// The bytes of a text, a space for each string and comment. Where these never end, the rest is left out too, as the parser refuses it.
fn code(text: &str) -> impl Iterator<Item = u8> {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || {
        let byte = bytes.next()?;
        match byte {
            b'#' => drop(bytes.find(|byte| *byte == b'\n')),
            b'`' => drop(bytes.find(|byte| *byte == b'`')),
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
                    if byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            code => return Some(code),
        }
        Some(b' ')
    })
}

/// How deep brackets and braces nest.
fn nesting(code: impl Iterator<Item = u8>) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for byte in code {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The largest exponent of a number, without its sign: a digit, `e` or `E`, perhaps a sign, digits.
fn largest_exponent(code: impl Iterator<Item = u8>) -> Option<u32> {
    let mut code = code.peekable();
    let (mut before, mut largest) = (b' ', None);
    while let Some(byte) = code.next() {
        let begins = matches!(byte, b'e' | b'E') && (before.is_ascii_digit() || before == b'.');
        before = byte;
        if !begins {
            continue;
        }
        code.next_if(|sign| matches!(sign, b'+' | b'-'));
        let mut exponent = None;
        while let Some(digit) = code.next_if(u8::is_ascii_digit) {
            let digits: u32 = exponent.unwrap_or_default();
            exponent = Some(digits.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0'))));
            before = digit;
        }
        largest = largest.max(exponent);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evaluator, Kind, Policy, Unconfined};

    fn policy(rule: &str) -> Result<Policy, PolicyError> {
        Policy::new(Kind::Release, "x", &format!("package policy\nallow := {rule}\n"))
    }

    /// Found by fuzzing: the parser of the engine did not come to an end of 100 brackets in ten minutes.
    #[test]
    fn a_text_whose_brackets_would_not_end_is_refused() {
        for (open, close) in [("[", "]"), ("{", "}"), ("{1: ", "}"), ("[{", "}]")] {
            let most = MAX_NESTING / open.bytes().filter(|byte| b"[{".contains(byte)).count();
            let deepest = policy(&(open.repeat(most) + "1" + &close.repeat(most))).unwrap();
            // Sound or not, there is an answer.
            let _ = Unconfined.check(&deepest);
            let deeper = policy(&open.repeat(most + 1));
            assert!(matches!(deeper, Err(PolicyError::TooDeep { .. })), "{open}");
        }
        let brackets = "[".repeat(100);
        for quoted in [format!("\"{brackets}\\\"{brackets}\""), format!("`{brackets}\"`"), format!("1 # {brackets} \"")]
        {
            assert!(policy(&quoted).is_ok(), "{quoted}");
        }
    }

    /// Found by fuzzing: the engine wrote out the zeros of 0e737095161 for longer than twenty seconds.
    #[test]
    fn a_number_whose_digits_would_not_end_is_refused() {
        for (number, found) in [
            ("0E00737095161", 737_095_161),
            ("1e309", 309),
            ("[1.5e-309]", 309),
            ("1.e+99999999999999999999", u32::MAX),
            ("x == 2e308 + 3e400", 400),
        ] {
            assert_eq!(policy(number), Err(PolicyError::Exponent { found }), "{number}");
        }
        for number in ["1e308", "\"1e309\"", "`1e309`", "1 # 1e309", "e309", "1e", "1e+", "0xe309", "value_1.e9"] {
            let taken = policy(number).unwrap();
            let _ = Unconfined.check(&taken);
        }
    }
}
