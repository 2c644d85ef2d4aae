/*
 * `hq log X grep`. A fixed text is first looked for in the blocks as they lie in the
 * files, by several threads; the tasks found are then read in order and cut into lines,
 * which may go over the borders of blocks.
 */
#include "cli/log_cmd.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/log_batch.h"
#include "cli/log_choice.h"
#include "cli/log_print.h"

#define THREADS_MAX 8u
#define KEPT_MAX (32u << 20) /* bytes of lines that a thread keeps */

/* Lines found in a run that is one block. */
struct hit {
    struct outlog_entry e;
    size_t at, n; /* in the part's lines, each with a line feed */
    uint64_t n_lines;
};

/* What one thread looks at. */
struct part {
    struct grep *g;
    struct outlog_reader *reader;
    uint32_t number, n_parts;
    struct u64map found; /* (job, task) to 1 + index of its hit, 0: to be read again */
    struct hit *hits;
    size_t n_hits, cap_hits;
    struct buf lines;
    int rc;
    struct error err;
    pthread_t thread;
    bool started;
};

struct grep {
    struct output *out;
    struct log_source s;
    struct log_choice choice;
    struct log_match match;
    struct log_printer printer;
    struct log_batch batch;
    struct part parts[THREADS_MAX];
    struct u64map found;    /* (job, task) to part << 32 | 1 + index of its hit, or 0 */
    bool count, names;      /* -c, -l */
    uint64_t n_found;       /* lines, in all */
    struct outlog_entry at; /* of the channel being read */
    uint64_t n_in_channel;  /* lines found in it */
    bool named;             /* the task's name was printed */
    struct buf line;        /* beginning of a line, from the block before */
    bool failed;            /* no memory for it */
    pthread_mutex_t lock;   /* over the damage counts of s */
};

/* ---- looking for tasks that may hold the text
 * ----------------------------------------
 */

static uint64_t task_key(const struct outlog_key *k)
{
    return (uint64_t)k->job << 32 | k->task;
}

static void part_damage(void *arg, const struct outlog_damage *d)
{
    struct grep *g = arg;
    (void)pthread_mutex_lock(&g->lock);
    log_source_damage(&g->s, d);
    (void)pthread_mutex_unlock(&g->lock);
}

static struct hit *add_hit(struct part *p, const struct outlog_entry *e)
{
    if (p->n_hits == p->cap_hits) {
        size_t cap = p->cap_hits ? p->cap_hits * 2 : 64;
        struct hit *grown = realloc(p->hits, cap * sizeof *grown);
        if (!grown)
            return NULL;
        p->hits = grown;
        p->cap_hits = cap;
    }
    struct hit *h = &p->hits[p->n_hits++];
    *h = (struct hit){.e = *e, .at = p->lines.len};
    return h;
}

/* Keeps the lines found in a block that is a whole run. */
static int keep_lines(struct part *p, const struct outlog_entry *e, const uint8_t *data)
{
    const uint8_t *end = data + e->output;
    struct hit *h = add_hit(p, e);
    if (!h)
        return error_nomem(&p->err);
    for (const uint8_t *feed; data < end; data = feed + 1) {
        feed = memchr(data, '\n', (size_t)(end - data));
        feed = feed ? feed : end;
        if (!log_match_line(&p->g->match, data, (size_t)(feed - data)))
            continue;
        h->n_lines++;
        if (p->g->count || p->g->names)
            continue;
        buf_append(&p->lines, data, (size_t)(feed - data));
        buf_puts(&p->lines, "\n");
    }
    h->n = p->lines.len - h->at;
    if (h->n_lines == 0)
        p->n_hits--;
    return p->lines.failed ? error_nomem(&p->err) : 0;
}

/* A task that comes twice is read again. */
static int note(struct part *p, const struct outlog_entry *e, uint64_t value)
{
    uint64_t old, key = task_key(&e->key);
    if (u64map_get(&p->found, key, &old))
        value = 0;
    return u64map_set(&p->found, key, value) < 0 ? error_nomem(&p->err) : 0;
}

