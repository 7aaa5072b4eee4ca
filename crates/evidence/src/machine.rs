//! What this machine has of the things that confidential computing needs: data for `sealwright doctor`, nothing printed.
//!
//! Nothing is opened that opening could disturb (a TPM admits one user at a time): devices are looked at, small text files read.

use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A machine as far as confidential computing is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The kernel's release, when it says.
    pub kernel: Option<String>,
    /// What was looked for, in a fixed order.
    pub findings: Vec<Finding>,
}

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// Which group of things it belongs to.
    pub group: Group,
    /// Where it was looked for.
    pub path: PathBuf,
    /// Whether it is there.
    pub present: bool,
    /// More about what is there: a version, a list, permissions.
    pub detail: Option<String>,
    /// What it is needed for.
    pub needed_for: &'static str,
    /// What to do about its absence.
    pub remedy: &'static str,
}

/// Groups of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Devices and files that a TEE's guest driver makes.
    Tee,
    /// Trusted platform modules.
    Tpm,
    /// Measured boot's logs.
    EventLog,
    /// What the kernel offers to run workloads.
    Host,
}

/// What to look for: everything but what the look itself finds out.
struct Wanted {
    what: &'static str,
    group: Group,
    path: &'static str,
    needed_for: &'static str,
    remedy: &'static str,
}

const fn wanted(
    group: Group,
    what: &'static str,
    path: &'static str,
    needed_for: &'static str,
    remedy: &'static str,
) -> Wanted {
    Wanted { what, group, path, needed_for, remedy }
}

const NOT_A_TDX_GUEST: &str = "run inside a TDX guest, or use the simulator of one: sealwright sim boot";
/// The simulator has none of these.
const NOT_A_GUEST: &str = "run inside a confidential guest of this kind";

const WANTED: [Wanted; 16] = [
    wanted(Group::Tee, "TDX guest device", "dev/tdx_guest", "TDX reports and runtime registers", NOT_A_TDX_GUEST),
    wanted(
        Group::Tee,
        "TDX guest device, TDX 1.0 name",
        "dev/tdx-guest",
        "reports on kernels before 6.2",
        "use a kernel from 6.2 on, which has /dev/tdx_guest",
    ),
    wanted(Group::Tee, "SEV-SNP guest device", "dev/sev-guest", "SEV-SNP reports", NOT_A_GUEST),
    wanted(Group::Tee, "SGX enclave device", "dev/sgx_enclave", "SGX enclaves", "enable SGX in the firmware's setup"),
    wanted(Group::Tee, "Hygon CSV guest device", "dev/csv-guest", "CSV reports", NOT_A_GUEST),
    wanted(
        Group::Tee,
        "configfs-tsm",
        "sys/kernel/config/tsm/report",
        "quotes without device ioctls",
        "mount -t configfs none /sys/kernel/config, in a guest with Linux 6.7 or later",
    ),
    wanted(
        Group::Tee,
        "TDX measurement registers",
        "sys/devices/virtual/misc/tdx_guest/measurements",
        "extending RTMR3",
        "use Linux 6.16 or later in a TDX guest",
    ),
    wanted(
        Group::EventLog,
        "confidential computing event log",
        "sys/firmware/acpi/tables/data/CCEL",
        "explaining RTMR0 to RTMR2",
        "boot with a firmware that measures (TDVF), inside a TDX guest",
    ),
    wanted(
        Group::EventLog,
        "TPM event log",
        "sys/kernel/security/tpm0/binary_bios_measurements",
        "explaining PCR 0 to 9",
        "mount securityfs; the firmware must hand the log over",
    ),
    wanted(
        Group::EventLog,
        "IMA measurement list",
        "sys/kernel/security/integrity/ima/ascii_runtime_measurements",
        "explaining what ran after boot",
        "mount securityfs and boot with an ima_policy",
    ),
    wanted(Group::Tpm, "TPM with resource manager", "dev/tpmrm0", "TPM quotes", "give the guest a vTPM"),
    wanted(Group::Tpm, "TPM", "dev/tpm0", "TPM quotes", "give the guest a vTPM"),
    wanted(Group::Host, "KVM", "dev/kvm", "starting confidential guests from here", "enable virtualisation"),
    wanted(Group::Host, "FUSE", "dev/fuse", "encrypted file trees, the simulator's kernel files", "modprobe fuse"),
    wanted(
        Group::Host,
        "cgroup v2",
        "sys/fs/cgroup/cgroup.controllers",
        "limits on workloads and on policy evaluation",
        "boot with the unified cgroup hierarchy",
    ),
    wanted(
        Group::Host,
        "user namespaces",
        "proc/self/ns/user",
        "running workloads without root",
        "build the kernel with CONFIG_USER_NS",
    ),
];

