//! Every check of SEV-SNP, shown by evidence in which exactly one thing is wrong: a site of our own making is accepted as it is and
//! refused with one field changed. Each thing that a verifier of the field was found to forget is here.

mod amd;

use amd::{Cert, Key, List, Signing, Site, at, tcb};
use der::asn1::ObjectIdentifier;
use sealwright_verify::snp::{Collateral, Error as Reason, Revocation, verify};
use sealwright_verify::{Anchor, AnchorKind, Anchors, Error, Part, SIMULATION};
use sealwright_wire::snp::{Bundle, HwId, Product, Report, SignerInfo, SigningKey, TcbVersion, VMPL_HOST};
use sealwright_wire::{Tee, reference::width, time::UnixTime};

/// The refusal of a site after one change; it is accepted without.
fn refused(site: &Site, change: impl FnOnce(&mut Site)) -> Error {
    let mut changed = site.clone();
    change(&mut changed);
    let error = changed.verify().unwrap_err();
    site.verify().unwrap();
    error
}

/// The root's, the CA's and the key's certificate.
const CERTIFICATES: [fn(&mut Site) -> &mut Cert; 3] = [|site| &mut site.ark, |site| &mut site.ca, |site| &mut site.vek];

fn code(site: &Site, change: impl FnOnce(&mut Site)) -> &'static str {
    refused(site, change).code()
}

#[test]
fn each_product_kind_of_key_and_version_is_accepted_as_it_is() {
    for product in Product::ALL {
        for kind in [SigningKey::Vcek, SigningKey::Vlek] {
            let mut site = Site::new(product, kind, 2);
            for version in 2..=5 {
                site.report = Site::new(product, kind, version).report;
                let facts = site.verify().unwrap();
                let claims = facts.claims().snp().unwrap();
                assert_eq!(
                    (claims.version, claims.product, claims.signing_key),
                    (version, product.name(), kind.name())
                );
                assert_eq!(claims.cpuid.is_some(), version >= 3);
                assert_eq!(claims.current_mit_vector, (version >= 5).then_some(7));
            }
        }
    }
}

