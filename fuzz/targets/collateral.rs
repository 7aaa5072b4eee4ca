#![no_main]

use sealwright_wire::collateral::{Bundle, QeIdentity, QveBundle, Signed, TcbInfo, pem_chain};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = Bundle::from_json(input);
    let _ = QveBundle::from_json(input);
    let _ = pem_chain("chain", input);
    if let Ok(signed) = Signed::tcb_info(input) {
        let written = signed.to_tcb_info_json();
        assert_eq!(Signed::tcb_info(written.as_bytes()).as_ref(), Ok(&signed));
    }
    if let Ok(signed) = Signed::qe_identity(input) {
        let written = signed.to_qe_identity_json();
        assert_eq!(Signed::qe_identity(written.as_bytes()).as_ref(), Ok(&signed));
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = TcbInfo::parse(text);
        let _ = QeIdentity::parse(text);
    }
});
