//! The production verifier on what simulated machines with TPMs emit: believed under the site's own root or by enrolment, refused
//! otherwise, and judged as what was done to the machine says.

use sealwright_sim::{
    files, fixed_clock,
    tpm::{AkTemplate, KeyKind, Machine, MachineConfig, Quote, Scheme, Site},
};
use sealwright_verify::{
    Anchor, Anchors, Error, Facts,
    tpm::{self, AttestationKey, Evidence, TpmClaims},
};
use sealwright_wire::{
    tcg2::AlgorithmId,
    time::UnixTime,
    tpm::{PcrSelection, PcrValues, Signature},
};

#[path = "tpm/forms.rs"]
mod forms;
#[path = "tpm/keys.rs"]
mod keys;
#[path = "tpm/logs.rs"]
mod logs;
#[path = "tpm/power.rs"]
mod power;

const NOW: UnixTime = UnixTime(1_795_132_800);
const BANKS: [AlgorithmId; 3] = [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384];

fn site() -> Site {
    Site::found(KeyKind::P256, fixed_clock(NOW)).unwrap()
}

fn config(scheme: Scheme) -> MachineConfig {
    MachineConfig { ak: AkTemplate::new(scheme), ..MachineConfig::new(files::generate("kernel")) }
}

/// A machine of a site of its own, changed before it boots.
fn machine(change: impl FnOnce(&mut MachineConfig)) -> Machine {
    let mut config = config(Scheme::EcdsaP256);
    change(&mut config);
    site().machine(config).unwrap()
}

/// PCR 0 to 23 of each of these banks.
fn all_of(banks: &[AlgorithmId]) -> Vec<PcrSelection> {
    banks.iter().map(|bank| PcrSelection::new(*bank, 0..24)).collect()
}

fn quote(machine: &Machine) -> Quote {
    machine.quote(&all_of(&BANKS), b"challenge").unwrap()
}

/// What a relying party gets, and what it believes.
struct Case<'a> {
    quote: &'a Quote,
    key: AttestationKey<'a>,
    pcrs: &'a PcrValues,
    event_log: Option<&'a [u8]>,
    ima: Option<&'a [u8]>,
    cel: Option<&'a [u8]>,
    at: UnixTime,
}

impl<'a> Case<'a> {
    fn new(quote: &'a Quote, key: AttestationKey<'a>) -> Self {
        Self { quote, key, pcrs: &quote.pcrs, event_log: None, ima: None, cel: None, at: NOW }
    }

    fn verify(&self, anchors: &Anchors) -> Result<Facts, Error> {
        let evidence = Evidence {
            message: &self.quote.message,
            signature: Signature::parse(&self.quote.signature).unwrap(),
            pcrs: self.pcrs,
            key: self.key,
            event_log: self.event_log,
            ima: self.ima,
            cel: self.cel,
        };
        tpm::verify(&evidence, anchors, self.at)
    }
}

fn root(site: &Site) -> Anchors {
    Anchors::none().with(Anchor::tpm_ca("the site", site.root()).unwrap())
}

fn enrolled(machine: &Machine) -> Anchors {
    Anchors::none().with(Anchor::attestation_key_area("desk", &machine.ak_public().unwrap()).unwrap())
}

/// Verifies a quote of the machine's enrolled key with a log and a list.
fn judge_with(machine: &Machine, quote: &Quote, log: Option<&[u8]>, ima: Option<&[u8]>) -> Result<Facts, Error> {
    let area = machine.ak_public().unwrap();
    let case = Case { event_log: log, ima, ..Case::new(quote, AttestationKey::Public(&area)) };
    case.verify(&enrolled(machine))
}

/// With the machine's log and list as they are now.
fn judge(machine: &Machine, quote: &Quote) -> Result<Facts, Error> {
    judge_with(machine, quote, Some(machine.event_log()), Some(machine.ima_list()))
}

fn judged(machine: &Machine) -> Facts {
    judge(machine, &quote(machine)).unwrap()
}

fn claims(machine: &Machine) -> TpmClaims {
    judged(machine).claims().tpm().unwrap().clone()
}

fn unexplained(facts: &Facts) -> Vec<&'static str> {
    facts.pcr_log().unwrap().unexplained().collect()
}

/// The reason of a refusal, and what was being judged.
fn reason<T>(result: Result<T, Error>) -> (&'static str, &'static str) {
    let error = result.map(drop).unwrap_err();
    (error.code(), error.claim())
}
