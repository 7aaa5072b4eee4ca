"""The types of what evidence proves, as docs/formats.md describes it member by member.

At run time these are plain dictionaries. Bytes are lower-case hex (`bytes.fromhex`), times are RFC 3339 in UTC. What may be
absent is absent, not `None`. Later versions may add members.
"""

from typing import Dict, List, Literal, TypedDict

Demand = Literal[
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
]
"""The statuses that can be required. What a revoked platform signs cannot be believed."""

TcbStatus = Literal[Demand, "Revoked"]
"""What Intel says of a platform's security versions, from best to worst."""


class Anchor(TypedDict):
    """The root that vouches for the evidence."""

    name: str
    kind: Literal["vendor", "configured", "simulated", "enrolled"]
    sha256: str
    """Of its public key."""


class _Tcb(TypedDict):
    status: TcbStatus
    advisories: List[str]
    below_highest: List[str]
    date: str
    evaluation_number: int
    fmspc: str
    pce_id: str
    pce_svn: int
    cpu_svn: str
    platform_status: TcbStatus
    qe_status: TcbStatus


class Tcb(_Tcb, total=False):
    """How Intel judges the platform."""

    module_status: TcbStatus
    current_status: TcbStatus
    smt_enabled: bool
    dynamic_platform: bool
    cached_keys: bool


class RuntimeEvent(TypedDict):
    """What was measured after the boot, in words."""

    domain: str
    operation: str
    content: str


class CanonicalLog(TypedDict):
    """How far evidence covers a canonical event log."""

    records: int
    records_behind: int
    nv_records: int
    contradicted: List[int]


class _Log(TypedDict):
    present: bool
    enforced: List[str]
    unexplained: List[str]
    runtime: List[RuntimeEvent]


class Log(_Log, total=False):
    """The event log as held against the registers. Without one `present` is false."""

    events: int
    ima_lines: int
    contradicted: List[int]
    opaque_runtime: int
    events_behind: int
    ima_lines_behind: int
    ima_padded: List[str]
    cel: CanonicalLog


class _TdxClaims(TypedDict):
    mrtd: str
    rtmr0: str
    rtmr1: str
    rtmr2: str
    rtmr3: str
    mr_seam: str
    mr_signer_seam: str
    seam_attributes: str
    td_attributes: str
    xfam: str
    mr_config_id: str
    mr_owner: str
    mr_owner_config: str
    tee_tcb_svn: str
    debug: bool
    hgs_plus_prof: bool
    perf_prof: bool
    pmt_prof: bool
    icssd: bool
    servtd_ext: bool
    lass: bool
    sept_ve_disable: bool
    migratable: bool
    pks: bool
    kl: bool
    tpa: bool
    perfmon: bool
    body: Literal["td10", "td15", "td15ex"]


class TdxClaims(_TdxClaims, total=False):
    """A trust domain."""

    tee_tcb_svn2: str
    mr_service_td: str
    vm_id: int
    td_id: str
    dev_info: str
    init_service_td_hash: str
    init_service_td_attributes: str
    init_cpu_svn: str
    init_tee_tcb_svn: str
    init_tee_fmspc: str
    cur_service_td_hash: str
    cur_service_td_attributes: str


class SgxClaims(TypedDict):
    """An enclave."""

    mr_enclave: str
    mr_signer: str
    isv_prod_id: int
    isv_svn: int
    attributes: str
    init: bool
    debug: bool
    mode64bit: bool
    provision_key: bool
    einittoken_key: bool
    cet: bool
    kss: bool
    aex_notify: bool
    xfrm: str
    misc_select: str
    cpu_svn: str
    config_id: str
    config_svn: int
    isv_ext_prod_id: str
    isv_family_id: str


class _SnpTcb(TypedDict):
    boot_loader: int
    tee: int
    snp: int
    microcode: int


class SnpTcb(_SnpTcb, total=False):
    """Security versions of an AMD platform."""

    fmc: int


class SnpVersion(TypedDict):
    """A version of AMD's firmware."""

    major: int
    minor: int
    build: int


