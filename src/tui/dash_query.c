#include "tui/dash_query.h"

#include <stdlib.h>

/* ---- one task -------------------------------------------------------------------- */

/* When the run that the note tells was over; UINT64_MAX: it goes on. A worker that was
 * lost runs nothing any more. */
static uint64_t over_us(const struct dash *d, const struct dash_note *note)
{
    if (note->end_us)
        return note->end_us;
    const struct dash_worker *w = dash_worker(d, note->worker);
    return w && w->lost_us >= note->start_us && w->lost_us ? w->lost_us : UINT64_MAX;
}

static const struct dash_run *earlier_at(const struct dash_job *job, uint32_t slot,
                                         uint64_t at_us)
{
    uint64_t i = 0;
    if (!u64map_get(&job->earlier_of, slot, &i))
        return NULL;
    for (; i; i = job->earlier.data[i - 1].before) {
        const struct dash_run *run = &job->earlier.data[i - 1];
        if (run->start_us <= at_us)
            return run->end_us > at_us ? run : NULL;
    }
    return NULL;
}

struct dash_seen dash_seen(const struct dash *d, const struct dash_job *job,
                           uint32_t slot, const struct dash_note *note, uint64_t at_us)
{
    struct dash_seen seen = {.state = TASK_WAITING};
    if (note->end_us && note->end_us <= at_us) {
        seen.state = (enum task_state)note->state;
        seen.end_us = note->end_us;
    } else if (note->start_us && note->start_us <= at_us) {
        if (over_us(d, note) <= at_us)
            return seen;
        seen.state = TASK_RUNNING;
    } else {
        const struct dash_run *run = note->again ? earlier_at(job, slot, at_us) : NULL;
        if (run) {
            seen.state = TASK_RUNNING;
            seen.start_us = run->start_us;
            seen.worker = run->worker;
        }
        return seen;
    }
    seen.start_us = note->start_us;
    seen.worker = note->worker;
    seen.placement = note->placement;
    return seen;
}

/* Whether the states of its tasks are the same from then on. */
static bool is_settled(const struct dash_chunk *c, uint64_t from_us)
{
    return c->n_state[TASK_RUNNING] == 0 && c->max_end_us <= from_us;
}

/* Chunk i, cut to the tasks that were there. */
static uint32_t chunk_slots(const struct dash_job *job, size_t i, uint32_t n_slots)
{
    return MIN(job->chunks.data[i].n, n_slots - (uint32_t)i * DASH_CHUNK);
}

void dash_counts(const struct dash *d, const struct dash_job *job, uint64_t at_us,
                 uint32_t counts[TASK_STATE_COUNT])
{
    uint32_t n_slots = dash_slots_at(job, at_us);
    memset(counts, 0, TASK_STATE_COUNT * sizeof *counts);
    for (size_t i = 0; i * DASH_CHUNK < n_slots; i++) {
        const struct dash_chunk *c = &job->chunks.data[i];
        uint32_t n = chunk_slots(job, i, n_slots);
        if (n == c->n && is_settled(c, at_us)) {
            for (size_t s = 0; s < TASK_STATE_COUNT; s++)
                counts[s] += c->n_state[s];
            continue;
        }
        for (uint32_t k = 0; k < n; k++) {
            struct dash_note note = dash_note(c, k);
            counts[dash_seen(d, job, (uint32_t)i * DASH_CHUNK + k, &note, at_us)
                       .state]++;
        }
    }
}

/* ---- series ---------------------------------------------------------------------- */

/* The first point at or behind that time; n: behind all. */
static size_t point_of(struct dash_axis a, uint64_t time_us)
{
    if (time_us <= a.from_us)
        return 0;
    if (time_us > a.to_us)
        return a.n;
    uint64_t span = a.to_us - a.from_us, steps = a.n - 1;
    return (size_t)(((time_us - a.from_us) * steps + span - 1) / span);
}

static void from_point(uint32_t *out, struct dash_axis a, uint64_t time_us, uint32_t n)
{
    size_t i = point_of(a, time_us);
    if (i < a.n)
        out[i] += n;
}

/* One more during from..until; until UINT64_MAX: without an end. */
static void during(uint32_t *out, struct dash_axis a, uint64_t from_us,
                   uint64_t until_us)
{
    from_point(out, a, from_us, 1);
    if (until_us != UINT64_MAX)
        from_point(out, a, until_us, UINT32_MAX); /* minus 1 */
}

static void sum_up(uint32_t *out, size_t n)
{
    for (size_t i = 1; i < n; i++)
        out[i] += out[i - 1];
}