static int look_at(struct part *p, const struct outlog_entry *e, const uint8_t *data)
{
    bool whole = e->key.seq == 0 && e->flags & OUTLOG_FLAG_END;
    size_t before = p->n_hits;
    if (!whole || p->lines.len > KEPT_MAX)
        return note(p, e, 0);
    int rc = keep_lines(p, e, data);
    return rc < 0 || p->n_hits == before ? rc : note(p, e, p->n_hits);
}

static int look(struct part *p, struct outlog_blocks *it, struct buf *fold)
{
    struct outlog_ref ref;
    int rc;
    while ((rc = outlog_blocks_next(it, &ref, &p->err)) == 1) {
        const struct log_choice *c = &p->g->choice;
        if (ref.e.output == 0 || !log_choice_has_block(c, &ref.e) ||
            !log_choice_has_id(c, &ref.e.key))
            continue;
        const uint8_t *data = outlog_blocks_data(it);
        if (data && log_match_may_hold(&p->g->match, data, ref.e.output, fold) &&
            (rc = look_at(p, &ref.e, data)) < 0)
            return rc;
    }
    return rc;
}

static void *run_part(void *arg)
{
    struct part *p = arg;
    struct outlog_block_filter filter = {.any_job = true,
                                         .channel = p->g->choice.channel,
                                         .verify = true,
                                         .in_place = true,
                                         .part = p->number,
                                         .n_parts = p->n_parts};
    struct buf fold = BUF_INIT(BUF_MAX_DEFAULT);
    struct outlog_blocks *it = NULL;
    p->rc = log_source_reader(&p->g->s, &p->reader, &p->err);
    if (p->rc == 0) {
        outlog_reader_on_damage(p->reader, part_damage, p->g);
        p->rc = outlog_blocks_create(&it, p->reader, &filter, &p->err);
    }
    if (p->rc == 0)
        p->rc = look(p, it, &fold);
    outlog_blocks_destroy(it);
    outlog_reader_destroy(p->reader);
    buf_release(&fold);
    return NULL;
}

static uint32_t count_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (uint32_t)MIN((unsigned long)n, (unsigned long)THREADS_MAX);
}

/* The tasks found by all parts. */
static int gather(struct grep *g, uint32_t n_parts, uint64_t **keys, size_t *n,
                  struct error *err)
{
    for (uint32_t i = 0; i < n_parts; i++) {
        const struct part *p = &g->parts[i];
        size_t pos = 0;
        uint64_t key, value, old;
        if (p->rc < 0) {
            *err = p->err;
            return p->rc;
        }
        while (u64map_next(&p->found, &pos, &key, &value)) {
            value = value && !u64map_get(&g->found, key, &old)
                        ? (uint64_t)i << 32 | value
                        : 0;
            if (u64map_set(&g->found, key, value) < 0)
                return error_nomem(err);
        }
    }
    *keys = malloc((g->found.n + 1) * sizeof **keys);
    if (!*keys)
        return error_nomem(err);
    size_t pos = 0;
    uint64_t value;
    for (*n = 0; *n < g->found.n; (*n)++)
        (void)u64map_next(&g->found, &pos, &(*keys)[*n], &value);
    return 0;
}

static int key_cmp(const void *pa, const void *pb)
{
    const uint64_t *a = pa, *b = pb;
    return *a < *b ? -1 : *a > *b;
}

static int find_tasks(struct grep *g, uint64_t **keys, size_t *n, struct error *err)
{
    uint32_t n_parts = count_threads();
    for (uint32_t i = 0; i < n_parts; i++) {
        struct part *p = &g->parts[i];
        *p = (struct part){.g = g,
                           .number = i,
                           .n_parts = n_parts,
                           .found = U64MAP_INIT,
                           .lines = BUF_INIT(2 * (size_t)KEPT_MAX),
                           .err = ERROR_INIT};
        p->started =
            i + 1 < n_parts && pthread_create(&p->thread, NULL, run_part, p) == 0;
    }
    for (uint32_t i = 0; i < n_parts; i++)
        if (!g->parts[i].started)
            run_part(&g->parts[i]); /* ours, and those that no thread took */
    for (uint32_t i = 0; i < n_parts; i++)
        if (g->parts[i].started)
            (void)pthread_join(g->parts[i].thread, NULL);
    int rc = gather(g, n_parts, keys, n, err);
    if (rc == 0 && *n)
        qsort(*keys, *n, sizeof **keys, key_cmp);
    return rc;
}

