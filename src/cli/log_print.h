/*
 * Output with job, task and channel in front, block by block or line by line. The
 * beginning of a line whose end is still to come is kept in memory or, when it is long,
 * in a file.
 */
#ifndef HQ_CLI_LOG_PRINT_H
#define HQ_CLI_LOG_PRINT_H

#include "base/u64map.h"
#include "cli/log_line.h"
#include "cli/log_match.h"
#include "cli/log_open.h"

struct log_printer {
    struct output *out;
    int job_width, task_width;     /* of the largest ids in the whole log */
    bool lines;                    /* each line has its own prefix */
    bool times;                    /* and the time of its block in front */
    const char *mark;              /* behind the channel: "> " or ":" */
    const struct log_match *match; /* lines only: those wanted, or NULL */
    struct buf prefix;             /* the last one, and of what: */
    struct outlog_entry prefix_of;
    struct u64map open; /* (job, task) to a line whose end is still to come */
    struct log_line *lines_open;
    size_t n_open, cap_open;
    struct log_spill spill;
};

/* Widths are taken from the log. */
int log_printer_init(struct log_printer *p, struct output *out,
                     const struct log_source *s, struct error *err) MUST_CHECK;
void log_printer_release(struct log_printer *p);
/* The output of a block. Blocks of a run come in their order. */
int log_printer_block(struct log_printer *p, const struct outlog_entry *e,
                      const uint8_t *data, size_t n, struct error *err) MUST_CHECK;
/* One line of the block, without its line feed. */
void log_printer_line(struct log_printer *p, const struct outlog_entry *e,
                      const uint8_t *line, size_t n);
/* A line that came in pieces, of which the long ones lie in the spill. */
int log_printer_pieces(struct log_printer *p, const struct log_line *l,
                       const struct log_spill *s, struct error *err) MUST_CHECK;
/* Lines that no line feed ended. */
int log_printer_finish(struct log_printer *p, struct error *err) MUST_CHECK;
/* "03.10:1> " */
void log_printer_prefix(struct log_printer *p, const struct outlog_entry *e);

#endif
