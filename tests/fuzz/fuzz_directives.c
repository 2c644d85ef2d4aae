/* Scripts with #HQ lines, as `hq submit script.sh` reads them. */
#include "cli/cmds.h"
#include "submit/directives.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct directives d;
    struct error err = ERROR_INIT;
    int rc = directives_parse(&cmd_submit, "script.sh", data, size, &d, &err);
    HQ_ASSERT((rc != 0) == (err.text[0] != '\0'));
    if (rc)
        return 0;
    HQ_ASSERT(d.args && args_list(d.args, "resource").n <= d.words.n);
    directives_release(&d);
    return 0;
}
