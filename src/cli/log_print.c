#include "cli/log_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

/* So much of a line is kept in memory: there is one a channel of each task. */
#define LINE_MEMORY ((size_t)1 << 20)

static int width_of(uint32_t v)
{
    char digits[16];
    return snprintf(digits, sizeof digits, "%u", v);
}

int log_printer_init(struct log_printer *p, struct output *out,
                     const struct log_source *s, struct error *err)
{
    *p = (struct log_printer){
        .out = out, .mark = "> ", .open = U64MAP_INIT, .spill = LOG_SPILL_INIT};
    buf_init(&p->prefix, BUF_MAX_DEFAULT);
    struct outlog_ids largest;
    int rc = outlog_reader_largest_ids(s->reader, &largest, err);
    if (rc < 0)
        return rc;
    p->job_width = width_of(largest.job);
    p->task_width = width_of(largest.task);
    return 0;
}

void log_printer_release(struct log_printer *p)
{
    for (size_t i = 0; i < p->n_open; i++)
        log_line_release(&p->lines_open[i]);
    free(p->lines_open);
    log_spill_release(&p->spill);
    u64map_release(&p->open);
    buf_release(&p->prefix);
}

static bool same_prefix(const struct log_printer *p, const struct outlog_entry *e)
{
    const struct outlog_entry *last = &p->prefix_of;
    return p->prefix.len && e->key.job == last->key.job &&
           e->key.task == last->key.task && e->type == last->type &&
           (!p->times || e->time_us == last->time_us);
}

static void make_prefix(struct log_printer *p, const struct outlog_entry *e)
{
    struct buf *b = &p->prefix;
    buf_clear(b);
    if (p->times) {
        time_print_rfc3339(e->time_us, b);
        buf_putc(b, ' ');
    }
    if (p->out->colour)
        buf_printf(b, "\x1b[%dm", 41 + (int)(e->key.task % 6));
    buf_printf(b, "%0*u.%0*u:%c%c", p->job_width, e->key.job, p->task_width,
               e->key.task, e->type == OUTLOG_BLOCK_STDERR ? '1' : '0', p->mark[0]);
    if (p->out->colour)
        buf_puts(b, "\x1b[0m");
    buf_puts(b, p->mark + 1);
    p->prefix_of = *e;
}

/* Many lines in a row have the same. */
void log_printer_prefix(struct log_printer *p, const struct outlog_entry *e)
{
    if (!same_prefix(p, e))
        make_prefix(p, e);
    output_write(p->out, p->prefix.data, p->prefix.len);
}

static void print_data(struct log_printer *p, const struct outlog_entry *e,
                       const uint8_t *data, size_t n)
{
    log_printer_prefix(p, e);
    output_lossy(p->out, data, n);
    if (n == 0 || data[n - 1] != '\n')
        output_puts(p->out, "\n");
}

void log_printer_line(struct log_printer *p, const struct outlog_entry *e,
                      const uint8_t *line, size_t n)
{
    print_data(p, e, line, n);
}

int log_printer_pieces(struct log_printer *p, const struct log_line *l,
                       const struct log_spill *s, struct error *err)
{
    log_printer_prefix(p, &l->e);
    return log_line_print(l, s, p->out, err);
}

/* ---- lines ------------------------------------------------------------------------
 */

static void print_line(struct log_printer *p, const struct outlog_entry *e,
                       const uint8_t *line, size_t n)
{
    if (!p->match || log_match_line(p->match, line, n))
        print_data(p, e, line, n);
}

static int print_open(struct log_printer *p, struct log_line *l, struct error *err)
{
    int rc = 0;
    if (log_line_is_open(l) && log_line_matches(l, p->match))
        rc = log_printer_pieces(p, l, &p->spill, err);
    log_line_clear(l, &p->spill);
    return rc;
}

