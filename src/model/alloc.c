#include "model/alloc.h"

#include <stdlib.h>

const char *const alloc_state_labels[ALLOC_STATE_COUNT] = {"QUEUED", "RUNNING",
                                                           "FINISHED", "FAILED"};
const char *const alloc_state_words[ALLOC_STATE_COUNT] = {"queued", "running",
                                                          "finished", "failed"};

void alloc_params_init(struct alloc_params *p)
{
    *p = (struct alloc_params){
        .backlog = 1, .max_workers_per_alloc = 1, .pools = POOL_SET_INIT};
}

static void words_release(struct alloc_words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
    free(w->v);
}

void alloc_params_release(struct alloc_params *p)
{
    free(p->name);
    free(p->worker_start_cmd);
    free(p->worker_stop_cmd);
    free(p->worker_wrap_cmd);
    words_release(&p->additional_args);
    words_release(&p->worker_args);
    pool_set_release(&p->pools);
    alloc_params_init(p);
}

/* Takes the word. */
static int words_push(struct alloc_words *w, char *word)
{
    char **grown = word ? realloc(w->v, (w->n + 1) * sizeof *w->v) : NULL;
    if (!grown) {
        free(word);
        return ERR_NOMEM;
    }
    w->v = grown;
    w->v[w->n++] = word;
    return 0;
}

int alloc_words_add(struct alloc_words *w, const char *word)
{
    return words_push(w, strdup(word));
}

static void put_optional(struct buf *out, const char *s)
{
    buf_u8(out, s != NULL);
    if (s)
        buf_str(out, s);
}

static char *get_optional(struct cursor *c)
{
    return cursor_u8(c) ? cursor_strdup(c, ALLOC_TEXT_MAX) : NULL;
}

static void words_put(const struct alloc_words *w, struct buf *out)
{
    buf_varint(out, w->n);
    for (size_t i = 0; i < w->n; i++)
        buf_str(out, w->v[i]);
}

static int words_get(struct alloc_words *w, struct cursor *c)
{
    size_t n = cursor_count(c, 1);
    if (n > ALLOC_WORDS_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < n; i++) {
        char *word = cursor_strdup(c, ALLOC_TEXT_MAX);
        if (c->failed) {
            free(word);
            return ERR_CORRUPT;
        }
        int rc = words_push(w, word);
        if (rc != 0)
            return rc;
    }
    return c->failed ? ERR_CORRUPT : 0;
}

/* Each as a set of its own: the order is that of the command line. */
static void pools_put(const struct pool_set *s, struct buf *out)
{
    buf_varint(out, s->n_pools);
    for (size_t i = 0; i < s->n_pools; i++) {
        struct pool_set one = {.pools = &s->pools[i], .n_pools = 1};
        pool_set_encode(&one, out);
    }
}

static int pools_get(struct pool_set *s, struct cursor *c)
{
    size_t n = cursor_count(c, 1);
    int rc = n > POOLS_MAX ? ERR_CORRUPT : 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct pool_set one = POOL_SET_INIT;
        rc = pool_set_decode(&one, c);
        if (rc == 0)
            rc = one.n_pools == 1 ? pool_set_add(s, &one.pools[0], NULL) : ERR_CORRUPT;
        pool_set_release(&one);
    }
    return rc;
}

enum { HAS_POOLS = 1, MPI_WORKER = 2, WORKER_LIMIT = 4 };

void alloc_params_encode(const struct alloc_params *p, struct buf *out)
{
    uint64_t bits;
    buf_u8(out, p->manager);
    put_optional(out, p->name);
    buf_varint(out, p->time_limit_ns);
    buf_varint(out, p->backlog);
    buf_varint(out, p->max_workers_per_alloc);
    buf_varint(out, p->max_worker_count);
    words_put(&p->additional_args, out);
    words_put(&p->worker_args, out);
    put_optional(out, p->worker_start_cmd);
    put_optional(out, p->worker_stop_cmd);
    put_optional(out, p->worker_wrap_cmd);
    buf_varint(out, p->idle_timeout_ns);
    memcpy(&bits, &p->min_utilization, sizeof bits);
    buf_u64(out, bits);
    buf_u8(out,
           (uint8_t)((p->has_pools ? HAS_POOLS : 0) | (p->mpi_worker ? MPI_WORKER : 0) |
                     (p->worker_limit_ns ? WORKER_LIMIT : 0)));
    pools_put(&p->pools, out);
    if (p->worker_limit_ns)
        buf_varint(out, p->worker_limit_ns);
}

