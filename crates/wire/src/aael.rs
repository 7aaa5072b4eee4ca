//! Runtime events (AAEL, "attestation agent event log" of CoCo's guest components): what a workload measured into a runtime register.
//!
//! A runtime event is a TCG2 record of type [`EV_EVENT_TAG`] whose data is `u32 0x4141454c, u32 length, "domain operation content"` and whose
//! digest is over exactly these bytes. On TDX it extends RTMR3, MR index 4, and its record follows the boot records of the CCEL.

use crate::Error;
use crate::tcg2::{Event, TaggedEvent, event_type::EV_EVENT_TAG};
use serde::{Deserialize, Serialize};

/// The tag of a runtime event.
pub const TAG: u32 = 0x4141_454c;
/// The MR index of the register that runtime events extend: RTMR3.
pub const MR_INDEX: u32 = 4;
/// The PCR that runtime events extend on a machine with a TPM, unless its agent is told otherwise; in a guest's numbering that is RTMR3 too.
pub const PCR: u32 = 17;
/// The longest "domain operation content" that is accepted, in bytes.
pub const MAX_EVENT: usize = 16 << 10;

/// What a workload says it did. Text form in the log: the three parts with one space between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct RuntimeEvent {
    domain: String,
    operation: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    domain: String,
    operation: String,
    content: String,
}

impl TryFrom<Parts> for RuntimeEvent {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::new(&parts.domain, &parts.operation, &parts.content)
    }
}

impl RuntimeEvent {
    /// An event that can be told apart when it is read back: domain and operation are words, the content is one line.
    ///
    /// # Errors
    /// When domain or operation is empty or holds a space, anything holds a control character, or the whole is over [`MAX_EVENT`].
    pub fn new(domain: &str, operation: &str, content: &str) -> Result<Self, Error> {
        word("runtime event domain", domain)?;
        word("runtime event operation", operation)?;
        if content.chars().any(char::is_control) {
            return Err(Error::unexpected("runtime event content", 0, "one line of text", content.escape_debug()));
        }
        let event = Self { domain: domain.into(), operation: operation.into(), content: content.into() };
        match event.text().len() {
            len if len > MAX_EVENT => Err(Error::too_long("runtime event", 0, MAX_EVENT, len)),
            _ => Ok(event),
        }
    }

    /// Whose event it is, for example `sealwright` or `github.com/confidential-containers`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What was done, for example `LoadModel`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// What it was done with.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The event's data in a record: tag, length and text. Its digest is over these bytes.
    pub fn to_data(&self) -> Vec<u8> {
        let text = self.text();
        let mut data = TAG.to_le_bytes().to_vec();
        // The constructor has held the length below MAX_EVENT.
        data.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        data.extend_from_slice(text.as_bytes());
        data
    }

    /// Reads an event back from a record's data.
    ///
    /// # Errors
    /// When the tag or the length is another, or the text is not three parts as [`RuntimeEvent::new`] wants them.
    pub fn from_data(data: &[u8]) -> Result<Self, Error> {
        let tagged = TaggedEvent::parse(data)?;
        if tagged.tag != TAG {
            return Err(Error::unexpected("taggedEventID", 0, "0x4141454c", format_args!("0x{:08x}", tagged.tag)));
        }
        if tagged.data.len() > MAX_EVENT {
            return Err(Error::too_long("runtime event", 8, MAX_EVENT, tagged.data.len()));
        }
        let text = std::str::from_utf8(tagged.data)
            .map_err(|error| Error::unexpected("runtime event", 8, "UTF-8 text", error))?;
        let mut parts = text.splitn(3, ' ');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(domain), Some(operation), Some(content)) => {
                Self::new(domain, operation, content).map_err(|error| error.at(8))
            }
            _ => Err(Error::unexpected("runtime event", 8, "\"domain operation content\"", text.escape_debug())),
        }
    }

    /// The runtime event in a record of a log; `None` when the record is of another kind. Whether the digest is over the data is for the
    /// verifier to check: this crate does not hash.
    pub fn from_record(event: &Event<'_>) -> Option<Result<Self, Error>> {
        let parsed = Self::of_event(event.event_type, event.data)?;
        Some(parsed.map_err(|error| error.at(event.offset)))
    }

    /// The same of an event's type and data, as a log of any form has them.
    pub fn of_event(event_type: u32, data: &[u8]) -> Option<Result<Self, Error>> {
        let tagged = event_type == EV_EVENT_TAG && data.starts_with(&TAG.to_le_bytes());
        tagged.then(|| Self::from_data(data))
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.domain, self.operation, self.content)
    }
}

fn word(field: &'static str, text: &str) -> Result<(), Error> {
    let right = !text.is_empty() && !text.chars().any(|c| c == ' ' || c.is_control());
    right.then_some(()).ok_or_else(|| Error::unexpected(field, 0, "a word without spaces", text.escape_debug()))
}
