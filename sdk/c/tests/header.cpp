// The header in C++, where what it hands out has owners.
#include "sealwright.h"

#include <memory>

struct Free {
    void operator()(sealwright_request *request) const { sealwright_request_free(request); }
    void operator()(sealwright_verdict *verdict) const { sealwright_verdict_free(verdict); }
    void operator()(char *message) const { sealwright_string_free(message); }
};

int main()
{
    std::unique_ptr<sealwright_request, Free> request(sealwright_request_new(0));
    sealwright_verdict *verdict = nullptr;
    char *message = nullptr;
    sealwright_result result = sealwright_verify(request.get(), "x", 1, &verdict, &message);
    std::unique_ptr<sealwright_verdict, Free> judged(verdict);
    std::unique_ptr<char, Free> reason(message);
    return result == SEALWRIGHT_OK && judged && !reason && !sealwright_verdict_accepted(judged.get()) ? 0 : 1;
}
