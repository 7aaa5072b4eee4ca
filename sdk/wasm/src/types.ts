/** A kind of evidence, in words. */
export type Kind =
  | "Intel quote"
  | "AMD SEV-SNP attestation report"
  | "Hygon CSV attestation report"
  | "TPM 2.0 quote (TPMS_ATTEST)"
  | "TPM evidence"
  | "TPM 2.0 quote with its signature and PCRs"
  | "evidence of an Azure guest behind its vTPM"
  | "report of Azure's paravisor (HCL)"
  | "AWS Nitro attestation document"
  | "Arm CCA attestation token"
  | "NVIDIA GPU attestation report"
  | "RA-TLS certificate"
  | "Intel SGX quote with the data that its enclave held";

/** Intel's ratings of a platform, from best to worst. */
export type TcbStatus =
  | "UpToDate"
  | "SWHardeningNeeded"
  | "ConfigurationNeeded"
  | "ConfigurationAndSWHardeningNeeded"
  | "TDRelaunchAdvised"
  | "TDRelaunchAdvisedConfigurationNeeded"
  | "OutOfDate"
  | "OutOfDateConfigurationNeeded"
  | "Revoked";

/** What to verify, and with what. A member that is not listed here is refused. */
export interface Request {
  /** The evidence: its bytes, or the same written as hex, base64 or, of a certificate, PEM. */
  evidence: Uint8Array;
  /** The point in time to verify at: a date, or whole seconds since 1970. Default: now. */
  at?: Date | number;
  /** What the vendor says beside it: each a file as its vendor hands it out. */
  collateral?: Uint8Array[];
  /** What to trust in place of the vendors' built-in roots, by the name that verdicts call it. */
  roots?: Record<string, Uint8Array>;
  /** The event log that explains the evidence's registers. */
  eventLog?: Uint8Array;
  /** The kernel's IMA list, for a TPM's quote; for a trust domain's, beside its event log. */
  ima?: Uint8Array;
  /** A canonical event log of what was measured behind the others, for a TPM's quote or a trust domain's: systemd's, or one in TLV, JSON or CBOR. */
  cel?: Uint8Array;
  /** The signature of a TPM's quote (TPMT_SIGNATURE, or as `tpm2_quote -f plain` writes it). */
  signature?: Uint8Array;
  /** The PCRs of a TPM's quote, as tpm2-tools write them. */
  pcrs?: Uint8Array;
  /** The attestation key of a TPM's quote, where several are named as roots. */
  key?: Uint8Array;
  /** The vTPM's quote beside an HCL report of Azure's: with its signature and PCRs, or TPMS_ATTEST with these given apart. */
  vtpmQuote?: Uint8Array;
  /** The trust domain's quote beside an HCL report of Azure's that is of TDX. */
  tdQuote?: Uint8Array;
  /** The worst status to accept. Evidence without a status is then not accepted. */
  require?: Exclude<TcbStatus, "Revoked">;
  /** Believe a chain of AMD's without the revocation list of its root. Default: false. */
  withoutCrl?: boolean;
  /** The most seconds since a Nitro document was made. Default: 300. */
  maxAge?: number;
}

/** The answer, of the shape of `sealwright verify --json`. */
export interface Verdict {
  /** Whether the vendor vouches for the evidence. */
  genuine: boolean;
  /** Whether it is genuine at a status that is good enough. */
  accepted: boolean;
  /** Whether it comes from a simulator; absent where no root that it names is trusted. */
  simulated?: boolean;
  /** What it proves, when it is genuine. */
  facts?: Facts;
  /** Why it is not believed, when it is not. */
  reason?: Reason;
}

/** Why evidence is not believed. */
export interface Reason {
  /** A stable word. */
  code: string;
  /** What the refusal is about. */
  claim: string;
  /** What would have been believed. */
  expected?: string;
  /** What was found. */
  actual?: string;
  /** The reason for people. */
  message: string;
  /** What to do about it. */
  remedy: string;
}

/** What evidence proves. Bytes are lower-case hex, times RFC 3339. The claims stand under the name of their kind. */
export interface Facts {
  tee: "tdx" | "sgx" | "snp" | "csv" | "tpm" | "az-snp-vtpm" | "az-tdx-vtpm" | "nitro" | "cca" | "nvidia";
  /** The root that vouches for all of this; `sha256` is the digest of its public key. */
  anchor: { name: string; kind: "vendor" | "configured" | "enrolled" | "simulated"; sha256: string };
  at: string;
  collateral_expires: string;
  /** How the vendor rates the platform; absent where it does not. */
  tcb?: Tcb;
  /** Whether the host may look into the environment; absent where evidence cannot tell: a TPM's and a GPU's. */
  debug?: boolean;
  /** The bytes of the environment's own choice. Whether they are what a challenge wanted is for the caller to compare. */
  report_data: string;
  evidence_sha384: string;
  quote_version?: number;
  trailing_bytes: number;
  tdx?: Claims;
  sgx?: Claims;
  snp?: Claims;
  csv?: Claims;
  tpm?: Claims;
  "az-snp-vtpm"?: Claims;
  "az-tdx-vtpm"?: Claims;
  nitro?: Claims;
  cca?: Claims;
  nvidia?: Claims;
  /** The log as held against the registers. */
  log: Log;
}

/** How Intel rates a platform. */
export interface Tcb {
  status: TcbStatus;
  advisories: string[];
  below_highest: string[];
  date: string;
  evaluation_number: number;
  fmspc: string;
  pce_id: string;
  pce_svn: number;
  cpu_svn: string;
  platform_status: TcbStatus;
  qe_status: TcbStatus;
  module_status?: TcbStatus;
  current_status?: TcbStatus;
  [member: string]: unknown;
}

/** Claims of one kind, each under its name. */
export interface Claims {
  [claim: string]: unknown;
}

/** A log as replayed. Without one, `present` is false and the lists are empty. */
export interface Log {
  present: boolean;
  enforced: string[];
  unexplained: string[];
  [member: string]: unknown;
}
