//! The client that verifies first: sends samples to a server that was judged and accepted, and compares the answers.
//!
//! A [`Client`] exists only once [`Connector`] has accepted the server, so no tensor can leave before that.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sealwright_channel::{
    Appraisal,
    http::escaped,
    ratls::{AttestedConnection, ConnectError, Connector, Protocol, Sender, body},
    wire::ratls::AttestResponse,
};
use serde::{Deserialize, Serialize};

use crate::{
    receipts::{RECEIPT_HEADER, RECEIPT_REQUEST},
    samples::{SampleSet, Wrong},
};

/// The longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 64 << 20;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No attested connection: the server was not reached, or refused by the policy. No tensor was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("request: {0}")]
    Request(#[from] http::Error),
    /// The server said no.
    #[error("the server refuses ({status}): {problem}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its reason.
        problem: String,
    },
    /// The answer is not one to this question.
    #[error("sample {index}: {problem}")]
    Answer {
        /// Which sample, from 0.
        index: usize,
        /// What is wrong.
        problem: String,
    },
    /// The answer is too long, or broke off.
    #[error("the answer: {0}")]
    Body(String),
    /// The answer came without the receipt that was asked for.
    #[error("a receipt was asked for and the answer has none")]
    NoReceipt,
}

/// An attested connection to a model server.
pub struct Client {
    sender: Sender,
    appraisal: Appraisal,
    evidence: AttestResponse,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its body.
    pub body: Bytes,
    /// Its receipt (a compact JWS), if one was asked for.
    pub receipt: Option<String>,
}

/// Which model a request is for; the latest version if none is given.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name.
    pub model: &'a str,
    /// Its version.
    pub version: Option<u64>,
}

impl Client {
    /// Connects to `host:port`; the server is judged, and accepted, before this returns.
    ///
    /// # Errors
    /// If it is not reached or not accepted.
    pub async fn connect(connector: &Connector, address: &str) -> Result<Self, ConnectError> {
        connector.connect(address, Protocol::Http1).await.map(Self::new)
    }

    /// A client on a connection that was accepted already.
    #[must_use]
    pub fn new(connection: AttestedConnection) -> Self {
        let AttestedConnection { sender, appraisal, evidence, .. } = connection;
        Self { sender, appraisal, evidence }
    }

    /// Why the server was accepted.
    #[must_use]
    pub const fn appraisal(&self) -> &Appraisal {
        &self.appraisal
    }

    /// The evidence that was judged: keep it with the receipts of this connection.
    #[must_use]
    pub const fn evidence(&self) -> &AttestResponse {
        &self.evidence
    }

    /// Sends an inference request of the Open Inference Protocol in JSON.
    ///
    /// # Errors
    /// If the server says no, the connection breaks, or a receipt is wanted and there is none.
    pub async fn infer(&mut self, target: Target<'_>, request: Bytes, receipt: bool) -> Result<Reply, QueryError> {
        let mut asked = Request::builder()
            .method(Method::POST)
            .uri(path(target))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, request.len());
        if receipt {
            asked = asked.header(RECEIPT_HEADER, RECEIPT_REQUEST);
        }
        let (parts, answer) = self.sender.send(asked.body(body(request))?).await?.into_parts();
        let answer = match Limited::new(answer, MAX_ANSWER).collect().await {
            Ok(answer) => answer.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(QueryError::Body(format!("over {MAX_ANSWER} bytes")));
            }
            Err(error) => return Err(QueryError::Body(error.to_string())),
        };
        if parts.status != StatusCode::OK {
            return Err(QueryError::Refused { status: parts.status, problem: problem(&answer) });
        }
        let found = parts.headers.get(RECEIPT_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if receipt && found.is_none() {
            return Err(QueryError::NoReceipt);
        }
        Ok(Reply { body: answer, receipt: found })
    }

    /// Sends every sample, one after the other, and compares each answer.
    ///
    /// # Errors
    /// If an answer is missing or not one to its sample. Answers that differ are no error: the report has them.
    pub async fn query(&mut self, set: &SampleSet, version: Option<u64>) -> Result<Report, QueryError> {
        let target = Target { model: &set.model, version };
        let mut tally = Tally::default();
        let started = Instant::now();
        for (index, sample) in set.samples.iter().enumerate() {
            let request = Bytes::from(set.request(sample));
            let sent = Instant::now();
            let reply = self.infer(target, request, false).await?;
            let latency = sent.elapsed();
            let compared = set.compare(sample, &reply.body).map_err(|problem| QueryError::Answer { index, problem })?;
            tally.latencies.push(latency);
            tally.agree += usize::from(compared.agrees);
            tally.labelled += usize::from(compared.correct.is_some());
            tally.correct += usize::from(compared.correct == Some(true));
            // Written so that a NaN stays.
            let wrong = compared.wrong.map(|wrong| FirstWrong { sample: index, wrong });
            tally.first_wrong = tally.first_wrong.take().or(wrong);
            tally.difference =
                if compared.difference <= tally.difference { tally.difference } else { compared.difference };
        }
        Ok(tally.report(started.elapsed()))
    }
}

