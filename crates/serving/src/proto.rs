//! The wire contracts of `proto/`, compiled by `build.rs`.

mod codec;
mod fields;
mod lists;

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic, reason = "generated code")]
mod generated {
    /// `tensorflow.proto`.
    pub mod tensorflow {
        tonic::include_proto!("tensorflow");

        /// `tensorflow_error.proto`.
        pub mod error {
            tonic::include_proto!("tensorflow.error");
        }

        /// `tensorflow_serving.proto`.
        pub mod serving {
            tonic::include_proto!("tensorflow.serving");
        }
    }

    /// `open_inference.proto`.
    pub mod inference {
        tonic::include_proto!("inference");
    }

    /// `onnx.proto`.
    pub mod onnx {
        tonic::include_proto!("onnx");
    }
}

pub(crate) use codec::BoundedCodec;
pub(crate) use fields::fields;
pub(crate) use generated::onnx;
pub use generated::{inference, tensorflow};
pub(crate) use lists::{narrow, typed_lists};
