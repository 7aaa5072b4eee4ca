//! A guest: what was measured and given when it was launched, and the reports that it asks for.

use super::{Platform, Status};
use crate::{Error, platform::random};
use sealwright_wire::snp::{
    AttestationReport, ECDSA_P384_SHA384, GuestPolicy, SignerInfo, SigningKey, VERSIONS, VMPL_HOST,
};
use std::{fmt, sync::Arc};
use zerocopy::FromZeros;

/// What is given at the launch of a guest (56860, sections "SNP_LAUNCH_START" and "SNP_LAUNCH_FINISH").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestConfig {
    /// POLICY.
    pub policy: GuestPolicy,
    /// GUEST_SVN of the ID block.
    pub guest_svn: u32,
    /// FAMILY_ID of the ID block.
    pub family_id: [u8; 16],
    /// IMAGE_ID of the ID block.
    pub image_id: [u8; 16],
    /// MEASUREMENT, computed elsewhere.
    pub measurement: [u8; 48],
    /// HOST_DATA.
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST; zero without an ID block.
    pub id_key_digest: [u8; 48],
    /// AUTHOR_KEY_DIGEST, where an author key certified the ID key.
    pub author_key_digest: Option<[u8; 48]>,
    /// REPORT_ID of the migration agent that is bound to the guest.
    pub report_id_ma: Option<[u8; 32]>,
    /// The VMPL at which whoever asks for reports runs: 0 to 3.
    pub vmpl: u8,
}

impl GuestConfig {
    /// A guest of this measurement without an ID block, at VMPL 0, whose policy allows SMT and nothing else.
    pub fn new(measurement: [u8; 48]) -> Self {
        Self {
            policy: GuestPolicy(GuestPolicy::RESERVED_ONE | 1 << 16),
            guest_svn: 0,
            family_id: [0; 16],
            image_id: [0; 16],
            measurement,
            host_data: [0; 32],
            id_key_digest: [0; 48],
            author_key_digest: None,
            report_id_ma: None,
            vmpl: 0,
        }
    }

    /// A report with all that stays as it is for the guest's whole life.
    fn to_report(&self) -> Result<AttestationReport, Error> {
        let mut report = AttestationReport::new_zeroed();
        report.guest_svn.set(self.guest_svn);
        report.policy.set(self.policy.0);
        report.family_id = self.family_id;
        report.image_id = self.image_id;
        report.vmpl.set(self.vmpl.into());
        report.signature_algo.set(ECDSA_P384_SHA384);
        report.signer_info.set(SignerInfo::new(SigningKey::None, false, self.author_key_digest.is_some()).0);
        report.measurement = self.measurement;
        report.host_data = self.host_data;
        report.id_key_digest = self.id_key_digest;
        report.author_key_digest = self.author_key_digest.unwrap_or([0; 48]);
        report.report_id = random()?;
        report.report_id_ma = self.report_id_ma.unwrap_or([0xff; 32]);
        Ok(report)
    }

    /// The launch is refused where the platform is not as the policy demands.
    fn check(&self, status: &Status) -> Result<(), Error> {
        let (policy, platform, version) = (self.policy, status.host.platform_info, status.current.version);
        let too_old = (policy.abi_major(), policy.abi_minor()) > (version.major, version.minor);
        for (refused, expected) in [
            (too_old, "an ABI up to that of the firmware"),
            (platform.smt_en() && !policy.smt(), "SMT allowed, which is on"),
            (policy.rapl_dis() && !platform.rapl_dis(), "RAPL allowed, which is on"),
            (
                policy.ciphertext_hiding_dram() && !platform.ciphertext_hiding_dram_en(),
                "no ciphertext hiding, which is off",
            ),
            (self.report_id_ma.is_some() && !policy.migrate_ma(), "a migration agent allowed, which is bound"),
        ] {
            if refused {
                return Err(Error::Config { field: "POLICY", expected, found: format!("{:#x}", policy.0) });
            }
        }
        Ok(())
    }
}

/// A guest that runs. Copies are handles to the same one.
#[derive(Clone)]
pub struct Guest {
    platform: Platform,
    launched: Arc<AttestationReport>,
}

impl Guest {
    pub(super) fn launch(platform: &Platform, config: &GuestConfig) -> Result<Self, Error> {
        let status = platform.status();
        config.check(&status)?;
        let mut launched = config.to_report()?;
        launched.version.set(*VERSIONS.end());
        launched.launch_tcb = status.current.tcb.encode(platform.vendor().product());
        launched.launch_mit_vector.set(status.current.mit_vector);
        launched.encode().map_err(Error::file("guest"))?;
        Ok(Self { platform: platform.clone(), launched: Arc::new(launched) })
    }

    /// The platform on which it runs.
    pub const fn platform(&self) -> &Platform {
        &self.platform
    }

    /// A report over 64 bytes of the guest's choice (MSG_REPORT_REQ), of version 2 to 5. The VLEK signs it where one is loaded, otherwise the
    /// VCEK; with MASK_CHIP_KEY nobody does.
    ///
    /// # Errors
    /// When the version is another or PLATFORM_INFO has a bit that is reserved, or the cryptographic library fails.
    pub fn report(&self, report_data: &[u8; 64], version: u32) -> Result<Vec<u8>, Error> {
        let mut report = *self.launched;
        report.version.set(version);
        report.report_data = *report_data;
        self.platform.sign(report)
    }

    /// The report that the host gets when it asks about this guest (SNP_HV_REPORT_REQ): signed as others are, but nothing in it is the guest's
    /// own word.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn host_report(&self, version: u32) -> Result<Vec<u8>, Error> {
        let mut report = *self.launched;
        report.version.set(version);
        report.vmpl.set(VMPL_HOST);
        self.platform.sign(report)
    }

    /// A report together with the certificates that the host hands out (SNP Extended Guest Request).
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn extended_report(&self, report_data: &[u8; 64], version: u32) -> Result<(Vec<u8>, Vec<u8>), Error> {
        Ok((self.report(report_data, version)?, self.platform.certificate_table()?))
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("platform", &self.platform).finish_non_exhaustive()
    }
}
