/*
 * Sealwright: is this evidence genuine, and at what level?
 *
 * Verifies evidence of confidential computing of every kind that `sealwright verify` knows (Intel SGX and TDX, AMD SEV-SNP, Hygon CSV, TPM 2.0,
 * Azure's vTPMs, AWS Nitro, Arm CCA, NVIDIA GPUs), offline, at a time that the caller gives. C99 and C++; docs/c.md has a whole program.
 *
 *     char *message;
 *     sealwright_verdict *verdict;
 *     sealwright_request *request = sealwright_request_new(time_of_verification);
 *     if (sealwright_request_add_collateral(request, collateral, collateral_length, &message) == SEALWRIGHT_OK
 *         && sealwright_verify(request, quote, quote_length, &verdict, &message) == SEALWRIGHT_OK) {
 *         if (sealwright_verdict_accepted(verdict)) ...
 *         sealwright_verdict_free(verdict);
 *     } else {
 *         ... message ...
 *         sealwright_string_free(message);
 *     }
 *     sealwright_request_free(request);
 *
 * Results. A function that can fail returns a sealwright_result. SEALWRIGHT_OK of sealwright_verify means that there is a verdict, not that the
 * verdict is yes: a forged quote is a verdict, evidence whose collateral is missing is none. Whoever wants a yes asks sealwright_verdict_accepted.
 *
 * Messages. The last argument of such a function, `message`, is NULL or where a sentence for people is to be put. It is always written: NULL with
 * SEALWRIGHT_OK, and otherwise a string that the caller frees with sealwright_string_free; what was there before is not freed. It may quote what
 * came from outside: escape it before a terminal sees it. Programs decide by the result; messages may change.
 *
 * Ownership. What a function named `_new`, or an argument that is written, hands out belongs to the caller until it is given to the `_free` function
 * of its type, once. What is passed in is copied and may be freed when the call returns. Pointers that a verdict's functions return point into the
 * verdict and hold until it is freed. Nothing of this library may be given to free(), nor memory of another origin to this library.
 *
 * NULL. Every `_free` function takes NULL and does nothing. For other functions a NULL where none is allowed, the request or verdict itself included,
 * is SEALWRIGHT_NULL_ARGUMENT, or the answer that trusts nothing where they return no result. Pointers that are neither NULL nor what this page says
 * are undefined behaviour, as everywhere in C.
 *
 * Data is a pointer and a length in bytes, text is UTF-8 and ends with a NUL. No data at all (length 0) is refused with SEALWRIGHT_LENGTH wherever
 * data is wanted: it is usually a file that was not read.
 *
 * Threads. Nothing is kept from call to call but what requests and verdicts hold; there is nothing to initialise or to shut down. Different objects
 * may be used at the same time. One request may be used by several threads in sealwright_verify at once, and by one alone in everything else; a
 * verdict never changes and may be read by any number. Neither is bound to the thread that made it. The cryptography below keeps some hundred bytes
 * for a thread that used it until that thread ends, which is why dlclose() leaves the shared library where it is.
 *
 * What it does not do: no file, no network and no clock is read, and nothing is printed (but by Rust's own hook, should there ever be a
 * SEALWRIGHT_INTERNAL). No environment variable has a say in a verdict; the cryptography reads OPENSSL_ia32cap, to choose among instructions of the
 * processor. Nothing of the caller's is run, no signal is touched. Where memory is exhausted the process is aborted.
 */
#ifndef SEALWRIGHT_H
#define SEALWRIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A result that is not looked at is a mistake: the compiler says so where it can. */
#if defined(__GNUC__) || defined(__clang__)
#define SEALWRIGHT_MUST_USE __attribute__((warn_unused_result))
#else
#define SEALWRIGHT_MUST_USE
#endif

/* The version of this header; compare it with sealwright_version(). Before 1.0.0 any change of the second number may change the ABI. */
#define SEALWRIGHT_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Results ------------------------------------------------------------------------------------------------------------------------------- */

/* What came of a call. Numbers keep their meaning and new ones may be added: take any other than SEALWRIGHT_OK for a failure. */
typedef int32_t sealwright_result;

