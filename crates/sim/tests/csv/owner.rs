//! The platform's owner, whose signature beside the chip's a relying party may ask for.

use super::{evidence, running, verifier};
use sealwright_sim::Error as SimError;
use sealwright_sim::csv::Owner;
use sealwright_verify::csv::Chip as Verifier;
use sealwright_verify::{CsvOwner, Error, Part, SIMULATION};
use sealwright_wire::csv::{CaCertificate, Certificate};

#[test]
fn a_named_owner_must_be_the_platform_s() {
    let (site, chip, guest) = running();
    let of = |owner: &Owner| verifier(&site, &chip).for_owner(&owner.oca()).unwrap();
    let said = |verifier: &Verifier| evidence(verifier, &guest).map(|facts| super::claims(&facts).owner);
    // A platform owns itself at first, and its operator can name it.
    let itself = chip.owner().unwrap();
    assert_eq!(said(&verifier(&site, &chip)), Ok(CsvOwner::Unverified));
    assert_eq!(said(&of(&itself)), Ok(CsvOwner::Verified));
    let fleet = Owner::found("of a fleet").unwrap();
    let stranger = Error::Signature { part: Part::Pek, signer: Part::Oca.name() };
    assert_eq!(said(&of(&fleet)), Err(stranger.clone()));
    // It changes hands: the same key under another certificate.
    let key = Certificate::parse(&chip.pek()).unwrap().public_key;
    chip.change_owner(Some(&fleet)).unwrap();
    assert_eq!(Certificate::parse(&chip.pek()).unwrap().public_key, key);
    assert_eq!((said(&of(&fleet)), said(&of(&itself))), (Ok(CsvOwner::Verified), Err(stranger)));
    chip.update_pek().unwrap();
    assert_eq!(said(&of(&fleet)), Ok(CsvOwner::Verified));
    // Nobody owns it.
    chip.change_owner(None).unwrap();
    assert_eq!(said(&verifier(&site, &chip)), Ok(CsvOwner::None));
    let error = said(&of(&fleet)).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::Pek, .. }), "{error}");
    assert!(chip.owner().is_none());
}

#[test]
fn who_is_no_owner_is_not_taken_for_one() {
    let (site, chip, _) = running();
    let code = |certificate: &[u8]| verifier(&site, &chip).for_owner(certificate).unwrap_err().code();
    assert_eq!(code(&chip.pek()), "certificate-profile");
    assert_eq!(code(&chip.hsk_cek()[size_of::<CaCertificate>()..]), "certificate-profile");
    assert_eq!(code(&site.hrk()), "malformed-collateral");
}

#[test]
fn an_owner_s_name_must_fit_its_certificate() {
    let longest = 254 - format!("{SIMULATION} OCA ").len();
    let owner = Owner::found(&"x".repeat(longest)).unwrap();
    assert_eq!(Certificate::parse(&owner.oca()).unwrap().user_id().len(), 254);
    let error = Owner::found(&"x".repeat(longest + 1)).unwrap_err();
    assert!(matches!(error, SimError::Structure(_)), "{error}");
    assert_eq!(error.code(), "structure");
}