#[test]
fn facts_have_the_keys_that_policies_read() {
    let facts = serde_json::to_value(Site::turin().verify().unwrap()).unwrap();
    assert_eq!(facts["tee"], "snp");
    assert_eq!(facts["anchor"]["kind"], "configured");
    assert_eq!(facts["collateral_expires"], "2027-01-01T00:00:00Z");
    assert_eq!(facts["debug"], false);
    assert_eq!(facts["report_data"], "5a".repeat(64));
    assert_eq!(facts["trailing_bytes"], 0);
    assert!(facts.get("tcb").is_none() && facts.get("quote_version").is_none());
    let claims = &facts["snp"];
    let versions = serde_json::json!({"fmc": 2, "boot_loader": 3, "tee": 1, "snp": 8, "microcode": 0x73});
    for (name, value) in [
        ("version", 5.into()),
        ("product", "Turin".into()),
        ("product_name", "Turin".into()),
        ("cpuid", serde_json::json!({"family": 26, "model": 2, "stepping": 1})),
        ("guest_svn", 7.into()),
        ("family_id", "fa".repeat(16).into()),
        ("image_id", "1a".repeat(16).into()),
        ("vmpl", 0.into()),
        ("measurement", "4e".repeat(48).into()),
        ("host_data", "40".repeat(32).into()),
        ("id_key_digest", "1d".repeat(48).into()),
        ("author_key_digest", "a0".repeat(48).into()),
        ("author_key_en", true.into()),
        ("report_id", "1e".repeat(32).into()),
        ("report_id_ma", "ff".repeat(32).into()),
        ("signing_key", "VCEK".into()),
        ("mask_chip_key", false.into()),
        ("chip_id", ("5c".repeat(8) + &"00".repeat(56)).into()),
        ("mask_chip_id", false.into()),
        ("hwid", "5c".repeat(8).into()),
        ("current_tcb", versions.clone()),
        ("reported_tcb", versions.clone()),
        ("committed_tcb", versions.clone()),
        ("launch_tcb", versions),
        ("current_version", serde_json::json!({"major": 1, "minor": 55, "build": 4})),
        ("committed_version", serde_json::json!({"major": 1, "minor": 55, "build": 4})),
        ("launch_mit_vector", 3.into()),
        ("current_mit_vector", 7.into()),
        ("revocation_checked", true.into()),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    // What reference values can name is among the facts, under the same name and in the same width.
    for claim in
        ["measurement", "host_data", "id_key_digest", "author_key_digest", "family_id", "image_id", "report_id"]
    {
        assert_eq!(width(Tee::Snp, claim), claims[claim].as_str().map(|hex| hex.len() / 2), "{claim}");
    }
    let policy = serde_json::json!({
        "abi_major": 1, "abi_minor": 0x37, "smt": true, "migrate_ma": false, "debug": false, "single_socket": false,
        "cxl_allow": false, "mem_aes_256_xts": false, "rapl_dis": false, "ciphertext_hiding_dram": false,
        "page_swap_disable": false,
    });
    assert_eq!(claims["policy"], policy);
    let info = serde_json::json!({
        "smt_en": true, "tsme_en": false, "ecc_en": true, "rapl_dis": false, "ciphertext_hiding_dram_en": false,
        "alias_check_complete": true, "tio_en": false,
    });
    assert_eq!(claims["platform_info"], info);
    assert!(claims.get("csp_id").is_none());
    let vlek = serde_json::to_value(Site::vlek().verify().unwrap()).unwrap();
    assert_eq!(vlek["snp"]["csp_id"], "CN=cloud.example");
    assert!(vlek["snp"].get("hwid").is_none());
}

/// Each bit of the policy is a fact, and the one that opens the guest to its host is that of all evidence.
#[test]
fn policy_bits_are_facts() {
    let mut site = Site::vcek();
    for (bit, name) in [
        (16, "smt"),
        (18, "migrate_ma"),
        (19, "debug"),
        (20, "single_socket"),
        (21, "cxl_allow"),
        (22, "mem_aes_256_xts"),
        (23, "rapl_dis"),
        (24, "ciphertext_hiding_dram"),
        (25, "page_swap_disable"),
    ] {
        site.report.policy.set(1 << bit | 1 << 17);
        let facts = serde_json::to_value(site.verify().unwrap()).unwrap();
        let set: Vec<_> =
            facts["snp"]["policy"].as_object().unwrap().iter().filter(|(_, value)| **value == true).collect();
        assert_eq!(set.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [name]);
        assert_eq!(facts["debug"], bit == 19);
    }
}

// Roots and anchors.

#[test]
fn a_root_of_the_same_name_with_another_key_is_refused() {
    let (site, other) = (Site::vcek(), Site::vcek());
    for anchors in [other.anchors(), Anchors::vendor(), Anchors::none()] {
        let error = Collateral::verify(&site.bundle(), &anchors, Revocation::Required, at()).unwrap_err();
        assert_eq!(error.code(), "untrusted-root");
    }
}

#[test]
fn a_root_must_be_signed_by_itself_and_be_a_ca() {
    let site = Site::vcek();
    let stranger = Cert { key: Key::rsa(), ..site.ark.clone() };
    let error = refused(&site, |site| site.ark_issuer = Some(stranger));
    assert!(matches!(error, Error::Signature { part: Part::RootCa, .. }), "{error}");
    assert_eq!(code(&site, |site| site.ark.is_ca = false), "certificate-profile");
    assert_eq!(code(&site, |site| site.ark.usage = Some(0x04)), "certificate-profile", "no cRLSign");
    assert_eq!(code(&site, |site| site.ark.usage = Some(0x02)), "certificate-profile", "no keyCertSign");
    assert_eq!(code(&site, |site| site.ark.usage = None), "certificate-profile");
    // The reason is that of the PKI whose signatures the root has.
    let mut critical = site.ark.clone();
    critical.extensions.push((ObjectIdentifier::new_unwrap("1.2.3.4"), true, vec![5, 0]));
    let error = Anchor::from_certificate("x", &critical.der(&critical)).unwrap_err();
    assert!(error.to_string().contains("no unknown critical extension, found 1.2.3.4"), "{error}");
}

#[test]
fn a_simulation_s_root_is_simulated_whatever_it_was_declared_as() {
    let mut site = Site::vcek();
    let anchors = site.anchors();
    site.ark.organization = SIMULATION;
    site.crl = None;
    let collateral = Collateral::verify(&site.bundle(), &anchors, Revocation::IfPresent, at()).unwrap();
    assert_eq!(collateral.anchor().kind, AnchorKind::Simulated);
    assert_eq!(anchors.iter().next().unwrap().id().kind, AnchorKind::Configured);
}

#[test]
fn a_root_of_no_known_product_is_refused() {
    let site = Site::vcek();
    for name in ["ARK-Rome", "ARK-", "ARK-Milan-B0", "the ARK-Milan"] {
        let error = refused(&site, |site| site.ark.name = name.to_owned());
        assert_eq!(error.code(), "snp-unknown-product", "{name}");
        assert_eq!(error.actual().as_deref(), Some(name));
    }
    assert_eq!(code(&site, |site| site.ark.name = "Milan".to_owned()), "certificate-profile");
}

// Certificates.

#[test]
fn certificates_in_the_wrong_role_are_refused() {
    let site = Site::vcek();
    let profile = "certificate-profile";
    for name in ["SEV-Genoa", "SEV-VLEK-Genoa", "SEV-VCEK", "ARK-Milan", "Milan", "SEV-VLEK-", ""] {
        assert_eq!(code(&site, |site| site.ca.name = name.to_owned()), profile, "{name}");
    }
    for name in ["SEV-VLEK", "SEV-Milan", "SEV-VCEK-Milan", "an SEV-VCEK", ""] {
        assert_eq!(code(&site, |site| site.vek.name = name.to_owned()), profile, "{name}");
    }
    assert_eq!(code(&site, |site| site.ca.is_ca = false), profile);
    assert_eq!(code(&site, |site| site.ca.usage = Some(0x02)), profile, "no keyCertSign");
    // The name of the other kind's CA makes the key one of the other kind, which it is not.
    assert_eq!(code(&site, |site| site.ca.name = "SEV-VLEK-Milan".to_owned()), profile);
    let vlek = Site::vlek();
    assert_eq!(code(&vlek, |site| site.ca.name = "SEV-Genoa".to_owned()), profile);
    assert_eq!(code(&vlek, |site| site.vek.name = "SEV-VLEK-Genoa".to_owned()), profile);
}

#[test]
fn certificates_of_the_wrong_issuer_are_refused() {
    for site in [Site::vcek(), Site::vlek()] {
        let stranger = |cert: &Cert| Some(Cert { key: Key::rsa(), ..cert.clone() });
        let error = refused(&site, |site| site.ca_issuer = stranger(&site.ark));
        assert!(matches!(error, Error::Signature { part: Part::Ask, .. }), "{error}");
        assert_eq!(error.code(), "collateral-signature");
        assert_eq!(code(&site, |site| site.vek_issuer = stranger(&site.ca)), "vek-signature");
        assert_eq!(code(&site, |site| site.vek_issuer = Some(site.ark.clone())), "wrong-issuer");
        assert_eq!(code(&site, |site| site.ca_issuer = Some(site.ca.clone())), "wrong-issuer");
    }
}

#[test]
fn a_key_of_one_product_or_site_is_none_of_another() {
    let (milan, other) = (Site::vcek(), Site::vcek());
    let collateral = milan.collateral().unwrap();
    assert_eq!(collateral.vek(&other.vek(), at()).unwrap_err().code(), "vek-signature");
    assert_eq!(collateral.vek(&Site::turin().vek(), at()).unwrap_err().code(), "wrong-issuer");
    // One root with two CAs: the VLEK's certificate in place of the VCEK's.
    let mut vlek = milan.clone();
    vlek.ca = Cert { name: "SEV-VLEK-Milan".to_owned(), key: Key::rsa(), ..milan.ca.clone() };
    vlek.vek.name = "SEV-VLEK".to_owned();
    vlek.extensions.hwid = None;
    vlek.extensions.csp_id = Some("CN=cloud.example".to_owned());
    vlek.report.signer_info.set(SignerInfo::new(SigningKey::Vlek, false, false).0);
    vlek.verify().unwrap();
    assert_eq!(collateral.vek(&vlek.vek(), at()).unwrap_err().code(), "certificate-profile");
    assert_eq!(vlek.collateral().unwrap().vek(&milan.vek(), at()).unwrap_err().code(), "certificate-profile");
}

#[test]
fn only_rsassa_pss_with_sha384_signs_certificates() {
    let site = Site::vcek();
    for cert in CERTIFICATES {
        for signing in [Signing::PssShortSalt, Signing::Pkcs1] {
            assert_eq!(code(&site, |site| cert(site).signing = signing), "certificate-profile");
        }
        let mut without = site.clone();
        cert(&mut without).signing = Signing::Pss;
        without.verify().unwrap();
    }
}

#[test]
fn a_signing_key_is_a_point_on_p384() {
    let site = Site::vcek();
    assert_eq!(code(&site, |site| site.vek.key = Key::rsa()), "certificate-profile");
    let p256 = rcgen::KeyPair::generate().unwrap();
    let p256 = rcgen::PublicKeyData::subject_public_key_info(&p256);
    assert_eq!(code(&site, |site| site.vek.key_info = Some(p256)), "certificate-profile");
    let mut off = site.clone();
    let der = off.vek();
    // SubjectPublicKeyInfo ends with the point, whose last byte makes it another y.
    let point = der.windows(4).position(|window| window == [0x03, 0x62, 0x00, 0x04]).unwrap();
    let start = der[..point].windows(2).rposition(|window| window == [0x30, 0x76]).unwrap();
    let mut info = der[start..point + 4 + 96].to_vec();
    off.vek.key_info = Some(info.clone());
    off.verify().unwrap();
    *info.last_mut().unwrap() ^= 1;
    off.vek.key_info = Some(info);
    let error = off.verify().unwrap_err();
    assert!(
        matches!(error, Error::Profile { part: Part::Vcek, rule: "a point on P-384 as public key", .. }),
        "{error}"
    );
}

#[test]
fn unknown_critical_extensions_are_refused_and_others_are_not() {
    let mut site = Site::vcek();
    let extension = |critical| (ObjectIdentifier::new_unwrap("1.2.3.4"), critical, vec![5, 0]);
    for cert in CERTIFICATES {
        assert_eq!(code(&site, |site| cert(site).extensions.push(extension(true))), "certificate-profile");
        cert(&mut site).extensions.push(extension(false));
    }
    site.verify().unwrap();
}

#[test]
fn chains_of_another_length_or_order_are_refused() {
    let site = Site::vcek();
    let bundle = site.bundle();
    let verify = |cert_chain: String| {
        let bundle = Bundle { cert_chain, ..bundle.clone() };
        Collateral::verify(&bundle, &site.anchors(), Revocation::Required, at())
            .map(|_| ())
            .map_err(|error| error.code())
    };
    let (ca, ark) = bundle.cert_chain.split_at(bundle.cert_chain.find("-----\n-----BEGIN").unwrap() + 6);
    assert_eq!(verify([ca, ark].concat()), Ok(()));
    assert_eq!(verify([ark, ca, "\r\n\r\n"].concat()), Err("untrusted-root"));
    assert_eq!(verify([ca, ark, "\r\n\r\n"].concat()), Ok(()), "a chain may end in empty lines");
    assert_eq!(verify([ca, "\n", ark].concat()), Err("malformed-collateral"));
    assert_eq!(verify(ark.to_owned()), Err("chain-length"));
    assert_eq!(verify([ca, ark, ark].concat()), Err("chain-length"));
    assert_eq!(verify(String::new()), Err("malformed-collateral"));
}

/// Neither vendor's evidence is read as the other's.
#[test]
fn a_chain_of_one_vendor_is_none_of_the_other() {
    let site = Site::vcek();
    let params = rcgen::CertificateParams::default();
    let key = rcgen::KeyPair::generate().unwrap();
    let foreign = params.self_signed(&key).unwrap();
    let [ca, ark] = [foreign.der().to_vec(), foreign.der().to_vec()];
    let bundle = Bundle { cert_chain: sealwright_wire::collateral::encode_pem_chain(&[ca, ark]), crl: None };
    let error = Collateral::verify(&bundle, &Anchors::vendor(), Revocation::IfPresent, at()).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::RootCa, .. }), "{error}");
    let chain = sealwright_wire::collateral::encode_pem_chain(&[site.vek(), site.ca.der(&site.ark), site.ark_der()]);
    let error = site.anchors().above(chain.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::RootCa, .. }), "{error}");
}

