/* Jobs and their tasks in the model. */
#include "tui/dash.h"

#include <stdlib.h>
#include "base/text.h"
#include "base/xmem.h"

#define TEXT_BYTES_MAX 2048u /* of a command, of a directory */

void dash_job_release(struct dash_job *job)
{
    for (size_t i = 0; i < job->chunks.len; i++)
        free(job->chunks.data[i].notes);
    vec_release(&job->chunks);
    vec_release(&job->grown);
    vec_release(&job->earlier);
    vec_release(&job->gang_nodes);
    u64map_release(&job->earlier_of);
    u64map_release(&job->gangs);
    slot_ids_release(&job->ids);
    free(job->name);
    free(job->command);
    free(job->directory);
    free(job->resources);
    free(job);
}

static struct dash_job *make_job(struct dash *d, const struct told *t, bool open)
{
    struct dash_job *job = xcalloc(1, sizeof *job);
    job->id = t->job;
    job->index = (uint32_t)d->jobs.len;
    job->open = open;
    job->name = t->text.n ? xstrndup((const char *)t->text.p, t->text.n) : xstrdup("");
    job->created_us = t->time_us;
    job->max_fails = -1;
    job->min_start_us = UINT64_MAX;
    if (u64map_set(&d->job_of, job->id, job->index) != 0 || !vec_push(&d->jobs, job))
        abort();
    return job;
}

void dash_job_opened(struct dash *d, const struct told *t)
{
    if (dash_find_job(d, t->job))
        return;
    struct dash_job *job = make_job(d, t, true);
    job->max_fails = t->max_fails;
    job->kind = "open";
}

/* ---- what a submit says ---------------------------------------------------------- */

static char *cut(const struct buf *b)
{
    const char *text = buf_cstr(b);
    return xstrndup(text, text_cut(text, MIN(b->len, TEXT_BYTES_MAX)));
}

static char *command_of(const struct submit *s)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    size_t n = 0;
    char **words = submit_argv(s, s->groups[0].argv, &n);
    for (size_t i = 0; words && i < n && b.len < TEXT_BYTES_MAX; i++) {
        if (i)
            buf_putc(&b, ' ');
        text_shell_quote(&b, words[i], strlen(words[i]));
    }
    char *text = n ? cut(&b) : NULL;
    free(words);
    buf_release(&b);
    return text;
}

static char *resources_of(const struct request *r)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    for (size_t i = 0; i < r->n_variants; i++) {
        const struct request_variant *v = &r->variants[i];
        if (i)
            buf_puts(&b, " | ");
        if (v->n_nodes)
            buf_printf(&b, "nodes: %u", v->n_nodes);
        for (size_t k = 0; !v->n_nodes && k < v->n_entries; k++) {
            buf_printf(&b, "%s%s: ", k ? ", " : "", v->entries[k].name);
            request_value_print(v->entries[k].policy, v->entries[k].amount, &b);
        }
    }
    char *text = b.len ? cut(&b) : NULL;
    buf_release(&b);
    return text;
}

static void describe(struct dash_job *job, const struct submit *s)
{
    static const char *const pins[] = {[PIN_NONE] = "none",
                                       [PIN_TASKSET] = "taskset",
                                       [PIN_OMP] = "omp",
                                       [PIN_OFF] = "none"};
    if (!job->kind)
        job->kind = s->graph ? "graph" : "array";
    if (job->directory)
        return; /* the first submit tells */
    const struct task_body *body = s->n_bodies ? &s->bodies[0] : NULL;
    struct buf dir = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&dir, body && body->cwd ? body->cwd : s->submit_dir ? s->submit_dir : "");
    job->directory = cut(&dir);
    buf_release(&dir);
    if (body) {
        job->pin = body->pin < ARRAY_SIZE(pins) ? pins[body->pin] : NULL;
        job->resources = resources_of(&body->request);
    }
    if (s->n_groups)
        job->command = command_of(s);
}

