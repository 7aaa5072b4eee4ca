//! Which line of processors a report or a certificate is of.

/// A product line: what has a root key of its own, and an encoding of security versions (57230, section "Determining the Product Name").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004, and those of 9704 (Bergamo) and 8004 (Siena), which share its root.
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Product {
    /// Every product line that is known here.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name in certificates and in the addresses of AMD's key distribution service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The product line of this name, as it stands in the root's common name behind `ARK-`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == name)
    }

    /// The product line of a certificate's productName: a product, with or without a stepping behind it (`Milan-B0`, `Genoa`).
    pub fn from_product_name(name: &str) -> Option<Self> {
        match name.split('-').next()? {
            "Bergamo" | "Siena" => Some(Self::Genoa),
            line => Self::from_name(line),
        }
    }

    /// The product line of a processor, by the family and model that a report names.
    pub const fn from_cpuid(family: u8, model: u8) -> Option<Self> {
        match (family, model) {
            (0x19, 0x00..=0x0f) => Some(Self::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Self::Genoa),
            (0x1a, 0x00..=0x11) => Some(Self::Turin),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_told_by_name_and_by_processor() {
        for product in Product::ALL {
            assert_eq!(Product::from_name(product.name()), Some(product));
        }
        for (name, product) in [
            ("Milan-B0", Some(Product::Milan)),
            ("Genoa", Some(Product::Genoa)),
            ("Siena-B1", Some(Product::Genoa)),
            ("Turin-C1", Some(Product::Turin)),
            ("MilanB0", None),
            ("", None),
            ("Rome", None),
        ] {
            assert_eq!(Product::from_product_name(name), product, "{name}");
        }
        for (cpuid, product) in [
            ((0x19, 0x01), Some(Product::Milan)),
            ((0x19, 0x11), Some(Product::Genoa)),
            ((0x19, 0xa0), Some(Product::Genoa)),
            ((0x1a, 0x02), Some(Product::Turin)),
            ((0x1a, 0x11), Some(Product::Turin)),
            ((0x19, 0x20), None),
            ((0x1a, 0x12), None),
            ((0x17, 0x31), None),
        ] {
            assert_eq!(Product::from_cpuid(cpuid.0, cpuid.1), product, "{cpuid:x?}");
        }
    }
}