static void add_note(const struct dash *d, struct dash_axis a,
                     uint32_t *out[TASK_STATE_COUNT], const struct dash_note *note)
{
    if (note->start_us)
        during(out[TASK_RUNNING], a, note->start_us, over_us(d, note));
    if (note->end_us)
        from_point(out[note->state], a, note->end_us, 1);
}

void dash_task_series(const struct dash *d, const struct dash_job *job,
                      struct dash_axis a, uint32_t *out[TASK_STATE_COUNT])
{
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        memset(out[s], 0, a.n * sizeof *out[s]);
    for (size_t i = 0; i < job->chunks.len; i++) {
        const struct dash_chunk *c = &job->chunks.data[i];
        if (is_settled(c, a.from_us)) {
            for (size_t s = TASK_FINISHED; s < TASK_STATE_COUNT; s++)
                out[s][0] += c->n_state[s];
            continue;
        }
        for (uint32_t k = 0; k < c->n; k++) {
            struct dash_note note = dash_note(c, k);
            add_note(d, a, out, &note);
        }
    }
    for (size_t i = 0; i < job->earlier.len; i++)
        during(out[TASK_RUNNING], a, job->earlier.data[i].start_us,
               job->earlier.data[i].end_us);
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        sum_up(out[s], a.n);
}

void dash_worker_series(const struct dash *d, struct dash_axis a, uint32_t *out)
{
    memset(out, 0, a.n * sizeof *out);
    for (size_t i = 0; i < d->workers.len; i++) {
        const struct dash_worker *w = d->workers.data[i];
        during(out, a, w->connected_us, w->lost_us ? w->lost_us : UINT64_MAX);
    }
    sum_up(out, a.n);
}

static void add_allocs(const struct dash_queue *q, struct dash_axis a,
                       uint32_t *out[ALLOC_STATE_COUNT])
{
    for (size_t i = 0; i < q->allocs.len; i++) {
        const struct dash_alloc *x = &q->allocs.data[i];
        uint64_t ended = x->ended_us ? x->ended_us : UINT64_MAX;
        uint64_t left = x->started_us ? MIN(x->started_us, ended) : ended;
        during(out[ALLOC_QUEUED], a, x->queued_us, left);
        if (x->started_us)
            during(out[ALLOC_RUNNING], a, x->started_us, ended);
        if (x->ended_us)
            from_point(out[x->state], a, x->ended_us, 1);
    }
}

void dash_alloc_series(const struct dash *d, const struct dash_queue *q,
                       struct dash_axis a, uint32_t *out[ALLOC_STATE_COUNT])
{
    for (size_t s = 0; s < ALLOC_STATE_COUNT; s++)
        memset(out[s], 0, a.n * sizeof *out[s]);
    if (q)
        add_allocs(q, a, out);
    for (size_t i = 0; !q && i < d->queues.len; i++)
        add_allocs(d->queues.data[i], a, out);
    for (size_t s = 0; s < ALLOC_STATE_COUNT; s++)
        sum_up(out[s], a.n);
}

/* ---- what runs ------------------------------------------------------------------- */

typedef void running_fn(void *arg, const struct dash_job *job, uint32_t slot,
                        const struct dash_note *note, const struct dash_seen *seen);

/* `worker` 0: on all of them. */
static void walk_running(const struct dash *d, uint32_t worker, uint64_t at_us,
                         running_fn *fn, void *arg)
{
    uint64_t bit = worker ? (uint64_t)1 << worker % 64 : UINT64_MAX;
    for (size_t j = 0; j < d->jobs.len; j++) {
        const struct dash_job *job = d->jobs.data[j];
        if (job->min_start_us > at_us ||
            (job->n_running == 0 && job->max_end_us <= at_us))
            continue;
        for (size_t i = 0; i < job->chunks.len; i++) {
            const struct dash_chunk *c = &job->chunks.data[i];
            if (c->min_start_us > at_us || is_settled(c, at_us) || !(c->workers & bit))
                continue;
            for (uint32_t k = 0; k < c->n; k++) {
                struct dash_note note = dash_note(c, k);
                uint32_t slot = (uint32_t)i * DASH_CHUNK + k;
                struct dash_seen seen = dash_seen(d, job, slot, &note, at_us);
                if (seen.state == TASK_RUNNING)
                    fn(arg, job, slot, &note, &seen);
            }
        }
    }
}

/* Workers of a task: of a gang all its nodes. */
static size_t nodes_of(const struct dash_job *job, uint32_t slot,
                       const struct dash_note *note, const struct dash_seen *seen,
                       const uint32_t **nodes)
{
    uint64_t at;
    *nodes = &seen->worker;
    if (!note->gang || seen->worker != note->worker ||
        !u64map_get(&job->gangs, slot, &at))
        return seen->worker ? 1 : 0;
    *nodes = &job->gang_nodes.data[at + 1];
    return job->gang_nodes.data[at];
}