/* ---- notes of tasks -------------------------------------------------------------- */

static void write_out(struct dash_chunk *c)
{
    if (c->notes)
        return;
    c->notes = xmalloc(c->n * sizeof *c->notes);
    for (uint32_t i = 0; i < c->n; i++)
        c->notes[i] = c->all;
}

/* So many further tasks, all waiting. */
static void grow(struct dash_job *job, uint32_t n)
{
    while (n) {
        struct dash_chunk *last = job->chunks.len ? &vec_last(&job->chunks) : NULL;
        if (!last || last->n == DASH_CHUNK) {
            if (!vec_push(&job->chunks,
                          ((struct dash_chunk){.min_start_us = UINT64_MAX})))
                abort();
            continue;
        }
        uint32_t part = MIN(n, DASH_CHUNK - last->n);
        if (last->n && (last->notes || last->all.state != TASK_WAITING)) {
            write_out(last);
            last->notes = xrealloc(last->notes, (last->n + part) * sizeof *last->notes);
            memset(last->notes + last->n, 0, part * sizeof *last->notes);
        }
        last->n += part;
        last->n_state[TASK_WAITING] += part;
        n -= part;
    }
}

void dash_job_created(struct dash *d, const struct told *t)
{
    struct dash_job *job = dash_find_job(d, t->job);
    if (!job) {
        job = make_job(d, t, !t->closed_job);
        job->max_fails = t->submit->max_fails;
    }
    if (t->closed_job && job->open) { /* history from memory tells it late */
        job->open = false;
        job->kind = NULL;
    }
    uint32_t before = job->ids.n;
    if (slot_ids_add(&job->ids, t->submit) != 0)
        abort(); /* the tracker took it: there is no memory */
    describe(job, t->submit);
    grow(job, job->ids.n - before);
    struct dash_grown grown = {t->time_us, job->ids.n};
    if (!vec_push(&job->grown, grown))
        abort();
}

/* What charts and lists look at first. */
static void count_note(struct dash_job *job, struct dash_chunk *c, uint32_t n,
                       const struct dash_note *old, const struct dash_note *new)
{
    c->n_state[old->state] -= n;
    c->n_state[new->state] += n;
    job->n_running += (new->state == TASK_RUNNING ? n : 0);
    job->n_running -= (old->state == TASK_RUNNING ? n : 0);
    if (new->start_us) {
        c->min_start_us = MIN(c->min_start_us, new->start_us);
        job->min_start_us = MIN(job->min_start_us, new->start_us);
    }
    c->max_end_us = MAX(c->max_end_us, new->end_us);
    job->max_end_us = MAX(job->max_end_us, new->end_us);
    c->workers |= (uint64_t)1 << new->worker % 64;
}

static void set_note(struct dash_job *job, uint32_t slot, struct dash_note note)
{
    struct dash_chunk *c = &job->chunks.data[slot / DASH_CHUNK];
    write_out(c);
    struct dash_note *at = &c->notes[slot % DASH_CHUNK];
    count_note(job, c, 1, at, &note);
    *at = note;
}

static struct dash_job *find_task(struct dash *d, const struct told *t)
{
    struct dash_job *job = dash_find_job(d, t->job);
    return job && t->slot < job->ids.n ? job : NULL;
}

/* ---- events of tasks ------------------------------------------------------------- */

/* The run that the note tells was cut short. */
static void keep_earlier(struct dash *d, struct dash_job *job, uint32_t slot,
                         const struct dash_note *old, uint64_t until_us)
{
    const struct dash_worker *w = dash_worker(d, old->worker);
    uint64_t end_us = w && w->lost_us ? MIN(w->lost_us, until_us) : until_us;
    struct dash_run run = {.start_us = old->start_us,
                           .end_us = MAX(end_us, old->start_us),
                           .slot = slot,
                           .worker = old->worker};
    uint64_t before;
    if (u64map_get(&job->earlier_of, slot, &before))
        run.before = (uint32_t)before;
    if (!vec_push(&job->earlier, run) ||
        u64map_set(&job->earlier_of, slot, job->earlier.len) != 0)
        abort();
}

