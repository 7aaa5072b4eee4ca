//! OpenSSL, unmodified, on what a simulated vendor of Hygon CSV signs: every SM2 signature from the root to the report under the id of its signer,
//! the MAC over the signer block, and the launch digest. Skipped where no `openssl` with SM2 is installed.

use sealwright_sim::csv::{Chip, ChipConfig, Guest, GuestConfig, Layout, Site};
use sealwright_wire::csv::{CaCertificate, Certificate, HskCek, PublicKey, Report, Signature, SignerForm, Usage};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// SubjectPublicKeyInfo of an SM2 key up to its point's coordinates (RFC 5480, with the curve of GM/T 0006).
#[rustfmt::skip]
const KEY_INFO: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00, 0x04,
];

/// Runs openssl and gives what it printed; `None` where it failed or is not installed.
fn openssl(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An empty folder of one test; `None`, and a word about it, where openssl has no SM2.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("csv-openssl-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let algorithms = openssl(&folder, &["list", "-signature-algorithms"]);
    if algorithms.is_some_and(|names| names.contains("SM2")) {
        return Some(folder);
    }
    eprintln!("skipped: no openssl with SM2");
    None
}

fn running() -> (Site, Chip, Guest) {
    let site = Site::found().unwrap();
    let chip = site.make_chip(&ChipConfig::new("SIMULATED-0001")).unwrap();
    let guest = chip.launch(&GuestConfig::new(b"image")).unwrap();
    (site, chip, guest)
}

/// Who signs, by key and id.
#[derive(Clone, Copy)]
struct Signer<'a> {
    key: &'a PublicKey,
    user_id: &'a [u8],
}

impl<'a> Signer<'a> {
    fn authority(certificate: &'a CaCertificate) -> Self {
        Self { key: &certificate.public_key, user_id: certificate.user_id() }
    }

    fn below(certificate: &'a Certificate) -> Self {
        Self { key: &certificate.public_key, user_id: certificate.user_id() }
    }

    fn verifies(&self, folder: &Path, message: &[u8], signature: &Signature) -> bool {
        let (x, y) = self.key.coordinates().unwrap();
        fs::write(folder.join("key.der"), [&KEY_INFO[..], &x, &y].concat()).unwrap();
        fs::write(folder.join("message"), message).unwrap();
        fs::write(folder.join("signature"), der(signature)).unwrap();
        let id = format!("distid:{}", str::from_utf8(self.user_id).unwrap());
        let verify =
            ["dgst", "-sm3", "-keyform", "DER", "-verify", "key.der", "-sigopt", &id, "-signature", "signature"];
        openssl(folder, &[&verify[..], &["message"]].concat()).is_some()
    }

    /// The signature holds, and with it nothing but this message under this id.
    fn check(&self, name: &str, folder: &Path, message: &[u8], signature: &Signature) {
        assert!(self.verifies(folder, message, signature), "{name}");
        let mut changed = message.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert!(!self.verifies(folder, &changed, signature), "{name}: another message");
        let renamed = Signer { user_id: b"HYGON-SSD-HRK", ..*self };
        assert!(!renamed.verifies(folder, message, signature), "{name}: another id");
    }
}

/// The signature as openssl reads it: a DER sequence of two integers.
fn der(signature: &Signature) -> Vec<u8> {
    let integer = |number: [u8; 32]| {
        let digits = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        let sign = if digits[0] < 0x80 { &[][..] } else { &[0][..] };
        [&[2, u8::try_from(sign.len() + digits.len()).unwrap()], sign, digits].concat()
    };
    let (r, s) = signature.numbers().unwrap();
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

fn signature_by(certificate: &Certificate, usage: Usage) -> &Signature {
    let place = certificate.signatures.iter().find(|place| place.usage() == Some(usage));
    &place.unwrap_or_else(|| panic!("no signature by {usage}")).signature
}

#[test]
fn openssl_verifies_every_certificate_under_its_signer_s_id() {
    let Some(folder) = folder("certificates") else { return };
    let (site, chip, _) = running();
    let (hrk, hsk_cek, pek, oca) = (site.hrk(), chip.hsk_cek(), chip.pek(), chip.owner().unwrap().oca());
    let hrk = CaCertificate::parse(&hrk).unwrap();
    let HskCek { hsk, cek } = HskCek::parse(&hsk_cek).unwrap();
    let [pek, oca] = [&pek, &oca].map(|bytes| Certificate::parse(bytes).unwrap());
    Signer::authority(hrk).check("HRK", &folder, hrk.signed(), &hrk.signature);
    Signer::authority(hrk).check("HSK", &folder, hsk.signed(), &hsk.signature);
    Signer::authority(hsk).check("CEK", &folder, cek.signed(), signature_by(cek, Usage::HSK));
    Signer::below(cek).check("PEK by CEK", &folder, pek.signed(), signature_by(pek, Usage::CEK));
    Signer::below(oca).check("PEK by OCA", &folder, pek.signed(), signature_by(pek, Usage::OCA));
    Signer::below(oca).check("OCA", &folder, oca.signed(), signature_by(oca, Usage::OCA));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn openssl_verifies_reports_of_every_layout() {
    let Some(folder) = folder("reports") else { return };
    let (_, _, guest) = running();
    for layout in Layout::ALL {
        for form in [SignerForm::Firmware, SignerForm::Restored] {
            let bytes = guest.report(&[0x5a; 64], layout, form).unwrap();
            let report = Report::parse(&bytes).unwrap();
            let pek = report.plain_signer().unwrap().pek;
            let name = format!("{layout:?}, {form:?}");
            Signer::below(&pek).check(&name, &folder, report.body.signed(), report.body.signature());
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn openssl_computes_the_signer_s_mac_and_the_launch_digest() {
    let Some(folder) = folder("digests") else { return };
    let (_, _, guest) = running();
    fs::write(folder.join("image"), b"image").unwrap();
    let measure = openssl(&folder, &["dgst", "-sm3", "-r", "image"]).unwrap();
    for layout in Layout::ALL {
        let bytes = guest.report(&[0x5a; 64], layout, SignerForm::Firmware).unwrap();
        let report = Report::parse(&bytes).unwrap();
        let info = report.tee_info();
        assert!(measure.starts_with(&hex(&info.measure)), "{measure}");
        fs::write(folder.join("signer"), report.signer.authenticated()).unwrap();
        let key = format!("hexkey:{}", hex(&info.mnonce));
        let mac = openssl(&folder, &["mac", "-digest", "sm3", "-macopt", &key, "-in", "signer", "HMAC"]).unwrap();
        assert_eq!(mac.to_lowercase(), hex(&report.signer.mac), "{layout:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
