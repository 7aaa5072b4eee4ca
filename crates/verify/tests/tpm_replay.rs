//! Boot logs and IMA lists against PCRs: a log may be newer than the quote, and nothing that was not measured is explained.

use aws_lc_rs::digest;
use sealwright_verify::hash::Hash;
use sealwright_verify::replay::{Error, PcrLog, check_pcrs};
use sealwright_wire::cel::{self, Content, Encoding, Record, Register, Systemd};
use sealwright_wire::tcg2::{AlgorithmId, Log, Writer, event_type::*};
use sealwright_wire::tpm::PcrValues;
use std::collections::BTreeMap;

const BANKS: [AlgorithmId; 2] = [AlgorithmId::SHA1, AlgorithmId::SHA256];

fn hash(bank: AlgorithmId, bytes: &[u8]) -> Vec<u8> {
    let algorithm = if bank == AlgorithmId::SHA1 { &digest::SHA1_FOR_LEGACY_USE_ONLY } else { &digest::SHA256 };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// A TPM with a boot log and an IMA list.
struct Boot {
    log: Writer,
    list: String,
    registers: BTreeMap<(AlgorithmId, u32), Vec<u8>>,
}

impl Boot {
    fn new() -> Self {
        let mut registers = BTreeMap::new();
        for (bank, size) in BANKS.into_iter().zip([20, 32]) {
            for pcr in 0..24 {
                registers.insert((bank, pcr), vec![if (17..23).contains(&pcr) { 0xff } else { 0 }; size]);
            }
        }
        Self { log: Writer::new(0, &BANKS).unwrap(), list: String::new(), registers }
    }

    fn extend_with(&mut self, pcr: u32, digest: impl Fn(AlgorithmId) -> Vec<u8>) {
        for bank in BANKS {
            let register = self.registers.get_mut(&(bank, pcr)).unwrap();
            *register = hash(bank, &[register.as_slice(), &digest(bank)].concat());
        }
    }

    fn record(&mut self, pcr: u32, event_type: u32, data: &[u8]) {
        let digests = BANKS.map(|bank| hash(bank, data));
        self.log.event(pcr, event_type, &[&digests[0], &digests[1]], data).unwrap();
    }

    /// An event that is measured and recorded.
    fn event(&mut self, pcr: u32, text: &str) {
        self.record(pcr, EV_EFI_ACTION, text.as_bytes());
        self.extend_with(pcr, |bank| hash(bank, text.as_bytes()));
    }

    /// A line of the template ima-ng; `padded` as old kernels extend.
    fn line(&mut self, path: &str, padded: bool) {
        let mut data = Vec::new();
        let field = [b"sha256:\0".as_slice(), &[7; 32]].concat();
        for field in [field, [path.as_bytes(), b"\0"].concat()] {
            data.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
            data.extend(field);
        }
        let template = hash(AlgorithmId::SHA1, &data);
        self.list += &format!("10 {} ima-ng sha256:{} {path}\n", hex::encode(&template), "07".repeat(32));
        self.extend_with(10, |bank| match (bank, padded) {
            (AlgorithmId::SHA256, true) => [template.as_slice(), &[0; 12]].concat(),
            _ => hash(bank, &data),
        });
    }

    fn booted() -> Self {
        let mut boot = Self::new();
        for (pcr, text) in
            [(0, "firmware"), (4, "boot loader"), (7, "Secure Boot"), (0, "more firmware"), (9, "kernel"), (14, "MOK")]
        {
            boot.event(pcr, text);
        }
        boot.line("/bin/init", false);
        boot.line("/bin/my shell", false);
        boot
    }

    /// A quote over these PCRs of both banks, now.
    fn quote(&self, pcrs: &[u32]) -> PcrValues {
        self.quote_of(&BANKS, pcrs)
    }

    fn quote_of(&self, banks: &[AlgorithmId], pcrs: &[u32]) -> PcrValues {
        let mut values = PcrValues::new();
        for bank in banks {
            for pcr in pcrs {
                values.insert(*bank, *pcr, &self.registers[&(*bank, *pcr)]).unwrap();
            }
        }
        values
    }

    fn check(&self, quoted: &PcrValues) -> Result<PcrLog, Error> {
        check_pcrs(Some(self.log.as_bytes()), Some(self.list.as_bytes()), None, quoted)
    }
}

const ALL: [u32; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14];

fn unexplained(log: &PcrLog) -> Vec<&'static str> {
    log.unexplained().collect()
}

