#include "fuzz_submit.h"
#include "submit/workflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct submit s;
    struct error err = ERROR_INIT;
    if (jobfile_parse("f", data, n, "/nowhere", n % 2, &s, &err) == 0)
        fuzz_submit(&s);
    else
        HQ_ASSERT(err.code < 0 && err.text[0] && s.n_groups == 0);
    return 0;
}
