//! Evidence of each simulated kind, with everything beside it as it lies in files: told apart, believed, and where it is refused, still said to
//! be a simulator's.

use sealwright_evidence::Backend;
use sealwright_sim::{
    Site, TdConfig, csv, files, fixed_clock, snp,
    tpm::{self, KeyKind, MachineConfig, Scheme},
};
use sealwright_verify::{
    TcbStatus,
    any::{Beside, Error, Kind, Missing, NotCollateral, Request, Root, Supplied, Verdict},
};
use sealwright_wire::{
    Tee,
    csv::SignerForm,
    snp::{Product, SigningKey},
    tcg2::AlgorithmId,
    time::UnixTime,
    tpm::PcrSelection,
};

const NOW: UnixTime = UnixTime(1_795_132_800);
const DATA: [u8; 64] = [0x5a; 64];

/// What a relying party has of one kind of evidence.
struct Files {
    kind: Kind,
    evidence: Vec<u8>,
    /// A byte that a signature is over.
    signed_at: usize,
    root: Vec<u8>,
    collateral: Vec<Vec<u8>>,
    signature: Option<Vec<u8>>,
    pcrs: Option<Vec<u8>>,
}

impl Files {
    fn supplied(&self) -> Supplied {
        let mut supplied = Supplied::default();
        for file in &self.collateral {
            supplied.add(file).unwrap();
        }
        supplied
    }

    fn request<'a>(&'a self, supplied: &'a Supplied) -> Request<'a> {
        Request {
            roots: vec![Root { name: "the site", bytes: &self.root }],
            signature: self.signature.as_deref(),
            pcrs: self.pcrs.as_deref(),
            ..Request::new(supplied, NOW)
        }
    }
}

fn td() -> Files {
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    Files {
        kind: Kind::Quote,
        evidence: td.evidence(&DATA).unwrap().quote,
        signed_at: 600,
        root: site.root().to_vec(),
        collateral: vec![site.collateral(Tee::Tdx).unwrap().to_json().unwrap().into_bytes()],
        signature: None,
        pcrs: None,
    }
}

fn snp() -> Files {
    let vendor = snp::Vendor::found(fixed_clock(NOW), Product::Genoa).unwrap();
    let platform = snp::Platform::build(&vendor).unwrap();
    let guest = platform.launch(&snp::GuestConfig::new([0x4e; 48])).unwrap();
    let bundle = vendor.bundle(SigningKey::Vcek).unwrap();
    Files {
        kind: Kind::Snp,
        evidence: guest.report(&DATA, 3).unwrap(),
        signed_at: 0x50,
        root: vendor.root_certificate().to_vec(),
        collateral: vec![bundle.cert_chain.into_bytes(), bundle.crl.unwrap(), platform.vek().unwrap()],
        signature: None,
        pcrs: None,
    }
}

fn csv() -> Files {
    let site = csv::Site::found().unwrap();
    let chip = site.make_chip(&csv::ChipConfig::new("SIMULATED-0001")).unwrap();
    let guest = chip.launch(&csv::GuestConfig::new(b"image")).unwrap();
    Files {
        kind: Kind::Csv,
        evidence: guest.report(&DATA, csv::Layout::ExtensionV2, SignerForm::Firmware).unwrap(),
        signed_at: 0x60,
        root: site.hrk(),
        collateral: vec![chip.hsk_cek()],
        signature: None,
        pcrs: None,
    }
}

fn tpm() -> Files {
    let site = tpm::Site::found(KeyKind::P256, fixed_clock(NOW)).unwrap();
    let machine = site.machine(MachineConfig::new(files::generate("kernel"))).unwrap();
    let quote = machine.quote(&[PcrSelection::new(AlgorithmId::SHA256, 0..24)], b"challenge").unwrap();
    let certificate = site.certify_ak(&machine).unwrap();
    let mut collateral = certificate.chain().to_vec();
    collateral.extend(site.revocation_lists().unwrap());
    Files {
        kind: Kind::Tpm,
        pcrs: Some(quote.pcr_file().unwrap()),
        signature: Some(quote.signature),
        signed_at: quote.message.len() - 1,
        evidence: quote.message,
        root: site.root().to_vec(),
        collateral,
    }
}

fn all() -> [Files; 4] {
    [td(), snp(), csv(), tpm()]
}

#[test]
fn evidence_of_each_kind_is_told_apart_and_believed() {
    for files in all() {
        assert_eq!(Kind::of(&files.evidence), Some(files.kind));
        let facts = files.request(&files.supplied()).verify(&files.evidence);
        let verdict = Verdict::of(facts, None).unwrap();
        assert_eq!((verdict.genuine, verdict.accepted, verdict.simulated), (true, true, Some(true)), "{}", files.kind);
        assert_eq!(verdict.facts.unwrap().anchor().name, "the site");
    }
}

