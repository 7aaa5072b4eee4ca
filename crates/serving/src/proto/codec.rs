//! gRPC's messages, bounded before they are decoded.
//!
//! An entry of two bytes on the wire becomes a structure of some hundred in memory, so the length of a message says little
//! of what decoding it costs. Its fields are counted first. Which of them are messages or lists of numbers themselves is
//! in the tables that are generated from the wire contracts.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::Message;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::fields::fields;
use crate::error::Error;

/// The most fields with a length in one message, counting those in its messages: entries of lists and maps, strings, bytes,
/// packed lists.
const MAX_ENTRIES: usize = 16 << 10;
/// The most numbers in one message that take fewer bytes on the wire than in memory. They take at most eight each there.
const MAX_NUMBERS: usize = 4 << 20;

/// A message that a call takes or gives.
pub(crate) trait Bounded {
    /// Where its messages and lists of numbers are.
    const LAYOUT: &'static Layout;
}

/// The fields of a message that are more than bytes, by number.
pub(crate) struct Layout(pub(crate) &'static [(u32, Kind)]);

/// What a field with a length holds.
pub(crate) enum Kind {
    /// Another message.
    Message(&'static Layout),
    /// Numbers of variable length.
    Numbers,
}

include!("generated/layouts.rs");

/// What may still come.
struct Budget {
    entries: usize,
    numbers: usize,
}

impl Budget {
    fn spend(&mut self, message: &[u8], Layout(kinds): &Layout) -> Result<(), Status> {
        for field in fields(message) {
            let (number, content, _) = field.map_err(Status::internal)?;
            let Some(content) = content else {
                self.numbers(1)?;
                continue;
            };
            self.entry()?;
            match kinds.iter().find(|(known, _)| *known == number) {
                Some((_, Kind::Message(layout))) => self.spend(content, layout)?,
                // The last byte of each number has no continuation bit.
                Some((_, Kind::Numbers)) => self.numbers(content.iter().filter(|byte| byte.is_ascii()).count())?,
                None => {}
            }
        }
        Ok(())
    }

    fn entry(&mut self) -> Result<(), Status> {
        self.entries = self.entries.checked_sub(1).ok_or_else(|| too_many("entries in a message", MAX_ENTRIES))?;
        Ok(())
    }

    fn numbers(&mut self, count: usize) -> Result<(), Status> {
        self.numbers = self.numbers.checked_sub(count).ok_or_else(|| too_many("numbers in a message", MAX_NUMBERS))?;
        Ok(())
    }
}

fn too_many(what: &'static str, limit: usize) -> Status {
    let limit = limit as u64;
    Error::TooLarge { what, limit, found: limit + 1 }.into()
}

/// prost's codec, but messages are bounded before they are decoded.
pub(crate) struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Bounded + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

/// The half of [`BoundedCodec`] that reads.
pub(crate) struct BoundedDecoder<U>(PhantomData<U>);

impl<U: Message + Default + Bounded> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // No copy: the message is split off the buffer.
        let message = buffer.copy_to_bytes(buffer.remaining());
        Budget { entries: MAX_ENTRIES, numbers: MAX_NUMBERS }.spend(&message, U::LAYOUT)?;
        // The code that gRPC has for what cannot be parsed.
        U::decode(message).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference::{InferTensorContents, ModelInferRequest, model_infer_request::InferInputTensor};

    fn spend(request: &ModelInferRequest) -> Result<(), Status> {
        let mut budget = Budget { entries: MAX_ENTRIES, numbers: MAX_NUMBERS };
        budget.spend(&request.encode_to_vec(), ModelInferRequest::LAYOUT)
    }

    fn request(contents: InferTensorContents) -> ModelInferRequest {
        let input = InferInputTensor { contents: Some(contents), ..InferInputTensor::default() };
        ModelInferRequest { inputs: vec![input], ..ModelInferRequest::default() }
    }

    #[test]
    fn tensors_of_the_usual_sizes_are_far_from_the_bounds() {
        let bytes_contents = vec![b"a word".to_vec(); 10_000];
        spend(&request(InferTensorContents { bytes_contents, ..InferTensorContents::default() })).unwrap();
        let int64_contents = vec![7; MAX_NUMBERS];
        spend(&request(InferTensorContents { int64_contents, ..InferTensorContents::default() })).unwrap();
        let fp32_contents = vec![0.0; 2 * MAX_NUMBERS];
        spend(&request(InferTensorContents { fp32_contents, ..InferTensorContents::default() })).unwrap();
    }

    #[test]
    fn the_bound_is_exact_and_says_itself() {
        let strings = |count| {
            request(InferTensorContents { bytes_contents: vec![vec![]; count], ..InferTensorContents::default() })
        };
        // The input and its contents are two.
        spend(&strings(MAX_ENTRIES - 2)).unwrap();
        let status = spend(&strings(MAX_ENTRIES - 1)).unwrap_err();
        assert_eq!(status.message(), "entries in a message: expected at most 16384, found 16385");
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }
}