static void release_parts(struct grep *g)
{
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        u64map_release(&g->parts[i].found);
        buf_release(&g->parts[i].lines);
        free(g->parts[i].hits);
    }
    u64map_release(&g->found);
}

/* ---- lines of a task --------------------------------------------------------------
 */

static void on_line(struct grep *g, const struct outlog_entry *e, const uint8_t *line,
                    size_t n)
{
    if (!log_match_line(&g->match, line, n))
        return;
    g->n_found++;
    g->n_in_channel++;
    if (!g->count && !g->names)
        log_printer_line(&g->printer, e, line, n);
}

static void end_line(struct grep *g)
{
    if (g->line.len)
        on_line(g, &g->at, g->line.data, g->line.len);
    buf_clear(&g->line);
}

static void end_channel(struct grep *g)
{
    end_line(g);
    if (g->n_in_channel && g->count) {
        log_printer_prefix(&g->printer, &g->at);
        output_printf(g->out, "%llu\n", (unsigned long long)g->n_in_channel);
    } else if (g->n_in_channel && g->names && !g->named) {
        output_printf(g->out, "%u.%u\n", g->at.key.job, g->at.key.task);
        g->named = true;
    }
    g->n_in_channel = 0;
}

static void on_data(void *arg, const struct outlog_entry *e, const uint8_t *p, size_t n)
{
    struct grep *g = arg;
    const uint8_t *end = p + n;
    g->at = *e;
    for (const uint8_t *feed; p < end && (feed = memchr(p, '\n', (size_t)(end - p)));
         p = feed + 1) {
        if (g->line.len) {
            buf_append(&g->line, p, (size_t)(feed - p));
            end_line(g);
        } else {
            on_line(g, e, p, (size_t)(feed - p));
        }
    }
    if (p < end)
        buf_append(&g->line, p, (size_t)(end - p));
    g->failed = g->failed || g->line.failed;
}

/* Lines that were kept. */
static void print_hit(struct grep *g, const struct part *p, const struct hit *h)
{
    g->at = h->e;
    g->n_found += h->n_lines;
    g->n_in_channel = h->n_lines;
    if (h->n == 0) { /* they were only counted */
        end_channel(g);
        return;
    }
    const uint8_t *line = p->lines.data + h->at, *end = line + h->n;
    while (line < end) {
        const uint8_t *feed = memchr(line, '\n', (size_t)(end - line));
        log_printer_line(&g->printer, &h->e, line, (size_t)(feed - line));
        line = feed + 1;
    }
    end_channel(g);
}

#define MARK_TASK 0u
#define MARK_CHANNEL 1u /* ends */
#define MARK_HIT 2u     /* b: as in grep.found */

static void on_mark(void *arg, uint64_t a, uint64_t b)
{
    struct grep *g = arg;
    if (a == MARK_TASK) {
        g->named = false;
    } else if (a == MARK_CHANNEL) {
        end_channel(g);
    } else {
        const struct part *p = &g->parts[b >> 32];
        print_hit(g, p, &p->hits[(uint32_t)b - 1]);
    }
}

static const struct log_batch_events events = {.on_mark = on_mark, .on_data = on_data};

static bool is_hit_of(const struct grep *g, uint64_t hit, const struct outlog_run *run)
{
    return g->parts[hit >> 32].hits[(uint32_t)hit - 1].e.key.instance == run->instance;
}

