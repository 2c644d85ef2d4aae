#include "submit/fields.h"

#include <stdlib.h>
#include <string.h>
#include "base/number.h"
#include "base/text.h"
#include "base/xmem.h"

int weight_parse(const char *text, uint64_t *weight, struct error *err)
{
    double v = 0;
    int rc = number_parse_double(text, &v, err);
    if (rc)
        return rc;
    if (!(v > 0))
        return error_set(err, ERR_PARSE, "Resource weight has to be positive number");
    double scaled = v * (double)AMOUNT_ONE + 1e-6; /* further decimals are dropped */
    if (scaled > (double)UINT32_MAX)
        return error_set(err, ERR_PARSE, "Resource weight is too large");
    *weight = (uint64_t)scaled;
    return 0;
}

int stdio_parse(const char *text, struct stdio_spec *spec, struct error *err)
{
    static const char suffix[] = "rm-if-finished";
    *spec = (struct stdio_spec){.kind = STDIO_NONE};
    if (strcmp(text, "none") == 0)
        return 0;
    text += strspn(text, " \t");
    size_t len = strcspn(text, ":");
    if (!text[len] && len == 0)
        return error_set(err, ERR_PARSE, "expected 'none', a path or ':%s'", suffix);
    if (text[len] && strcmp(text + len + 1, suffix))
        return error_set(err, ERR_PARSE, "expected '%s' behind the colon", suffix);
    spec->rm_if_finished = text[len] == ':';
    spec->kind = len ? STDIO_FILE : STDIO_DEFAULT;
    spec->path = len ? strndup(text, len) : NULL;
    return len && !spec->path ? error_nomem(err) : 0;
}

int crash_limit_parse(const char *text, uint32_t *limit, struct error *err)
{
    *limit = CRASH_LIMIT_NEVER_RESTART;
    if (strcmp(text, "never-restart") == 0)
        return 0;
    *limit = CRASH_LIMIT_UNLIMITED;
    if (strcmp(text, "unlimited") == 0)
        return 0;
    int64_t v = 0;
    struct error why = ERROR_INIT;
    if (number_parse_i64(text, 0, UINT16_MAX, &v, &why))
        return error_set(err, ERR_PARSE,
                         "Invalid crash limit: ParseIntError { kind: %s }",
                         !*text                          ? "Empty"
                         : strstr(why.text, "too large") ? "PosOverflow"
                                                         : "InvalidDigit");
    if (v == 0)
        return error_set(err, ERR_PARSE,
                         "Crash limit cannot be 0. Use `never-restart` or "
                         "`unlimited` instead.");
    *limit = (uint32_t)v;
    return 0;
}

int output_limit_parse(const char *text, uint64_t *bytes, bool *keep_tail,
                       struct error *err)
{
    const char *how = strchr(text, ':');
    char *size = how ? xstrndup(text, (size_t)(how - text)) : xstrdup(text);
    int rc = text_parse_size(size, bytes, err);
    free(size);
    if (rc < 0)
        return rc;
    if (*bytes == 0)
        return error_set(err, ERR_PARSE,
                         "a limit of 0 keeps nothing; 'none' for --stdout and --stderr "
                         "says that");
    *keep_tail = how && strcmp(how, ":tail") == 0;
    if (how && !*keep_tail && strcmp(how, ":head") != 0)
        return error_set(err, ERR_PARSE, "'%s' is neither ':head' nor ':tail'", how);
    return 0;
}
