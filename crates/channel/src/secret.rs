//! Secrets, and whom to ask for them.

use sealwright_wire::kbs::ResourcePath;
use std::{error, fmt, future::Future, pin::Pin};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that nobody but their workload may see. They are wiped when dropped, compared in constant time, and there is no
/// way to print, copy or serialise them:
///
/// ```
/// assert_eq!(sealwright_channel::Secret::new(vec![1]).len(), 1);
/// ```
/// ```compile_fail
/// println!("{:?}", sealwright_channel::Secret::new(vec![1]));
/// ```
/// ```compile_fail
/// println!("{}", sealwright_channel::Secret::new(vec![1]));
/// ```
/// ```compile_fail
/// serde_json::to_string(&sealwright_channel::Secret::new(vec![1])).unwrap();
/// ```
/// ```compile_fail
/// let _ = sealwright_channel::Secret::new(vec![1]).clone();
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes over without copying them. The vector must not have grown before: a reallocation leaves a copy behind.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the moment in which they are used.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same, in a time that depends on their lengths alone.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

/// A future that can be sent between threads, behind a pointer so that traits with it can be objects.
///
/// What makes one is compiled in its own crate. An `async fn` is compiled in each crate that awaits it, and all of its callees with it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever hands out keys: a broker ([`crate::kbs::Client`]), or something that stands in for one.
pub trait KeySource: Send + Sync {
    /// The key with this name.
    fn get<'a>(&'a self, key: &'a ResourcePath) -> BoxFuture<'a, Result<Secret, KeyError>>;
}

/// Why there is no key.
#[derive(Debug)]
pub struct KeyError {
    /// Which key was asked for.
    pub key: ResourcePath,
    /// What the source said. For a broker this is a [`crate::kbs::Error`].
    pub source: Box<dyn error::Error + Send + Sync>,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no key {}: {}", self.key.uri(), self.source)
    }
}

impl error::Error for KeyError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_match_by_content_and_length() {
        let secret = Secret::new(vec![1, 2, 3]);
        assert!(secret.matches(&Secret::new(vec![1, 2, 3])));
        assert!(!secret.matches(&Secret::new(vec![1, 2, 4])));
        assert!(!secret.matches(&Secret::new(vec![1, 2])));
        assert_eq!((secret.len(), secret.is_empty(), secret.expose()), (3, false, &[1, 2, 3][..]));
    }
}
