//! Samples with known answers: what `query` sends, and what it compares the answers with.
//!
//! ```json
//! {"version": 1, "model": "digits", "tolerance": 1e-05,
//!  "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [64]}],
//!  "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [10]}],
//!  "samples": [{"inputs": {"pixels": [0, 0, 5]}, "outputs": {"probabilities": [0.1, 0.9]}, "label": 1}]}
//! ```
//!
//! Shapes are those of one sample, without the batch; values are flat lists. `label`, if there is one, is the right place of
//! the largest value in the first output. Other members (`made_with`) are for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The version of the format.
pub const SAMPLES_VERSION: u32 = 1;

/// A set of samples for one model.
#[derive(Clone, Debug, Deserialize)]
pub struct SampleSet {
    /// [`SAMPLES_VERSION`].
    pub version: u32,
    /// The name of the model.
    pub model: String,
    /// How far a value may be from the expected one.
    pub tolerance: f64,
    /// What each sample has under `inputs`.
    pub inputs: Vec<Column>,
    /// What each sample has under `outputs`.
    pub outputs: Vec<Column>,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// One input or output of all samples.
#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    /// Its name in the model.
    pub name: String,
    /// Its type, as the Open Inference Protocol names it.
    pub datatype: String,
    /// Its shape in one sample, without the batch.
    pub shape: Vec<u64>,
}

/// One sample.
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    /// For each input, its values.
    pub inputs: BTreeMap<String, Value>,
    /// For each output, the expected values.
    pub outputs: BTreeMap<String, Vec<f64>>,
    /// The right class.
    pub label: Option<usize>,
}

/// Why a sample file is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplesError {
    /// It is not JSON of this shape.
    #[error("samples: {0}")]
    Json(#[from] serde_json::Error),
    /// It has another version.
    #[error("samples: expected version {SAMPLES_VERSION}, found {0}")]
    Version(u32),
    /// A sample lacks an input or output that all should have, or there are none.
    #[error("samples: expected {expected}, found none in sample {index}")]
    Missing {
        /// Which sample, from 0.
        index: usize,
        /// What it lacks.
        expected: String,
    },
}

impl SampleSet {
    /// Reads a sample file.
    ///
    /// # Errors
    /// If it is not of this format, or a sample is not complete.
    pub fn from_json(json: &[u8]) -> Result<Self, SamplesError> {
        let set: Self = serde_json::from_slice(json)?;
        if set.version != SAMPLES_VERSION {
            return Err(SamplesError::Version(set.version));
        }
        if set.samples.is_empty() {
            return Err(SamplesError::Missing { index: 0, expected: "samples".into() });
        }
        for (index, sample) in set.samples.iter().enumerate() {
            let missing_input = set.inputs.iter().find(|column| !sample.inputs.contains_key(&column.name));
            let missing_output = set.outputs.iter().find(|column| !sample.outputs.contains_key(&column.name));
            if let Some(missing) = missing_input.or(missing_output) {
                return Err(SamplesError::Missing { index, expected: format!("`{}`", missing.name) });
            }
        }
        Ok(set)
    }

    /// A sample as a request of the Open Inference Protocol, a batch of one.
    #[must_use]
    pub fn request(&self, sample: &Sample) -> String {
        let input = |column: &Column| {
            let shape: Vec<u64> = std::iter::once(1).chain(column.shape.iter().copied()).collect();
            let data = sample.inputs.get(&column.name);
            json!({ "name": column.name, "datatype": column.datatype, "shape": shape, "data": data })
        };
        let inputs: Vec<Value> = self.inputs.iter().map(input).collect();
        let outputs: Vec<Value> = self.outputs.iter().map(|column| json!({ "name": column.name })).collect();
        json!({ "inputs": inputs, "outputs": outputs }).to_string()
    }

    /// How an answer compares with a sample's expected values.
    ///
    /// # Errors
    /// If it is no answer of the Open Inference Protocol with these outputs; the text says what is wrong.
    pub fn compare(&self, sample: &Sample, answer: &[u8]) -> Result<Comparison, String> {
        let answer: Answer = serde_json::from_slice(answer).map_err(|error| format!("not an answer: {error}"))?;
        let mut difference = 0.0f64;
        let (mut class, mut wrong) = (None, None);
        for (place, column) in self.outputs.iter().enumerate() {
            let missing = || format!("no output `{}` in the answer", column.name);
            let output = answer.outputs.iter().find(|output| output.name == column.name).ok_or_else(missing)?;
            let expected = sample.outputs.get(&column.name).map(Vec::as_slice).unwrap_or_default();
            if output.data.len() != expected.len() {
                let (wanted, found) = (expected.len(), output.data.len());
                return Err(format!("output `{}`: expected {wanted} values, found {found}", column.name));
            }
            wrong = wrong.or_else(|| self.first_wrong(&column.name, expected, &output.data));
            let distances = output.data.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
            difference = distances.fold(difference, |worst, distance| if distance <= worst { worst } else { distance });
            if place == 0 {
                class = largest(&output.data);
            }
        }
        // A NaN is never within the tolerance.
        Ok(Comparison {
            difference,
            agrees: difference <= self.tolerance,
            correct: sample.label.map(|label| class == Some(label)),
            wrong,
        })
    }

