//! The AMD Root Keys (ARK): one for each product line.

use sealwright_wire::snp::Product;

/// A built-in root.
#[derive(Debug)]
pub(crate) struct Root {
    /// The anchor's name.
    pub(crate) name: &'static str,
    /// SubjectPublicKeyInfo in DER, of the certificate that AMD publishes at `https://kdsintf.amd.com/vcek/v1/{product}/cert_chain`.
    pub(crate) key: &'static [u8],
    /// SHA-256 of that certificate.
    pub(crate) certificate: &'static str,
}

const MILAN: Root = Root {
    name: "amd-ark-milan",
    key: include_bytes!("roots/ark-milan.der"),
    certificate: "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
};

const GENOA: Root = Root {
    name: "amd-ark-genoa",
    key: include_bytes!("roots/ark-genoa.der"),
    certificate: "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
};

const TURIN: Root = Root {
    name: "amd-ark-turin",
    key: include_bytes!("roots/ark-turin.der"),
    certificate: "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
};

/// The root of a product line, where one is built in.
pub(crate) const fn of(product: Product) -> Option<&'static Root> {
    match product {
        Product::Milan => Some(&MILAN),
        Product::Genoa => Some(&GENOA),
        Product::Turin => Some(&TURIN),
        _ => None,
    }
}
