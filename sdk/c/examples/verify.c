/*
 * Verifies evidence as `sealwright verify --json` does, with the same words and the same exit codes: 0 yes, 1 no, 2 usage or a request that makes no
 * sense, 3 a file that cannot be read or is no collateral. Roots are called by their paths. docs/c.md says how to build it.
 */
#include "sealwright.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { YES = 0, NO = 1, USAGE = 2, FAILED = 3 };

static const char WORDS[] =
    "usage: verify EVIDENCE [--at UNIXTIME] [--collateral FILE]... [--anchor ROOT]... [--require STATUS]\n"
    "              [--event-log FILE] [--ima FILE] [--cel FILE] [--signature FILE] [--pcrs FILE] [--key FILE]\n"
    "              [--without-crl] [--max-age SECONDS]\n";

struct data {
    unsigned char *bytes;
    size_t length;
};

/* A whole file. False, and a line about it, when it cannot be read. */
static bool read_file(const char *path, struct data *data)
{
    FILE *file = fopen(path, "rb");
    size_t room = 0;
    data->bytes = NULL;
    data->length = 0;
    while (file != NULL && !feof(file) && !ferror(file)) {
        if (data->length == room) {
            unsigned char *more = realloc(data->bytes, room = room * 2 + 4096);
            if (more == NULL)
                break;
            data->bytes = more;
        }
        data->length += fread(data->bytes + data->length, 1, room - data->length, file);
    }
    bool whole = file != NULL && feof(file) && !ferror(file);
    if (file != NULL)
        fclose(file);
    if (!whole) {
        fprintf(stderr, "verify: %s cannot be read\n", path);
        free(data->bytes);
    }
    return whole;
}

static bool number(const char *word, uint64_t *value)
{
    char *end;
    *value = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == '\0';
}

/* Prints a message without what a terminal would obey, frees it, and says which exit code it is. */
static int failed(sealwright_result result, char *message)
{
    fputs("verify: ", stderr);
    for (const char *at = message; at != NULL && *at != '\0'; at++)
        fputc(*at >= ' ' && *at <= '~' ? *at : '?', stderr);
    fputc('\n', stderr);
    sealwright_string_free(message);
    switch (result) {
    case SEALWRIGHT_LENGTH:
    case SEALWRIGHT_NOT_COLLATERAL:
    case SEALWRIGHT_NOT_A_ROOT:
    case SEALWRIGHT_UNUSABLE:
    case SEALWRIGHT_INTERNAL:
        return FAILED;
    default:
        return USAGE;
    }
}

typedef sealwright_result setter(sealwright_request *, const void *, size_t, char **);

/* What an option that names a file sets; NULL where it names none. */
static setter *setter_of(const char *option)
{
    static const struct {
        const char *option;
        setter *set;
    } OPTIONS[] = {
        { "--collateral", sealwright_request_add_collateral },
        { "--event-log", sealwright_request_set_event_log },
        { "--ima", sealwright_request_set_ima },
        { "--cel", sealwright_request_set_cel },
        { "--signature", sealwright_request_set_signature },
        { "--pcrs", sealwright_request_set_pcrs },
        { "--key", sealwright_request_set_key },
        { "--vtpm-quote", sealwright_request_set_vtpm_quote },
        { "--td-quote", sealwright_request_set_td_quote },
    };
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
        if (strcmp(option, OPTIONS[i].option) == 0)
            return OPTIONS[i].set;
    return NULL;
}

/* Takes one option. The exit code, or YES to go on. */
static int take(sealwright_request *request, const char *option, const char *value)
{
    char *message = NULL;
    sealwright_result result;
    setter *set = setter_of(option);
    uint64_t seconds;

    if (set != NULL || strcmp(option, "--anchor") == 0) {
        struct data data;
        if (!read_file(value, &data))
            return FAILED;
        result = set != NULL ? set(request, data.bytes, data.length, &message)
                             : sealwright_request_add_root(request, value, data.bytes, data.length, &message);
        free(data.bytes); /* The request has its own copy. */
    } else if (strcmp(option, "--require") == 0) {
        result = sealwright_request_require(request, value, &message);
    } else if (strcmp(option, "--max-age") == 0 && number(value, &seconds)) {
        result = sealwright_request_set_max_age(request, seconds, &message);
    } else {
        fputs(WORDS, stderr);
        return USAGE;
    }
    return result == SEALWRIGHT_OK ? YES : failed(result, message);
}

static int judge(const sealwright_request *request, const char *path)
{
    struct data evidence;
    if (!read_file(path, &evidence))
        return FAILED;
    char *message;
    sealwright_verdict *verdict;
    sealwright_result result = sealwright_verify(request, evidence.bytes, evidence.length, &verdict, &message);
    free(evidence.bytes);
    if (result != SEALWRIGHT_OK)
        return failed(result, message);
    if (sealwright_verdict_simulated(verdict) == SEALWRIGHT_SIMULATED_YES)
        fputs("SIMULATED: this evidence comes from a simulator; it proves nothing about any hardware\n", stderr);
    /* A program that asked for this evidence compares sealwright_verdict_report_data with its challenge here. */
    bool accepted = sealwright_verdict_accepted(verdict);
    puts(sealwright_verdict_json(verdict));
    sealwright_verdict_free(verdict);
    return accepted ? YES : NO;
}

int main(int argc, char **argv)
{
    uint64_t at = (uint64_t)time(NULL);
    if (argc < 2 || argv[1][0] == '-') {
        fputs(WORDS, stderr);
        return USAGE;
    }
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], "--at") == 0 && !number(argv[i + 1], &at)) {
            fputs(WORDS, stderr);
            return USAGE;
        }

    sealwright_request *request = sealwright_request_new(at);
    int outcome = YES;
    for (int i = 2; i < argc && outcome == YES; i++) {
        if (strcmp(argv[i], "--without-crl") == 0) {
            char *message;
            sealwright_result result = sealwright_request_allow_missing_amd_crl(request, &message);
            outcome = result == SEALWRIGHT_OK ? YES : failed(result, message);
        } else if (i + 1 == argc) {
            fputs(WORDS, stderr);
            outcome = USAGE;
        } else if (strcmp(argv[i], "--at") == 0) {
            i++; /* Taken above: a request is made for a time. */
        } else {
            outcome = take(request, argv[i], argv[i + 1]);
            i++;
        }
    }
    if (outcome == YES)
        outcome = judge(request, argv[1]);
    sealwright_request_free(request);
    return outcome;
}