struct running {
    const struct dash *d;
    uint32_t *counts;
    uint32_t worker;
    void (*fn)(void *arg, const struct dash_seen *seen);
    void *arg;
};

static void count_running(void *arg, const struct dash_job *job, uint32_t slot,
                          const struct dash_note *note, const struct dash_seen *seen)
{
    struct running *r = arg;
    const uint32_t *nodes;
    size_t n = nodes_of(job, slot, note, seen, &nodes);
    for (size_t i = 0; i < n; i++) {
        const struct dash_worker *w = dash_worker(r->d, nodes[i]);
        if (w)
            r->counts[w->index]++;
    }
}

void dash_running(const struct dash *d, uint64_t at_us, uint32_t *counts)
{
    struct running r = {.d = d, .counts = counts};
    memset(counts, 0, d->workers.len * sizeof *counts);
    walk_running(d, 0, at_us, count_running, &r);
}

static bool is_on(const struct dash_job *job, uint32_t slot,
                  const struct dash_note *note, const struct dash_seen *seen,
                  uint32_t worker)
{
    const uint32_t *nodes;
    size_t n = nodes_of(job, slot, note, seen, &nodes);
    for (size_t i = 0; i < n; i++)
        if (nodes[i] == worker)
            return true;
    return false;
}

static void tell_running(void *arg, const struct dash_job *job, uint32_t slot,
                         const struct dash_note *note, const struct dash_seen *seen)
{
    struct running *r = arg;
    if (is_on(job, slot, note, seen, r->worker))
        r->fn(r->arg, seen);
}

void dash_running_on(const struct dash *d, uint32_t worker, uint64_t at_us,
                     void (*fn)(void *arg, const struct dash_seen *seen), void *arg)
{
    struct running r = {.worker = worker, .fn = fn, .arg = arg};
    walk_running(d, worker, at_us, tell_running, &r);
}

/* ---- rows ------------------------------------------------------------------------ */

static const uint8_t rank_of[TASK_STATE_COUNT] = {
    [TASK_RUNNING] = 0,  [TASK_FAILED] = 1,   [TASK_ABORTED] = 2,
    [TASK_CANCELED] = 3, [TASK_FINISHED] = 4, [TASK_WAITING] = 5};

static struct dash_key key_of(const struct dash_job *job, uint32_t slot,
                              const struct dash_seen *seen)
{
    uint64_t time = seen->state == TASK_RUNNING ? seen->start_us
                    : seen->end_us              ? ((uint64_t)1 << 52) - seen->end_us
                                                : 0;
    return (struct dash_key){(uint64_t)rank_of[seen->state] << 56 | time, job->index,
                             slot};
}

static bool before(const struct dash_key *a, const struct dash_key *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    return a->job != b->job ? a->job < b->job : a->slot < b->slot;
}

static int compare_keys(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

typedef void match_fn(void *arg, const struct dash_job *job, uint32_t slot,
                      const struct dash_seen *seen);

static void walk_job(const struct dash *d, const struct dash_filter *f,
                     const struct dash_job *job, match_fn *fn, void *arg)
{
    uint32_t n_slots = dash_slots_at(job, f->at_us);
    uint64_t bit = f->worker ? (uint64_t)1 << f->worker % 64 : UINT64_MAX;
    for (size_t i = 0; i * DASH_CHUNK < n_slots; i++) {
        const struct dash_chunk *c = &job->chunks.data[i];
        if (f->worker && (c->min_start_us > f->at_us || !(c->workers & bit)))
            continue;
        uint32_t n = chunk_slots(job, i, n_slots);
        for (uint32_t k = 0; k < n; k++) {
            struct dash_note note = dash_note(c, k);
            uint32_t slot = (uint32_t)i * DASH_CHUNK + k;
            struct dash_seen seen = dash_seen(d, job, slot, &note, f->at_us);
            if (!f->worker || is_on(job, slot, &note, &seen, f->worker))
                fn(arg, job, slot, &seen);
        }
    }
}

static void walk(const struct dash *d, const struct dash_filter *f, match_fn *fn,
                 void *arg)
{
    if (f->job)
        walk_job(d, f, f->job, fn, arg);
    for (size_t j = 0; !f->job && j < d->jobs.len; j++)
        if (d->jobs.data[j]->min_start_us <= f->at_us)
            walk_job(d, f, d->jobs.data[j], fn, arg);
}

static void count_row(void *arg, const struct dash_job *job UNUSED,
                      uint32_t slot UNUSED, const struct dash_seen *seen)
{
    uint64_t *counts = arg;
    counts[seen->state]++;
}

/* Where each state begins. */
static void count_rows(const struct dash *d, const struct dash_filter *f,
                       uint64_t counts[TASK_STATE_COUNT])
{
    memset(counts, 0, TASK_STATE_COUNT * sizeof *counts);
    if (f->job && !f->worker) {
        uint32_t small[TASK_STATE_COUNT];
        dash_counts(d, f->job, f->at_us, small);
        for (size_t s = 0; s < TASK_STATE_COUNT; s++)
            counts[s] = small[s];
    } else {
        walk(d, f, count_row, counts);
    }
}

struct gather {
    struct dash_rows *rows;
    bool wanted[TASK_STATE_COUNT];
};

static void gather_row(void *arg, const struct dash_job *job, uint32_t slot,
                       const struct dash_seen *seen)
{
    struct gather *g = arg;
    if (g->wanted[seen->state] && !vec_push(&g->rows->keys, key_of(job, slot, seen)))
        abort();
}

/* Moves the keys so that those in front of place k are the k smallest. The state of the
 * generator makes bad pivots a matter of luck, not of the input. */
static void part_at(struct dash_key *keys, size_t n, size_t k)
{
    size_t low = 0, high = n;
    uint64_t random = 0x9e3779b97f4a7c15;
    while (high - low > 1) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        struct dash_key pivot = keys[low + random % (high - low)];
        size_t i = low, j = high - 1;
        for (;;) {
            while (before(&keys[i], &pivot))
                i++;
            while (before(&pivot, &keys[j]))
                j--;
            if (i >= j)
                break;
            struct dash_key key = keys[i];
            keys[i++] = keys[j];
            keys[j--] = key;
        }
        if (i == j && k == j) /* the pivot stands there */
            return;
        if (k <= j)
            high = i == j ? j : j + 1;
        else
            low = j + 1;
    }
}