enum {
    /* It was done. */
    SEALWRIGHT_OK = 0,
    /* An argument is NULL that must not be. */
    SEALWRIGHT_NULL_ARGUMENT = 1,
    /* A length is 0, or beyond PTRDIFF_MAX. */
    SEALWRIGHT_LENGTH = 2,
    /* A text is no UTF-8. */
    SEALWRIGHT_NOT_UTF8 = 3,
    /* It is no collateral, is malformed, there is one already where evidence has one alone, or no evidence is verified with it. */
    SEALWRIGHT_NOT_COLLATERAL = 4,
    /* It is no TCB status, or `Revoked`, which nobody can ask for. */
    SEALWRIGHT_NOT_A_STATUS = 5,
    /* The evidence cannot be judged without something that was not given; the message names it. */
    SEALWRIGHT_MISSING = 6,
    /* Something was given that evidence of this kind is not verified with, such as a log for its registers: it must not seem to have been looked at. */
    SEALWRIGHT_UNUSED = 7,
    /* What was named to be trusted is not what this kind of evidence stands on. */
    SEALWRIGHT_NOT_A_ROOT = 8,
    /* The request cannot be judged for another reason. */
    SEALWRIGHT_UNUSABLE = 9,
    /* A fault of this library: please report it. What was being done was not done. */
    SEALWRIGHT_INTERNAL = 10
};

/* Frees a message. */
void sealwright_string_free(char *message);

/* The library's version, such as "0.1.0". Static: never freed. */
const char *sealwright_version(void);

/* ---- Requests ------------------------------------------------------------------------------------------------------------------------------ */

/*
 * How evidence is to be verified, and with what. May be used for any number of verifications.
 *
 * A setter that fails spoils its request: every sealwright_verify of it then returns the first such failure. So a root, a log or a demand that was
 * not taken can never be missing from a verification unnoticed.
 */
typedef struct sealwright_request sealwright_request;

/*
 * A request to verify at a point in time, in seconds since 1970-01-01T00:00:00Z (what time() returns): under the vendors' built-in roots, with
 * revocation lists, any TCB status but `Revoked` being good enough, and a Nitro document being at most 300 seconds old.
 * NULL only for a fault of this library.
 */
SEALWRIGHT_MUST_USE
sealwright_request *sealwright_request_new(uint64_t unix_time);

/* Frees a request. Verdicts that came of it stay. */
void sealwright_request_free(sealwright_request *request);

/*
 * Adds what one file of the vendor's holds, which is told from its bytes: Intel's or AMD's collateral (JSON), certificates (PEM, DER), a revocation
 * list (PEM, DER), a host's SEV-SNP certificate table, or Hygon's HSK and CEK. May be called several times. Nothing in it is believed before
 * evidence is verified with it.
 */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_add_collateral(
    sealwright_request *request, const void *data, size_t length, char **message);

/*
 * Adds a root to trust, under a name that verdicts will call it by (text). With one or more, the vendors' built-in roots are trusted no longer.
 * A root certificate in DER or PEM, or Hygon's HRK; for a TPM its attestation key (a public key in DER or PEM, or a public area), or the root of a
 * CA that certifies such keys; for Arm CCA a platform's key (JWK) or a store of them (JSON). TPMs and Arm CCA have no built-in root. Whether
 * the bytes are such a root depends on the evidence, so that sealwright_verify says so (SEALWRIGHT_NOT_A_ROOT).
 */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_add_root(
    sealwright_request *request, const char *name, const void *data, size_t length, char **message);

/* The event log that explains the evidence's registers. As for all that follow, a second call replaces what the first one gave. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_event_log(
    sealwright_request *request, const void *data, size_t length, char **message);

/* The kernel's IMA list, for a TPM's quote; for a trust domain's, beside its event log. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_ima(
    sealwright_request *request, const void *data, size_t length, char **message);

/* A canonical event log of what was measured behind the others, for a TPM's quote or a trust domain's: systemd's, or one in TLV, JSON or CBOR. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_cel(
    sealwright_request *request, const void *data, size_t length, char **message);

/* The signature of a TPM's quote (TPMT_SIGNATURE, or as `tpm2_quote -f plain` writes it). */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_signature(
    sealwright_request *request, const void *data, size_t length, char **message);

/* The PCRs of a TPM's quote, as tpm2-tools write them (binary or YAML). */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_pcrs(
    sealwright_request *request, const void *data, size_t length, char **message);

/* The attestation key of a TPM's quote, where several keys are named as roots; it must be one of them. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_key(
    sealwright_request *request, const void *data, size_t length, char **message);

/*
 * The vTPM's quote beside a report of Azure's paravisor (HCL): with its signature and PCRs (JSON, or as the crates az-*-vtpm keep it), or
 * TPMS_ATTEST, whose signature and PCRs are then set apart.
 */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_vtpm_quote(
    sealwright_request *request, const void *data, size_t length, char **message);