class SnpCpuid(TypedDict):
    """A model of processor."""

    family: int
    model: int
    stepping: int


class SnpPolicy(TypedDict):
    """What an SEV-SNP guest asked for at launch."""

    abi_major: int
    abi_minor: int
    smt: bool
    migrate_ma: bool
    debug: bool
    single_socket: bool
    cxl_allow: bool
    mem_aes_256_xts: bool
    rapl_dis: bool
    ciphertext_hiding_dram: bool
    page_swap_disable: bool


class SnpPlatform(TypedDict):
    """How an AMD platform is configured."""

    smt_en: bool
    tsme_en: bool
    ecc_en: bool
    rapl_dis: bool
    ciphertext_hiding_dram_en: bool
    alias_check_complete: bool
    tio_en: bool


class _SnpClaims(TypedDict):
    version: int
    product: str
    product_name: str
    guest_svn: int
    policy: SnpPolicy
    family_id: str
    image_id: str
    vmpl: int
    measurement: str
    host_data: str
    id_key_digest: str
    author_key_digest: str
    author_key_en: bool
    report_id: str
    report_id_ma: str
    signing_key: Literal["VCEK", "VLEK"]
    mask_chip_key: bool
    chip_id: str
    mask_chip_id: bool
    current_tcb: SnpTcb
    reported_tcb: SnpTcb
    committed_tcb: SnpTcb
    launch_tcb: SnpTcb
    current_version: SnpVersion
    committed_version: SnpVersion
    platform_info: SnpPlatform
    revocation_checked: bool


class SnpClaims(_SnpClaims, total=False):
    """An SEV-SNP guest."""

    cpuid: SnpCpuid
    hwid: str
    csp_id: str
    launch_mit_vector: int
    current_mit_vector: int


class CsvPolicy(TypedDict):
    """What a CSV guest asked for at launch."""

    nodbg: bool
    noks: bool
    es: bool
    nosend: bool
    domain: bool
    csv: bool
    csv3: bool
    asid_reuse: bool
    hsk_version: int
    cek_version: int
    api_major: int
    api_minor: int


class _CsvClaims(TypedDict):
    version: int
    measure: str
    user_pubkey_digest: str
    vm_id: str
    vm_version: str
    mnonce: str
    policy: CsvPolicy
    serial_number: str
    signer_mac: bool
    owner: Literal["none", "unverified", "verified"]
    pek_api: List[int]
    certificates_expire: bool
    certificates_revocable: bool


class CsvClaims(_CsvClaims, total=False):
    """A Hygon CSV guest."""

    anonce: str
    chip_id: str
    build: int
    rtmr_version: int
    rtmr0: str
    rtmr1: str
    rtmr2: str
    rtmr3: str
    rtmr4: str


class TpmAttributes(TypedDict):
    """What a TPM's attestation key may do."""

    fixed_tpm: bool
    st_clear: bool
    fixed_parent: bool
    sensitive_data_origin: bool
    user_with_auth: bool
    admin_with_policy: bool
    no_da: bool
    encrypted_duplication: bool
    restricted: bool
    decrypt: bool
    sign: bool
    x509_sign: bool


class _TpmPcrs(TypedDict, total=False):
    pcr0: str
    pcr1: str
    pcr2: str
    pcr3: str
    pcr4: str
    pcr5: str
    pcr6: str
    pcr7: str
    pcr8: str
    pcr9: str
    pcr10: str
    pcr11: str
    pcr12: str
    pcr13: str
    pcr14: str
    pcr15: str
    pcr16: str
    pcr17: str
    pcr18: str
    pcr19: str
    pcr20: str
    pcr21: str
    pcr22: str
    pcr23: str


class _TpmClaims(TypedDict):
    banks: Dict[str, Dict[str, str]]
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: str
    qualified_signer: str
    scheme: str
    hash: str
    ak_sha256: str
    ak_origin: str
    ak_revocation_checked: bool


class TpmClaims(_TpmClaims, _TpmPcrs, total=False):
    """A machine with a TPM. `pcr0` to `pcr23` are those of the bank SHA-256; `banks` has all."""

    ak_name: str
    ak_attributes: TpmAttributes
    ak_attributes_from: str