#[test]
fn log_and_list_explain_a_quote_of_the_same_moment() {
    let boot = Boot::booted();
    let log = boot.check(&boot.quote(&ALL)).unwrap();
    assert_eq!(log.enforced().count(), ALL.len());
    assert_eq!((log.events(), log.events_behind(), log.ima_lines(), log.ima_lines_behind()), (6, 0, 2, 0));
    assert_eq!(
        log.registers().iter().map(|register| register.events).collect::<Vec<_>>(),
        [2, 0, 0, 0, 1, 0, 0, 1, 0, 1, 2, 1]
    );
}

#[test]
fn what_came_behind_the_quote_is_counted_and_not_believed() {
    let mut boot = Boot::booted();
    let quoted = boot.quote(&ALL);
    boot.event(5, "later");
    boot.event(0, "later still");
    boot.line("/bin/evil", false);
    let log = boot.check(&quoted).unwrap();
    assert_eq!((log.events(), log.events_behind(), log.ima_lines(), log.ima_lines_behind()), (6, 2, 2, 1));
    assert!(unexplained(&log).is_empty());
    // The new values of some and the old ones of others were never there at once.
    let mut mixed = boot.quote(&[0]);
    for (bank, pcr, value) in quoted.iter().filter(|(_, pcr, _)| *pcr != 0 && *pcr != 10) {
        mixed.insert(bank, pcr, value).unwrap();
    }
    let error = check_pcrs(Some(boot.log.as_bytes()), None, None, &mixed).unwrap_err();
    assert!(matches!(error, Error::PcrDiffers { register: "pcr5", .. }), "{error}");
}

#[test]
fn a_quote_that_is_newer_than_the_log_is_refused() {
    let mut boot = Boot::booted();
    let (log, list) = (boot.log.clone(), boot.list.clone());
    boot.event(4, "kexec");
    let error = check_pcrs(Some(log.as_bytes()), Some(list.as_bytes()), None, &boot.quote(&ALL)).unwrap_err();
    assert!(matches!(error, Error::PcrDiffers { register: "pcr4", bank: AlgorithmId::SHA1, events: 1, .. }), "{error}");
    let mut boot = Boot::booted();
    let list = boot.list.clone();
    boot.line("/bin/evil", false);
    let error = check_pcrs(Some(boot.log.as_bytes()), Some(list.as_bytes()), None, &boot.quote(&ALL)).unwrap_err();
    assert!(matches!(error, Error::PcrDiffers { register: "pcr10", events: 2, .. }), "{error}");
}

#[test]
fn one_bank_cannot_hide_behind_another() {
    let boot = Boot::booted();
    for bank in BANKS {
        for pcr in [4, 10] {
            let mut quoted = PcrValues::new();
            for (hash, number, value) in boot.quote(&ALL).iter() {
                let mut value = value.to_vec();
                value[0] ^= u8::from((hash, number) == (bank, pcr));
                quoted.insert(hash, number, &value).unwrap();
            }
            assert!(matches!(boot.check(&quoted), Err(Error::PcrDiffers { .. })), "{bank}:{pcr}");
        }
    }
    // The list at different lines for different banks.
    let mut later = Boot::booted();
    let mut quoted = later.quote_of(&[AlgorithmId::SHA1], &[10]);
    later.line("/bin/evil", false);
    quoted.insert(AlgorithmId::SHA256, 10, &later.registers[&(AlgorithmId::SHA256, 10)]).unwrap();
    assert!(matches!(later.check(&quoted), Err(Error::PcrDiffers { .. })));
}

