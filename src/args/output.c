#include "args/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/path.h"
#include "base/text.h"

#define FLUSH_AT ((size_t)64 * 1024)

static const char *const codes[] = {
    [COLOUR_NONE] = "",
    [COLOUR_BOLD] = "\x1b[1m",
    [COLOUR_RED] = "\x1b[31m",
    [COLOUR_GREEN] = "\x1b[32m",
    [COLOUR_YELLOW] = "\x1b[33m",
    [COLOUR_BLUE] = "\x1b[34m",
    [COLOUR_MAGENTA] = "\x1b[35m",
    [COLOUR_CYAN] = "\x1b[36m",
};

static bool wants_colour(const char *policy)
{
    if (strcmp(policy, "auto"))
        return strcmp(policy, "always") == 0;
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

void output_init(struct output *o, const char *mode, const char *colours)
{
    *o = (struct output){.text = BUF_INIT(BUF_MAX_DEFAULT)};
    o->mode = strcmp(mode, "json") == 0    ? OUTPUT_JSON
              : strcmp(mode, "quiet") == 0 ? OUTPUT_QUIET
                                           : OUTPUT_CLI;
    o->colour = o->mode != OUTPUT_JSON && wants_colour(colours);
    json_init(&o->json, &o->text, true, STDOUT_FILENO);
}

void output_release(struct output *o)
{
    buf_release(&o->text);
}

void output_flush(struct output *o)
{
    if (o->text.len && write_all(STDOUT_FILENO, o->text.data, o->text.len) && !o->sys)
        o->sys = errno;
    buf_clear(&o->text);
}

static void flush_if_full(struct output *o)
{
    if (o->text.len >= FLUSH_AT)
        output_flush(o);
}

void output_write(struct output *o, const void *p, size_t n)
{
    if (n >= FLUSH_AT) {
        output_flush(o);
        if (write_all(STDOUT_FILENO, p, n) && !o->sys)
            o->sys = errno;
        return;
    }
    buf_append(&o->text, p, n);
    flush_if_full(o);
}

void output_lossy(struct output *o, const void *p, size_t n)
{
    text_lossy(&o->text, p, n);
    flush_if_full(o);
}

void output_puts(struct output *o, const char *s)
{
    output_write(o, s, strlen(s));
}

void output_printf(struct output *o, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&o->text, fmt, args);
    va_end(args);
    flush_if_full(o);
}

const char *output_colour_on(const struct output *o, enum colour colour)
{
    return o->colour ? codes[colour] : "";
}

const char *output_colour_off(const struct output *o)
{
    return o->colour ? "\x1b[0m" : "";
}

void output_coloured(struct output *o, enum colour colour, const char *s)
{
    output_printf(o, "%s%s%s", output_colour_on(o, colour), s, output_colour_off(o));
}

struct json *output_json(struct output *o)
{
    HQ_ASSERT(o->mode == OUTPUT_JSON && !o->has_value);
    o->has_value = true;
    return &o->json;
}

void output_end_json(struct output *o)
{
    if (o->json.failed && !o->sys)
        o->sys = o->json.sys;
    output_puts(o, "\n");
}

void output_no_value(struct output *o)
{
    o->has_value = true;
}

int output_finish(struct output *o, struct error *err)
{
    if (o->mode == OUTPUT_JSON && !o->has_value)
        output_puts(o, "{}\n");
    output_flush(o);
    return o->sys ? error_errno(err, o->sys, "cannot write to standard output") : 0;
}

static void error_to_people(const struct error *err)
{
    struct buf line = BUF_INIT(BUF_MAX_DEFAULT);
    buf_printf(&line, "%s\n", err->text);
    if (write_all(STDERR_FILENO, line.data, line.len))
        errno = 0; /* nobody is left to be told */
    buf_release(&line);
}

void output_error(struct output *o, const struct error *err)
{
    if (o->mode == OUTPUT_JSON && !o->sys) {
        struct json j;
        json_init(&j, &o->text, true, -1);
        json_begin_object(&j);
        json_kstr(&j, "error", err->text);
        json_end_object(&j);
        output_puts(o, "\n");
        output_flush(o);
        if (!o->sys)
            return;
    } else if (o->mode != OUTPUT_JSON) {
        output_flush(o);
    }
    error_to_people(err);
}