    /// The first value that is too far from the expected one.
    fn first_wrong(&self, output: &str, expected: &[f64], found: &[f64]) -> Option<Wrong> {
        let wrong = |(expected, found): (&f64, &f64)| {
            let distance = (found - expected).abs();
            distance > self.tolerance || distance.is_nan()
        };
        let place = expected.iter().zip(found).position(wrong)?;
        let (expected, found) = (*expected.get(place)?, *found.get(place)?);
        Some(Wrong { output: output.to_owned(), place, expected, found })
    }
}

/// A value that is not the expected one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wrong {
    /// In which output it is.
    pub output: String,
    /// Where in the output's flat list, from 0.
    pub place: usize,
    /// What was expected.
    pub expected: f64,
    /// What was found.
    pub found: f64,
}

/// How one answer compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The largest distance of a value from the expected one.
    pub difference: f64,
    /// Whether that is within the tolerance.
    pub agrees: bool,
    /// Whether the class is the right one, if the sample says which is.
    pub correct: Option<bool>,
    /// The first value that is not within the tolerance.
    pub wrong: Option<Wrong>,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    data: Vec<f64>,
}

fn largest(values: &[f64]) -> Option<usize> {
    values.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> SampleSet {
        let text = r#"{"version": 1, "model": "m", "tolerance": 0.01, "note": "other members are for people",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [2]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [2]}],
            "samples": [{"inputs": {"x": [1, 2]}, "outputs": {"y": [0.25, 0.75]}, "label": 1}]}"#;
        SampleSet::from_json(text.as_bytes()).unwrap()
    }

    fn answer(data: &str) -> Vec<u8> {
        format!("{{\"outputs\": [{{\"name\": \"y\", \"data\": {data}}}]}}").into_bytes()
    }

    #[test]
    fn a_request_is_a_batch_of_one() {
        let set = set();
        let expected = json!({
            "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2] }],
            "outputs": [{ "name": "y" }],
        });
        assert_eq!(set.request(&set.samples[0]), expected.to_string());
    }

    #[test]
    fn answers_are_compared_with_values_and_label() {
        let set = set();
        let compare = |data: &str| set.compare(&set.samples[0], &answer(data));
        let good = compare("[0.255, 0.745]").unwrap();
        assert!(good.agrees && good.correct == Some(true) && good.difference < 0.006);
        let wrong_class = compare("[0.75, 0.25]").unwrap();
        assert!(!wrong_class.agrees && wrong_class.correct == Some(false));
        let wrong = |data: &str| compare(data).unwrap().wrong;
        assert_eq!((good.wrong, wrong("[0.255, 0.75]")), (None, None));
        let second = Wrong { output: "y".into(), place: 1, expected: 0.75, found: 0.5 };
        assert_eq!(wrong("[0.25, 0.5]"), Some(second));
        assert_eq!(wrong("[0.5, 0.5]").unwrap().place, 0);
        assert_eq!(compare("[1]").unwrap_err(), "output `y`: expected 2 values, found 1");
        assert!(set.compare(&set.samples[0], b"{\"outputs\": []}").is_err());
        assert!(set.compare(&set.samples[0], b"{\"error\": \"x\"}").is_err());
    }

    #[test]
    fn incomplete_files_are_named() {
        let text = |version: u32, sample: &str| {
            format!(
                r#"{{"version": {version}, "model": "m", "tolerance": 1, "inputs": [{{"name": "x", "datatype": "FP32", "shape": []}}],
                "outputs": [], "samples": [{sample}]}}"#
            )
        };
        let error = |text: String| SampleSet::from_json(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(text(2, "")), "samples: expected version 1, found 2");
        assert_eq!(error(text(1, "")), "samples: expected samples, found none in sample 0");
        assert_eq!(error(text(1, r#"{"inputs": {}, "outputs": {}}"#)), "samples: expected `x`, found none in sample 0");
        assert!(error("{".into()).starts_with("samples: EOF"));
    }
}