VmConfiguration = TypedDict(
    "VmConfiguration",
    {
        "console-enabled": bool,
        "interactive-console-enabled": bool,
        "root-cert-thumbprint": str,
        "secure-boot": bool,
        "tpm-enabled": bool,
        "tpm-persisted": bool,
        "filtered-vpci-devices-allowed": bool,
        "vmUniqueId": str,
    },
    total=False,
)
"""How Azure configured a guest."""


class AzVtpmClaims(TpmClaims):
    """A guest of Azure behind its vTPM."""

    hardware: "Facts"
    """What the report of the hardware below proves."""
    hcl_version: int
    vm_configuration: VmConfiguration
    user_data: str


class _NitroClaims(TypedDict):
    module_id: str
    timestamp: str


class NitroClaims(_NitroClaims, total=False):
    """A Nitro enclave. `pcr16` and above are there where the enclave locked them."""

    pcr0: str
    pcr1: str
    pcr2: str
    pcr3: str
    pcr4: str
    pcr5: str
    pcr6: str
    pcr7: str
    pcr8: str
    pcr9: str
    pcr10: str
    pcr11: str
    pcr12: str
    pcr13: str
    pcr14: str
    pcr15: str
    pcr16: str
    pcr17: str
    pcr18: str
    pcr19: str
    pcr20: str
    pcr21: str
    pcr22: str
    pcr23: str
    pcr24: str
    pcr25: str
    pcr26: str
    pcr27: str
    pcr28: str
    pcr29: str
    pcr30: str
    pcr31: str
    public_key: str
    user_data: str
    nonce: str


class _CcaComponent(TypedDict):
    measurement_value: str
    signer_id: str
    hash_algorithm: str


class CcaComponent(_CcaComponent, total=False):
    """A part of a platform's firmware."""

    component_type: str
    version: str


class _CcaClaims(TypedDict):
    rim: str
    rem0: str
    rem1: str
    rem2: str
    rem3: str
    personalization_value: str
    realm_hash_algorithm: str
    realm_public_key_sha256: str
    platform_profile: str
    implementation_id: str
    instance_id: str
    lifecycle: str
    lifecycle_number: int
    config: str
    platform_hash_algorithm: str
    software_components: List[CcaComponent]


class CcaClaims(_CcaClaims, total=False):
    """A realm of Arm CCA."""

    realm_profile: str
    mec_policy: str
    realm_instance_id: str
    verification_service: str
    manufacturing_config: str
    peer_signers: str


class _NvidiaClaims(TypedDict):
    driver_version: str
    vbios_version: str
    fwid: str
    device: str
    revocation_checked: bool
    device_nonce: str
    measurements: Dict[str, str]


class NvidiaClaims(_NvidiaClaims, total=False):
    """A GPU. The report's further fields are there too, as strings under their names."""

    measurement_count: Dict[str, int]
    nvdec0_status: str
    protected_pcie_status: str
    feature_flag: str


class _Facts(TypedDict):
    tee: Literal["sgx", "tdx", "snp", "csv", "tpm", "az-snp-vtpm", "az-tdx-vtpm", "cca", "nvidia", "nitro"]
    anchor: Anchor
    at: str
    collateral_expires: str
    report_data: str
    evidence_sha384: str
    trailing_bytes: int
    log: Log


_Azure = TypedDict("_Azure", {"az-snp-vtpm": AzVtpmClaims, "az-tdx-vtpm": AzVtpmClaims}, total=False)


class Facts(_Facts, _Azure, total=False):
    """What a root vouches for. The claims are under the name of their kind, which is `tee`."""

    tcb: Tcb
    """Absent where the vendor does not rate security versions: all but Intel."""
    debug: bool
    """Whether the host may look into the environment; absent where evidence cannot tell: a TPM's and a GPU's."""
    quote_version: int
    sgx: SgxClaims
    tdx: TdxClaims
    snp: SnpClaims
    csv: CsvClaims
    tpm: TpmClaims
    cca: CcaClaims
    nvidia: NvidiaClaims
    nitro: NitroClaims
