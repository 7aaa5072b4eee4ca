//! Tensors in messages that have a list for each type of elements; narrow integers share a wider one's list.

use crate::{
    error::{Error, Result},
    tensor::DataType,
};

/// Defines `from_lists` and `into_lists` for a message: which list holds which elements.
macro_rules! typed_lists {
    ($message:ident { $($variant:ident: $list:ident,)* } strings { $strings:ident } narrow { $($narrow:ident: $wide:ident,)* }) => {
        /// The elements in the list that belongs to the type.
        fn from_lists(place: &str, data_type: DataType, message: $message) -> Result<Data> {
            Ok(match data_type {
                $(DataType::$variant => Data::$variant(message.$list),)*
                $(DataType::$narrow => Data::$narrow($crate::proto::narrow(place, data_type, &message.$wide)?),)*
                DataType::Bytes => Data::Bytes(message.$strings.into_iter().map(Bytes::from).collect()),
            })
        }

        /// The message with the elements in the list that belongs to their type.
        fn into_lists(data: Data, mut message: $message) -> $message {
            match data {
                $(Data::$variant(values) => message.$list = values,)*
                $(Data::$narrow(values) => message.$wide = values.into_iter().map(Into::into).collect(),)*
                Data::Bytes(values) => message.$strings = values.into_iter().map(Vec::from).collect(),
            }
            message
        }
    };
}
pub(crate) use typed_lists;

/// Elements of a narrow type from the list of a wider one.
///
/// # Errors
/// [`Error::Invalid`] if one does not fit.
pub(crate) fn narrow<W: Copy, T: TryFrom<W>>(place: &str, data_type: DataType, values: &[W]) -> Result<Vec<T>> {
    let problem = || Error::invalid(place, format!("numbers that fit {data_type}"), "a larger one");
    values.iter().map(|&value| T::try_from(value).map_err(|_| problem())).collect()
}