#[test]
fn sha_1_alone_explains_nothing() {
    let boot = Boot::booted();
    let log = boot.check(&boot.quote_of(&[AlgorithmId::SHA1], &ALL)).unwrap();
    assert_eq!(log.enforced().count(), 0);
    // Nor does a list whose digests are SHA-1 in every bank.
    let mut old = Boot::new();
    old.line("/bin/init", true);
    let log = check_pcrs(None, Some(old.list.as_bytes()), None, &old.quote(&[10])).unwrap();
    assert_eq!((log.ima_padded(), unexplained(&log)), ([AlgorithmId::SHA256].as_slice(), vec!["pcr10"]));
    assert_eq!(log.ima_lines(), 1);
}

#[test]
fn registers_of_the_operating_system_may_hold_more_than_the_log() {
    let mut boot = Boot::booted();
    boot.extend_with(11, |bank| hash(bank, b"phase"));
    boot.extend_with(14, |bank| hash(bank, b"untold"));
    let log = boot.check(&boot.quote(&[0, 11, 14, 16, 17, 23])).unwrap();
    assert_eq!(unexplained(&log), ["pcr11", "pcr14"], "PCR 16, 17 and 23 hold what they start with");
    boot.extend_with(8, |bank| hash(bank, b"untold"));
    assert!(boot.check(&boot.quote(&[8])).is_err(), "but PCR 0 to 9 may not");
}

#[test]
fn a_bank_that_the_log_lacks_is_not_explained_by_it() {
    let boot = Boot::booted();
    let mut quoted = PcrValues::new();
    quoted.insert(AlgorithmId::SHA384, 0, &[0; 48]).unwrap();
    let error = check_pcrs(Some(boot.log.as_bytes()), None, None, &quoted).unwrap_err();
    assert!(matches!(error, Error::NoBank(AlgorithmId::SHA384)), "{error}");
    for (bank, pcr, value) in boot.quote(&[4]).iter() {
        quoted.insert(bank, pcr, value).unwrap();
    }
    let log = check_pcrs(Some(boot.log.as_bytes()), None, None, &quoted).unwrap();
    assert_eq!(unexplained(&log), ["pcr0"]);
}

/// PCR 10 also holds what firmware measured into it, which the list goes on from: nobody knows what that is in a bank of which the log says
/// nothing.
#[test]
fn a_list_explains_pcr_10_in_the_banks_that_were_replayed_alone() {
    let boot = Boot::booted();
    let mut quoted = boot.quote_of(&[AlgorithmId::SHA1], &[4, 10]);
    let mut sha1 = Writer::new(0, &[AlgorithmId::SHA1]).unwrap();
    sha1.event(4, EV_EFI_ACTION, &[&hash(AlgorithmId::SHA1, b"boot loader")], b"boot loader").unwrap();
    quoted.insert(AlgorithmId::SHA256, 10, &[0xbd; 32]).unwrap();
    let log = check_pcrs(Some(sha1.as_bytes()), Some(boot.list.as_bytes()), None, &quoted).unwrap();
    assert_eq!((log.ima_lines(), unexplained(&log)), (2, vec!["pcr4", "pcr10"]));
}

/// As kernels with `ima_hash=sm3` write it in their list of that algorithm.
#[test]
fn a_list_with_template_digests_in_sm3_is_read() {
    let mut boot = Boot::new();
    boot.event(4, "boot loader");
    let mut data = Vec::new();
    for field in [[b"sm3_256:\0".as_slice(), &[7; 32]].concat(), b"/bin/init\0".to_vec()] {
        data.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
        data.extend(field);
    }
    let template = Hash::of(AlgorithmId::SM3_256).unwrap().digest(&data);
    boot.list += &format!("10 {template} ima-ng sm3_256:{} /bin/init\n", "07".repeat(32));
    boot.extend_with(10, |bank| hash(bank, &data));
    let log = boot.check(&boot.quote(&[4, 10])).unwrap();
    assert_eq!((log.ima_lines(), unexplained(&log).len()), (1, 0));
}

