//! Where a service is, and how it is asked: what the clients of all vendors' services share.

use crate::{
    FetchError,
    http::{self, Client, Reply, Roots, Url},
};
use ::http::{StatusCode, header};
use std::time::Duration;

/// How much of a refusal's text is repeated, in characters.
const MAX_SAID: usize = 200;
/// The shortest wait before the same question, whatever the service says.
const SHORTEST: Duration = Duration::from_secs(1);

/// Where a service is and how it is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// `https://host[:port][/prefix]`, in front of the service's routes.
    pub url: String,
    /// Who vouches for its TLS certificate.
    pub roots: Roots,
    /// Whether URLs may be `http`. What comes is signed, so that nobody on the way can forge it; but everybody sees which machines are asked
    /// about, and can hold back what is newer.
    pub plain_http: bool,
    /// How long to wait for each answer.
    pub timeout: Duration,
    /// How long, in all, one question waits where the service says that there were too many (429) and when to come back. Longer waits are the
    /// caller's.
    pub patience: Duration,
}

impl Access {
    /// A service at this URL, with the roots of the public web and thirty seconds for each answer, and as many of patience.
    pub fn to(url: impl Into<String>) -> Self {
        const HALF_A_MINUTE: Duration = Duration::from_secs(30);
        Self {
            url: url.into(),
            roots: Roots::default(),
            plain_http: false,
            timeout: HALF_A_MINUTE,
            patience: HALF_A_MINUTE,
        }
    }
}

/// A service that can be asked.
#[derive(Clone)]
pub(crate) struct Origin {
    base: String,
    plain_http: bool,
    patience: Duration,
    http: Client,
}

impl Origin {
    /// A service that was asked nothing yet.
    pub(crate) fn new(access: &Access) -> Result<Self, http::Error> {
        let base = access.url.trim_end_matches('/').to_owned();
        Url::parse(&base, access.plain_http)?;
        if base.contains(['?', '#']) {
            return Err(http::Error::Url { url: base, reason: "it must not have a query" });
        }
        let http = Client::new(&access.roots, access.timeout)?;
        Ok(Self { base, plain_http: access.plain_http, patience: access.patience, http })
    }

    /// What stands in front of the routes.
    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    /// Whether a URL is one that may be asked.
    pub(crate) fn check(&self, url: &str) -> Result<(), http::Error> {
        Url::parse(url, self.plain_http).map(drop)
    }

    /// Asks for a URL; only 200 is an answer, of at most `limit` bytes.
    pub(crate) async fn get(&self, url: &str, limit: usize) -> Result<Reply, FetchError> {
        let target = Url::parse(url, self.plain_http)?;
        let mut patience = self.patience;
        loop {
            let reply = self.http.get(&target, limit).await?;
            if reply.status == StatusCode::OK {
                return Ok(reply);
            }
            let refusal = refusal(url, &reply);
            let wait = refusal.retry_after().map(|seconds| Duration::from_secs(seconds).max(SHORTEST));
            match wait.filter(|_| reply.status == StatusCode::TOO_MANY_REQUESTS) {
                Some(wait) if wait <= patience => {
                    patience = patience.saturating_sub(wait);
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(refusal),
            }
        }
    }
}

fn refusal(url: &str, reply: &Reply) -> FetchError {
    let retry_after = reply.headers.get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let said = String::from_utf8_lossy(&reply.body);
    let said = said.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(MAX_SAID).collect();
    FetchError::Status { url: url.to_owned(), status: reply.status.as_u16(), retry_after, said }
}