// Revocation.

#[test]
fn whether_a_revocation_list_is_needed_is_said_and_stated() {
    let mut site = Site::vcek();
    let error = refused(&site, |site| site.crl = None);
    assert_eq!(error.code(), "no-revocation-list");
    let checked = |site: &Site| site.verify().unwrap().claims().snp().unwrap().revocation_checked;
    assert!(checked(&site));
    assert_eq!(Revocation::default(), Revocation::Required);
    site.revocation = Revocation::IfPresent;
    assert!(checked(&site));
    assert_eq!(code(&site, |site| site.crl.as_mut().unwrap().revoked.push(2)), "certificate-revoked");
    assert_eq!(code(&site, |site| site.crl.as_mut().unwrap().years = (2024, 2025)), "collateral-expired");
    site.crl = None;
    assert!(!checked(&site));
}

#[test]
fn revoked_certificates_are_refused() {
    for (serial, part) in [(1, Part::RootCa), (2, Part::Ask), (0, Part::Vcek)] {
        let error = refused(&Site::vcek(), |site| site.crl.as_mut().unwrap().revoked.push(serial));
        assert!(matches!(&error, Error::Revoked { part: found, .. } if *found == part), "{error}");
    }
    let error = refused(&Site::vlek(), |site| site.crl.as_mut().unwrap().revoked.push(0));
    assert!(matches!(error, Error::Revoked { part: Part::Vlek, .. }), "{error}");
}

