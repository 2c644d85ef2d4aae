/* `hq log X cat` and `export`. */
#include "cli/log_cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/text.h"
#include "cli/log_batch.h"
#include "cli/log_choice.h"
#include "cli/log_follow.h"

/* ---- cat --------------------------------------------------------------------------
 */

struct cat {
    struct output *out;
    struct log_source s;
    struct log_choice choice;
    struct log_batch batch;
};

static int cat_check(void *arg UNUSED, const struct outlog_run *run, struct error *err)
{
    if (run->finished)
        return 0;
    return error_set(err, ERR_INVALID, "Stream for task %u is not finished", run->task);
}

static void write_piece(void *arg, const struct outlog_entry *e UNUSED,
                        const uint8_t *p, size_t n)
{
    output_write(arg, p, n);
}

static const struct log_batch_events cat_events = {.on_data = write_piece};

static int cat_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct cat *c = arg;
    int rc = 0;
    for (size_t i = 0; i < run->n_refs && rc == 0; i++)
        if (log_choice_has_block(&c->choice, &run->refs[i].e))
            rc = log_batch_add(&c->batch, &run->refs[i], err);
    return rc;
}

static int existing(void *arg UNUSED, const struct outlog_run *run UNUSED,
                    struct error *err UNUSED)
{
    return 0;
}

static int cat_new(void *arg, const struct outlog_entry *e UNUSED, const uint8_t *data,
                   size_t n, struct error *err UNUSED)
{
    output_write(arg, data, n);
    return 0;
}

static int print_runs(struct cat *c, struct error *err)
{
    log_batch_init(&c->batch, c->s.reader, &cat_events, c->out);
    int rc = log_walk(&c->s, &c->choice, cat_run, c, err);
    if (rc == 0)
        rc = log_batch_flush(&c->batch, err);
    log_batch_release(&c->batch);
    return rc;
}

/* What is there now, then what comes. */
static int cat_follow(struct cat *c, const struct run *r, struct error *err)
{
    struct log_follow f;
    int rc = log_follow_begin(&f, r, &c->s, &c->choice, err);
    if (rc == 0)
        rc = print_runs(c, err);
    if (rc == 0)
        rc = log_follow_run(&f, cat_new, c->out, err);
    log_follow_release(&f);
    return rc;
}

/* Nothing is printed unless all of it can be. */
static int cat_whole(struct cat *c, bool unfinished, struct error *err)
{
    c->choice.must_exist = !c->choice.any_job;
    int rc = log_walk(&c->s, &c->choice, unfinished ? existing : cat_check, c, err);
    return rc < 0 ? rc : print_runs(c, err);
}

int log_cmd_cat(struct run *r, struct error *err)
{
    struct cat c = {.out = r->out};
    bool follow = args_declared(r->args, "follow") && args_flag(r->args, "follow");
    int rc = log_source_open(&c.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&c.choice, &c.s, r, err);
    if (rc == 0)
        rc = follow ? cat_follow(&c, r, err)
                    : cat_whole(&c, args_flag(r->args, "allow-unfinished"), err);
    if (rc == 0)
        output_no_value(r->out);
    log_choice_release(&c.choice);
    log_source_release(&c.s);
    return rc;
}

/* ---- export -----------------------------------------------------------------------
 */

struct exporter {
    struct log_source s;
    struct log_batch batch;
    struct json json;
    bool with_job;   /* several jobs are printed */
    uint8_t tail[4]; /* beginning of a character that the last piece ended with */
    size_t n_tail;
    struct buf text;
};

/* A piece of a JSON string, without the quotes, invalid bytes as U+FFFD. */
static void json_piece(struct exporter *x, const uint8_t *p, size_t n)
{
    struct json j;
    buf_clear(&x->text);
    json_init(&j, &x->text, false, -1);
    json_strn(&j, (const char *)p, n);
    if (x->text.len >= 2)
        buf_append(x->json.out, x->text.data + 1, x->text.len - 2);
    if (x->json.out->len >= 64u << 10 && json_flush(&x->json) < 0)
        x->json.failed = true;
}

/* Bytes at the end that begin a character whose rest is still to come. */
static size_t open_character(const uint8_t *p, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t c = p[n - back];
        size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if (c < 0x80 || want > 1)
            return want > back ? back : 0;
    }
    return 0;
}

