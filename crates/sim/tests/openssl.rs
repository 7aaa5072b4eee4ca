//! A third party on the vendor's certificates and revocation lists, and on the links of a guest of Azure: the openssl command line.

use sealwright_evidence::Backend;
use sealwright_sim::{
    Site, TdConfig, az_vtpm, files,
    snp::{GuestConfig, Platform, Vendor},
    system_clock,
};
use sealwright_wire::{
    Tee,
    collateral::{encode_pem_chain, pem_chain},
    hcl::{Report, RuntimeClaims},
    quote::Quote,
    snp::{AttestationReport, Product, SigningKey},
};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Runs openssl in `folder`; `None`, and a word about it, where it is not installed.
#[allow(clippy::print_stderr)] // a skipped check must not pass unseen
fn openssl(folder: &Path, arguments: &[&str]) -> Option<Output> {
    match Command::new("openssl").args(arguments).current_dir(folder).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: openssl is not installed: {error}");
            None
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Lays out what `openssl verify` reads: root, intermediate, leaf, and the two lists in PEM.
fn lay_out(site: &Site, folder: &Path) -> Option<()> {
    let td = site.boot(&TdConfig::new("openssl", files::generate("kernel"))).unwrap();
    let quote = td.quote(&[0; 64]).unwrap();
    let chain = Quote::parse(&quote).unwrap().certification.data().to_vec();
    site.stop("openssl").unwrap();
    let chain = pem_chain("PCK chain", &chain).unwrap();
    for (name, certificate) in ["leaf.pem", "ca.pem", "root.pem"].iter().zip(&chain) {
        fs::write(folder.join(name), encode_pem_chain(&[certificate])).unwrap();
    }
    assert_eq!(chain[2], site.root());
    let bundle = site.collateral(Tee::Tdx).unwrap();
    fs::write(folder.join("signer.pem"), &bundle.tcb_info_issuer_chain).unwrap();
    fs::write(folder.join("tcb-info.json"), &bundle.tcb_info).unwrap();
    let mut lists = Vec::new();
    for (name, der) in [("root.crl", &bundle.root_ca_crl), ("pck.crl", &bundle.pck_crl)] {
        fs::write(folder.join(name), der).unwrap();
        lists.extend(openssl(folder, &["crl", "-inform", "DER", "-in", name])?.stdout);
    }
    fs::write(folder.join("lists.pem"), lists).unwrap();
    Some(())
}

const VERIFY: [&str; 10] = [
    "verify",
    "-x509_strict",
    "-crl_check_all",
    "-CAfile",
    "root.pem",
    "-CRLfile",
    "lists.pem",
    "-untrusted",
    "ca.pem",
    "leaf.pem",
];

#[test]
fn openssl_accepts_chain_and_lists_and_sees_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::found(system_clock()).unwrap();
    if lay_out(&site, folder.path()).is_none() {
        return;
    }
    let output = openssl(folder.path(), &VERIFY).unwrap();
    assert!(output.status.success() && text(&output).contains("leaf.pem: OK"), "{}", text(&output));
    site.revoke_pck().unwrap();
    lay_out(&site, folder.path()).unwrap();
    let output = openssl(folder.path(), &VERIFY).unwrap();
    assert!(!output.status.success() && text(&output).contains("certificate revoked"), "{}", text(&output));
}

#[test]
fn openssl_finds_the_certificates_in_their_profile() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::found(system_clock()).unwrap();
    if lay_out(&site, folder.path()).is_none() {
        return;
    }
    let show = |name| text(&openssl(folder.path(), &["x509", "-noout", "-text", "-in", name]).unwrap());
    for (name, common_name, constraint) in [
        ("root.pem", "CN = Intel SGX Root CA", "CA:TRUE, pathlen:1"),
        ("ca.pem", "CN = Intel SGX PCK Platform CA", "CA:TRUE, pathlen:0"),
        ("leaf.pem", "CN = Intel SGX PCK Certificate", "CA:FALSE"),
        ("signer.pem", "CN = Intel SGX TCB Signing", "CA:FALSE"),
    ] {
        let shown = show(name);
        for wanted in
            [common_name, constraint, "O = Sealwright Simulation", "Subject Key Identifier", "CRL Distribution"]
        {
            assert!(shown.contains(wanted), "{name} lacks {wanted}: {shown}");
        }
    }
    assert!(show("leaf.pem").contains("1.2.840.113741.1.13.1"));
    let lists = ["root.crl", "pck.crl"]
        .map(|name| text(&openssl(folder.path(), &["crl", "-noout", "-text", "-inform", "DER", "-in", name]).unwrap()));
    for list in lists {
        for wanted in ["Version 2", "CRL Number", "Authority Key Identifier", "Next Update"] {
            assert!(list.contains(wanted), "{list}");
        }
    }
}

#[test]
fn openssl_verifies_the_signature_over_tcb_info() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::found(system_clock()).unwrap();
    if lay_out(&site, folder.path()).is_none() {
        return;
    }
    let signature = site.collateral(Tee::Tdx).unwrap().tcb_info_signature;
    fs::write(folder.path().join("signature"), der(&signature)).unwrap();
    let key = openssl(folder.path(), &["x509", "-noout", "-pubkey", "-in", "signer.pem"]).unwrap();
    fs::write(folder.path().join("key.pem"), key.stdout).unwrap();
    let verify = ["dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "tcb-info.json"];
    assert!(openssl(folder.path(), &verify).unwrap().status.success());
    fs::write(folder.path().join("tcb-info.json"), "{}").unwrap();
    assert!(!openssl(folder.path(), &verify).unwrap().status.success());
}