#[test]
fn evidence_written_as_text_is_read() {
    let files = td();
    let supplied = files.supplied();
    let hex: String = files.evidence.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(files.request(&supplied).verify(hex.as_bytes()).unwrap().tee(), Tee::Tdx);
}

#[test]
fn a_refusal_under_a_trusted_simulated_root_says_so() {
    for files in all() {
        let mut changed = files.evidence.clone();
        changed[files.signed_at] ^= 1;
        let error = files.request(&files.supplied()).verify_as(files.kind, &changed).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{}: {error}", files.kind);
        assert_eq!(error.simulated(), Some(true), "{}: {error}", files.kind);
    }
}

/// So does one for the collateral's age, where no byte of the evidence was looked at.
#[test]
fn a_refusal_of_old_collateral_says_so_too() {
    for files in all().into_iter().filter(|files| files.kind != Kind::Csv) {
        let supplied = files.supplied();
        let later = Request { at: UnixTime(NOW.0 + 40 * 365 * 86_400), ..files.request(&supplied) };
        let error = later.verify(&files.evidence).unwrap_err();
        assert_eq!(error.simulated(), Some(true), "{}: {error}", files.kind);
    }
}

/// AMD judges no security versions: a demand for a status is one that such evidence does not meet.
#[test]
fn evidence_without_a_status_does_not_meet_a_demand() {
    for (files, accepted) in [(td(), true), (snp(), false)] {
        let facts = files.request(&files.supplied()).verify(&files.evidence);
        let verdict = Verdict::of(facts, Some(TcbStatus::UpToDate)).unwrap();
        assert_eq!((verdict.genuine, verdict.accepted), (true, accepted), "{}", files.kind);
    }
}

#[test]
fn under_a_root_that_is_not_trusted_nothing_is_said_of_a_simulator() {
    let (ours, other) = (td(), td());
    let supplied = ours.supplied();
    let request = Request { roots: vec![Root { name: "another", bytes: &other.root }], ..ours.request(&supplied) };
    let error = request.verify(&ours.evidence).unwrap_err();
    assert!(matches!(error, Error::Refused { simulated: None, .. }), "{error}");
}

#[test]
fn what_evidence_lacks_is_named() {
    let nothing = Supplied::default();
    let expected = [Missing::IntelCollateral, Missing::AmdCertificate("SEV-VCEK".into()), Missing::HskCek];
    for (files, expected) in all().into_iter().zip(expected) {
        let error = files.request(&nothing).verify(&files.evidence).unwrap_err();
        assert_eq!(error, Error::Missing { kind: files.kind, missing: expected });
    }
    let files = tpm();
    let supplied = files.supplied();
    let unsigned = Request { signature: None, ..files.request(&supplied) };
    let error = unsigned.verify(&files.evidence).unwrap_err();
    assert_eq!(error, Error::Missing { kind: Kind::Tpm, missing: Missing::Signature });
    assert_eq!(error.to_string(), "a TPM 2.0 quote (TPMS_ATTEST) needs its signature (TPMT_SIGNATURE)");
}

#[test]
fn a_log_that_would_not_be_looked_at_is_refused() {
    let files = snp();
    let supplied = files.supplied();
    let with_log = Request { event_log: Some(b"log"), ..files.request(&supplied) };
    let error = with_log.verify(&files.evidence).unwrap_err();
    assert_eq!(error, Error::Unused { kind: Kind::Snp, beside: Beside::EventLog });
}

/// Whatever is given beside evidence has its say, or is refused by name.
#[test]
fn a_file_that_evidence_is_not_verified_with_is_refused() {
    let given = |beside: Beside, request: &mut Request<'_>| match beside {
        Beside::EventLog => request.event_log = Some(b"file"),
        Beside::Ima => request.ima = Some(b"file"),
        Beside::Cel => request.cel = Some(b"file"),
        Beside::Signature => request.signature = Some(b"file"),
        Beside::Pcrs => request.pcrs = Some(b"file"),
        Beside::Key => request.key = Some(b"file"),
        Beside::VtpmQuote => request.vtpm_quote = Some(b"file"),
        Beside::TdQuote => request.td_quote = Some(b"file"),
        Beside::OtherCollateral | Beside::OtherList => unreachable!("collateral is below"),
    };
    let of_tpms = [Beside::Signature, Beside::Pcrs, Beside::Key];
    let of_azure = [Beside::VtpmQuote, Beside::TdQuote];
    let logs = [Beside::EventLog, Beside::Ima, Beside::Cel];
    for (files, unused) in [
        (td(), [&of_tpms[..], &of_azure].concat()),
        (snp(), [&of_tpms[..], &of_azure, &logs].concat()),
        (csv(), [&of_tpms[..], &of_azure, &logs[1..]].concat()),
        (tpm(), of_azure.to_vec()),
    ] {
        let supplied = files.supplied();
        for beside in unused {
            let mut request = files.request(&supplied);
            given(beside, &mut request);
            let error = request.verify(&files.evidence).unwrap_err();
            assert_eq!(error, Error::Unused { kind: files.kind, beside });
        }
    }
}