static void export_piece(void *arg, const struct outlog_entry *e UNUSED,
                         const uint8_t *p, size_t n)
{
    struct exporter *x = arg;
    if (x->n_tail) {
        /* Complete the character that was cut between two blocks. */
        uint8_t joined[8];
        memcpy(joined, x->tail, x->n_tail);
        size_t take = 0;
        while (take < n && x->n_tail + take < 4 && (p[take] & 0xc0) == 0x80) {
            joined[x->n_tail + take] = p[take];
            take++;
        }
        size_t len = x->n_tail + take;
        if (take == n && open_character(joined, len) == len) {
            memcpy(x->tail, joined, len);
            x->n_tail = len;
            return;
        }
        json_piece(x, joined, len);
        x->n_tail = 0;
        p += take;
        n -= take;
    }
    size_t keep = open_character(p, n);
    json_piece(x, p, n - keep);
    memcpy(x->tail, p + n - keep, keep);
    x->n_tail = keep;
}

/* Marks between the blocks of the runs. */
#define MARK_RUN 0u     /* b: job << 32 | task; bit 8 of a: finished */
#define MARK_CHANNEL 1u /* b: enum outlog_channel, begins */
#define MARK_CLOSE 2u   /* the channel ends */
#define MARK_END 3u     /* the run ends */
#define MARK_FINISHED 256u

static void export_mark(void *arg, uint64_t a, uint64_t b)
{
    struct exporter *x = arg;
    switch (a & 255) {
    case MARK_RUN:
        json_begin_object(&x->json);
        json_kbool(&x->json, "finished", a & MARK_FINISHED);
        json_kuint(&x->json, "id", b & UINT32_MAX);
        if (x->with_job)
            json_kuint(&x->json, "job", b >> 32);
        break;
    case MARK_CHANNEL:
        json_key(&x->json, b == OUTLOG_STDERR ? "stderr" : "stdout");
        json_raw(&x->json, "\"", 1);
        x->n_tail = 0;
        break;
    case MARK_CLOSE:
        json_piece(x, x->tail, x->n_tail);
        buf_puts(x->json.out, "\"");
        break;
    default:
        json_end_object(&x->json);
    }
}

static const struct log_batch_events export_events = {.on_mark = export_mark,
                                                      .on_data = export_piece};

static int export_channel(struct exporter *x, const struct outlog_run *run,
                          enum outlog_channel channel, struct error *err)
{
    uint8_t type = channel == OUTLOG_STDOUT ? OUTLOG_BLOCK_STDOUT : OUTLOG_BLOCK_STDERR;
    int rc = log_batch_mark(&x->batch, MARK_CHANNEL, channel, err);
    for (size_t i = 0; i < run->n_refs && rc == 0; i++)
        if (run->refs[i].e.type == type)
            rc = log_batch_add(&x->batch, &run->refs[i], err);
    return rc < 0 ? rc : log_batch_mark(&x->batch, MARK_CLOSE, 0, err);
}

static int export_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct exporter *x = arg;
    int rc = log_batch_mark(&x->batch, MARK_RUN | (run->finished ? MARK_FINISHED : 0),
                            (uint64_t)run->job << 32 | run->task, err);
    if (rc == 0)
        rc = export_channel(x, run, OUTLOG_STDERR, err);
    if (rc == 0)
        rc = export_channel(x, run, OUTLOG_STDOUT, err);
    return rc < 0 ? rc : log_batch_mark(&x->batch, MARK_END, 0, err);
}

int log_cmd_export(struct run *r, struct error *err)
{
    struct exporter x = {.text = BUF_INIT(BUF_MAX_DEFAULT)};
    struct log_choice choice = {0};
    int rc = log_source_open(&x.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&choice, &x.s, r, err);
    choice.must_exist = !choice.any_job;
    x.with_job = choice.any_job;
    if (rc == 0)
        rc = log_walk(&x.s, &choice, existing, &x, err);
    if (rc == 0) {
        json_init(&x.json, &r->out->text, true, STDOUT_FILENO);
        json_begin_array(&x.json);
        log_batch_init(&x.batch, x.s.reader, &export_events, &x);
        rc = log_walk(&x.s, &choice, export_run, &x, err);
        if (rc == 0)
            rc = log_batch_flush(&x.batch, err);
        log_batch_release(&x.batch);
        json_end_array(&x.json);
        if (x.json.failed && !r->out->sys)
            r->out->sys = x.json.sys;
        output_puts(r->out, "\n");
        output_no_value(r->out);
    }
    buf_release(&x.text);
    log_choice_release(&choice);
    log_source_release(&x.s);
    return rc;
}