/// Lays out a platform's certificates for one kind of key, and the root's list in PEM.
fn lay_out_snp(platform: &Platform, folder: &Path) -> Option<()> {
    let bundle = platform.bundle().unwrap();
    let chain = pem_chain("chain", bundle.cert_chain.as_bytes()).unwrap();
    for (name, certificate) in [("ca.pem", &chain[0]), ("root.pem", &chain[1]), ("leaf.pem", &platform.vek().unwrap())]
    {
        fs::write(folder.join(name), encode_pem_chain(&[certificate])).unwrap();
    }
    fs::write(folder.join("root.crl"), bundle.crl.unwrap()).unwrap();
    let list = openssl(folder, &["crl", "-inform", "DER", "-in", "root.crl"])?.stdout;
    fs::write(folder.join("lists.pem"), list).unwrap();
    Some(())
}

#[test]
fn openssl_accepts_the_chains_of_snp_and_sees_a_withdrawal() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::build(&Vendor::found(system_clock(), Product::Milan).unwrap()).unwrap();
    let check = |arguments: &[&str]| {
        let output = openssl(folder.path(), arguments).unwrap();
        (output.status.success(), text(&output))
    };
    let leaf = ["verify", "-CAfile", "root.pem", "-untrusted", "ca.pem", "leaf.pem"];
    let ca = ["verify", "-x509_strict", "-crl_check", "-CRLfile", "lists.pem", "-CAfile", "root.pem", "ca.pem"];
    for (kind, name) in [(SigningKey::Vcek, "SEV-Milan"), (SigningKey::Vlek, "SEV-VLEK-Milan")] {
        if kind == SigningKey::Vlek {
            platform.load_vlek("CN=cloud.example");
        }
        if lay_out_snp(&platform, folder.path()).is_none() {
            return;
        }
        for arguments in [&leaf[..], &ca[..]] {
            let (accepted, said) = check(arguments);
            assert!(accepted, "{said}");
        }
        let (_, shown) = check(&["x509", "-noout", "-text", "-in", "ca.pem"]);
        for wanted in [name, "O = Sealwright Simulation", "rsassaPss", "Salt Length: 0x30", "CA:TRUE, pathlen:0"] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        platform.vendor().withdraw(kind).unwrap();
        lay_out_snp(&platform, folder.path()).unwrap();
        let (accepted, said) = check(&ca);
        assert!(!accepted && said.contains("certificate revoked"), "{said}");
    }
}

/// Each link from the processor's key to the vTPM's quote, by openssl alone, and each broken by one bit.
#[test]
fn openssl_follows_a_guest_of_azure_from_the_processor_s_key_to_the_quote() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::build(&Vendor::found(system_clock(), Product::Milan).unwrap()).unwrap();
    let guest = platform.launch(&GuestConfig::new([0x4e; 48])).unwrap();
    let hardware = az_vtpm::Hardware::Snp { guest, version: 3 };
    let guest = az_vtpm::Guest::boot(hardware, az_vtpm::GuestConfig::new(files::generate("kernel"))).unwrap();
    let evidence = guest.evidence(b"challenge").unwrap();
    let report = Report::parse(&evidence.hcl_report).unwrap();
    let body: &AttestationReport = sealwright_wire::Reader::new(report.hardware_report).structure("report").unwrap();
    let key = RuntimeClaims::parse(report.claims).unwrap().attestation_key().unwrap();
    for (name, bytes) in [
        ("vcek.der", evidence.vcek_der().unwrap().unwrap().as_slice()),
        ("report", body.signed()),
        ("report.sig", &der(&body.signature.to_be_bytes())),
        ("claims", report.claims),
        ("ak.der", &key),
        ("quote", &evidence.tpm_quote.message),
        ("quote.sig", &evidence.tpm_quote.signature),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let run =
        |arguments: &[&str]| openssl(folder.path(), arguments).map(|output| (output.status.success(), text(&output)));
    if run(&["x509", "-inform", "DER", "-in", "vcek.der", "-noout", "-pubkey", "-out", "vcek.pem"]).is_none() {
        return;
    }
    let flipped = |name: &str| {
        let mut bytes = fs::read(folder.path().join(name)).unwrap();
        bytes[10] ^= 1;
        fs::write(folder.path().join("flipped"), bytes).unwrap();
    };
    for (hash, key, form, signature, file) in
        [("-sha384", "vcek.pem", "PEM", "report.sig", "report"), ("-sha256", "ak.der", "DER", "quote.sig", "quote")]
    {
        let verify = |file| run(&["dgst", hash, "-verify", key, "-keyform", form, "-signature", signature, file]);
        let (accepted, said) = verify(file).unwrap();
        assert!(accepted, "{file}: {said}");
        flipped(file);
        assert!(!verify("flipped").unwrap().0, "{file}");
    }
    let hash = |file| run(&["dgst", "-sha256", "-r", file]).unwrap().1[..64].to_owned();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    assert_eq!(hash("claims"), hex(&body.report_data[..32]));
    assert_eq!(body.report_data[32..], [0; 32]);
    flipped("claims");
    assert_ne!(hash("flipped"), hex(&body.report_data[..32]));
}

/// The signature as openssl reads it: a DER sequence of two integers.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let digits = &half[half.iter().take_while(|byte| **byte == 0).count()..];
        let padded = [if digits[0] < 0x80 { &[][..] } else { &[0][..] }, digits].concat();
        [&[2, u8::try_from(padded.len()).unwrap()], padded.as_slice()].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
