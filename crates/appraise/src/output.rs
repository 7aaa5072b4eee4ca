//! From what a policy's rules hold to a typed result. Whatever has another type than it must have is no result at all.

use crate::{
    Check, Failure, Judgement, Outcome, Output, TrustClaim, TrustVector,
    engine::member,
    explain::{MAX_TEXT, shorten},
    policy::{Kind, MAX_ID},
};
use regorus::Value;

/// The most checks that a policy may name.
const MAX_CHECKS: usize = 64;
/// How many elements of a list are printed.
const MAX_ELEMENTS: usize = 8;

/// Reads the pairs of [`crate::engine`]'s entry rule. `input` is where a check's `actual` comes from when the policy does not
/// say it.
pub(crate) fn read(kind: Kind, policy_id: &str, entry: &Value, input: &Value) -> Result<Output, Failure> {
    let rule = kind.rule();
    let undefined = || Failure::PolicyUndefined { rule: rule.to_owned() };
    let decision = result(entry, rule).ok_or_else(undefined)?;
    let judgement = match kind {
        Kind::Attestation => Judgement::TrustClaims(trust_vector(decision)?),
        Kind::Release => Judgement::Allow(allow(decision)?),
    };
    let checks = result(entry, "checks").map(|checks| read_checks(policy_id, checks, input)).transpose()?;
    Ok(Output { judgement, checks: checks.unwrap_or_default() })
}

fn result<'a>(entry: &'a Value, rule: &str) -> Option<&'a Value> {
    let Value::Set(pairs) = entry else { return None };
    pairs.iter().find_map(|pair| {
        let Value::Array(pair) = pair else { return None };
        let mut pair = pair.iter();
        match (pair.next(), pair.next()) {
            (Some(Value::String(name)), Some(value)) if **name == *rule => Some(value),
            _ => None,
        }
    })
}

fn wrong(rule: &str, expected: &str, found: impl std::fmt::Display) -> Failure {
    Failure::PolicyWrongType {
        rule: rule.to_owned(),
        expected: expected.to_owned(),
        found: shorten(&found.to_string(), MAX_TEXT),
    }
}

fn allow(decision: &Value) -> Result<bool, Failure> {
    match decision {
        Value::Bool(allow) => Ok(*allow),
        other => Err(wrong("allow", "true or false", text(other))),
    }
}

fn trust_vector(decision: &Value) -> Result<TrustVector, Failure> {
    let rule = Kind::Attestation.rule();
    let Value::Object(claims) = decision else {
        return Err(wrong(rule, "an object of trustworthiness claims", text(decision)));
    };
    let mut vector = TrustVector::default();
    for (name, value) in claims.iter() {
        let claim = match name {
            Value::String(name) => TrustClaim::from_name(name),
            _ => None,
        };
        let claim = claim.ok_or_else(|| wrong(rule, "claims of AR4SI", format_args!("a claim {}", text(name))))?;
        let number = value.as_i64().ok().and_then(|number| i8::try_from(number).ok());
        let outside = || wrong(rule, "integers from -128 to 127", format_args!("{} for {claim}", text(value)));
        vector.set(claim, number.ok_or_else(outside)?);
    }
    Ok(vector)
}

fn read_checks(policy_id: &str, checks: &Value, input: &Value) -> Result<Vec<Check>, Failure> {
    let read = |check: &Value| read_check(policy_id, check, input);
    match checks {
        Value::Array(checks) if checks.len() <= MAX_CHECKS => checks.iter().map(read).collect(),
        Value::Set(checks) if checks.len() <= MAX_CHECKS => checks.iter().map(read).collect(),
        other => Err(wrong("checks", "an array or set of at most 64 checks", text(other))),
    }
}

/// A check as a policy writes it: its own members, and in `of` those that are the same for every input.
#[derive(Default)]
struct Raw<'a> {
    code: Option<&'a Value>,
    outcome: Option<&'a Value>,
    claim: Option<&'a Value>,
    path: Option<&'a Value>,
    expected: Option<&'a Value>,
    actual: Option<&'a Value>,
    source: Option<&'a Value>,
    remedy: Option<&'a Value>,
}