#[test]
fn revocation_lists_of_another_issuer_are_refused() {
    let site = Site::vcek();
    let issued_by = |issuer: Cert| code(&site, |site| site.crl = Some(List { issuer, ..site.crl.clone().unwrap() }));
    assert_eq!(issued_by(site.ca.clone()), "wrong-issuer");
    assert_eq!(issued_by(Cert { name: "ARK-Genoa".to_owned(), ..site.ark.clone() }), "wrong-issuer");
    assert_eq!(issued_by(Cert { key: Key::rsa(), ..site.ark.clone() }), "collateral-signature");
    assert_eq!(code(&site, |site| site.crl.as_mut().unwrap().partial = true), "certificate-profile");
    let mut bundle = site.bundle();
    let crl = bundle.crl.take().unwrap();
    for len in 0..crl.len() {
        let bundle = Bundle { crl: Some(crl[..len].to_vec()), ..bundle.clone() };
        assert!(Collateral::verify(&bundle, &site.anchors(), Revocation::IfPresent, at()).is_err(), "cut at {len}");
    }
}

#[test]
fn how_new_the_list_is_can_be_asked() {
    let mut site = Site::vcek();
    let older = site.collateral().unwrap().crl_issue().unwrap();
    site.crl.as_mut().unwrap().number = 10;
    assert!(site.collateral().unwrap().crl_issue().unwrap() > older);
}

// Dates.

#[test]
fn anything_out_of_its_dates_is_refused_and_named() {
    let site = Site::vlek();
    for (part, years) in [
        (Part::RootCa, (|site| &mut site.ark.years) as fn(&mut Site) -> &mut (i32, i32)),
        (Part::Ask, |site| &mut site.ca.years),
        (Part::Vlek, |site| &mut site.vek.years),
        (Part::RootCrl, |site| &mut site.crl.as_mut().unwrap().years),
    ] {
        let error = refused(&site, |site| *years(site) = (2020, 2026));
        assert!(matches!(&error, Error::Expired { part: found, .. } if *found == part), "{part}: {error}");
        let error = refused(&site, |site| *years(site) = (2027, 2030));
        assert!(matches!(&error, Error::NotYetValid { part: found, .. } if *found == part), "{part}: {error}");
    }
}

