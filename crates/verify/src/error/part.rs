//! What errors are about.

use std::fmt;

/// A signed or dated part of evidence or collateral, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The vendor's root certificate.
    RootCa,
    /// The certificate of the CA that issued the PCK certificate.
    PckCa,
    /// The platform's certificate.
    Pck,
    /// The CA's certificate in the platform's chain, where it is another than the one that came with the collateral.
    ChainPckCa,
    /// The root's certificate in the platform's chain, where it is another than the one that came with the collateral.
    ChainRootCa,
    /// The certificate that signed TCB info.
    TcbSigner,
    /// The certificate that signed the QE identity.
    QeIdentitySigner,
    /// The root CA's revocation list.
    RootCrl,
    /// The PCK CA's revocation list.
    PckCrl,
    /// TCB info.
    TcbInfo,
    /// QE identity.
    QeIdentity,
    /// The identity of the quote verification enclave.
    QveIdentity,
    /// The quoting enclave's report.
    QeReport,
    /// The quote itself.
    Quote,
    /// The certificate of the CA that issued the VCEK's (ASK) or the VLEK's (ASVK) certificate.
    Ask,
    /// The certificate of the key that a chip of AMD's derives.
    Vcek,
    /// The certificate of the key that AMD gave to a cloud provider.
    Vlek,
    /// The attestation report of an SEV-SNP guest.
    Report,
    /// The root's certificate in the evidence.
    EvidenceRoot,
    /// A CA's certificate in the evidence.
    EvidenceCa,
    /// The certificate in the evidence whose key signed it.
    EvidenceLeaf,
    /// The revocation list of a CA whose certificate is in the evidence.
    EvidenceCrl,
    /// The attestation document of a Nitro enclave.
    NitroDocument,
    /// The attestation report of a GPU.
    GpuReport,
    /// A token of Arm CCA as a whole.
    CcaToken,
    /// The platform's part of a token of Arm CCA.
    CcaPlatformToken,
    /// The realm's part of a token of Arm CCA.
    CcaRealmToken,
    /// The enrolled key of a platform of Arm CCA.
    CcaPlatformKey,
    /// The quote of a TPM.
    TpmQuote,
    /// The values of a TPM's PCRs, in a file of their own.
    Pcrs,
    /// A TPM's attestation key: its public area, or its SubjectPublicKeyInfo.
    AttestationKey,
    /// The certificate of a TPM's attestation key.
    AkCertificate,
    /// A CA between that certificate and its root.
    AkCa,
    /// The root above it.
    AkRootCa,
    /// A revocation list of one of these CAs.
    AkCrl,
    /// The report of Azure's paravisor.
    HclReport,
    /// The claims that this report binds.
    RuntimeClaims,
    /// An RA-TLS certificate.
    RatlsCertificate,
    /// A JSON document with an SGX quote and the data that its enclave held.
    HeldData,
    /// The certificate of a root of CSV (HRK).
    Hrk,
    /// The certificate that a HRK signed (HSK).
    Hsk,
    /// The certificate of a CSV chip (CEK).
    Cek,
    /// The certificate of a CSV platform (PEK).
    Pek,
    /// The certificate of a CSV platform's owner (OCA).
    Oca,
    /// A CSV attestation report.
    CsvReport,
}