#[test]
fn pcr_0_starts_at_the_locality_that_the_log_states() {
    let mut boot = Boot::new();
    let data = [b"StartupLocality\0".as_slice(), &[3]].concat();
    boot.log.event(0, EV_NO_ACTION, &[&[0; 20], &[0; 32]], &data).unwrap();
    for bank in BANKS {
        *boot.registers.get_mut(&(bank, 0)).unwrap().last_mut().unwrap() = 3;
    }
    boot.event(0, "firmware");
    let log = boot.check(&boot.quote(&[0])).unwrap();
    assert_eq!(log.enforced().collect::<Vec<_>>(), ["pcr0"]);
    let mut silent = Boot::new();
    silent.event(0, "firmware");
    assert!(silent.check(&boot.quote(&[0])).is_err());
}

#[test]
fn lines_and_records_must_be_what_was_measured() {
    let boot = Boot::booted();
    let quoted = boot.quote(&ALL);
    let list = boot.list.replace("/bin/init", "/bin/ini2");
    let error = check_pcrs(Some(boot.log.as_bytes()), Some(list.as_bytes()), None, &quoted).unwrap_err();
    assert!(matches!(error, Error::ImaDigest { line: 1, .. }), "{error}");
    let list = boot.list.replacen("10 ", "11 ", 1);
    let error = check_pcrs(Some(boot.log.as_bytes()), Some(list.as_bytes()), None, &quoted).unwrap_err();
    assert!(matches!(error, Error::ImaRegister { line: 1, register: 11, .. }), "{error}");
    let mut boot = Boot::booted();
    boot.log.event(24, EV_EFI_ACTION, &[&[1; 20], &[1; 32]], b"beyond").unwrap();
    assert!(matches!(boot.check(&quoted), Err(Error::NoRegister { mr_index: 24, .. })));
    // Words that are not what was measured are named.
    let mut boot = Boot::new();
    let digests = BANKS.map(|bank| hash(bank, b"what was measured"));
    boot.log.event(4, EV_EFI_ACTION, &[&digests[0], &digests[1]], b"what is said").unwrap();
    boot.extend_with(4, |bank| hash(bank, b"what was measured"));
    assert_eq!(boot.check(&boot.quote(&[4])).unwrap().contradicted(), [1]);
}

#[test]
fn a_list_that_the_quote_does_not_cover_is_not_believed() {
    let boot = Boot::booted();
    let log = boot.check(&boot.quote(&[0, 4])).unwrap();
    assert_eq!((log.ima_lines(), log.ima_lines_behind()), (0, 2));
    assert_eq!(log.enforced().collect::<Vec<_>>(), ["pcr0", "pcr4"]);
}

#[test]
fn a_violation_extends_with_ones() {
    let mut boot = Boot::new();
    boot.list = format!("10 {} ima-ng sha256:{} /bin/init\n", "00".repeat(20), "00".repeat(32));
    boot.extend_with(10, |bank| vec![0xff; bank.digest_size().unwrap()]);
    let log = boot.check(&boot.quote(&[10])).unwrap();
    assert_eq!(log.enforced().collect::<Vec<_>>(), ["pcr10"]);
}

#[test]
fn every_changed_bit_of_a_digest_in_the_log_is_noticed() {
    let boot = Boot::booted();
    let quoted = boot.quote(&ALL);
    let bytes = boot.log.as_bytes();
    let accepted = (0..bytes.len()).filter(|at| {
        let mut changed = bytes.to_vec();
        changed[*at] ^= 0x01;
        check_pcrs(Some(&changed), None, None, &quoted)
            .is_ok_and(|log| log.contradicted().is_empty() && log.unexplained().count() < 2)
    });
    // The header, and what kind of event a record is, are measured by nobody.
    let log = Log::parse(bytes).unwrap();
    let kinds: Vec<_> = log.events().flat_map(|event| event.offset + 4..event.offset + 8).collect();
    let header = log.events().next().unwrap().offset;
    assert_eq!(accepted.filter(|at| *at >= header).collect::<Vec<_>>(), kinds);
}