static bool params_valid(const struct alloc_params *p)
{
    return (p->manager == MANAGER_PBS || p->manager == MANAGER_SLURM) &&
           p->backlog >= 1 && p->backlog <= ALLOC_BACKLOG_MAX &&
           p->max_workers_per_alloc >= 1 &&
           p->max_workers_per_alloc <= ALLOC_WORKERS_MAX && p->time_limit_ns > 0 &&
           p->min_utilization >= 0.0 && p->min_utilization <= 1.0;
}

int alloc_params_decode(struct alloc_params *p, struct cursor *c)
{
    alloc_params_init(p);
    p->manager = cursor_u8(c);
    p->name = get_optional(c);
    p->time_limit_ns = cursor_varint(c);
    p->backlog = cursor_varint32(c);
    p->max_workers_per_alloc = cursor_varint32(c);
    p->max_worker_count = cursor_varint32(c);
    int rc = words_get(&p->additional_args, c);
    if (rc == 0)
        rc = words_get(&p->worker_args, c);
    p->worker_start_cmd = get_optional(c);
    p->worker_stop_cmd = get_optional(c);
    p->worker_wrap_cmd = get_optional(c);
    p->idle_timeout_ns = cursor_varint(c);
    uint64_t bits = cursor_u64(c);
    memcpy(&p->min_utilization, &bits, sizeof bits);
    uint8_t flags = cursor_u8(c);
    p->has_pools = flags & HAS_POOLS;
    p->mpi_worker = flags & MPI_WORKER;
    if (rc == 0)
        rc = pools_get(&p->pools, c);
    if (flags & WORKER_LIMIT)
        p->worker_limit_ns = cursor_varint(c);
    if (rc == 0 && (c->failed || !params_valid(p)))
        rc = ERR_CORRUPT;
    if (rc != 0) {
        alloc_params_release(p);
        c->failed = true;
    }
    return rc;
}

void alloc_queued_encode(const struct alloc_event *e, struct buf *out)
{
    buf_bytes(out, e->id.p, e->id.n);
    buf_varint(out, e->workers);
    buf_bytes(out, e->dir.p, e->dir.n);
}

void alloc_started_encode(const struct alloc_event *e, struct buf *out)
{
    buf_bytes(out, e->id.p, e->id.n);
    buf_u64(out, e->started_us);
}

void alloc_ended_encode(const struct alloc_event *e, struct buf *out)
{
    buf_bytes(out, e->id.p, e->id.n);
    buf_u64(out, e->started_us);
    buf_u64(out, e->ended_us);
    buf_u8(out, e->state);
}

static bool get_id(struct alloc_event *e, struct cursor *c)
{
    *e = (struct alloc_event){.id = cursor_bytes(c)};
    return !c->failed && e->id.n && e->id.n <= ALLOC_ID_MAX &&
           !memchr(e->id.p, 0, e->id.n);
}

bool alloc_queued_decode(struct alloc_event *e, struct cursor *c)
{
    bool ok = get_id(e, c);
    e->workers = cursor_varint32(c);
    e->dir = cursor_bytes(c);
    return ok && !c->failed && e->dir.n <= ALLOC_TEXT_MAX &&
           !(e->dir.n && memchr(e->dir.p, 0, e->dir.n));
}

bool alloc_started_decode(struct alloc_event *e, struct cursor *c)
{
    bool ok = get_id(e, c);
    e->started_us = cursor_u64(c);
    return ok && !c->failed;
}

bool alloc_ended_decode(struct alloc_event *e, struct cursor *c)
{
    bool ok = get_id(e, c);
    e->started_us = cursor_u64(c);
    e->ended_us = cursor_u64(c);
    e->state = cursor_u8(c);
    return ok && !c->failed && e->state < ALLOC_STATE_COUNT &&
           alloc_state_ended((enum alloc_state)e->state);
}