/* The two open lines of the task (one a channel); NULL: none yet, or no memory. */
static struct log_line *find_open(struct log_printer *p, const struct outlog_entry *e,
                                  bool make)
{
    uint64_t at, key = (uint64_t)e->key.job << 32 | e->key.task;
    if (u64map_get(&p->open, key, &at))
        return &p->lines_open[at];
    if (!make)
        return NULL;
    if (p->n_open + OUTLOG_N_CHANNELS > p->cap_open) {
        size_t cap = p->cap_open ? p->cap_open * 2 : 64;
        struct log_line *grown = realloc(p->lines_open, cap * sizeof *grown);
        if (!grown)
            return NULL;
        p->lines_open = grown;
        p->cap_open = cap;
    }
    if (u64map_set(&p->open, key, p->n_open) < 0)
        return NULL;
    struct log_line *l = &p->lines_open[p->n_open];
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++) {
        log_line_init(&l[i]);
        l[i].e = *e;
    }
    p->n_open += OUTLOG_N_CHANNELS;
    return l;
}

static size_t channel_of(const struct outlog_entry *e)
{
    return e->type == OUTLOG_BLOCK_STDERR ? OUTLOG_STDERR : OUTLOG_STDOUT;
}

static int keep_rest(struct log_printer *p, const struct outlog_entry *e,
                     const uint8_t *rest, size_t n, struct error *err)
{
    struct log_line *l = find_open(p, e, true);
    if (!l)
        return error_nomem(err);
    l += channel_of(e);
    if (!log_line_is_open(l))
        l->e = *e;
    return log_line_add(l, p->match, &p->spill, LINE_MEMORY, rest, n, err);
}

/* The end of the open line, if it is there. *data goes behind it. */
static int end_open(struct log_printer *p, struct log_line *l,
                    const struct outlog_entry *e, const uint8_t **data,
                    const uint8_t *end, struct error *err)
{
    const uint8_t *feed = memchr(*data, '\n', (size_t)(end - *data));
    const uint8_t *from = *data;
    *data = feed ? feed + 1 : end;
    if (!feed)
        return keep_rest(p, e, from, (size_t)(end - from), err);
    int rc = log_line_add(l, p->match, &p->spill, LINE_MEMORY, from,
                          (size_t)(feed - from), err);
    return rc < 0 ? rc : print_open(p, l, err);
}

/* Prints what is open of the task. */
static int print_task(struct log_printer *p, struct log_line *l, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; l && i < OUTLOG_N_CHANNELS && rc == 0; i++)
        rc = print_open(p, &l[i], err);
    return rc;
}

static int print_lines(struct log_printer *p, const struct outlog_entry *e,
                       const uint8_t *data, size_t n, struct error *err)
{
    struct log_line *l = find_open(p, e, false);
    const uint8_t *end = data + n, *feed;
    int rc = 0;
    if (l && l->e.key.instance != e->key.instance) {
        rc = print_task(p, l, err); /* of a run that was given up */
        for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++)
            l[i].e = *e;
    }
    if (rc == 0 && l && n && log_line_is_open(l + channel_of(e)))
        rc = end_open(p, l + channel_of(e), e, &data, end, err);
    while (rc == 0 && data < end && (feed = memchr(data, '\n', (size_t)(end - data)))) {
        print_line(p, e, data, (size_t)(feed - data));
        data = feed + 1;
    }
    return rc == 0 && data < end ? keep_rest(p, e, data, (size_t)(end - data), err)
                                 : rc;
}

int log_printer_block(struct log_printer *p, const struct outlog_entry *e,
                      const uint8_t *data, size_t n, struct error *err)
{
    if (p->lines) {
        int rc = print_lines(p, e, data, n, err);
        /* A task that has ended ends its lines. */
        if (rc == 0 && e->flags & OUTLOG_FLAG_END)
            rc = print_task(p, find_open(p, e, false), err);
        return rc;
    }
    if (n)
        print_data(p, e, data, n);
    return 0;
}

int log_printer_finish(struct log_printer *p, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < p->n_open; i++) {
        if (rc == 0)
            rc = print_open(p, &p->lines_open[i], err);
        log_line_clear(&p->lines_open[i], &p->spill);
        log_line_release(&p->lines_open[i]);
    }
    p->n_open = 0;
    u64map_release(&p->open);
    p->open = (struct u64map)U64MAP_INIT;
    return rc;
}