static struct dash_row row_of(const struct dash *d, const struct dash_key *key,
                              uint64_t at_us)
{
    struct dash_job *job = d->jobs.data[key->job];
    struct dash_note note =
        dash_note(&job->chunks.data[key->slot / DASH_CHUNK], key->slot % DASH_CHUNK);
    return (struct dash_row){job, key->slot, slot_ids_at(&job->ids, key->slot),
                             dash_seen(d, job, key->slot, &note, at_us)};
}

void dash_rows_release(struct dash_rows *r)
{
    vec_release(&r->keys);
    vec_release(&r->rows);
}

void dash_rows_find(struct dash_rows *r, const struct dash *d,
                    const struct dash_filter *f, uint64_t offset, size_t n)
{
    struct gather g = {.rows = r};
    uint64_t skipped = 0, at = 0;
    vec_clear(&r->keys);
    vec_clear(&r->rows);
    count_rows(d, f, r->counts);
    for (uint8_t rank = 0; rank < TASK_STATE_COUNT; rank++) {
        for (size_t s = 0; s < TASK_STATE_COUNT; s++) {
            if (rank_of[s] != rank)
                continue;
            g.wanted[s] = at < offset + n && at + r->counts[s] > offset;
            if (at + r->counts[s] <= offset)
                skipped += r->counts[s];
            at += r->counts[s];
        }
    }
    r->total = at;
    if (offset >= r->total || n == 0)
        return;
    walk(d, f, gather_row, &g);
    size_t first = (size_t)(offset - skipped), len = r->keys.len;
    size_t end = MIN(len, first + n);
    part_at(r->keys.data, len, first);
    part_at(r->keys.data + first, len - first, end - first);
    qsort(r->keys.data + first, end - first, sizeof *r->keys.data, compare_keys);
    for (size_t i = first; i < end; i++)
        if (!vec_push(&r->rows, row_of(d, &r->keys.data[i], f->at_us)))
            abort();
}

struct ranking {
    struct dash_key key;
    uint64_t n_before;
    bool found;
};

static void rank_row(void *arg, const struct dash_job *job, uint32_t slot,
                     const struct dash_seen *seen)
{
    struct ranking *r = arg;
    struct dash_key key = key_of(job, slot, seen);
    if (before(&key, &r->key))
        r->n_before++;
    else if (!before(&r->key, &key))
        r->found = true;
}

bool dash_rows_rank(const struct dash *d, const struct dash_filter *f, uint32_t job_id,
                    uint32_t slot, uint64_t *rank)
{
    const struct dash_job *job = dash_job(d, job_id);
    if (!job || slot >= dash_slots_at(job, f->at_us))
        return false;
    struct dash_note note =
        dash_note(&job->chunks.data[slot / DASH_CHUNK], slot % DASH_CHUNK);
    struct dash_seen seen = dash_seen(d, job, slot, &note, f->at_us);
    struct ranking r = {.key = key_of(job, slot, &seen)};
    walk(d, f, rank_row, &r);
    *rank = r.n_before;
    return r.found;
}
