//! What no verifier sees: the registers' start, names, and the policy of endorsement keys.

use super::{hash::Hash, object, pcr::Pcrs, *};
use crate::{files, fixed_clock};
use sealwright_wire::{
    tcg2::AlgorithmId,
    time::UnixTime,
    tpm::{Attest, Attributes, Name, PcrSelection, Public},
};

fn site() -> Site {
    Site::found(KeyKind::P256, fixed_clock(UnixTime(1_795_132_800))).unwrap()
}

#[test]
fn registers_start_as_the_profile_has_them() {
    let pcrs = Pcrs::start(&[Hash::SHA1, Hash::SHA384], &[Hash::SHA1], 3).unwrap();
    let values = pcrs.values().unwrap();
    assert_eq!(values.len(), 48);
    for (bank, pcr, value) in values.iter() {
        let start = if (17..=22).contains(&pcr) { 0xff } else { 0 };
        let last = if pcr == 0 { 3 } else { start };
        assert_eq!(value.len(), bank.digest_size().unwrap());
        assert!(value.split_last().is_some_and(|(end, rest)| *end == last && rest.iter().all(|byte| *byte == start)));
    }
}

/// TPM2_PolicySecret(TPM_RH_ENDORSEMENT) (Part 3): command code and name extend a policy of zeros, then an empty reference does.
#[test]
fn endorsement_keys_have_policy_a() {
    let secret = Hash::SHA256.digest(&[&[0; 32], &0x0000_0151_u32.to_be_bytes(), &0x4000_000b_u32.to_be_bytes()]);
    assert_eq!(Hash::SHA256.digest(&[&secret]), object::EK_POLICY);
    for ek in [KeyKind::P256, KeyKind::Rsa] {
        let machine = site().machine(MachineConfig { ek, ..MachineConfig::new(files::generate("ek")) }).unwrap();
        let area = machine.ek_public().unwrap();
        let public = Public::parse(&area).unwrap();
        assert!(public.attributes.restricted() && public.attributes.decrypt() && !public.attributes.sign());
        assert_eq!(public.auth_policy, object::EK_POLICY);
        assert_eq!(
            matches!(public.key, sealwright_wire::tpm::Key::Rsa { bits: 2048, exponent: 0, .. }),
            ek == KeyKind::Rsa
        );
        assert_eq!(machine.ek_certificate().len(), 3);
    }
}

#[test]
fn quotes_name_the_key_and_its_parents() {
    let machine = site().machine(MachineConfig::new(files::generate("names"))).unwrap();
    let quote = machine.quote(&[PcrSelection::new(AlgorithmId::SHA256, [0])], b"").unwrap();
    let name = |area: &[u8]| [&[0, 0x0b], Hash::SHA256.digest(&[&area[2..]]).as_slice()].concat();
    let (ek, ak) = (name(&machine.ek_public().unwrap()), name(&machine.ak_public().unwrap()));
    let parent = [&[0, 0x0b], Hash::SHA256.digest(&[&[0x40, 0, 0, 0x0b], &ek]).as_slice()].concat();
    let qualified = Hash::SHA256.digest(&[&parent, &ak]);
    let signer = Attest::parse(&quote.message).unwrap().qualified_signer;
    assert_eq!(signer, Name::Digest { algorithm: AlgorithmId::SHA256, digest: &qualified });
}

#[test]
fn what_no_tpm_or_firmware_does_is_refused() {
    let site = site();
    let wrong: [fn(&mut MachineConfig); 8] = [
        |config| config.ek = KeyKind::P384,
        |config| config.banks.push(AlgorithmId::SM3_256),
        |config| config.banks.push(AlgorithmId::SHA1),
        |config| config.firmware_banks = vec![AlgorithmId::SHA512],
        |config| config.firmware_banks.clear(),
        |config| config.startup_locality = 1,
        |config| config.ima_pcr = 17,
        |config| config.files.kernel.truncate(100),
    ];
    for (place, change) in wrong.into_iter().enumerate() {
        let mut config = MachineConfig::new(files::generate("wrong"));
        change(&mut config);
        assert!(site.machine(config).is_err(), "change {place}");
    }
    let mut machine = site.machine(MachineConfig::new(files::generate("right"))).unwrap();
    // A storage key, one that is restricted both ways, and a reserved bit.
    for bits in [0x0003_0032, 0x0007_0032, 0x0005_0033] {
        let template = AkTemplate { attributes: Attributes(bits), ..AkTemplate::new(Scheme::EcdsaP256) };
        assert_eq!(machine.create_ak(template).unwrap_err().code(), "bad-config", "{bits:#x}");
    }
    for pcr in [17, 22, 24, u32::MAX] {
        assert!(machine.extend(pcr, b"software").is_err() && machine.measure(pcr, 4, b"", b"").is_err(), "{pcr}");
        assert!(machine.reset_pcr(pcr).is_err(), "{pcr}");
    }
    for (bank, size) in [(AlgorithmId::SHA512, 64), (AlgorithmId::SHA256, 20)] {
        assert_eq!(machine.extend_bank(16, bank, &vec![1; size]).unwrap_err().code(), "bad-config", "{bank}");
    }
    assert!(machine.open("a\nb", b"").is_err());
    assert_eq!(machine.quote(&[], &[0; 67]).unwrap_err().code(), "tpm-structure");
    machine.quote(&[], &[0; 66]).unwrap();
}
