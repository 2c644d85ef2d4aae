/* What all batch systems have in common: commands, quoting, the worker's line. */
#include "autoalloc/batch.h"

#include <ctype.h>
#include <stdlib.h>
#include "autoalloc/internal.h"
#include "base/duration.h"
#include "base/text.h"
#include "base/xmem.h"

#define IDLE_TIMEOUT_NS (300 * NS_PER_S) /* of workers in allocations */
/* Of each channel, in a message: a program begins with greetings and ends with why. */
#define SHOWN_HEAD 200u
#define SHOWN_TAIL 400u

const struct batch_ops *batch_ops_of(uint8_t manager)
{
    return manager == MANAGER_PBS ? &batch_pbs : &batch_slurm;
}

/* ---- commands -------------------------------------------------------------------- */

void command_add(struct batch_command *c, const char *word)
{
    if (c->words.len)
        (void)vec_pop(&c->words);
    HQ_ASSERT(vec_push(&c->words, xstrdup(word)) && vec_push(&c->words, NULL));
}

void batch_command_release(struct batch_command *c)
{
    for (size_t i = 0; i < c->words.len; i++)
        free(c->words.data[i]);
    vec_release(&c->words);
}

void batch_submit_command(const struct batch_ops *ops, const char *dir,
                          struct batch_command *out)
{
    char *path = xasprintf("%s/%s", dir, BATCH_SCRIPT_NAME);
    command_add(out, ops->submit_program);
    command_add(out, path);
    free(path);
}

void batch_cancel_command(const struct batch_ops *ops, const char *id,
                          struct batch_command *out)
{
    command_add(out, ops->cancel_program);
    command_add(out, id);
}

/* ---- quoting --------------------------------------------------------------------- */

void batch_quote(struct buf *out, const char *text)
{
    buf_putc(out, '"');
    for (; *text; text++) {
        if (strchr("\"\\$`", *text))
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
    buf_putc(out, '"');
}

void directive_word(struct buf *out, const char *word)
{
    if (*word && !strpbrk(word, " \t\"'\\#")) {
        buf_puts(out, word);
        return;
    }
    buf_putc(out, '"');
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *word);
    }
    buf_putc(out, '"');
}

void directive_args(struct buf *out, const char *prefix, const struct alloc_words *w)
{
    if (w->n == 0)
        return;
    buf_puts(out, prefix);
    for (size_t i = 0; i < w->n; i++) {
        buf_putc(out, ' ');
        directive_word(out, w->v[i]);
    }
    buf_putc(out, '\n');
}

/* ---- the script ------------------------------------------------------------------ */