static int add_run(void *arg, const struct outlog_run *run, struct error *err)
{
    static const uint8_t types[] = {OUTLOG_BLOCK_STDOUT, OUTLOG_BLOCK_STDERR};
    struct grep *g = arg;
    uint64_t hit = 0;
    int rc = log_batch_mark(&g->batch, MARK_TASK, 0, err);
    if (rc == 0 && run->n_refs == 1 &&
        u64map_get(&g->found, task_key(&run->refs[0].e.key), &hit) && hit &&
        is_hit_of(g, hit, run))
        return log_batch_mark(&g->batch, MARK_HIT, hit, err);
    for (size_t k = 0; k < ARRAY_SIZE(types) && rc == 0; k++) {
        for (size_t i = 0; i < run->n_refs && rc == 0; i++)
            if (run->refs[i].e.type == types[k] &&
                log_choice_has_block(&g->choice, &run->refs[i].e))
                rc = log_batch_add(&g->batch, &run->refs[i], err);
        if (rc == 0)
            rc = log_batch_mark(&g->batch, MARK_CHANNEL, 0, err);
    }
    return rc;
}

/* ---- the command --------------------------------------------------------------------
 */

/* Walks over the tasks found, job by job. */
static int walk_found(struct grep *g, const uint64_t *keys, size_t n, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0;) {
        struct log_choice c = g->choice;
        uint32_t job = (uint32_t)(keys[i] >> 32);
        c.any_job = false;
        c.jobs = (struct idset)IDSET_INIT;
        c.has_tasks = true;
        c.tasks = (struct idset)IDSET_INIT;
        rc = idset_add(&c.jobs, job, 1, 1);
        for (; i < n && keys[i] >> 32 == job && rc == 0; i++)
            rc = idset_add(&c.tasks, (uint32_t)keys[i], 1, 1);
        rc = rc < 0 ? error_nomem(err) : log_walk(&g->s, &c, add_run, g, err);
        idset_release(&c.jobs);
        idset_release(&c.tasks);
    }
    return rc;
}

static int grep_log(struct grep *g, struct error *err)
{
    /* A look at all blocks pays unless all or few tasks are wanted. */
    bool look_first = !g->match.is_regex && !g->match.invert && !g->choice.has_tasks;
    uint64_t *keys = NULL;
    size_t n = 0;
    int rc = look_first ? find_tasks(g, &keys, &n, err) : 0;
    log_batch_init(&g->batch, g->s.reader, &events, g);
    if (rc == 0)
        rc = look_first ? walk_found(g, keys, n, err)
                        : log_walk(&g->s, &g->choice, add_run, g, err);
    if (rc == 0)
        rc = log_batch_flush(&g->batch, err);
    log_batch_release(&g->batch);
    free(keys);
    return rc == 0 && g->failed ? error_nomem(err) : rc;
}

int log_cmd_grep(struct run *r, struct error *err)
{
    const struct args *a = r->args;
    struct grep g = {.out = r->out,
                     .count = args_flag(a, "count"),
                     .names = args_flag(a, "tasks-with-matches"),
                     .found = U64MAP_INIT,
                     .lock = PTHREAD_MUTEX_INITIALIZER,
                     .line = BUF_INIT(BUF_MAX_DEFAULT)};
    int rc = log_source_open(&g.s, r, err);
    if (rc == 0)
        rc = log_choice_read(&g.choice, &g.s, r, err);
    if (rc == 0)
        rc = log_match_init(&g.match, args_str(a, "PATTERN"),
                            args_flag(a, "extended-regexp"),
                            args_flag(a, "ignore-case"), err);
    g.match.invert = args_flag(a, "invert-match");
    if (rc == 0)
        rc = log_printer_init(&g.printer, r->out, &g.s, err);
    g.printer.mark = ":";
    if (rc == 0)
        rc = grep_log(&g, err);
    if (rc == 0) {
        output_no_value(r->out);
        r->status = g.n_found ? 0 : 1;
    }
    buf_release(&g.line);
    release_parts(&g);
    log_printer_release(&g.printer);
    log_match_release(&g.match);
    log_choice_release(&g.choice);
    log_source_release(&g.s);
    return rc;
}
