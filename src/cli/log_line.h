/*
 * A line that comes in pieces. The beginning of a long one lies in a file, so that it
 * can be printed as one line and takes little memory, whatever its length.
 */
#ifndef HQ_CLI_LOG_LINE_H
#define HQ_CLI_LOG_LINE_H

#include "args/output.h"
#include "cli/log_match.h"
#include "outlog/reader.h"

/* Where long lines are kept: one file without a name in $TMPDIR, made when needed. */
struct log_spill {
    int fd;         /* -1: none yet */
    uint64_t end;   /* of what lies in it */
    size_t n_lines; /* that have something in it */
};
#define LOG_SPILL_INIT \
    {                  \
        .fd = -1       \
    }
void log_spill_release(struct log_spill *s);

struct log_line {
    struct outlog_entry e; /* of the block that it began in */
    struct buf text;       /* its end */
    struct buf pieces;     /* where what comes before lies in the file */
    uint64_t n_before;     /* bytes of that, kept or not */
    bool found;            /* what is looked for is in there */
};

void log_line_init(struct log_line *l);
void log_line_release(struct log_line *l);
static inline bool log_line_is_open(const struct log_line *l)
{
    return l->text.len > 0 || l->n_before > 0;
}
/*
 * More of the line, of which text of about `max` bytes stays in memory. Without a match
 * all lines are wanted; without a spill, what is not in memory any more is not kept.
 */
int log_line_add(struct log_line *l, const struct log_match *m, struct log_spill *s,
                 size_t max, const uint8_t *p, size_t n, struct error *err) MUST_CHECK;
/* Whether the line, which has ended, is wanted. */
bool log_line_matches(const struct log_line *l, const struct log_match *m);
/* The line as UTF-8, with a line feed. */
int log_line_print(const struct log_line *l, const struct log_spill *s,
                   struct output *out, struct error *err) MUST_CHECK;
/* There is no line any more. */
void log_line_clear(struct log_line *l, struct log_spill *s);

#endif