/// A canonical log as systemd keeps it: behind the firmware's, without numbers.
#[derive(Default)]
struct Userspace(Vec<Record<'static>>);

impl Userspace {
    /// What userspace measures and writes down.
    fn measure(&mut self, boot: &mut Boot, pcr: u32, text: &'static str) {
        boot.extend_with(pcr, |bank| hash(bank, text.as_bytes()));
        self.record(pcr, &BANKS, text);
    }

    fn record(&mut self, pcr: u32, banks: &[AlgorithmId], text: &'static str) {
        let digests = banks.iter().map(|bank| (*bank, hash(*bank, text.as_bytes()).into())).collect();
        let content = Content::Systemd(Systemd { text: Some(text.into()), ..Systemd::default() });
        self.0.push(Record { number: None, register: Register::Pcr(pcr), digests, content });
    }

    fn check(&self, boot: &Boot, quoted: &PcrValues) -> Result<PcrLog, Error> {
        let cel = cel::Log::encode(Encoding::JsonSeq, &self.0).unwrap();
        check_pcrs(Some(boot.log.as_bytes()), Some(boot.list.as_bytes()), Some(&cel), quoted)
    }
}

/// A boot of whose PCR 11 the boot loader's part is in the firmware's log, and the rest in userspace's.
fn unified() -> (Boot, Userspace) {
    let (mut boot, mut userspace) = (Boot::booted(), Userspace::default());
    boot.event(11, ".linux");
    userspace.measure(&mut boot, 11, "enter-initrd");
    userspace.measure(&mut boot, 15, "machine-id:0");
    userspace.measure(&mut boot, 11, "leave-initrd");
    (boot, userspace)
}

const WITH_USERSPACE: [u32; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15];

#[test]
fn what_userspace_measured_is_explained_by_its_log_behind_the_firmware_s() {
    let (mut boot, mut userspace) = unified();
    let quoted = boot.quote(&WITH_USERSPACE);
    let log = userspace.check(&boot, &quoted).unwrap();
    assert_eq!(unexplained(&log), [""; 0]);
    let events = |pcr| log.registers().iter().find(|register| register.pcr == pcr).unwrap().events;
    assert_eq!((events(11), events(12), events(15)), (3, 0, 1));
    let json = serde_json::to_value(&log).unwrap();
    let told = serde_json::json!({ "records": 3, "records_behind": 0, "nv_records": 0, "contradicted": [] });
    assert_eq!(json["cel"], told);
    // Without it nobody knows what the registers hold.
    let log = boot.check(&quoted).unwrap();
    assert_eq!(unexplained(&log), ["pcr11", "pcr15"]);
    assert!(log.cel().is_none() && serde_json::to_value(&log).unwrap().get("cel").is_none());
    // What came behind the quote is counted, also what extended no register of it.
    userspace.record(13, &BANKS, "sysext");
    userspace.measure(&mut boot, 15, "cryptsetup");
    let log = userspace.check(&boot, &quoted).unwrap();
    assert_eq!((log.cel().unwrap().records, log.cel().unwrap().records_behind), (4, 1));
    assert_eq!(unexplained(&log), [""; 0]);
}

#[test]
fn a_canonical_log_that_does_not_lead_to_the_quote_is_refused() {
    let (mut boot, userspace) = unified();
    let quoted = boot.quote(&WITH_USERSPACE);
    let differs = |result: Result<PcrLog, Error>, wanted| match result.unwrap_err() {
        Error::PcrDiffers { register, .. } => assert_eq!(register, wanted),
        other => panic!("{other}"),
    };
    for left_out in 0..3 {
        let mut records = userspace.0.clone();
        let pcr = records.remove(left_out).register;
        let wanted = if pcr == Register::Pcr(15) { None } else { Some("pcr11") };
        let result = Userspace(records).check(&boot, &quoted);
        match wanted {
            Some(wanted) => differs(result, wanted),
            // Its only record gone, a log says nothing of PCR 15.
            None => assert_eq!(unexplained(&result.unwrap()), ["pcr15"]),
        }
    }
    // The firmware's part is missing.
    let cel = cel::Log::encode(Encoding::JsonSeq, &userspace.0).unwrap();
    differs(check_pcrs(None, None, Some(&cel), &quoted), "pcr11");
    // The values must be there at once: PCR 15 had its own before PCR 11, and another behind it.
    let mut later = Userspace(userspace.0.clone());
    let before = boot.quote(&WITH_USERSPACE);
    later.measure(&mut boot, 15, "cryptsetup");
    later.measure(&mut boot, 11, "ready");
    let mut mixed = boot.quote(&[11]);
    before
        .iter()
        .filter(|(_, pcr, _)| *pcr == 15)
        .for_each(|(bank, pcr, value)| mixed.insert(bank, pcr, value).unwrap());
    differs(later.check(&boot, &mixed), "pcr15");
    // More than the log tells.
    boot.extend_with(11, |bank| hash(bank, b"untold"));
    differs(later.check(&boot, &boot.quote(&WITH_USERSPACE)), "pcr11");
}

#[test]
fn a_canonical_log_explains_in_its_banks_and_only_what_is_quoted() {
    let (mut boot, mut userspace) = unified();
    // Nothing of it is quoted.
    let log = userspace.check(&boot, &boot.quote(&ALL)).unwrap();
    assert_eq!((log.cel().unwrap().records, log.cel().unwrap().records_behind), (0, 3));
    // In SHA-1 alone it is no explanation.
    let log = userspace.check(&boot, &boot.quote_of(&BANKS[..1], &[11])).unwrap();
    assert_eq!(unexplained(&log), ["pcr11"]);
    boot.extend_with(11, |bank| hash(bank, b"weak"));
    userspace.record(11, &BANKS[..1], "weak");
    let log = userspace.check(&boot, &boot.quote(&WITH_USERSPACE)).unwrap();
    assert_eq!(unexplained(&log), ["pcr11"], "the record has no SHA-256 digest");
    let error = userspace.check(&boot, &boot.quote_of(&BANKS[1..], &WITH_USERSPACE)).unwrap_err();
    assert_eq!(error, Error::CanonicalDigest { record: 3, algorithm: AlgorithmId::SHA256 });
    userspace.record(24, &BANKS, "nowhere");
    let error = userspace.check(&boot, &boot.quote(&WITH_USERSPACE)).unwrap_err();
    assert!(matches!(error, Error::NoRegister { record: 4, mr_index: 24, .. }), "{error}");
    let error = check_pcrs(None, None, Some(b"no log"), &boot.quote(&ALL)).unwrap_err();
    assert!(matches!(error, Error::Canonical(_)), "{error}");
}

#[test]
fn a_register_of_the_firmware_s_may_be_extended_behind_it() {
    let (mut boot, mut userspace) = (Boot::booted(), Userspace::default());
    userspace.measure(&mut boot, 9, "another initrd");
    let quoted = boot.quote(&ALL);
    assert!(matches!(boot.check(&quoted).unwrap_err(), Error::PcrDiffers { register: "pcr9", .. }));
    assert_eq!(unexplained(&userspace.check(&boot, &quoted).unwrap()), [""; 0]);
    // The firmware's own part of it is held against the quote no less.
    boot.record(9, EV_EFI_ACTION, b"never measured");
    assert!(matches!(userspace.check(&boot, &quoted).unwrap_err(), Error::PcrDiffers { register: "pcr9", .. }));
}

#[test]
fn what_a_canonical_log_says_beside_its_digests_and_in_nv_is_counted() {
    let (mut boot, mut userspace) = unified();
    let data = b"an action".to_vec();
    boot.extend_with(12, |bank| hash(bank, b"another action"));
    let digests = BANKS.map(|bank| (bank, hash(bank, b"another action").into())).to_vec();
    let content = Content::PcClient { event_type: EV_EFI_ACTION, data: data.into() };
    userspace.0.push(Record { number: None, register: Register::Pcr(12), digests: digests.clone(), content });
    let content = Content::Systemd(Systemd::default());
    userspace.0.push(Record { number: None, register: Register::NvIndex(0x01d1_0200), digests, content });
    let log = userspace.check(&boot, &boot.quote(&WITH_USERSPACE)).unwrap();
    let cel = log.cel().unwrap();
    assert_eq!((cel.records, cel.nv_records, cel.contradicted.as_slice()), (5, 1, [3].as_slice()));
}