#[test]
fn what_was_verified_in_time_is_not_usable_out_of_it() {
    let mut site = Site::vcek();
    site.vek.years = (2026, 2028);
    site.crl.as_mut().unwrap().years = (2026, 2030);
    let (collateral, vek, report) = (site.collateral().unwrap(), site.key().unwrap(), site.report());
    let report = Report::parse(&report).unwrap();
    let end = UnixTime::parse_rfc3339("2028-01-01T00:00:00Z").unwrap();
    assert_eq!(vek.expires(), end);
    assert_eq!(vek.verify(&report, end).unwrap().collateral_expires(), end);
    assert_eq!(vek.verify(&report, end.plus(1)).unwrap_err().code(), "collateral-expired");
    assert_eq!(verify(&report, &site.vek(), &collateral, end.plus(1)).unwrap_err().code(), "collateral-expired");
    let early = UnixTime(collateral.valid_from().0 - 1);
    assert_eq!(vek.verify(&report, early).unwrap_err().code(), "collateral-not-yet-valid");
    assert_eq!(collateral.vek(&site.vek(), early).unwrap_err().code(), "collateral-not-yet-valid");
}

// What the certificate says.

#[test]
fn each_certified_version_is_the_reported_one() {
    for site in [Site::vcek(), Site::vlek(), Site::turin()] {
        for (place, component) in ["FMC", "BOOT_LOADER", "TEE", "SNP", "MICROCODE"].into_iter().enumerate() {
            for step in [1, u8::MAX] {
                let change = |site: &mut Site| {
                    let tcb = &mut site.extensions.tcb;
                    let version = match place {
                        0 => tcb.fmc.as_mut().unwrap(),
                        1 => &mut tcb.boot_loader,
                        2 => &mut tcb.tee,
                        3 => &mut tcb.snp,
                        _ => &mut tcb.microcode,
                    };
                    *version = version.wrapping_add(step);
                };
                if place == 0 && site.product != Product::Turin {
                    continue;
                }
                let error = refused(&site, change);
                assert!(
                    matches!(error, Error::Snp(Reason::CertifiedTcb { component: found, .. }) if found == component)
                );
                assert_eq!(error.code(), "certified-tcb-mismatch");
            }
        }
    }
}

#[test]
fn reserved_versions_are_zero_and_an_fmc_is_turin_s() {
    let (milan, turin) = (Site::vcek(), Site::turin());
    for place in 0..4 {
        for site in [&milan, &turin] {
            let error = refused(site, |site| site.extensions.reserved_spl[place] = Some(1));
            assert_eq!(error.code(), "certificate-profile", "{error}");
        }
    }
    assert_eq!(code(&turin, |site| site.extensions.tcb.fmc = None), "certificate-profile");
    assert_eq!(code(&milan, |site| site.extensions.tcb.fmc = Some(1)), "certificate-profile");
    let mut absent = milan;
    (absent.extensions.reserved_spl, absent.extensions.tcb.fmc) = ([None; 4], Some(0));
    absent.verify().unwrap();
}

#[test]
fn the_chip_is_the_certified_one() {
    for site in [Site::vcek(), Site::turin()] {
        let len = site.extensions.hwid.unwrap().as_bytes().len();
        for place in 0..64 {
            let error = refused(&site, |site| site.report.chip_id[place] ^= 1);
            assert_eq!(error.code(), "chip-id-mismatch", "byte {place} of {len}");
        }
        let mut wrapped = site.clone();
        wrapped.extensions.hwid = Some(HwId::new(&[0x5c; 64][..len], true).unwrap());
        wrapped.verify().unwrap();
    }
    // The first 8 bytes of another chip.
    let short = HwId::new(&[0x5c; 8], false).unwrap();
    assert_eq!(code(&Site::vcek(), |site| site.extensions.hwid = Some(short)), "chip-id-mismatch");
}

#[test]
fn a_masked_chip_is_a_fact_and_the_certificate_names_it() {
    let mut site = Site::vcek();
    site.report.chip_id = [0; 64];
    let facts = site.verify().unwrap();
    let claims = facts.claims().snp().unwrap();
    assert!(claims.mask_chip_id && claims.chip_id.is_zero());
    assert_eq!(claims.hwid, site.extensions.hwid);
    // A provider's key is of no chip: the report may name one.
    let mut vlek = Site::vlek();
    assert!(vlek.verify().unwrap().claims().snp().unwrap().mask_chip_id);
    vlek.report.chip_id = [3; 64];
    let facts = vlek.verify().unwrap();
    assert_eq!(facts.claims().snp().unwrap().chip_id.0, [3; 64]);
}

#[test]
fn a_vcek_names_a_chip_and_a_vlek_a_provider() {
    let (vcek, vlek) = (Site::vcek(), Site::vlek());
    let (hwid, csp_id) = (vcek.extensions.hwid, vlek.extensions.csp_id.clone());
    for site in [&vcek, &vlek] {
        let is_vcek = site.extensions.hwid.is_some();
        for hwid in [None, hwid] {
            for csp_id in [None, csp_id.clone()] {
                let mut changed = site.clone();
                let right = hwid.is_some() == is_vcek && csp_id.is_some() != is_vcek;
                (changed.extensions.hwid, changed.extensions.csp_id) = (hwid, csp_id);
                let refusal = changed.verify().map(|_| ()).map_err(|error| error.code());
                assert_eq!(refusal, if right { Ok(()) } else { Err("certificate-profile") });
            }
        }
    }
}

