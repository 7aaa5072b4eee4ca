//! How much of anything one request may ask for.

use std::time::Duration;

use crate::{
    error::{Error, Result},
    tensor::{Dimension, TensorSpec},
};

/// The most dimensions a tensor may have. ONNX models stay far below; nesting in JSON is bounded with it.
pub const MAX_RANK: usize = 8;
/// The most strings of one tensor in JSON: as many as a message of gRPC may have entries.
pub(crate) const MAX_STRINGS: usize = 16 << 10;

/// Bounds on requests and connections. The defaults suit small models on a small machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body; also of a gRPC message.
    pub body_bytes: usize,
    /// Elements of one tensor.
    pub elements: usize,
    /// The size of a tensor's first dimension, where the model leaves it open.
    pub batch: usize,
    /// Requests in work at once, over all connections: they have come whole, and wait for a worker or are computed. More are
    /// refused as overload.
    pub requests: usize,
    /// Exchanges of evidence in work at once. More are refused as overload.
    pub exchanges: usize,
    /// Bytes of requests that are coming or in work, and of answers that are being sent; at least for the longest request. More are
    /// refused as overload.
    pub held_bytes: usize,
    /// Connections open at once; more wait to be accepted.
    pub connections: usize,
    /// Connections without the exchange that may stay for longer than [`Limits::handshake_time`], because health or metrics
    /// were read on them.
    pub visits: usize,
    /// How many in a hundred of each of these one address may have. Clients behind one gateway are one address.
    pub share: usize,
    /// Requests in work at once on one HTTP/2 connection: far fewer than [`Limits::requests`].
    pub streams: u32,
    /// The time for a whole request, from its headers to its answer.
    pub request_time: Duration,
    /// The time until a connection has finished the exchange of evidence, TLS handshake included, and for the body of a
    /// request that needs no attestation.
    pub handshake_time: Duration,
    /// How long a connection may be silent: no request in work on it, or an answer that its client does not take.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            elements: 4 << 20,
            batch: 1024,
            requests: 64,
            exchanges: 256,
            held_bytes: 256 << 20,
            connections: 1024,
            visits: 64,
            share: 50,
            streams: 16,
            request_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// How much of `most` one address may have: its share, and at least one.
    pub(crate) fn of_peer(&self, most: usize) -> usize {
        (most.saturating_mul(self.share) / 100).clamp(1, most.max(1))
    }

    /// The shape as sizes and its number of elements, checked: rank, no empty or negative dimension, and a product within
    /// [`Limits::elements`] that does not overflow.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a dimension below 1 or too many dimensions, [`Error::TooLarge`] for too many elements.
    pub fn shape<D>(&self, place: &str, dimensions: &[D]) -> Result<(Vec<usize>, usize)>
    where
        D: Copy + std::fmt::Display,
        usize: TryFrom<D>,
    {
        if dimensions.len() > MAX_RANK {
            let found = format!("{} dimensions", dimensions.len());
            return Err(Error::invalid(place, format!("at most {MAX_RANK} dimensions"), found));
        }
        let sizes = dimensions.iter().map(|&dimension| size(place, dimension)).collect::<Result<Vec<_>>>()?;
        let elements = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).unwrap_or(usize::MAX);
        self.elements(elements)?;
        Ok((sizes, elements))
    }

    /// The most elements that an input of a model can have: those of the largest batch where the first dimension is open, and
    /// [`Limits::elements`] where another one is.
    pub(crate) fn most(&self, spec: &TensorSpec) -> usize {
        let size = |(place, dimension): (usize, &Dimension)| match dimension {
            Dimension::Fixed(size) => *size,
            Dimension::Any(_) if place == 0 => self.batch,
            Dimension::Any(_) => self.elements,
        };
        spec.shape.iter().enumerate().map(size).fold(1, usize::saturating_mul).min(self.elements)
    }

    /// That a batch may have this size.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`Limits::batch`].
    pub fn batch(&self, batch: usize) -> Result<()> {
        if batch > self.batch {
            return Err(too_large("batch (size of the first dimension)", self.batch, batch));
        }
        Ok(())
    }

    /// That a tensor may have this many elements.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`Limits::elements`].
    pub fn elements(&self, elements: usize) -> Result<()> {
        if elements > self.elements {
            return Err(too_large("elements of a tensor", self.elements, elements));
        }
        Ok(())
    }
}

fn size<D>(place: &str, dimension: D) -> Result<usize>
where
    D: Copy + std::fmt::Display,
    usize: TryFrom<D>,
{
    usize::try_from(dimension)
        .ok()
        .filter(|&size| size > 0)
        .ok_or_else(|| Error::invalid(place, "dimensions of at least 1", format!("a dimension of {dimension}")))
}

fn too_large(what: &'static str, limit: usize, found: usize) -> Error {
    Error::TooLarge { what, limit: limit as u64, found: found as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DataType;

    #[test]
    fn a_product_that_overflows_is_too_large_not_small() {
        let error = Limits::default().shape("input", &[1i64 << 32, 1 << 32, 1 << 32]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { found: u64::MAX, .. }), "{error}");
    }

    #[test]
    fn empty_and_negative_dimensions_are_refused() {
        for absurd in [[2i64, 0], [-1, 3], [i64::MIN, 1]] {
            let error = Limits::default().shape("input `x`", &absurd).unwrap_err();
            assert!(error.to_string().starts_with("input `x`: expected dimensions of at least 1"), "{error}");
        }
    }

    #[test]
    fn one_address_has_its_share_and_one_connection_much_less() {
        let limits = Limits { share: 25, ..Limits::default() };
        assert_eq!([0, 1, 3, 4, 100].map(|most| limits.of_peer(most)), [1, 1, 1, 1, 25]);
        let all = Limits { share: 100, ..limits };
        assert_eq!(all.of_peer(64), 64);
        let streams = usize::try_from(limits.streams).unwrap();
        assert!(streams * 2 <= Limits::default().of_peer(limits.requests));
    }

    #[test]
    fn the_most_elements_are_those_of_the_largest_batch() {
        let limits = Limits { batch: 4, elements: 100, ..Limits::default() };
        let most = |shape| limits.most(&TensorSpec { name: "x".into(), data_type: DataType::F32, shape });
        let (fixed, any) = (Dimension::Fixed, || Dimension::Any(String::new()));
        assert_eq!(most(vec![any(), fixed(20)]), 80);
        assert_eq!(most(vec![fixed(3), fixed(20)]), 60);
        assert_eq!(most(vec![any(), fixed(26)]), 100);
        assert_eq!(most(vec![fixed(2), any()]), 100);
        assert_eq!(most(vec![]), 1);
    }

    #[test]
    fn rank_batch_and_elements_are_bounded() {
        let limits = Limits { batch: 4, elements: 100, ..Limits::default() };
        assert_eq!(limits.shape("x", &[4u64, 25]).unwrap(), (vec![4, 25], 100));
        assert!(limits.shape("x", &[4u64, 26]).is_err());
        assert!(limits.batch(4).is_ok() && limits.batch(5).is_err());
        assert!(limits.shape("x", &[1u64; MAX_RANK + 1]).is_err());
        assert_eq!(limits.shape("x", &[0u64; 0]).unwrap(), (vec![], 1));
    }
}
