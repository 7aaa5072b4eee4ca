//! A measured boot into the PCRs of a TPM (PC Client Platform Firmware Profile, "PCR Usage"): QEMU's direct boot through OVMF and the Linux
//! EFI stub, like that of a trust domain, with what is a TPM's own: the firmware itself is measured into PCR 0, and each
//! register ends with a separator.

use super::pcr::Pcrs;
use crate::{
    Error, ORGANISATION, boot,
    files::BootFiles,
    firmware::{self, kind},
    measured::Registers,
};
use sealwright_wire::tcg2::event_type as ev;

/// What PCR 0 starts with behind an H-CRTM.
pub(super) const HCRTM_LOCALITY: u8 = 4;

/// Boots `files` on a machine whose TPM was just started at `locality`.
pub(super) fn boot(pcrs: &mut Pcrs, files: &BootFiles, locality: u8) -> Result<(), Error> {
    boot::check_command_line(&files.command_line)?;
    if locality == HCRTM_LOCALITY {
        pcrs.measure(0, ev::EV_EFI_HCRTM_EVENT, &[&files.firmware], b"HCRTM")?;
    }
    firmware_itself(pcrs, &files.firmware)?;
    boot::secure_boot(pcrs)?;
    boot::acpi_files(pcrs, files)?;
    boot::boot_option(pcrs)?;
    boot::separators(pcrs, 0..7)?;
    boot::kernel_image(pcrs, &files.kernel)?;
    boot::kernel_stub(pcrs, files)
}

/// The firmware's version, which says that it is a simulation's, and its boot volume.
fn firmware_itself(pcrs: &mut Pcrs, image: &[u8]) -> Result<(), Error> {
    let sections = firmware::sections(image).map_err(Error::file("firmware"))?;
    let volume = firmware::only(&sections, kind::BFV, "BFV").map_err(Error::file("firmware"))?;
    pcrs.measure_data(0, ev::EV_S_CRTM_VERSION, &boot::utf16(ORGANISATION))?;
    pcrs.measure(0, ev::EV_EFI_PLATFORM_FIRMWARE_BLOB2, &[volume.data], &boot::firmware_blob(&volume))
}