#[test]
fn a_certificate_without_its_extensions_is_refused() {
    let site = Site::vcek();
    let bare = site.vek.der(&site.ca);
    let error = site.collateral().unwrap().vek(&bare, at()).unwrap_err();
    assert_eq!(error.code(), "malformed-vek");
    assert!(error.to_string().contains("no 1.3.6.1.4.1.3704.1.1"), "{error}");
}

/// An OID is compared whole: one that goes on behind AMD's, ends an arc before it, or has the same beginning in digits or in bytes is another's.
#[test]
fn an_oid_that_looks_like_amd_s_is_not_taken_for_it() {
    for site in [Site::vcek(), Site::vlek(), Site::turin()] {
        let (report, collateral) = (site.report(), site.collateral().unwrap());
        let verify = |extensions: Vec<(ObjectIdentifier, Vec<u8>)>| {
            let mut vek = site.vek.clone();
            vek.extensions = extensions.into_iter().map(|(id, value)| (id, false, value)).collect();
            let key = collateral.vek(&vek.der(&site.ca), at())?;
            key.verify(&Report::parse(&report).unwrap(), at())
        };
        let genuine = site.extensions.to_extensions().unwrap();
        let facts = verify(genuine.clone()).unwrap();
        for (place, (id, value)) in genuine.iter().enumerate() {
            for other in look_alikes(*id) {
                let mut replaced = genuine.clone();
                replaced[place].0 = other;
                // Reserved versions may be absent, and Turin alone must have an FMC: there is nothing else that a certificate can do without.
                let reserved = (4..=7).any(|spl| *id == spl_oid(spl));
                match verify(replaced) {
                    Ok(others) => assert!(reserved && others == facts, "{other} for {id}"),
                    Err(error) => {
                        assert!(!reserved, "{other} for {id}: {error}");
                        assert!(["malformed-vek", "certificate-profile"].contains(&error.code()), "{other}: {error}");
                    }
                }
                // Beside the genuine one, before it and behind it, it says nothing, whatever it says.
                let mut lie = value.clone();
                *lie.last_mut().unwrap() ^= 1;
                for at in [0, genuine.len()] {
                    let mut beside = genuine.clone();
                    beside.insert(at, (other, lie.clone()));
                    assert_eq!(verify(beside).unwrap(), facts, "{other} beside {id}");
                }
            }
        }
    }
}

/// spl_4 to spl_7.
fn spl_oid(number: u32) -> ObjectIdentifier {
    ObjectIdentifier::new(&format!("1.3.6.1.4.1.3704.1.3.{number}")).unwrap()
}

/// Longer by an arc or two, shorter by one, and with a last arc that begins like this one's.
fn look_alikes(id: ObjectIdentifier) -> Vec<ObjectIdentifier> {
    let text = id.to_string();
    let (parent, last) = text.rsplit_once('.').unwrap();
    let others = [
        format!("{text}.1"),
        format!("{text}.0"),
        format!("{text}.1.1"),
        parent.to_owned(),
        format!("{text}0"),
        format!("{parent}.1.{last}"),
        text.replace(".3704.", ".37040."),
        text.replace(".3704.", ".370."),
    ];
    others.iter().map(|text| ObjectIdentifier::new(text).unwrap()).collect()
}

#[test]
fn product_names_are_of_the_root_s_product() {
    let site = Site::vcek();
    for name in ["Genoa", "Milan_B0", "milan", "", "Siena-B1"] {
        let error = refused(&site, |site| site.extensions.product_name = name.to_owned());
        assert_eq!((error.code(), error.claim()), ("snp-product-mismatch", "productName"), "{name}");
    }
    let mut stepping = site;
    stepping.extensions.product_name = "Milan-B1".to_owned();
    assert_eq!(stepping.verify().unwrap().claims().snp().unwrap().product_name, "Milan-B1");
    let mut siena = Site::new(Product::Genoa, SigningKey::Vcek, 3);
    siena.extensions.product_name = "Siena".to_owned();
    siena.report.cpuid_mod_id = 0xa0;
    siena.verify().unwrap();
}

// What the report says.

#[test]
fn the_processor_is_of_the_root_s_product() {
    for (family, model) in [(0x19, 0x11), (0x1a, 0x02), (0x17, 0x01), (0, 0)] {
        let error = refused(&Site::new(Product::Milan, SigningKey::Vcek, 3), |site| {
            (site.report.cpuid_fam_id, site.report.cpuid_mod_id) = (family, model);
        });
        assert_eq!((error.code(), error.claim()), ("snp-product-mismatch", "CPUID"), "{family:#x} {model:#x}");
    }
}

