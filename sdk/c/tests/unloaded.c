/*
 * A program that loads the library as a plug-in would be, closes it in a thread that used it, and ends that thread: what the thread has to clean up
 * is still there. Its words: LIBRARY QUOTE COLLATERAL UNIXTIME.
 */
#define _POSIX_C_SOURCE 200809L
#include "sealwright.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char **words;

/* ISO C has no way from an object pointer to a function's; POSIX does. */
#define FIND(function, library)                                               \
    do {                                                                      \
        void *symbol = dlsym(library, #function);                             \
        if (symbol == NULL)                                                   \
            exit(2);                                                          \
        memcpy(&function##_, &symbol, sizeof symbol);                         \
    } while (0)

static size_t file(const char *path, unsigned char *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t length = file == NULL ? 0 : fread(bytes, 1, room, file);
    if (length == 0 || length == room)
        exit(3);
    fclose(file);
    return length;
}

static void *verify(void *unused)
{
    static unsigned char quote[1 << 16], collateral[1 << 20];
    size_t quote_length = file(words[2], quote, sizeof quote);
    size_t collateral_length = file(words[3], collateral, sizeof collateral);
    sealwright_request *(*sealwright_request_new_)(uint64_t);
    sealwright_result (*sealwright_request_add_collateral_)(sealwright_request *, const void *, size_t, char **);
    sealwright_result (*sealwright_verify_)(
        const sealwright_request *, const void *, size_t, sealwright_verdict **, char **);
    bool (*sealwright_verdict_accepted_)(const sealwright_verdict *);
    void (*sealwright_verdict_free_)(sealwright_verdict *);
    void (*sealwright_request_free_)(sealwright_request *);
    void *library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        exit(2);
    FIND(sealwright_request_new, library);
    FIND(sealwright_request_add_collateral, library);
    FIND(sealwright_verify, library);
    FIND(sealwright_verdict_accepted, library);
    FIND(sealwright_verdict_free, library);
    FIND(sealwright_request_free, library);

    sealwright_verdict *verdict;
    sealwright_request *request = sealwright_request_new_(strtoull(words[4], NULL, 10));
    if (sealwright_request_add_collateral_(request, collateral, collateral_length, NULL) != SEALWRIGHT_OK
        || sealwright_verify_(request, quote, quote_length, &verdict, NULL) != SEALWRIGHT_OK
        || !sealwright_verdict_accepted_(verdict))
        exit(1);
    sealwright_verdict_free_(verdict);
    sealwright_request_free_(request);
    dlclose(library);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    words = argv;
    return argc == 5 && pthread_create(&thread, NULL, verify, NULL) == 0 && pthread_join(thread, NULL) == 0 ? 0 : 1;
}
