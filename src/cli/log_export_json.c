/* `hq log X export` as a JSON array, or one object a line. */
#include "cli/log_export.h"

#include <string.h>
#include <unistd.h>

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

static void put_data(struct exporter *x, const struct outlog_entry *e UNUSED,
                     const uint8_t *p, size_t n)
{
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

static void begin_channel(struct exporter *x, const struct export_run *run UNUSED,
                          enum outlog_channel channel)
{
    json_key(&x->json, channel == OUTLOG_STDERR ? "stderr" : "stdout");
    json_raw(&x->json, "\"", 1);
    x->n_tail = 0;
}

static void end_channel(struct exporter *x)
{
    json_piece(x, x->tail, x->n_tail);
    buf_puts(x->json.out, "\"");
}

static int finish(struct exporter *x, struct error *err UNUSED)
{
    if (x->json.failed && !x->out->sys)
        x->out->sys = x->json.sys;
    return 0;
}

/* ---- one array ---------------------------------------------------------------------
 */

static int begin_array(struct exporter *x, struct error *err UNUSED)
{
    json_init(&x->json, &x->out->text, true, STDOUT_FILENO);
    json_begin_array(&x->json);
    return 0;
}

static void begin_object(struct exporter *x, const struct export_run *run)
{
    json_begin_object(&x->json);
    json_kbool(&x->json, "finished", run->finished);
    json_kuint(&x->json, "id", run->task);
    if (x->with_job)
        json_kuint(&x->json, "job", run->job);
}

static void end_object(struct exporter *x)
{
    json_end_object(&x->json);
}

static int finish_array(struct exporter *x, struct error *err)
{
    json_end_array(&x->json);
    int rc = finish(x, err);
    output_puts(x->out, "\n");
    return rc;
}

const struct export_ops export_json = {
    .begin = begin_array,
    .begin_run = begin_object,
    .begin_channel = begin_channel,
    .put_data = put_data,
    .end_channel = end_channel,
    .end_run = end_object,
    .finish = finish_array,
};

/* ---- one object a line -------------------------------------------------------------
 */

static int begin_nothing(struct exporter *x UNUSED, struct error *err UNUSED)
{
    return 0;
}

static void begin_line(struct exporter *x, const struct export_run *run)
{
    json_init(&x->json, &x->out->text, false, STDOUT_FILENO);
    json_begin_object(&x->json);
    json_kbool(&x->json, "finished", run->finished);
    json_kuint(&x->json, "id", run->task);
    json_kuint(&x->json, "instance", run->instance);
    json_kuint(&x->json, "job", run->job);
    json_kstr(&x->json, "state", log_state_word(run->finished, run->state));
}

static void end_line(struct exporter *x)
{
    json_end_object(&x->json);
    (void)finish(x, NULL);
    output_puts(x->out, "\n");
}

const struct export_ops export_jsonl = {
    .begin = begin_nothing,
    .begin_run = begin_line,
    .begin_channel = begin_channel,
    .put_data = put_data,
    .end_channel = end_channel,
    .end_run = end_line,
    .finish = finish,
};