impl Machine {
    /// Looks at the machine that this process runs on.
    pub fn look() -> Self {
        Self::look_under(Path::new("/"))
    }

    /// Looks at the machine whose root directory is `root`.
    pub fn look_under(root: &Path) -> Self {
        Self {
            kernel: first_line(&root.join("proc/sys/kernel/osrelease")),
            findings: WANTED.iter().map(|wanted| find(root, wanted)).collect(),
        }
    }

    /// Whether something in this group is there.
    pub fn has(&self, group: Group) -> bool {
        self.findings.iter().any(|finding| finding.group == group && finding.present)
    }
}

fn find(root: &Path, wanted: &Wanted) -> Finding {
    let path = root.join(wanted.path);
    let metadata = fs::metadata(&path).ok();
    Finding {
        what: wanted.what,
        group: wanted.group,
        present: metadata.is_some(),
        detail: metadata.and_then(|metadata| detail(&path, wanted, &metadata)),
        path: Path::new("/").join(wanted.path),
        needed_for: wanted.needed_for,
        remedy: wanted.remedy,
    }
}

/// The list of controllers for cgroups, the size of a log, the permissions of a device.
fn detail(path: &Path, wanted: &Wanted, metadata: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    if metadata.file_type().is_char_device() {
        return Some(format!("mode {:04o}, owner {}", metadata.mode() & 0o7777, metadata.uid()));
    }
    match wanted.group {
        Group::EventLog if metadata.len() > 0 => Some(format!("{} bytes", metadata.len())),
        Group::Host if metadata.is_file() => first_line(path),
        Group::Host | Group::EventLog | Group::Tee | Group::Tpm => None,
    }
}

fn first_line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_machine_lacks_everything_and_says_what_to_do() {
        let machine = Machine::look_under(tempfile::tempdir().unwrap().path());
        assert_eq!(machine.kernel, None);
        assert!(machine.findings.iter().all(|finding| !finding.present && !finding.remedy.is_empty()));
        assert!(!machine.has(Group::Tee));
    }

    #[test]
    fn nobody_is_sent_to_a_simulator_of_another_tee() {
        let sent = WANTED.iter().filter(|wanted| wanted.remedy.contains("simulat"));
        assert!(sent.clone().count() == 1 && sent.clone().all(|wanted| wanted.what.contains("TDX")));
    }

    #[test]
    fn what_is_there_is_found_with_its_details() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/osrelease", "6.16.1-test\n");
        put("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        put("sys/firmware/acpi/tables/data/CCEL", "0123456789");
        put("sys/kernel/config/tsm/report/.keep", "");
        let machine = Machine::look_under(root.path());
        let detail = |what| {
            let finding = machine.findings.iter().find(|finding| finding.what == what).unwrap();
            assert!(finding.present, "{what}");
            finding.detail.clone()
        };
        assert_eq!(machine.kernel.as_deref(), Some("6.16.1-test"));
        assert_eq!(detail("cgroup v2").as_deref(), Some("cpu memory pids"));
        assert_eq!(detail("confidential computing event log").as_deref(), Some("10 bytes"));
        assert_eq!(detail("configfs-tsm"), None);
        assert!(machine.has(Group::Tee) && !machine.has(Group::Tpm));
    }

    #[test]
    fn the_real_machine_is_looked_at_without_failing() {
        let json = serde_json::to_value(Machine::look()).unwrap();
        assert_eq!(json["findings"].as_array().unwrap().len(), WANTED.len());
    }
}
