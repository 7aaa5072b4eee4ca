//! The fields of a report that are made of bits.

use crate::Error;

/// POLICY (56860, table "Guest Policy Structure"): 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// The bit that is reserved and one (17).
    pub const RESERVED_ONE: u64 = 1 << 17;
    const RESERVED_ZERO: u64 = !0 << 26;

    /// ABI_MINOR: the lowest minor version of the firmware's ABI under which the guest may run (bits 0 to 7).
    pub const fn abi_minor(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// ABI_MAJOR: the same of the major version (bits 8 to 15).
    pub const fn abi_major(self) -> u8 {
        self.0.to_le_bytes()[1]
    }

    /// SMT: the host may use simultaneous multithreading (bit 16).
    pub const fn smt(self) -> bool {
        self.bit(16)
    }

    /// MIGRATE_MA: a migration agent may be bound to the guest (bit 18).
    pub const fn migrate_ma(self) -> bool {
        self.bit(18)
    }

    /// DEBUG: the host may read and write the guest's memory (bit 19).
    pub const fn debug(self) -> bool {
        self.bit(19)
    }

    /// SINGLE_SOCKET: the guest may be active on one socket only (bit 20).
    pub const fn single_socket(self) -> bool {
        self.bit(20)
    }

    /// CXL_ALLOW: memory and devices may be attached through CXL (bit 21).
    pub const fn cxl_allow(self) -> bool {
        self.bit(21)
    }

    /// MEM_AES_256_XTS: memory must be encrypted with AES-256-XTS (bit 22).
    pub const fn mem_aes_256_xts(self) -> bool {
        self.bit(22)
    }

    /// RAPL_DIS: measuring the power that is used must be disabled (bit 23).
    pub const fn rapl_dis(self) -> bool {
        self.bit(23)
    }

    /// CIPHERTEXT_HIDING_DRAM: the host must be kept from reading the guest's ciphertext (bit 24).
    pub const fn ciphertext_hiding_dram(self) -> bool {
        self.bit(24)
    }

    /// PAGE_SWAP_DISABLE: the host must not move the guest's pages or swap them out (bit 25).
    pub const fn page_swap_disable(self) -> bool {
        self.bit(25)
    }

    const fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// Whether the reserved bits are as the specification has them.
    pub const fn is_well_formed(self) -> bool {
        self.0 & Self::RESERVED_ONE != 0 && self.0 & Self::RESERVED_ZERO == 0
    }

    pub(super) fn check(self) -> Result<(), Error> {
        if !self.is_well_formed() {
            let found = format_args!("{:#x}", self.0);
            return Err(Error::unexpected("POLICY", 0, "reserved bit 17 one, reserved bits 26 to 63 zero", found));
        }
        Ok(())
    }
}

/// PLATFORM_INFO (56860, table "PLATFORM_INFO Field"): 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformInfo(pub u64);

impl PlatformInfo {
    /// Bits that have no name yet: one of them set may be a feature of the machine that nobody here can judge.
    const RESERVED: u64 = !0 << 8 | 1 << 6;

    /// SMT_EN: simultaneous multithreading is on (bit 0).
    pub const fn smt_en(self) -> bool {
        self.bit(0)
    }

    /// TSME_EN: all memory is encrypted, whosever it is (bit 1).
    pub const fn tsme_en(self) -> bool {
        self.bit(1)
    }

    /// ECC_EN: memory has error correction (bit 2).
    pub const fn ecc_en(self) -> bool {
        self.bit(2)
    }

    /// RAPL_DIS: measuring the power that is used is disabled (bit 3).
    pub const fn rapl_dis(self) -> bool {
        self.bit(3)
    }

    /// CIPHERTEXT_HIDING_DRAM_EN: the host cannot read guests' ciphertext (bit 4).
    pub const fn ciphertext_hiding_dram_en(self) -> bool {
        self.bit(4)
    }

    /// ALIAS_CHECK_COMPLETE: memory was found to have no aliases since the last reset (bit 5).
    pub const fn alias_check_complete(self) -> bool {
        self.bit(5)
    }

    /// TIO_EN: trusted I/O is on (bit 7).
    pub const fn tio_en(self) -> bool {
        self.bit(7)
    }

    const fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    pub(super) fn check(self) -> Result<(), Error> {
        if self.0 & Self::RESERVED != 0 {
            let found = format_args!("{:#x}", self.0);
            return Err(Error::unexpected("PLATFORM_INFO", 0, "reserved bits 6 and 8 to 63 zero", found));
        }
        Ok(())
    }
}

/// Which key signed a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// The Versioned Chip Endorsement Key, derived from a secret of this chip.
    Vcek,
    /// The Versioned Loaded Endorsement Key, which AMD gave to a cloud provider.
    Vlek,
    /// None: there is no signature.
    None,
}