/// A plain signature says neither scheme nor hash: it is taken for what tpm2-tools sign with unless they are told otherwise.
#[test]
fn signatures_as_tpm2_quote_writes_them_plain_are_read() {
    for scheme in Scheme::ALL {
        let site = tpm::Site::found(KeyKind::P256, fixed_clock(NOW)).unwrap();
        let mut config = MachineConfig::new(files::generate("kernel"));
        config.ak.scheme = scheme;
        let machine = site.machine(config).unwrap();
        let quote = machine.quote(&[PcrSelection::new(AlgorithmId::SHA256, 0..24)], b"challenge").unwrap();
        let (pcrs, key) = (quote.pcr_file().unwrap(), machine.ak_key_info().unwrap());
        let (supplied, plain) = (Supplied::default(), quote.plain_signature().unwrap());
        let request = Request {
            roots: vec![Root { name: "ak", bytes: &key }],
            signature: Some(&plain),
            pcrs: Some(&pcrs),
            ..Request::new(&supplied, NOW)
        };
        let facts = request.verify(&quote.message);
        let by_default = matches!(scheme, Scheme::RsaSsa | Scheme::EcdsaP256);
        assert_eq!(facts.is_ok(), by_default, "{scheme:?}: {facts:?}");
    }
}

/// What a TPM measured is in PCRs, and a trust domain has none: its log (TCG2, no CCEL) explains nothing there, and is not passed over.
#[test]
fn a_tpm_s_log_beside_a_trust_domain_s_quote_is_refused_by_name() {
    use AlgorithmId as A;
    let machine = |banks: &[A]| {
        let site = tpm::Site::found(KeyKind::P256, fixed_clock(NOW)).unwrap();
        let config = MachineConfig::new(files::generate("kernel"));
        let banks = banks.to_vec();
        site.machine(MachineConfig { firmware_banks: banks.clone(), banks, ..config }).unwrap()
    };
    let quote = td();
    let supplied = quote.supplied();
    let of_pcrs = ("malformed-event-log", "extends MR index 0, expected 1 to 4 for RTMR0 to RTMR3");
    let of_others = ("event-log-no-bank", "event log: no sha384 bank");
    for (banks, (code, said)) in [
        (&[A::SHA1, A::SHA256, A::SHA384][..], of_pcrs),
        (&[A::SHA384], of_pcrs),
        (&[A::SHA256], of_others),
        (&[A::SHA1, A::SHA256], of_others),
    ] {
        let machine = machine(banks);
        let request = Request { event_log: Some(machine.event_log()), ..quote.request(&supplied) };
        let error = request.verify(&quote.evidence).unwrap_err();
        assert_eq!(error.simulated(), Some(true), "{banks:?}");
        let Error::Refused { error, .. } = error else { panic!("{error}") };
        assert_eq!((error.code(), error.claim()), (code, "event log"), "{banks:?}");
        assert!(error.to_string().contains(said), "{banks:?}: {error}");
        // With the kernel's list behind it no less.
        let request = Request { ima: Some(machine.ima_list()), ..request };
        assert!(matches!(request.verify(&quote.evidence), Err(Error::Refused { .. })), "{banks:?}");
    }
}

#[test]
fn a_second_piece_of_what_there_is_one_of_is_refused() {
    let files = csv();
    let mut supplied = files.supplied();
    assert!(matches!(supplied.add(&files.collateral[0]), Err(NotCollateral::Second(_))));
    assert_eq!(supplied.add(b"a shopping list"), Err(NotCollateral::Unknown));
}

