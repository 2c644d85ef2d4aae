/*
 * Where results go: standard output in one of three modes. Log lines and errors for
 * people go to standard error (base/log.h, output_error).
 *
 *   cli     tables and sentences
 *   json    exactly one pretty-printed value; "{}" when a command prints nothing
 *   quiet   minimal lines
 *
 * Text is gathered and written at the end or beyond 64 KiB; a reader that went away
 * ends the process by SIGPIPE, any other failed write makes output_finish fail.
 */
#ifndef HQ_ARGS_OUTPUT_H
#define HQ_ARGS_OUTPUT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

enum output_mode { OUTPUT_CLI, OUTPUT_JSON, OUTPUT_QUIET };

enum colour {
    COLOUR_NONE,
    COLOUR_BOLD,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_BLUE,
    COLOUR_MAGENTA,
    COLOUR_CYAN
};

struct output {
    enum output_mode mode;
    bool colour;     /* on standard output */
    bool has_value;  /* json mode: the value was printed, or is not wanted */
    struct buf text; /* not written yet */
    struct json json;
    int sys; /* errno of the first failed write */
};

/* `colours`: "auto", "always" or "never"; "auto" looks at the terminal and NO_COLOR. */
void output_init(struct output *o, const char *mode, const char *colours);
void output_release(struct output *o);

void output_puts(struct output *o, const char *s);
void output_write(struct output *o, const void *p, size_t n);
/* Bytes of any kind; what is no UTF-8 is replaced. */
void output_lossy(struct output *o, const void *p, size_t n);
void output_printf(struct output *o, const char *fmt, ...) PRINTF(2, 3);
/* The text in a colour, when colours are on. */
void output_coloured(struct output *o, enum colour colour, const char *s);
/* "\x1b[32m" or "" */
const char *output_colour_on(const struct output *o, enum colour colour);
const char *output_colour_off(const struct output *o);
/* Writes what was gathered, so that a program that reads along sees it. */
void output_flush(struct output *o);

/* json mode: the writer of the one value; call output_end_json behind it. */
struct json *output_json(struct output *o);
void output_end_json(struct output *o);
/* json mode: this command prints text of its own, no "{}" is wanted behind it. */
void output_no_value(struct output *o);

/* Ends the output of a command that went well. 0 or ERR_SYSTEM. */
int output_finish(struct output *o, struct error *err) MUST_CHECK;
/* Prints a run-time error as the mode wants it, behind what was printed already. What
 * standard output does not take goes to standard error. */
void output_error(struct output *o, const struct error *err);

#endif