impl SigningKey {
    /// The key's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
            Self::None => "none",
        }
    }
}

/// The signer's fields (56860, table "ATTESTATION_REPORT Structure", offset 0x48): 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerInfo(pub u32);

impl SignerInfo {
    const RESERVED: u32 = !0 << 5;

    /// The bits for these values.
    pub const fn new(key: SigningKey, mask_chip_key: bool, author_key_en: bool) -> Self {
        let key = match key {
            SigningKey::Vcek => 0,
            SigningKey::Vlek => 1 << 2,
            SigningKey::None => 7 << 2,
        };
        let mask = if mask_chip_key { 1 << 1 } else { 0 };
        Self(key | mask | author_key_en as u32)
    }

    /// AUTHOR_KEY_EN: the digest of an author key is present (bit 0).
    pub const fn author_key_en(self) -> bool {
        self.0 & 1 != 0
    }

    /// MASK_CHIP_KEY: the firmware writes zeros in place of signatures by the VCEK (bit 1).
    pub const fn mask_chip_key(self) -> bool {
        self.0 & 2 != 0
    }

    /// SIGNING_KEY: the key that signed (bits 2 to 4); reserved values, which a parsed report does not have, count as none.
    pub const fn signing_key(self) -> SigningKey {
        match self.0 >> 2 & 7 {
            0 => SigningKey::Vcek,
            1 => SigningKey::Vlek,
            _ => SigningKey::None,
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        if self.0 & Self::RESERVED != 0 {
            let found = format_args!("{:#x}", self.0);
            return Err(Error::unexpected("signer", 0, "reserved bits 5 to 31 zero", found));
        }
        match self.0 >> 2 & 7 {
            0 | 1 | 7 => Ok(()),
            other => Err(Error::unexpected("SIGNING_KEY", 0, "0 (VCEK), 1 (VLEK) or 7 (none)", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bit's number and its name.
    type Bit<T> = (u32, fn(T) -> bool);

    #[test]
    fn policy_bits_have_their_places() {
        let places: [Bit<GuestPolicy>; 9] = [
            (16, GuestPolicy::smt),
            (18, GuestPolicy::migrate_ma),
            (19, GuestPolicy::debug),
            (20, GuestPolicy::single_socket),
            (21, GuestPolicy::cxl_allow),
            (22, GuestPolicy::mem_aes_256_xts),
            (23, GuestPolicy::rapl_dis),
            (24, GuestPolicy::ciphertext_hiding_dram),
            (25, GuestPolicy::page_swap_disable),
        ];
        for (place, bit) in places {
            let policy = GuestPolicy(1 << place);
            assert!(bit(policy) && !bit(GuestPolicy(!(1 << place))), "bit {place}");
        }
        let policy = GuestPolicy(0x0003_1234);
        assert_eq!((policy.abi_major(), policy.abi_minor()), (0x12, 0x34));
    }

    #[test]
    fn platform_bits_have_their_places() {
        let places: [Bit<PlatformInfo>; 7] = [
            (0, PlatformInfo::smt_en),
            (1, PlatformInfo::tsme_en),
            (2, PlatformInfo::ecc_en),
            (3, PlatformInfo::rapl_dis),
            (4, PlatformInfo::ciphertext_hiding_dram_en),
            (5, PlatformInfo::alias_check_complete),
            (7, PlatformInfo::tio_en),
        ];
        for (place, bit) in places {
            assert!(bit(PlatformInfo(1 << place)) && !bit(PlatformInfo(!(1 << place))), "bit {place}");
        }
    }

    #[test]
    fn only_named_bits_may_be_set() {
        for place in 0..64 {
            let policy = GuestPolicy(GuestPolicy::RESERVED_ONE ^ (1 << place));
            assert_eq!(policy.check().is_ok(), place < 26 && place != 17, "policy bit {place}");
            let info = PlatformInfo(1 << place);
            assert_eq!(info.check().is_ok(), place < 8 && place != 6, "platform bit {place}");
        }
        for bits in 0..=0x3f {
            let known = bits < 0x20 && [0, 1, 7].contains(&(bits >> 2));
            assert_eq!(SignerInfo(bits).check().is_ok(), known, "signer {bits:#x}");
        }
        assert!(SignerInfo(1 << 31).check().is_err());
    }

    #[test]
    fn a_signer_is_written_as_it_is_read() {
        for key in [SigningKey::Vcek, SigningKey::Vlek, SigningKey::None] {
            for (mask, author) in [(false, false), (false, true), (true, false), (true, true)] {
                let signer = SignerInfo::new(key, mask, author);
                let read = (signer.signing_key(), signer.mask_chip_key(), signer.author_key_en());
                assert_eq!(read, (key, mask, author));
                signer.check().unwrap();
            }
        }
    }
}