#[test]
fn a_chip_s_certificates_may_come_each_by_itself() {
    let files = csv();
    let pair = &files.collateral[0];
    let (hsk, cek) = pair.split_at(832);
    let supplied = |files: &[&[u8]]| {
        let mut supplied = Supplied::default();
        files.iter().for_each(|file| supplied.add(file).unwrap());
        supplied
    };
    let verified = |given: &[&[u8]]| files.request(&supplied(given)).verify(&files.evidence);
    let whole = verified(&[pair]).unwrap();
    assert_eq!(verified(&[cek, hsk]).unwrap(), whole);
    assert_eq!(verified(&[&files.root, hsk, cek]).unwrap(), whole);
    for (given, lacking) in [(hsk, "CEK"), (cek, "HSK")] {
        let missing = Missing::HygonCertificate(lacking);
        assert_eq!(verified(&[given]).unwrap_err(), Error::Missing { kind: Kind::Csv, missing });
        assert!(matches!(supplied(&[pair]).add(given), Err(NotCollateral::Second(_))), "{lacking} twice");
    }
    // Whose root comes along that is not the one above the chip, somebody is wrong about something.
    let Error::Refused { error, simulated } = verified(&[&csv().root, pair]).unwrap_err() else { panic!("no refusal") };
    assert_eq!((error.code(), simulated), ("untrusted-root", Some(true)), "{error}");
    let mut damaged = files.root.clone();
    damaged[0x240] ^= 1;
    assert!(verified(&[&damaged, pair]).is_err());
}

#[test]
fn a_root_that_is_none_is_named() {
    let files = td();
    let supplied = files.supplied();
    let request = Request { roots: vec![Root { name: "mine", bytes: b"none" }], ..files.request(&supplied) };
    let error = request.verify(&files.evidence).unwrap_err();
    assert!(matches!(&error, Error::Root { name, .. } if name == "mine"), "{error}");
}

/// Collateral of another vendor's, and another's revocation list, would not be looked at.
#[test]
fn collateral_that_evidence_is_not_verified_with_is_refused() {
    let all = all();
    let unused = |files: &Files, file: &[u8]| {
        let mut supplied = files.supplied();
        supplied.add(file).unwrap();
        match files.request(&supplied).verify(&files.evidence) {
            Err(Error::Unused { kind, beside }) if kind == files.kind => beside,
            other => panic!("{}: {other:?}", files.kind),
        }
    };
    let [td, snp, csv, tpm] = &all;
    let list_of = |files: &Files| files.collateral[1].clone();
    for (files, other, beside) in [
        (td, csv.collateral[0].clone(), Beside::OtherCollateral),
        (td, list_of(snp), Beside::OtherList),
        (snp, td.collateral[0].clone(), Beside::OtherCollateral),
        (snp, csv.collateral[0].clone(), Beside::OtherCollateral),
        (snp, tpm.collateral.last().unwrap().clone(), Beside::OtherList),
        (csv, td.collateral[0].clone(), Beside::OtherCollateral),
        (csv, list_of(snp), Beside::OtherCollateral),
        (tpm, td.collateral[0].clone(), Beside::OtherCollateral),
    ] {
        assert_eq!(unused(files, &other), beside, "{} with {} bytes", files.kind, other.len());
    }
}

/// The newest list of an issuer counts, in whichever order lists came, beside a bundle as among its parts.
#[test]
fn an_older_list_does_not_hide_a_revocation() {
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    let quote = td.evidence(&DATA).unwrap().quote;
    let before = site.collateral(Tee::Tdx).unwrap();
    site.revoke_pck().unwrap();
    let after = site.collateral(Tee::Tdx).unwrap();
    let (bundle, root) = (before.to_json().unwrap().into_bytes(), site.root().to_vec());
    for files in [
        vec![&bundle, &after.pck_crl],
        vec![&after.pck_crl, &bundle],
        vec![&bundle, &before.pck_crl, &after.pck_crl],
        vec![&bundle, &after.pck_crl, &before.pck_crl],
    ] {
        let mut supplied = Supplied::default();
        files.into_iter().for_each(|file| supplied.add(file).unwrap());
        let roots = vec![Root { name: "the site", bytes: &root }];
        let error = Request { roots, ..Request::new(&supplied, NOW) }.verify(&quote).unwrap_err();
        assert!(matches!(&error, Error::Refused { error, .. } if error.code() == "certificate-revoked"), "{error}");
    }
}

/// The key's certificate of the report's chip, its own CA, and that CA's root, whatever else lies beside them.
#[test]
fn certificates_of_other_chips_and_products_do_not_get_in_the_way() {
    let (ours, theirs) = (snp(), snp());
    for order in [[&ours, &theirs], [&theirs, &ours]] {
        let mut supplied = Supplied::default();
        // Of the other vendor the key's certificate alone: its CA has the same name.
        supplied.add(&order[0].collateral[2]).unwrap();
        supplied.add(&order[1].collateral[2]).unwrap();
        ours.collateral[..2].iter().for_each(|file| supplied.add(file).unwrap());
        let facts = ours.request(&supplied).verify(&ours.evidence).unwrap();
        assert_eq!(facts.tee(), Tee::Snp);
    }
}