static void keep_gang(struct dash_job *job, const struct told *t)
{
    if (u64map_set(&job->gangs, t->slot, job->gang_nodes.len) != 0 ||
        !vec_push(&job->gang_nodes, t->n_nodes))
        abort();
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (!vec_push(&job->gang_nodes, t->nodes[i]))
            abort();
        struct dash_chunk *c = &job->chunks.data[t->slot / DASH_CHUNK];
        c->workers |= (uint64_t)1 << t->nodes[i] % 64;
    }
}

#define TIME_BITS (((uint64_t)1 << 52) - 1)

void dash_task_started(struct dash *d, const struct told *t)
{
    struct dash_job *job = find_task(d, t);
    if (!job)
        return;
    struct dash_note old =
        dash_note(&job->chunks.data[t->slot / DASH_CHUNK], t->slot % DASH_CHUNK);
    if (old.end_us)
        return;
    struct dash_note note = {.start_us = MAX(t->time_us, 1u) & TIME_BITS,
                             .state = TASK_RUNNING,
                             .again = old.state == TASK_RUNNING || old.again,
                             .gang = t->n_nodes > 1,
                             .worker = t->worker    ? t->worker
                                       : t->n_nodes ? t->nodes[0]
                                                    : 0,
                             .placement = t->placement};
    if (old.state == TASK_RUNNING)
        keep_earlier(d, job, t->slot, &old, t->time_us);
    set_note(job, t->slot, note);
    if (note.gang)
        keep_gang(job, t);
}

void dash_task_ended(struct dash *d, const struct told *t, enum task_state state)
{
    struct dash_job *job = find_task(d, t);
    if (!job)
        return;
    struct dash_note note =
        dash_note(&job->chunks.data[t->slot / DASH_CHUNK], t->slot % DASH_CHUNK);
    if (note.end_us)
        return;
    note.end_us = MAX(MAX(t->time_us, note.start_us), 1u) & TIME_BITS;
    note.state = state & 0xf;
    if (t->worker)
        note.worker = t->worker;
    if (t->placement)
        note.placement = t->placement;
    set_note(job, t->slot, note);
}

/* Tasks of one chunk. */
static void end_some(struct dash_job *job, struct dash_chunk *c, uint32_t first,
                     uint32_t n, uint64_t time_us, enum task_state state)
{
    uint64_t end_us = MAX(time_us, 1u) & TIME_BITS;
    if (!c->notes && n == c->n && c->all.state == TASK_WAITING) {
        struct dash_note all = {.end_us = end_us & TIME_BITS, .state = state & 0xf};
        count_note(job, c, n, &c->all, &all);
        c->all = all;
        return;
    }
    write_out(c);
    for (uint32_t i = first; i < first + n; i++) {
        struct dash_note note = c->notes[i];
        if (note.end_us)
            continue;
        note.end_us = MAX(end_us, note.start_us) & TIME_BITS;
        note.state = state & 0xf;
        count_note(job, c, 1, &c->notes[i], &note);
        c->notes[i] = note;
    }
}

void dash_tasks_ended(struct dash *d, const struct told *t, enum task_state state)
{
    struct dash_job *job = dash_find_job(d, t->job);
    for (size_t i = 0; job && i < t->n_runs; i++) {
        uint32_t slot = t->runs[i].slot, left = t->runs[i].count;
        while (left && slot < job->ids.n) {
            struct dash_chunk *c = &job->chunks.data[slot / DASH_CHUNK];
            uint32_t first = slot % DASH_CHUNK, n = MIN(left, c->n - first);
            end_some(job, c, first, n, t->time_us, state);
            slot += n;
            left -= n;
        }
    }
}
