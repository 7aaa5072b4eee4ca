//! SHA-256 and SHA-384 as [`Digest`]s, on aws-lc-rs.

use aws_lc_rs::digest;
use sealwright_wire::Digest;

/// SHA-256 over the parts in a row.
pub fn sha256(parts: &[&[u8]]) -> Digest<32> {
    Digest(hash(&digest::SHA256, parts))
}

/// SHA-384 over the parts in a row.
pub fn sha384(parts: &[&[u8]]) -> Digest<48> {
    Digest(hash(&digest::SHA384, parts))
}

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    // The callers above pair each algorithm with its length.
    <[u8; N]>::try_from(context.finish().as_ref()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_their_algorithms_lengths() {
        assert_eq!(
            sha256(&[b"a", b"bc"]).to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(sha384(&[b"abc"]).to_string().starts_with("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"));
    }
}
