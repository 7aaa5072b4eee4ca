//! What the demo tells, line by line, and what it has to say at the end.

use super::text;
use crate::output::{Outcome, Output};
use anyhow::{Context, Result};
use sealwright_appraise::Explanation;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::io::BufRead;
use std::time::Instant;

/// Everything that the demo says, as JSON.
#[derive(Default, Serialize)]
struct Told {
    steps: Vec<Step>,
    refusals: Vec<Refusal>,
    seconds: f64,
    passed: bool,
}

/// One step.
#[derive(Serialize)]
struct Step {
    title: &'static str,
    said: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

/// Evidence, claims or policy behind a line.
#[derive(Serialize)]
struct Detail {
    what: &'static str,
    value: Value,
}

/// An attempt that must fail, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    /// What was tried.
    attempt: &'static str,
    /// Whether it was refused.
    refused: bool,
    /// Why, or how far it got.
    reason: String,
    /// What its operator should do.
    remedy: String,
    /// All checks, when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    /// Decisions on the broker's record about this evidence that say more than its answer did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recorded: Vec<Value>,
    /// The evidence that was shown, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<Value>,
    /// What verification makes of it, with what the one who refused had at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) claims: Option<Value>,
}

impl Refusal {
    /// As it should be.
    pub(super) fn for_reasons(attempt: &'static str, explanation: Explanation, recorded: Vec<Value>) -> Self {
        let remedy = explanation.reason().map(|check| check.remedy.clone()).unwrap_or_default();
        let reason = explanation.headline.clone();
        Self { refused: true, recorded, explanation: Some(explanation), ..Self::let_through(attempt, reason, remedy) }
    }

    /// As it must not be.
    pub(super) fn let_through(attempt: &'static str, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (reason, remedy, recorded) = (reason.into(), remedy.into(), Vec::new());
        Self { attempt, refused: false, reason, remedy, explanation: None, recorded, evidence: None, claims: None }
    }
}

/// Tells the story.
pub(super) struct Story {
    output: Output,
    explain: bool,
    pause: bool,
    begun: Instant,
    told: Told,
}

impl Story {
    /// Begins; with `explain`, details are told too, and with `pause` each further step waits for the listener.
    pub(super) fn begin(output: Output, explain: bool, pause: bool) -> Self {
        Self { output, explain, pause, begun: Instant::now(), told: Told::default() }
    }

    /// Whether details are told.
    pub(super) const fn explains(&self) -> bool {
        self.explain
    }

    /// The next step.
    pub(super) async fn step(&mut self, title: &'static str) -> Result<()> {
        if self.pause && !self.told.steps.is_empty() {
            self.output.line("   (press Enter for the next step)")?;
            enter().await?;
        }
        self.told.steps.push(Step { title, said: Vec::new(), details: Vec::new() });
        let number = self.told.steps.len();
        Ok(self.output.line(format_args!("\n{number}. {title}"))?)
    }

    /// A line of the present step.
    pub(super) fn say(&mut self, line: impl Into<String>) -> Result<()> {
        let line = line.into();
        self.output.line(format_args!("   {line}"))?;
        if let Some(step) = self.told.steps.last_mut() {
            step.said.push(line);
        }
        Ok(())
    }

    /// What is behind the last line, for those who asked for it.
    pub(super) fn explain(&mut self, what: &'static str, value: Value) -> Result<()> {
        if !self.explain {
            return Ok(());
        }
        self.detail(what, &value)?;
        if let Some(step) = self.told.steps.last_mut() {
            step.details.push(Detail { what, value });
        }
        Ok(())
    }

    fn detail(&self, what: &str, value: &Value) -> Result<()> {
        self.output.line(format_args!("     {what}:"))?;
        let text = serde_json::to_string_pretty(value)?;
        Ok(text.lines().try_for_each(|line| self.output.line(format_args!("       {line}")))?)
    }

    /// An attempt that must fail, and how it went.
    pub(super) fn refusal(&mut self, refusal: Refusal) -> Result<()> {
        let verdict = if refusal.refused { "refused" } else { "NOT REFUSED" };
        self.output.line(format_args!("   {verdict}  {}", refusal.attempt))?;
        match refusal.explanation.as_ref().filter(|_| self.explain) {
            Some(explanation) => explanation.to_string().lines().try_for_each(|line| self.behind(line))?,
            None => self.behind(&refusal.reason)?,
        }
        let recorded = refusal.recorded.iter().flat_map(|line| line["reasons"].as_array().into_iter().flatten());
        for reason in recorded {
            self.behind(format_args!("on the broker's record, for its administrator [{}]", text(&reason["code"])))?;
            self.behind(format_args!("   found     {}", text(&reason["actual"])))?;
            self.behind(format_args!("   expected  {}", text(&reason["expected"])))?;
        }
        if !refusal.remedy.is_empty() {
            self.behind(format_args!("to do: {}", refusal.remedy))?;
        }
        for (what, value) in [("evidence", &refusal.evidence), ("claims", &refusal.claims)] {
            value.as_ref().map_or(Ok(()), |value| self.detail(what, value))?;
        }
        self.told.refusals.push(refusal);
        Ok(())
    }

    /// A line under the name of an attempt.
    fn behind(&self, line: impl Display) -> Result<()> {
        Ok(self.output.line(format_args!("            {line}"))?)
    }

    /// The summary, and what is `left` on disk. It is a yes only if nobody got a key that was not for them.
    pub(super) fn end(mut self, summary: &str, left: &str) -> Result<Outcome> {
        let refused = self.told.refusals.iter().filter(|refusal| refusal.refused).count();
        let tried = self.told.refusals.len();
        self.told.passed = tried > 0 && refused == tried;
        self.told.seconds = self.begun.elapsed().as_secs_f64();
        let verdict = if self.told.passed { "Passed" } else { "FAILED" };
        let text = format!(
            "\n{verdict}: {summary}; {refused} of {tried} attempts refused; {:.1} s. {left}\n",
            self.told.seconds
        );
        self.output.result(&self.told, text)?;
        Ok(if self.told.passed { Outcome::Yes } else { Outcome::No })
    }
}

/// Waits for the end of a line on standard input, or for the end of that.
async fn enter() -> Result<()> {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().skip_until(b'\n'));
    line.await?.context("standard input")?;
    Ok(())
}
