#include "fuzz_submit.h"
#include "submit/workflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const sets[] = {"n=3", "name=%{x}"};
    const struct workflow_options options = {
        .submit_dir = "/nowhere", .sets = sets, .n_sets = n % 3};
    struct submit s;
    struct error err = ERROR_INIT;
    if (workflow_parse("f", data, n, &options, &s, &err) == 0)
        fuzz_submit(&s);
    else
        HQ_ASSERT(err.code < 0 && err.text[0] && s.n_groups == 0);
    return 0;
}
