//! A no, with its reasons.

use crate::output::{Outcome, Output};
use anyhow::Result;
use http::StatusCode;
use sealwright_appraise::Explanation;
use sealwright_broker::admin::ClientError;
use sealwright_channel::kbs;
use serde::Serialize;
use serde_json::json;

/// What a broker says instead of yes, as JSON.
#[derive(Serialize)]
struct OfBroker<'a> {
    accepted: bool,
    status: u16,
    #[serde(rename = "type")]
    error_type: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// Prints why something was refused.
pub(crate) fn refused(explanation: &Explanation, output: Output) -> Result<Outcome> {
    output.result(&json!({ "accepted": false, "explanation": explanation }), format_args!("{explanation}\n"))?;
    Ok(Outcome::No)
}

/// A broker's no to its administrator is the answer; any other error stays one.
pub(crate) fn refused_administrator(error: anyhow::Error, output: Output) -> Result<Outcome> {
    match error.downcast_ref::<ClientError>() {
        Some(said @ ClientError::Refused(failure)) if is_answer(failure.status) => {
            let printed = OfBroker {
                accepted: false,
                status: failure.status.as_u16(),
                error_type: &failure.information.error_type,
                detail: &failure.information.detail,
                explanation: failure.information.explanation.as_ref(),
                request_id: failure.request_id.as_deref(),
            };
            output.result(&printed, format_args!("no: {said}\n"))?;
            Ok(Outcome::No)
        }
        _ => Err(error),
    }
}

/// A broker's no to a workload that asks for a key is the answer; any other error stays one.
pub(crate) fn refused_key(error: anyhow::Error, output: Output) -> Result<Outcome> {
    let of_broker = error.chain().find_map(|cause| cause.downcast_ref::<kbs::Error>());
    let Some(refusal) = of_broker.and_then(kbs::Error::refusal) else {
        return Err(error);
    };
    let request_id = refusal.request_id.as_deref();
    if let Some(explanation) = refusal.reasons() {
        let mut printed = json!({ "accepted": false, "explanation": explanation });
        if let Some(id) = request_id {
            printed["request_id"] = id.into();
        }
        let found =
            request_id.map(|id| format!("\nIn the broker's audit log, this is request {id}.")).unwrap_or_default();
        output.result(&printed, format_args!("{explanation}{found}\n"))?;
        return Ok(Outcome::No);
    }
    if !is_answer(refusal.status) {
        return Err(error);
    }
    let printed = OfBroker {
        accepted: false,
        status: refusal.status.as_u16(),
        error_type: &refusal.error_type,
        detail: &refusal.detail,
        explanation: None,
        request_id,
    };
    output.result(&printed, format_args!("no: {error}\n"))?;
    Ok(Outcome::No)
}

/// Whether a status answers what was asked. "Too slow" and "too often" ask to come back, and 5xx is the broker's own trouble.
fn is_answer(status: StatusCode) -> bool {
    status.is_client_error() && ![StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_request_is_an_answer() {
        for (status, answer) in
            [(400, true), (401, true), (403, true), (404, true), (413, true), (408, false), (429, false), (503, false)]
        {
            assert_eq!(is_answer(StatusCode::from_u16(status).unwrap()), answer, "{status}");
        }
    }
}