void print_hms(struct buf *out, uint64_t ns)
{
    uint64_t s = ns / NS_PER_S + (ns % NS_PER_S != 0);
    buf_printf(out, "%02llu:%02llu:%02llu", (unsigned long long)(s / 3600),
               (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
}

uint32_t batch_script_workers(const struct batch_ops *ops, const char *script)
{
    const char *at = strstr(script, ops->nodes);
    unsigned long n = at ? strtoul(at + strlen(ops->nodes), NULL, 10) : 0;
    return n <= ALLOC_WORKERS_MAX ? (uint32_t)n : 0;
}

bool worker_line_needs_shell(const struct batch_script *s)
{
    const struct alloc_params *p = s->params;
    return p->worker_start_cmd || p->worker_stop_cmd || p->worker_wrap_cmd ||
           s->log_filter;
}

void worker_line(const struct batch_script *s, const char *manager, struct buf *out)
{
    const struct alloc_params *p = s->params;
    uint64_t idle_ns = p->idle_timeout_ns ? p->idle_timeout_ns : IDLE_TIMEOUT_NS;
    if (p->worker_start_cmd)
        buf_printf(out, "%s && ", p->worker_start_cmd);
    if (s->log_filter) {
        buf_puts(out, "RUST_LOG=");
        text_shell_quote(out, s->log_filter, strlen(s->log_filter));
        buf_putc(out, ' ');
    }
    if (p->worker_wrap_cmd)
        buf_printf(out, "%s ", p->worker_wrap_cmd);
    text_shell_quote(out, s->hq, strlen(s->hq));
    buf_puts(out, p->mpi_worker ? "" : " worker start");
    buf_puts(out, " --idle-timeout \"");
    duration_print(idle_ns == DURATION_ZERO_NS ? 0 : idle_ns, out);
    buf_printf(out, "\" --manager \"%s\" --server-dir ", manager);
    batch_quote(out, s->server_dir);
    for (size_t i = 0; i < p->worker_args.n; i++)
        buf_printf(out, " %s", p->worker_args.v[i]);
    if (p->worker_stop_cmd)
        buf_printf(out, "; %s", p->worker_stop_cmd);
}

void batch_allocation_name(const struct alloc_params *p, uint32_t queue, uint32_t k,
                           struct buf *out)
{
    if (p->name)
        buf_printf(out, "%s-%u", p->name, k);
    else
        buf_printf(out, "hq-%u-%u", queue, k);
}

/* ---- output ---------------------------------------------------------------------- */

struct span span_trim(struct span s)
{
    while (s.n && isspace(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && isspace(s.p[s.n - 1]))
        s.n--;
    return s;
}

int take_number(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!isdigit((unsigned char)(*p)[i]))
            return -1;
        v = v * 10 + ((*p)[i] - '0');
    }
    *p += n;
    return v;
}

struct batch_time checked_time(struct batch_time t)
{
    t.known = t.year >= 1970 && t.month >= 1 && t.month <= 12 && t.day >= 1 &&
              t.day <= 31 && t.hour >= 0 && t.hour <= 23 && t.minute >= 0 &&
              t.minute <= 59 && t.second >= 0 && t.second <= 60;
    return t.known ? t : (struct batch_time){0};
}

/* A terminal that shows it obeys nothing in it. */
static void describe_bytes(const uint8_t *p, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++)
        buf_putc(to, p[i] >= ' ' ? (char)p[i] : p[i] == '\n' ? '\n' : ' ');
}

void describe_output(struct span s, struct buf *to)
{
    s = span_trim(s);
    if (s.n <= SHOWN_HEAD + SHOWN_TAIL) {
        describe_bytes(s.p, s.n, to);
        return;
    }
    describe_bytes(s.p, SHOWN_HEAD, to);
    buf_puts(to, " … ");
    describe_bytes(s.p + s.n - SHOWN_TAIL, SHOWN_TAIL, to);
}

static void describe_channel(const char *name, struct span s, struct buf *to)
{
    buf_printf(to, "\n%s: ", name);
    describe_output(s, to);
}

int missing_id(struct span out, const char *program, struct error *err)
{
    struct buf text = BUF_INIT(4096);
    describe_output(out, &text);
    (void)error_set(err, ERR_PARSE, "Missing job id in %s output%s%s", program,
                    text.len ? "\n" : "", buf_cstr(&text));
    buf_release(&text);
    return ERR_PARSE;
}

bool span_has(struct span s, const char *text)
{
    return s.n && memmem(s.p, s.n, text, strlen(text)) != NULL;
}

bool batch_cancelled(const struct batch_ops *ops, const struct batch_answer *a)
{
    for (size_t i = 0; !a->ok && ops->over[i]; i++)
        if (span_has(a->err, ops->over[i]))
            return true;
    return a->ok;
}

bool next_line(struct span *rest, struct span *line)
{
    if (rest->n == 0)
        return false;
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    line->p = rest->p;
    line->n = end ? (size_t)(end - rest->p) : rest->n;
    size_t taken = line->n + (end != NULL);
    rest->p += taken;
    rest->n -= taken;
    return true;
}

void batch_describe(const char *how, struct span err, struct span out, struct buf *to)
{
    buf_puts(to, how);
    describe_channel("Stderr", err, to);
    describe_channel("Stdout", out, to);
}
