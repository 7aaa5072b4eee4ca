#![no_main]

use sealwright_wire::snp::{Bundle, CertificateTable, EXTENSIONS, Product, Report, VekExtensions};

/// One value for each extension, as far as the input goes: a byte that says how long it is, then the value.
fn values(mut input: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    while let Some((len, rest)) = input.split_first() {
        let (value, rest) = rest.split_at_checked(usize::from(*len)).unwrap_or((rest, &[]));
        values.push(value);
        input = rest;
    }
    values
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // What parses must be written back: a report to the same bytes, the others to what is read back as the same.
    if let Ok(report) = Report::parse(input) {
        assert_eq!(report.body.encode().as_deref(), Ok(report.without_trailing()));
        for product in Product::ALL {
            let _ = report.body.tcbs(product);
        }
    }
    if let Ok(table) = CertificateTable::parse(input) {
        assert_eq!(CertificateTable::parse(&table.encode().unwrap()), Ok(table));
    }
    let values = values(input);
    let find = |id| EXTENSIONS.iter().position(|other| *other == id).and_then(|at| values.get(at).copied());
    if let Ok(extensions) = VekExtensions::read(find) {
        let list = extensions.to_extensions().unwrap();
        let find = |id| list.iter().find(|(other, _)| *other == id).map(|(_, value)| value.as_slice());
        assert_eq!(VekExtensions::read(find), Ok(extensions));
    }
    let _ = Bundle::from_json(input);
});
