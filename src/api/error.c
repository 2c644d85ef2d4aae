#include <hq/error.h>
#include <string.h>
#include "api/internal.h"

_Static_assert(HQ_ERROR_TEXT_MAX == ERROR_TEXT_MAX, "texts fit");
_Static_assert(
    (int)HQ_ERR_NOMEM == ERR_NOMEM && (int)HQ_ERR_SYSTEM == ERR_SYSTEM &&
        (int)HQ_ERR_PARSE == ERR_PARSE && (int)HQ_ERR_INVALID == ERR_INVALID &&
        (int)HQ_ERR_NOT_FOUND == ERR_NOT_FOUND && (int)HQ_ERR_EXISTS == ERR_EXISTS &&
        (int)HQ_ERR_CORRUPT == ERR_CORRUPT && (int)HQ_ERR_VERSION == ERR_VERSION &&
        (int)HQ_ERR_AUTH == ERR_AUTH && (int)HQ_ERR_CLOSED == ERR_CLOSED &&
        (int)HQ_ERR_TIMEOUT == ERR_TIMEOUT && (int)HQ_ERR_TOO_BIG == ERR_TOO_BIG &&
        (int)HQ_ERR_BUSY == ERR_BUSY && (int)HQ_ERR_UNSUPPORTED == ERR_UNSUPPORTED,
    "numbers of errors are those of the public header");

const char *hq_version(void)
{
    return HQ_VERSION;
}

int api_fail(struct hq_error *to, const struct error *from)
{
    if (to) {
        to->code = from->code;
        to->sys = from->sys;
        memcpy(to->text, from->text, sizeof to->text);
    }
    return from->code;
}

int api_result(int rc, struct hq_error *to, const struct error *from)
{
    return rc ? api_fail(to, from) : 0;
}