#[test]
fn a_report_of_another_kind_of_key_is_refused_although_its_signature_verifies() {
    for site in [Site::vcek(), Site::vlek()] {
        let other = if site.extensions.hwid.is_some() { SigningKey::Vlek } else { SigningKey::Vcek };
        let error = refused(&site, |site| site.report.signer_info.set(SignerInfo::new(other, false, true).0));
        assert_eq!(error.code(), "signing-key-mismatch");
        let none = SignerInfo::new(SigningKey::None, false, true).0;
        assert_eq!(code(&site, |site| site.report.signer_info.set(none)), "unsigned-report");
    }
}

#[test]
fn a_report_that_the_firmware_may_not_sign_is_named_as_such() {
    let site = Site::vcek();
    let masked = SignerInfo::new(SigningKey::Vcek, true, false).0;
    let error = refused(&site, |site| {
        site.report.signer_info.set(masked);
        site.signature = Some([0; 96]);
    });
    assert_eq!(error.code(), "unsigned-report");
    assert!(error.to_string().contains("MASK_CHIP_KEY"), "{error}");
    assert_eq!(code(&site, |site| site.signature = Some([0; 96])), "unsigned-report");
    // The bit alone is a fact: who verifies the signature has one.
    let mut signed = site;
    signed.report.signer_info.set(masked);
    assert!(signed.verify().unwrap().claims().snp().unwrap().mask_chip_key);
}

#[test]
fn a_host_s_own_report_is_refused() {
    assert_eq!(code(&Site::turin(), |site| site.report.vmpl.set(VMPL_HOST)), "host-report");
    for vmpl in 0..=3 {
        let mut site = Site::vcek();
        site.report.vmpl.set(vmpl);
        assert_eq!(site.verify().unwrap().claims().snp().unwrap().vmpl, vmpl);
    }
}

#[test]
fn versions_are_in_the_order_of_the_specification_each_for_itself() {
    for site in [Site::vcek(), Site::turin()] {
        let places: &[usize] = if site.product == Product::Turin { &[0, 1, 2, 3, 7] } else { &[0, 1, 6, 7] };
        for &place in places {
            let shifted = |version: TcbVersion, step: u8| {
                let mut bytes = version.0;
                bytes[place] = bytes[place].wrapping_add(step);
                TcbVersion(bytes)
            };
            // All others are raised far above, so that only this one is in the wrong order.
            let high = |mut version: TcbVersion| {
                places.iter().filter(|other| **other != place).for_each(|other| version.0[*other] = 0xfe);
                version
            };
            let error = refused(&site, |site| {
                site.report.committed_tcb = high(shifted(site.report.committed_tcb, u8::MAX));
                site.report.current_tcb = site.report.committed_tcb;
            });
            assert_eq!((error.code(), error.claim()), ("tcb-order", "REPORTED_TCB"), "{place}: {error}");
            let error = refused(&site, |site| {
                site.report.committed_tcb = shifted(site.report.committed_tcb, 1);
                site.report.current_tcb = high(site.report.current_tcb);
            });
            assert_eq!((error.code(), error.claim()), ("tcb-order", "COMMITTED_TCB"), "{place}: {error}");
            // Provisional firmware, and a guest that came from a newer machine.
            let mut newer = site.clone();
            newer.report.current_tcb = shifted(newer.report.current_tcb, 1);
            newer.report.launch_tcb = shifted(newer.report.launch_tcb, 2);
            newer.verify().unwrap();
        }
    }
}

#[test]
fn committed_firmware_is_not_newer_than_the_current_one() {
    let site = Site::vcek();
    for change in [
        |site: &mut Site| site.report.committed.build += 1,
        |site: &mut Site| site.report.committed.minor += 1,
        |site: &mut Site| site.report.committed.major += 1,
    ] {
        assert_eq!(code(&site, change), "firmware-order");
    }
    let mut older = site;
    (older.report.committed.minor, older.report.committed.build) = (54, 200);
    let facts = older.verify().unwrap();
    assert_eq!(facts.claims().snp().unwrap().committed_version.ordered(), (1, 54, 200));
}

#[test]
fn bytes_that_the_product_reserves_are_zero() {
    for (site, reserved) in [(Site::vcek(), 2..6), (Site::turin(), 4..7)] {
        for place in reserved {
            for (at, field) in [
                (0x38, (|site| &mut site.report.current_tcb) as fn(&mut Site) -> &mut TcbVersion),
                (0x180, |site| &mut site.report.reported_tcb),
                (0x1e0, |site| &mut site.report.committed_tcb),
                (0x1f0, |site| &mut site.report.launch_tcb),
            ] {
                let error = refused(&site, |site| field(site).0[place] = 1);
                assert_eq!(error.code(), "malformed-evidence");
                assert!(error.to_string().contains(&format!("at byte {}:", at + place)), "{error}");
            }
        }
    }
}

// The report's signature.

/// The order of P-384, big-endian (SEC 2, 2.5.1).
const ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