impl<'a> Raw<'a> {
    fn read(check: &'a Value) -> Option<Self> {
        let Value::Object(own) = check else { return None };
        let mut raw = Self::default();
        if let Some(Value::Object(shared)) = member(check, "of") {
            shared.iter().for_each(|(name, value)| raw.set(name, value));
        }
        own.iter().for_each(|(name, value)| raw.set(name, value));
        Some(raw)
    }

    fn set(&mut self, name: &Value, value: &'a Value) {
        let Value::String(name) = name else { return };
        let place = match &**name {
            "code" => &mut self.code,
            "outcome" => &mut self.outcome,
            "claim" => &mut self.claim,
            "path" => &mut self.path,
            "expected" => &mut self.expected,
            "actual" => &mut self.actual,
            "source" => &mut self.source,
            "remedy" => &mut self.remedy,
            _ => return,
        };
        *place = Some(value);
    }

    fn outcome(&self) -> Option<(Outcome, &'static str)> {
        match self.outcome {
            Some(Value::String(word)) => match &**word {
                "passed" => Some((Outcome::Passed, "passed")),
                "failed" => Some((Outcome::Failed, "failed")),
                "not-reached" => Some((Outcome::NotReached, "not-reached")),
                _ => None,
            },
            _ => None,
        }
    }

    /// The code, or the code for this outcome.
    fn code(&self, outcome: &str) -> Option<String> {
        let code = match self.code {
            Some(codes @ Value::Object(_)) => member(codes, outcome),
            code => code,
        };
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match code {
            Some(Value::String(code)) if (1..=MAX_ID).contains(&code.len()) && code.bytes().all(word) => {
                Some(code.to_string())
            }
            _ => None,
        }
    }
}

fn read_check(policy_id: &str, check: &Value, input: &Value) -> Result<Check, Failure> {
    const SHAPE: &str = "checks with an outcome (passed, failed or not-reached) and a code in kebab-case";
    let malformed = || wrong("checks", SHAPE, text(check));
    let raw = Raw::read(check).ok_or_else(malformed)?;
    let (outcome, word) = raw.outcome().ok_or_else(malformed)?;
    let code = raw.code(word).ok_or_else(malformed)?;
    let claim = raw.claim.map(text).unwrap_or_default();
    let actual = match (raw.actual, raw.path) {
        (Some(actual), _) => text(actual),
        (None, Some(Value::Array(path))) => found(input, path.iter().map(Value::clone)),
        (None, _) => found(input, claim.split('.').map(Value::from)),
    };
    Ok(Check {
        outcome,
        code,
        expected: raw.expected.map(text).unwrap_or_default(),
        actual,
        source: raw.source.map_or_else(|| format!("policy {policy_id}"), text),
        remedy: if outcome == Outcome::Passed { String::new() } else { raw.remedy.map(text).unwrap_or_default() },
        aside: String::new(),
        claim,
    })
}

/// What the input holds at a path.
fn found(input: &Value, path: impl Iterator<Item = Value>) -> String {
    let mut at = Some(input);
    for name in path {
        at = match at {
            Some(Value::Object(members)) => members.get(&name),
            _ => None,
        };
    }
    at.map_or_else(|| "absent".to_owned(), text)
}

/// A value in plain words, of bounded length. Numbers are not printed by the engine: a huge one can take it minutes.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => shorten(text, MAX_TEXT),
        Value::Array(elements) => list(elements.len(), elements.iter()),
        Value::Set(elements) => list(elements.len(), elements.iter()),
        other => scalar(other),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => shorten(text, MAX_TEXT),
        Value::Bool(bool) => bool.to_string(),
        Value::Null => "null".to_owned(),
        Value::Number(_) => value.as_i64().map_or_else(|_| "a number".to_owned(), |number| number.to_string()),
        Value::Array(_) => "an array".to_owned(),
        Value::Set(_) => "a set".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Undefined => "undefined".to_owned(),
    }
}

fn list<'a>(length: usize, elements: impl Iterator<Item = &'a Value>) -> String {
    if length == 0 {
        return "none".to_owned();
    }
    let mut words: Vec<_> = elements.take(MAX_ELEMENTS).map(scalar).collect();
    if let Some(more) = length.checked_sub(MAX_ELEMENTS).filter(|more| *more > 0) {
        words.push(format!("and {more} more"));
    }
    shorten(&words.join(", "), MAX_TEXT)
}