/* The trust domain's quote beside a report of Azure's paravisor (HCL) that is of TDX. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_td_quote(
    sealwright_request *request, const void *data, size_t length, char **message);

/* Believes a chain of AMD's without the revocation list of its root. A list that is among the collateral is checked all the same. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_allow_missing_amd_crl(sealwright_request *request, char **message);

/* How old a Nitro document may be, in seconds. There is no revocation: this alone bounds how long a stolen document is of use. */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_set_max_age(sealwright_request *request, uint64_t seconds, char **message);

/*
 * The worst TCB status that is good enough, in Intel's spelling; from best to worst `UpToDate`, `SWHardeningNeeded`, `ConfigurationNeeded`,
 * `ConfigurationAndSWHardeningNeeded`, `TDRelaunchAdvised`, `TDRelaunchAdvisedConfigurationNeeded`, `OutOfDate`, `OutOfDateConfigurationNeeded`.
 * Evidence whose vendor rates no security versions (all but Intel) is then not accepted.
 */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_request_require(sealwright_request *request, const char *status, char **message);

/* ---- Verification -------------------------------------------------------------------------------------------------------------------------- */

/* The answer about evidence. It never changes. */
typedef struct sealwright_verdict sealwright_verdict;

/*
 * The kind of evidence in words, such as "Intel quote", told from how it begins; NULL when it is of no kind. Bytes, or their text in hex, base64 or, of a certificate, PEM.
 * Nothing is verified. Static: never freed.
 */
const char *sealwright_kind(const void *evidence, size_t length);

/*
 * Verifies evidence: bytes, or their text in hex, base64 or, of a certificate, PEM. What is of no kind is refused by a verdict, as `not-evidence`.
 *
 * SEALWRIGHT_OK puts a verdict into `*verdict`, be it yes or no. Every other result puts NULL there, and says what is wrong with the request:
 * SEALWRIGHT_MISSING, SEALWRIGHT_UNUSED, SEALWRIGHT_NOT_A_ROOT, SEALWRIGHT_UNUSABLE; what a setter had refused; or an argument.
 *
 * What was passed in bounds the memory that it takes. The request is only read.
 */
SEALWRIGHT_MUST_USE
sealwright_result sealwright_verify(
    const sealwright_request *request, const void *evidence, size_t length, sealwright_verdict **verdict, char **message);

/* ---- Verdicts ------------------------------------------------------------------------------------------------------------------------------ */

/* Frees a verdict, and all that was read from it. */
void sealwright_verdict_free(sealwright_verdict *verdict);

/*
 * Whether the evidence is genuine at a status that is good enough. False for NULL. It says nothing of whose evidence it is: report data, and the
 * measurements in the document, are for the caller to compare.
 */
bool sealwright_verdict_accepted(const sealwright_verdict *verdict);

/* Whether the vendor, or a root that was named, vouches for the evidence, at whatever status. False for NULL. */
bool sealwright_verdict_genuine(const sealwright_verdict *verdict);

enum {
    /* No root that the evidence names is trusted, so that there is no telling. */
    SEALWRIGHT_SIMULATED_UNKNOWN = -1,
    /* The root is one of hardware, as far as whoever named it can be believed. */
    SEALWRIGHT_SIMULATED_NO = 0,
    /* The evidence comes from a simulator: it proves nothing about any hardware. */
    SEALWRIGHT_SIMULATED_YES = 1
};

/* Whether the evidence comes from a simulator: one of SEALWRIGHT_SIMULATED_*. Unknown for NULL. */
int32_t sealwright_verdict_simulated(const sealwright_verdict *verdict);

/* Why the evidence is not genuine, as a stable word such as "untrusted-root"; NULL when it is, and for NULL. */
const char *sealwright_verdict_reason_code(const sealwright_verdict *verdict);

/* The same for people, who must not see it unescaped: it may quote the evidence. */
const char *sealwright_verdict_reason(const sealwright_verdict *verdict);

/*
 * What the evidence was made to bind, as the TEE has it (64 bytes of an SGX or TDX quote; a TPM's nonce may be of any length), and its length in
 * bytes into `*length`. NULL and 0 where the evidence is not genuine, and for NULL; `length` may not be NULL, or NULL is all that is returned.
 * Compare it with what was asked for: evidence that does not bind your challenge may be somebody else's, or yesterday's.
 */
const uint8_t *sealwright_verdict_report_data(const sealwright_verdict *verdict, size_t *length);

/*
 * All there is to say, as the JSON document of `sealwright verify --json` (docs/cli.md, docs/formats.md): UTF-8, one line, ends with a NUL and has
 * none within. NULL for NULL.
 */
const char *sealwright_verdict_json(const sealwright_verdict *verdict);

#ifdef __cplusplus
}
#endif

#endif