impl Part {
    /// The part's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RootCa => "root CA certificate",
            Self::PckCa => "PCK CA certificate",
            Self::Pck => "PCK certificate",
            Self::ChainPckCa => "PCK CA certificate in the platform's chain",
            Self::ChainRootCa => "root CA certificate in the platform's chain",
            Self::TcbSigner => "TCB info signing certificate",
            Self::QeIdentitySigner => "QE identity signing certificate",
            Self::RootCrl => "root CA CRL",
            Self::PckCrl => "PCK CRL",
            Self::TcbInfo => "TCB info",
            Self::QeIdentity => "QE identity",
            Self::QveIdentity => "QvE identity",
            Self::QeReport => "QE report",
            Self::Quote => "quote",
            Self::Ask => "ASK or ASVK certificate",
            Self::Vcek => "VCEK certificate",
            Self::Vlek => "VLEK certificate",
            Self::Report => "attestation report",
            Self::EvidenceRoot => "root certificate in the evidence",
            Self::EvidenceCa => "CA certificate in the evidence",
            Self::EvidenceLeaf => "signer's certificate in the evidence",
            Self::EvidenceCrl => "CRL of a CA in the evidence",
            Self::NitroDocument => "Nitro attestation document",
            Self::GpuReport => "GPU attestation report",
            Self::CcaToken => "CCA attestation token",
            Self::CcaPlatformToken => "CCA platform token",
            Self::CcaRealmToken => "CCA realm token",
            Self::CcaPlatformKey => "enrolled key of the CCA platform",
            Self::TpmQuote => "TPM quote",
            Self::Pcrs => "file of PCRs",
            Self::AttestationKey => "attestation key",
            Self::AkCertificate => "attestation key certificate",
            Self::AkCa => "attestation key CA certificate",
            Self::AkRootCa => "attestation key root CA certificate",
            Self::AkCrl => "attestation key CRL",
            Self::HclReport => "HCL report",
            Self::RuntimeClaims => "runtime claims",
            Self::RatlsCertificate => "RA-TLS certificate",
            Self::HeldData => "quote with held data",
            Self::Hrk => "HRK certificate",
            Self::Hsk => "HSK certificate",
            Self::Cek => "CEK certificate",
            Self::Pek => "PEK certificate",
            Self::Oca => "OCA certificate",
            Self::CsvReport => "CSV report",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Parts of one kind are found wrong for the same reasons, and put right in the same ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// A quote, or what it is made of.
    Quote,
    /// An SEV-SNP guest's report.
    SnpReport,
    /// A CSV guest's report.
    CsvReport,
    /// Evidence that brings its own chain along.
    Document,
    /// A certificate of that chain.
    DocumentChain,
    /// A certificate of the chain that comes with a quote.
    PckChain,
    /// The certificate of the key that signs an SEV-SNP guest's report.
    Vek,
    /// A certificate above a TPM's attestation key.
    AkChain,
    /// A certificate of a CSV chain.
    CsvChain,
    /// What the verifier's owner was told of a platform.
    Enrolment,
    /// What a vendor publishes.
    Collateral,
}

impl Part {
    pub(super) const fn family(self) -> Family {
        match self {
            Self::Quote
            | Self::TpmQuote
            | Self::Pcrs
            | Self::AttestationKey
            | Self::HclReport
            | Self::RuntimeClaims => Family::Quote,
            Self::Report => Family::SnpReport,
            Self::CsvReport => Family::CsvReport,
            Self::NitroDocument
            | Self::GpuReport
            | Self::CcaToken
            | Self::CcaPlatformToken
            | Self::CcaRealmToken
            | Self::RatlsCertificate
            | Self::HeldData => Family::Document,
            Self::EvidenceRoot | Self::EvidenceCa | Self::EvidenceLeaf => Family::DocumentChain,
            Self::Pck | Self::ChainPckCa | Self::ChainRootCa => Family::PckChain,
            Self::Vcek | Self::Vlek => Family::Vek,
            Self::AkCertificate | Self::AkCa | Self::AkRootCa => Family::AkChain,
            Self::Hrk | Self::Hsk | Self::Cek | Self::Pek | Self::Oca => Family::CsvChain,
            Self::CcaPlatformKey => Family::Enrolment,
            Self::RootCa
            | Self::PckCa
            | Self::TcbSigner
            | Self::QeIdentitySigner
            | Self::RootCrl
            | Self::PckCrl
            | Self::TcbInfo
            | Self::QeIdentity
            | Self::QveIdentity
            | Self::QeReport
            | Self::Ask
            | Self::EvidenceCrl
            | Self::AkCrl => Family::Collateral,
        }
    }
}