fn path(target: Target<'_>) -> String {
    let model = escaped(target.model);
    match target.version {
        Some(version) => format!("/v2/models/{model}/versions/{version}/infer"),
        None => format!("/v2/models/{model}/infer"),
    }
}

/// The `error` of a refusal, or its beginning if it has another form.
fn problem(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.error,
        Err(_) => String::from_utf8_lossy(body).chars().take(200).collect(),
    }
}

#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    agree: usize,
    labelled: usize,
    correct: usize,
    difference: f64,
    first_wrong: Option<FirstWrong>,
}

impl Tally {
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    fn report(mut self, took: Duration) -> Report {
        self.latencies.sort_unstable();
        let samples = self.latencies.len();
        Report {
            samples,
            agree: self.agree,
            largest_difference: self.difference,
            accuracy: (self.labelled > 0).then(|| self.correct as f64 / self.labelled as f64),
            p50_us: micros(&self.latencies, 50),
            p99_us: micros(&self.latencies, 99),
            requests_per_second: samples as f64 / took.as_secs_f64(),
            first_wrong: self.first_wrong,
        }
    }
}

/// The latency that this share of all did not exceed, in microseconds.
fn micros(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}

/// The first answer that is not the expected one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FirstWrong {
    /// Which sample, from 0.
    pub sample: usize,
    /// Its first wrong value.
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// What came of a set of samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many were sent, and answered.
    pub samples: usize,
    /// How many answers were within the tolerance of the expected ones.
    pub agree: usize,
    /// The largest distance of a value from the expected one.
    pub largest_difference: f64,
    /// The share of labelled samples whose class was right.
    pub accuracy: Option<f64>,
    /// Half of the answers came within this time, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 answers came within this time, in microseconds.
    pub p99_us: f64,
    /// Samples divided by the time that all took, comparing included.
    pub requests_per_second: f64,
    /// The first answer that was not within the tolerance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_wrong: Option<FirstWrong>,
}

impl Report {
    /// Whether every answer was the expected one.
    #[must_use]
    pub const fn all_agree(&self) -> bool {
        self.agree == self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}");
        close(micros(&times, 50), 100.0);
        close(micros(&times, 99), 198.0);
        close(micros(&times[..1], 99), 1.0);
        close(micros(&[], 50), 0.0);
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(path(Target { model: "a/b c", version: None }), "/v2/models/a%2Fb%20c/infer");
        assert_eq!(path(Target { model: "digits", version: Some(3) }), "/v2/models/digits/versions/3/infer");
    }

    #[test]
    fn refusals_are_read_in_either_form() {
        assert_eq!(problem(b"{\"error\": \"no\"}"), "no");
        assert_eq!(problem(b"<html>"), "<html>");
    }
}
