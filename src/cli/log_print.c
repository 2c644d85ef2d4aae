#include "cli/log_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

/* The beginning of a line of one channel. */
struct open_line {
    struct outlog_entry e; /* of the block that it began in */
    struct buf text;       /* empty: free, or nothing is open */
};

/* A line longer than this is printed in parts, or those of them that match. */
#define LINE_MAX_BYTES ((size_t)1 << 20)

static int width_of(uint32_t v)
{
    char digits[16];
    return snprintf(digits, sizeof digits, "%u", v);
}

int log_printer_init(struct log_printer *p, struct output *out,
                     const struct log_source *s, struct error *err)
{
    *p = (struct log_printer){.out = out, .mark = "> ", .open = U64MAP_INIT};
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
        buf_release(&p->lines_open[i].text);
    free(p->lines_open);
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
    p->n_printed++;
}

void log_printer_line(struct log_printer *p, const struct outlog_entry *e,
                      const uint8_t *line, size_t n)
{
    print_data(p, e, line, n);
}

/* ---- lines ------------------------------------------------------------------------
 */

static void print_line(struct log_printer *p, const struct outlog_entry *e,
                       const uint8_t *line, size_t n)
{
    if (!p->match || log_match_line(p->match, line, n))
        print_data(p, e, line, n);
}

static void print_open(struct log_printer *p, struct open_line *l)
{
    if (l->text.len)
        print_line(p, &l->e, l->text.data, l->text.len);
    buf_clear(&l->text);
}

/* The two open lines of the task (one a channel); NULL: none yet, or no memory. */
static struct open_line *find_open(struct log_printer *p, const struct outlog_entry *e,
                                   bool make)
{
    uint64_t at, key = (uint64_t)e->key.job << 32 | e->key.task;
    if (u64map_get(&p->open, key, &at))
        return &p->lines_open[at];
    if (!make)
        return NULL;
    if (p->n_open + OUTLOG_N_CHANNELS > p->cap_open) {
        size_t cap = p->cap_open ? p->cap_open * 2 : 64;
        struct open_line *grown = realloc(p->lines_open, cap * sizeof *grown);
        if (!grown)
            return NULL;
        p->lines_open = grown;
        p->cap_open = cap;
    }
    if (u64map_set(&p->open, key, p->n_open) < 0)
        return NULL;
    struct open_line *l = &p->lines_open[p->n_open];
    for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++) {
        l[i] = (struct open_line){.e = *e};
        buf_init(&l[i].text, BUF_MAX_DEFAULT);
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
    struct open_line *l = find_open(p, e, true);
    if (!l)
        return error_nomem(err);
    l += channel_of(e);
    if (l->text.len == 0)
        l->e = *e;
    buf_append(&l->text, rest, n);
    if (l->text.failed)
        return error_nomem(err);
    if (l->text.len > LINE_MAX_BYTES) {
        size_t part = log_match_cut(p->match, l->text.data, l->text.len);
        print_line(p, &l->e, l->text.data, part);
        buf_consume(&l->text, part);
    }
    return 0;
}

static int print_lines(struct log_printer *p, const struct outlog_entry *e,
                       const uint8_t *data, size_t n, struct error *err)
{
    struct open_line *l = find_open(p, e, false);
    if (l && l->e.key.instance != e->key.instance)
        for (size_t i = 0; i < OUTLOG_N_CHANNELS; i++) {
            print_open(p, &l[i]); /* of a run that was given up */
            l[i].e = *e;
        }
    const uint8_t *end = data + n, *feed;
    if (l && (l += channel_of(e))->text.len && n) {
        feed = memchr(data, '\n', n);
        if (!feed)
            return keep_rest(p, e, data, n, err);
        buf_append(&l->text, data, (size_t)(feed - data));
        if (l->text.failed)
            return error_nomem(err);
        print_open(p, l);
        data = feed + 1;
    }
    while (data < end && (feed = memchr(data, '\n', (size_t)(end - data)))) {
        print_line(p, e, data, (size_t)(feed - data));
        data = feed + 1;
    }
    return data < end ? keep_rest(p, e, data, (size_t)(end - data), err) : 0;
}

/* The task has ended: so have its lines. */
static void print_task(struct log_printer *p, const struct outlog_entry *e)
{
    struct open_line *l = find_open(p, e, false);
    for (size_t i = 0; l && i < OUTLOG_N_CHANNELS; i++)
        print_open(p, &l[i]);
}

int log_printer_block(struct log_printer *p, const struct outlog_entry *e,
                      const uint8_t *data, size_t n, struct error *err)
{
    if (p->lines) {
        int rc = print_lines(p, e, data, n, err);
        if (rc == 0 && e->flags & OUTLOG_FLAG_END)
            print_task(p, e);
        return rc;
    }
    if (n)
        print_data(p, e, data, n);
    return 0;
}

void log_printer_finish(struct log_printer *p)
{
    for (size_t i = 0; i < p->n_open; i++) {
        print_open(p, &p->lines_open[i]);
        buf_release(&p->lines_open[i].text);
    }
    p->n_open = 0;
    u64map_release(&p->open);
    p->open = (struct u64map)U64MAP_INIT;
}