#[test]
fn r_and_s_are_above_zero_and_below_the_order() {
    let site = Site::vcek();
    let report = site.report();
    let good = Report::parse(&report).unwrap().body.signature.to_be_bytes();
    let order = hex::decode(ORDER).unwrap();
    for number in [vec![0; 48], order, vec![0xff; 48]] {
        for place in [0, 48] {
            let mut signature = good;
            signature[place..place + 48].copy_from_slice(&number);
            assert_eq!(code(&site, |site| site.signature = Some(signature)), "report-signature");
        }
    }
    let mut wide = report.clone();
    wide[0x2a0 + 48] = 1;
    assert!(Report::parse(&wide).unwrap_err().to_string().contains("SIGNATURE.R above 384 bits"));
}

#[test]
fn a_report_of_another_key_is_refused() {
    let site = Site::vcek();
    assert_eq!(code(&site, |site| site.report_signer = Some(Key::p384())), "report-signature");
    let other = Site { vek: Cert { key: Key::p384(), ..site.vek.clone() }, ..site.clone() };
    let report = other.report();
    let error = site.key().unwrap().verify(&Report::parse(&report).unwrap(), at()).unwrap_err();
    assert!(matches!(error, Error::Signature { part: Part::Report, signer: "VCEK" }), "{error}");
    other.verify().unwrap();
}

#[test]
fn no_byte_of_a_report_can_be_changed() {
    for site in [Site::vlek(), Site::turin()] {
        let (vek, report) = (site.key().unwrap(), site.report());
        for place in 0..report.len() {
            for mask in [0x01, 0x20, 0xff] {
                let mut changed = report.clone();
                changed[place] ^= mask;
                let accepted = Report::parse(&changed).is_ok_and(|report| vek.verify(&report, at()).is_ok());
                assert!(!accepted, "byte {place:#x} with mask {mask:#04x} is not noticed");
            }
        }
        let padded = [report.as_slice(), &[9; 30]].concat();
        let facts = vek.verify(&Report::parse(&padded).unwrap(), at()).unwrap();
        assert_eq!(facts.trailing_bytes(), 30);
        let plain = vek.verify(&Report::parse(&report).unwrap(), at()).unwrap();
        assert_eq!(facts.evidence_sha384(), plain.evidence_sha384());
    }
}

#[test]
fn no_byte_of_a_certificate_can_be_changed() {
    let site = Site::vcek();
    let (collateral, vek) = (site.collateral().unwrap(), site.vek());
    for place in 0..vek.len() {
        let mut changed = vek.clone();
        changed[place] ^= 0x01;
        assert!(collateral.vek(&changed, at()).is_err(), "byte {place} is not noticed");
        assert!(collateral.vek(&vek[..place], at()).is_err(), "cut at {place}");
    }
    assert!(collateral.vek(&[vek.as_slice(), &[0]].concat(), at()).is_err(), "a byte behind");
}

// What is built in, and what is said.

#[test]
fn vendor_roots_are_one_for_each_product() {
    let anchors = Anchors::vendor();
    let names: Vec<_> = anchors.iter().map(|anchor| anchor.id().name.as_str()).collect();
    let of_amd: Vec<_> = names.into_iter().filter(|name| name.starts_with("amd-")).collect();
    assert_eq!(of_amd, ["amd-ark-milan", "amd-ark-genoa", "amd-ark-turin"]);
    for (product, sha256) in [
        (Product::Milan, "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9"),
        (Product::Genoa, "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831"),
        (Product::Turin, "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08"),
    ] {
        let anchor = Anchor::amd(product).unwrap();
        assert_eq!((anchor.id().sha256.to_string().as_str(), anchor.id().kind), (sha256, AnchorKind::Vendor));
    }
}

#[test]
fn every_reason_has_its_words() {
    let (text, name) = (|| "x".to_owned(), "x");
    let reasons = [
        Reason::UnknownProduct { found: text() },
        Reason::NoRevocationList { product: name },
        Reason::Product { claim: name, expected: name, found: text() },
        Reason::Unsigned { mask_chip_key: false },
        Reason::SigningKey { expected: name, found: name },
        Reason::HostReport,
        Reason::ChipId { certified: text(), reported: text() },
        Reason::CertifiedTcb { component: name, certified: 1, reported: 2 },
        Reason::TcbOrder { component: name, claim: name, found: 2, above: name, limit: 1 },
        Reason::FirmwareOrder { committed: text(), current: text() },
    ];
    let errors: Vec<Error> = reasons.into_iter().map(Error::from).collect();
    for (place, error) in errors.iter().enumerate() {
        assert!(!error.to_string().is_empty() && !error.claim().is_empty() && !error.remedy().is_empty());
        assert!(error.expected().is_some(), "{error}");
        assert_eq!(error.actual().is_some(), error.code() != "no-revocation-list");
        let same = errors.iter().position(|other| other.code() == error.code());
        assert_eq!(same, Some(place), "{} is used twice", error.code());
    }
}

#[test]
fn a_mismatch_says_what_was_wanted_and_found() {
    let error = refused(&Site::vcek(), |site| site.extensions.tcb.snp = 7);
    assert_eq!(error.to_string(), "SNP of REPORTED_TCB is 8, the certificate is for 7");
    assert_eq!((error.expected().as_deref(), error.actual().as_deref()), (Some("SNP 7"), Some("SNP 8")));
    assert_eq!(tcb(Product::Milan).snp, 8);
}
