/*
 * What one real quote's verdict says, read through every function, and by several threads at once; and that nothing that was passed in is needed
 * after the call. Its words: QUOTE COLLATERAL UNIXTIME REPORT_DATA (hex).
 */
#define _POSIX_C_SOURCE 200809L
#include "sealwright.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                       \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

struct data {
    unsigned char *bytes;
    size_t length;
};

static struct data file(const char *path)
{
    struct data data;
    long length;
    FILE *file = fopen(path, "rb");
    MUST(file != NULL && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0);
    rewind(file);
    data.length = (size_t)length;
    MUST((data.bytes = malloc(data.length)) != NULL);
    MUST(fread(data.bytes, 1, data.length, file) == data.length);
    fclose(file);
    return data;
}

static struct data quote;
static const char *report_data;
static sealwright_request *request;

/* A copy that ends where the quote ends and is gone when the verdict is read, so that a sanitizer sees whoever looks beyond or afterwards. */
static sealwright_verdict *verdict_on(const unsigned char *bytes, size_t length)
{
    sealwright_verdict *verdict;
    char *message;
    unsigned char *copy = malloc(length);
    MUST(copy != NULL);
    memcpy(copy, bytes, length);
    MUST(sealwright_verify(request, copy, length, &verdict, &message) == SEALWRIGHT_OK);
    MUST(message == NULL && verdict != NULL);
    memset(copy, 0, length);
    free(copy);
    return verdict;
}

static void *yes(void *unused)
{
    char hex[2 * 64 + 1];
    size_t length;
    sealwright_verdict *verdict = verdict_on(quote.bytes, quote.length);
    const uint8_t *bound = sealwright_verdict_report_data(verdict, &length);
    MUST(sealwright_verdict_genuine(verdict) && sealwright_verdict_accepted(verdict));
    MUST(sealwright_verdict_simulated(verdict) == SEALWRIGHT_SIMULATED_NO);
    MUST(sealwright_verdict_reason(verdict) == NULL && sealwright_verdict_reason_code(verdict) == NULL);
    MUST(bound != NULL && length == 64);
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", bound[i]);
    MUST(strcmp(hex, report_data) == 0);
    MUST(strstr(sealwright_verdict_json(verdict), report_data) != NULL);
    MUST(sealwright_verdict_report_data(verdict, NULL) == NULL);
    sealwright_verdict_free(verdict);
    return unused;
}

static void no(void)
{
    size_t length = 1;
    sealwright_verdict *verdict;
    quote.bytes[100] ^= 1;
    verdict = verdict_on(quote.bytes, quote.length);
    quote.bytes[100] ^= 1;
    MUST(!sealwright_verdict_genuine(verdict) && !sealwright_verdict_accepted(verdict));
    MUST(strlen(sealwright_verdict_reason_code(verdict)) > 0 && strlen(sealwright_verdict_reason(verdict)) > 0);
    MUST(strstr(sealwright_verdict_json(verdict), sealwright_verdict_reason_code(verdict)) != NULL);
    MUST(sealwright_verdict_report_data(verdict, &length) == NULL && length == 0);
    sealwright_verdict_free(verdict);
}

/* A quote that ends anywhere has a verdict; before the end of its signature data, which zeros may follow, that is a no. */
static void cuts(void)
{
    for (size_t length = 1; length < quote.length; length += 97) {
        sealwright_verdict *verdict = verdict_on(quote.bytes, length);
        MUST(length > 1024 || !sealwright_verdict_genuine(verdict));
        sealwright_verdict_free(verdict);
    }
}

int main(int argc, char **argv)
{
    pthread_t threads[4];
    struct data collateral;
    char *message;

    MUST(argc == 5);
    quote = file(argv[1]);
    collateral = file(argv[2]);
    report_data = argv[4];
    request = sealwright_request_new(strtoull(argv[3], NULL, 10));
    MUST(sealwright_request_add_collateral(request, collateral.bytes, collateral.length, &message) == SEALWRIGHT_OK);
    memset(collateral.bytes, 0, collateral.length);
    free(collateral.bytes);

    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        MUST(pthread_create(&threads[i], NULL, yes, NULL) == 0);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    no();
    cuts();
    sealwright_request_free(request);
    free(quote.bytes);
    return 0;
}
