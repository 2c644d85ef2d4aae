#include "fuzz_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_document(CONF_JSON, "f", data, n);
    fuzz_document(CONF_JSON, NULL, data, n);
    return 0;
}
