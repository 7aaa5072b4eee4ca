/* Every way to use the library wrongly that it promises to survive, and what it answers. Needs no files; prints the first answer that is wrong. */
#include "sealwright.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong;

#define HOLDS(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            wrong = 1;                                                        \
        }                                                                     \
    } while (0)

/* The result is the expected one, and has a message exactly when it is a failure. */
#define GIVES(expected, call)                                                 \
    do {                                                                      \
        char *message = (char *)"was not written";                            \
        sealwright_result result = (call);                                    \
        if (result != (expected) || (message == NULL) != (result == 0)) {     \
            fprintf(stderr, "%s:%d: %d (%s), not %d: %s\n", __FILE__,         \
                __LINE__, (int)result, message == NULL ? "" : message,        \
                (int)(expected), #call);                                      \
            wrong = 1;                                                        \
        } else {                                                              \
            sealwright_string_free(message);                                  \
        }                                                                     \
    } while (0)

/* Something that is no evidence and no collateral. */
static const char NOISE[] = "neither this nor that";

/* Begins as an SGX quote does, version 3. */
static const unsigned char QUOTE[] = { 3, 0, 2, 0, 0, 0, 0, 0 };

static const char NOT_UTF8[] = "\xff\xfe";

typedef sealwright_result setter(sealwright_request *, const void *, size_t, char **);

static setter *const SETTERS[] = {
    sealwright_request_set_event_log,
    sealwright_request_set_ima,
    sealwright_request_set_cel,
    sealwright_request_set_signature,
    sealwright_request_set_pcrs,
    sealwright_request_set_key,
    sealwright_request_set_vtpm_quote,
    sealwright_request_set_td_quote,
};

/* A request of which `fail` failed refuses to verify, with that failure. */
#define SPOILS(expected, call)                                                                                      \
    do {                                                                                                            \
        sealwright_request *request = sealwright_request_new(0);                                                    \
        sealwright_verdict *verdict = (sealwright_verdict *)&wrong;                                                 \
        GIVES(expected, call);                                                                                      \
        GIVES(expected, sealwright_verify(request, QUOTE, sizeof QUOTE, &verdict, &message));                       \
        HOLDS(verdict == NULL);                                                                                     \
        sealwright_request_free(request);                                                                           \
    } while (0)

static void null_and_nothing(void)
{
    sealwright_verdict *verdict;
    for (size_t i = 0; i < sizeof SETTERS / sizeof *SETTERS; i++) {
        GIVES(SEALWRIGHT_NULL_ARGUMENT, SETTERS[i](NULL, NOISE, sizeof NOISE, &message));
        SPOILS(SEALWRIGHT_NULL_ARGUMENT, SETTERS[i](request, NULL, 5, &message));
        SPOILS(SEALWRIGHT_NULL_ARGUMENT, SETTERS[i](request, NULL, 0, &message));
        SPOILS(SEALWRIGHT_LENGTH, SETTERS[i](request, NOISE, 0, &message));
        SPOILS(SEALWRIGHT_LENGTH, SETTERS[i](request, NOISE, SIZE_MAX, &message));
    }
    SPOILS(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_add_collateral(request, NULL, 5, &message));
    SPOILS(SEALWRIGHT_LENGTH, sealwright_request_add_collateral(request, NOISE, 0, &message));
    SPOILS(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_add_root(request, NULL, NOISE, 5, &message));
    SPOILS(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_add_root(request, "root", NULL, 5, &message));
    SPOILS(SEALWRIGHT_LENGTH, sealwright_request_add_root(request, "root", NOISE, 0, &message));
    SPOILS(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_require(request, NULL, &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_add_collateral(NULL, NOISE, 5, &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_add_root(NULL, "root", NOISE, 5, &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_require(NULL, "UpToDate", &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_allow_missing_amd_crl(NULL, &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_request_set_max_age(NULL, 1, &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_verify(NULL, QUOTE, sizeof QUOTE, &verdict, &message));
    HOLDS(verdict == NULL);

    sealwright_request *request = sealwright_request_new(0);
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_verify(request, QUOTE, sizeof QUOTE, NULL, &message));
    GIVES(SEALWRIGHT_NULL_ARGUMENT, sealwright_verify(request, NULL, 5, &verdict, &message));
    GIVES(SEALWRIGHT_LENGTH, sealwright_verify(request, QUOTE, 0, &verdict, &message));
    GIVES(SEALWRIGHT_LENGTH, sealwright_verify(request, QUOTE, SIZE_MAX, &verdict, &message));
    /* Nobody has to want a message. */
    HOLDS(sealwright_verify(request, NULL, 5, &verdict, NULL) == SEALWRIGHT_NULL_ARGUMENT && verdict == NULL);
    HOLDS(sealwright_request_set_max_age(request, UINT64_MAX, NULL) == SEALWRIGHT_OK);
    sealwright_request_free(request);

    size_t length = 1;
    HOLDS(!sealwright_verdict_accepted(NULL) && !sealwright_verdict_genuine(NULL));
    HOLDS(sealwright_verdict_simulated(NULL) == SEALWRIGHT_SIMULATED_UNKNOWN);
    HOLDS(sealwright_verdict_json(NULL) == NULL && sealwright_verdict_reason(NULL) == NULL);
    HOLDS(sealwright_verdict_reason_code(NULL) == NULL && sealwright_verdict_report_data(NULL, NULL) == NULL);
    HOLDS(sealwright_verdict_report_data(NULL, &length) == NULL && length == 0);
    HOLDS(sealwright_kind(NULL, 0) == NULL && sealwright_kind(NULL, 5) == NULL && sealwright_kind(NOISE, 0) == NULL);
    sealwright_string_free(NULL);
    sealwright_request_free(NULL);
    sealwright_verdict_free(NULL);
}

static void what_makes_no_sense(void)
{
    SPOILS(SEALWRIGHT_NOT_UTF8, sealwright_request_add_root(request, NOT_UTF8, NOISE, sizeof NOISE, &message));
    SPOILS(SEALWRIGHT_NOT_UTF8, sealwright_request_require(request, NOT_UTF8, &message));
    SPOILS(SEALWRIGHT_NOT_A_STATUS, sealwright_request_require(request, "uptodate", &message));
    SPOILS(SEALWRIGHT_NOT_A_STATUS, sealwright_request_require(request, "", &message));
    SPOILS(SEALWRIGHT_NOT_A_STATUS, sealwright_request_require(request, "Revoked", &message));
    SPOILS(SEALWRIGHT_NOT_COLLATERAL, sealwright_request_add_collateral(request, NOISE, sizeof NOISE, &message));
    SPOILS(SEALWRIGHT_NOT_COLLATERAL, sealwright_request_add_collateral(request, "{\"", 2, &message));
    SPOILS(SEALWRIGHT_NOT_COLLATERAL, sealwright_request_add_collateral(request, "-----BEGIN ", 11, &message));
    SPOILS(SEALWRIGHT_NOT_COLLATERAL, sealwright_request_add_collateral(request, NOT_UTF8, 2, &message));
}

static void what_is_missing(void)
{
    /* Begins as a TPM's quote does. */
    static const unsigned char TPM[] = { 0xff, 0x54, 0x43, 0x47, 0x80, 0x18 };
    /* As a report of SEV-SNP, by its version, its algorithm and its length. */
    static const unsigned char SNP[1184] = { [0] = 2, [0x34] = 1 };
    sealwright_verdict *verdict;
    sealwright_request *request = sealwright_request_new(1750414560);
    /* What is no evidence gets a verdict, without collateral. */
    GIVES(SEALWRIGHT_OK, sealwright_verify(request, QUOTE, sizeof QUOTE, &verdict, &message));
    HOLDS(verdict != NULL && !sealwright_verdict_genuine(verdict));
    sealwright_verdict_free(verdict);
    GIVES(SEALWRIGHT_OK, sealwright_verify(request, NOISE, sizeof NOISE, &verdict, &message));
    HOLDS(verdict != NULL && !sealwright_verdict_genuine(verdict));
    sealwright_verdict_free(verdict);
    GIVES(SEALWRIGHT_MISSING, sealwright_verify(request, TPM, sizeof TPM, &verdict, &message));
    HOLDS(verdict == NULL);
    GIVES(SEALWRIGHT_OK, sealwright_request_set_ima(request, NOISE, sizeof NOISE, &message));
    GIVES(SEALWRIGHT_OK, sealwright_request_set_cel(request, NOISE, sizeof NOISE, &message));
    GIVES(SEALWRIGHT_MISSING, sealwright_verify(request, QUOTE, sizeof QUOTE, &verdict, &message));
    GIVES(SEALWRIGHT_UNUSED, sealwright_verify(request, SNP, sizeof SNP, &verdict, &message));
    sealwright_request_free(request);
}

static void kinds(void)
{
    const char *kind = sealwright_kind(QUOTE, sizeof QUOTE);
    HOLDS(kind != NULL && strcmp(kind, "Intel quote") == 0);
    kind = sealwright_kind("0300020000000000", 16);
    HOLDS(kind != NULL && strcmp(kind, "Intel quote") == 0);
    HOLDS(sealwright_kind(NOISE, sizeof NOISE) == NULL);
    HOLDS(strcmp(sealwright_version(), SEALWRIGHT_VERSION) == 0);
}

int main(void)
{
    null_and_nothing();
    what_makes_no_sense();
    what_is_missing();
    kinds();
    return wrong;
}
