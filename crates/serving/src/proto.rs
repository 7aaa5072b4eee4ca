//! The wire contracts of `proto/`, as `tests/contracts.rs` compiles them into `proto/generated`.

mod codec;
mod fields;
mod lists;

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated code")]
mod generated {
    /// `tensorflow.proto`.
    pub mod tensorflow {
        include!("proto/generated/tensorflow.rs");

        /// `tensorflow_error.proto`.
        pub mod error {
            include!("proto/generated/tensorflow.error.rs");
        }

        /// `tensorflow_serving.proto`.
        pub mod serving {
            include!("proto/generated/tensorflow.serving.rs");
        }
    }

    /// `open_inference.proto`.
    pub mod inference {
        include!("proto/generated/inference.rs");
    }

    /// `onnx.proto`.
    pub mod onnx {
        include!("proto/generated/onnx.rs");
    }
}

pub(crate) use codec::BoundedCodec;
pub(crate) use fields::fields;
pub(crate) use generated::onnx;
pub use generated::{inference, tensorflow};
pub(crate) use lists::{narrow, typed_lists};
