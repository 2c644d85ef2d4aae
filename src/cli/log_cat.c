/* `hq log X cat` and `export`. */
#include "cli/log_cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/text.h"
#include "cli/log_open.h"

/* Calls fn with each piece of one channel of the run, in its order. Damaged blocks are
 * left out; the reader has told. */
typedef void (*piece_fn)(void *arg, const uint8_t *p, size_t n);

static int each_piece(struct outlog_reader *reader, const struct outlog_run *run,
                      enum outlog_channel channel, piece_fn fn, void *arg,
                      struct error *err)
{
    uint8_t type = channel == OUTLOG_STDOUT ? OUTLOG_BLOCK_STDOUT : OUTLOG_BLOCK_STDERR;
    for (size_t i = 0; i < run->n_refs; i++) {
        const uint8_t *data;
        size_t n;
        if (run->refs[i].e.type != type)
            continue;
        int rc = outlog_read_block(reader, &run->refs[i], &data, &n);
        if (rc == 0)
            fn(arg, data, n);
        else if (rc != ERR_CORRUPT)
            return error_nomem(err);
    }
    return 0;
}

/* ---- cat --------------------------------------------------------------------------
 */

struct cat {
    struct output *out;
    struct log_source s;
    enum outlog_channel channel;
};

static int cat_check(void *arg UNUSED, const struct outlog_run *run, struct error *err)
{
    if (run->finished)
        return 0;
    return error_set(err, ERR_INVALID, "Stream for task %u is not finished", run->task);
}

static void write_piece(void *arg, const uint8_t *p, size_t n)
{
    output_write(arg, p, n);
}

static int cat_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct cat *c = arg;
    return each_piece(c->s.reader, run, c->channel, write_piece, c->out, err);
}

static int existing(void *arg UNUSED, const struct outlog_run *run UNUSED,
                    struct error *err UNUSED)
{
    return 0;
}

int log_cmd_cat(struct run *r, struct error *err)
{
    struct cat c = {.out = r->out};
    struct log_choice choice = {0};
    c.channel = strcmp(args_str(r->args, "CHANNEL"), "stderr") == 0 ? OUTLOG_STDERR
                                                                    : OUTLOG_STDOUT;
    int rc = log_source_open(&c.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&choice, &c.s, r, err);
    choice.must_exist = !choice.any_job;
    /* Nothing is printed unless all of it can be. */
    if (rc == 0)
        rc = log_walk(&c.s, &choice,
                      args_flag(r->args, "allow-unfinished") ? existing : cat_check, &c,
                      err);
    if (rc == 0)
        rc = log_walk(&c.s, &choice, cat_run, &c, err);
    if (rc == 0)
        output_no_value(r->out);
    log_choice_release(&choice);
    log_source_release(&c.s);
    return rc;
}

/* ---- export -----------------------------------------------------------------------
 */

struct exporter {
    struct log_source s;
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

static void export_piece(void *arg, const uint8_t *p, size_t n)
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

static int export_channel(struct exporter *x, const struct outlog_run *run,
                          enum outlog_channel channel, const char *key,
                          struct error *err)
{
    json_key(&x->json, key);
    json_raw(&x->json, "\"", 1);
    x->n_tail = 0;
    int rc = each_piece(x->s.reader, run, channel, export_piece, x, err);
    json_piece(x, x->tail, x->n_tail);
    buf_puts(x->json.out, "\"");
    return rc;
}

static int export_run(void *arg, const struct outlog_run *run, struct error *err)
{
    struct exporter *x = arg;
    json_begin_object(&x->json);
    json_kbool(&x->json, "finished", run->finished);
    json_kuint(&x->json, "id", run->task);
    if (x->with_job)
        json_kuint(&x->json, "job", run->job);
    int rc = export_channel(x, run, OUTLOG_STDERR, "stderr", err);
    if (rc == 0)
        rc = export_channel(x, run, OUTLOG_STDOUT, "stdout", err);
    json_end_object(&x->json);
    return rc;
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
        rc = log_walk(&x.s, &choice, export_run, &x, err);
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
