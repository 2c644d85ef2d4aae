#include "base/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int number_parse_i64(const char *text, int64_t min, int64_t max, int64_t *out,
                     struct error *err)
{
    const char *digits = text + (text[0] == '+' || (text[0] == '-' && min < 0));
    if (!*text)
        return error_set(err, ERR_PARSE, "cannot parse integer from empty string");
    if (!*digits || digits[strspn(digits, "0123456789")])
        return error_set(err, ERR_PARSE, "invalid digit found in string");
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno == ERANGE || v > max || v < min)
        return error_set(err, ERR_PARSE, "number too %s to fit in target type",
                         text[0] == '-' ? "small" : "large");
    *out = v;
    return 0;
}

int number_parse_double(const char *text, double *out, struct error *err)
{
    char *end;
    if (!*text)
        return error_set(err, ERR_PARSE, "cannot parse float from empty string");
    if (text[strspn(text, "+-.0123456789eE")])
        return error_set(err, ERR_PARSE, "invalid float literal");
    *out = strtod(text, &end);
    if (*end)
        return error_set(err, ERR_PARSE, "invalid float literal");
    return 0;
}
