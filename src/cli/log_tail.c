/* `hq log X tail`: the last lines of each channel of each task. */
#include "cli/log_cmd.h"

#include <string.h>
#include "cli/log_follow.h"
#include "cli/log_print.h"

struct tail {
    struct log_source s;
    struct log_choice choice;
    struct log_printer printer;
    uint32_t n_lines;
};

static int read_block(struct tail *t, const struct outlog_ref *ref,
                      const uint8_t **data, size_t *n, struct error *err)
{
    int rc = outlog_read_block(t->s.reader, ref, data, n);
    if (rc == ERR_CORRUPT) {
        static const uint8_t nothing[1];
        *data = nothing; /* told already */
        *n = 0;
        return 0;
    }
    return rc < 0 ? error_nomem(err) : 0;
}

static uint64_t count_feeds(const uint8_t *p, size_t n)
{
    uint64_t count = 0;
    for (const uint8_t *end = p + n;
         p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
        count++;
    return count;
}

/* The bytes from behind the `skip`-th line feed on. */
static const uint8_t *skip_lines(const uint8_t *p, size_t n, uint64_t *skip)
{
    const uint8_t *end = p + n;
    while (p<end && * skip> 0) {
        const uint8_t *feed = memchr(p, '\n', (size_t)(end - p));
        if (!feed)
            return end;
        p = feed + 1;
        (*skip)--;
    }
    return p;
}

/* Reads backwards until there are lines enough, then prints forwards. */
static int tail_channel(struct tail *t, const struct outlog_run *run, uint8_t type,
                        struct error *err)
{
    uint64_t lines = 0;
    size_t first = run->n_refs, n;
    bool last = true;
    const uint8_t *data;
    while (first > 0 && lines <= t->n_lines) {
        const struct outlog_ref *ref = &run->refs[--first];
        if (ref->e.type != type || !log_choice_has_block(&t->choice, &ref->e))
            continue;
        int rc = read_block(t, ref, &data, &n, err);
        if (rc < 0)
            return rc;
        if (last && n > 0) {
            lines += data[n - 1] != '\n';
            last = false;
        }
        lines += count_feeds(data, n);
    }
    uint64_t skip = lines > t->n_lines ? lines - t->n_lines : 0;
    for (size_t i = first; i < run->n_refs; i++) {
        const struct outlog_ref *ref = &run->refs[i];
        if (ref->e.type != type || !log_choice_has_block(&t->choice, &ref->e))
            continue;
        int rc = read_block(t, ref, &data, &n, err);
        if (rc == 0) {
            const uint8_t *from = skip_lines(data, n, &skip);
            size_t left = n - (size_t)(from - data);
            rc = log_printer_block(&t->printer, &ref->e, from, left, err);
        }
        if (rc < 0)
            return rc;
    }
    return log_printer_finish(&t->printer, err);
}

static int tail_run(void *arg, const struct outlog_run *run, struct error *err)
{
    int rc = tail_channel(arg, run, OUTLOG_BLOCK_STDOUT, err);
    return rc < 0 ? rc : tail_channel(arg, run, OUTLOG_BLOCK_STDERR, err);
}

static int print_new(void *arg, const struct outlog_entry *e, const uint8_t *data,
                     size_t n, struct error *err)
{
    struct tail *t = arg;
    return log_printer_block(&t->printer, e, data, n, err);
}

/* The ends of what is there now, then what comes. */
static int tail_follow(struct tail *t, const struct run *r, struct error *err)
{
    struct log_follow f;
    int rc = log_follow_begin(&f, r, &t->s, &t->choice, err);
    if (rc == 0)
        rc = log_walk(&t->s, &t->choice, tail_run, t, err);
    if (rc == 0)
        rc = log_follow_run(&f, print_new, t, err);
    log_follow_release(&f);
    return rc;
}

int log_cmd_tail(struct run *r, struct error *err)
{
    struct tail t = {.n_lines = args_u32(r->args, "lines", 10)};
    int rc = log_source_open(&t.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&t.choice, &t.s, r, err);
    if (rc == 0)
        rc = log_printer_init(&t.printer, r->out, &t.s, err);
    t.printer.lines = true;
    if (rc == 0)
        rc = t.s.follow ? tail_follow(&t, r, err)
                        : log_walk(&t.s, &t.choice, tail_run, &t, err);
    if (rc == 0)
        rc = log_printer_finish(&t.printer, err);
    if (rc == 0)
        output_no_value(r->out);
    log_printer_release(&t.printer);
    log_choice_release(&t.choice);
    log_source_release(&t.s);
    return rc;
}
