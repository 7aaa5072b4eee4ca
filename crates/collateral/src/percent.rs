//! Percent-encoding (RFC 3986, section 2.1), in which Intel's services put certificate chains into header fields.

/// Everything but unreserved characters as `%XX`.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The text behind, or nothing where a `%` is not followed by two hex digits or the bytes are no UTF-8. A `+` is a `+`: base64 has it.
pub(crate) fn decode(text: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        if byte != b'%' {
            decoded.push(byte);
            rest = behind;
            continue;
        }
        let (digits, behind) = behind.split_at_checked(2)?;
        let mut value = [0];
        hex::decode_to_slice(digits, &mut value).ok()?;
        decoded.extend(value);
        rest = behind;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_escape_is_refused() {
        assert_eq!(decode(b"a%20b+c%3D%0a").unwrap(), "a b+c=\n");
        for wrong in [&b"%"[..], b"%2", b"%zz", b"%+1", b"%ff"] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
        assert_eq!(encode("-----BEGIN A-----\n+/=\n"), "-----BEGIN%20A-----%0A%2B%2F%3D%0A");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in ".*") {
            prop_assert_eq!(decode(encode(&text).as_bytes()), Some(text));
        }
    }
}
