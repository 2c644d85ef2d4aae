#include "cli/log_choice.h"

#include <string.h>
#include "base/clock.h"

/* ---- options ----------------------------------------------------------------------
 */

static bool given(const struct args *a, const char *name)
{
    return args_declared(a, name) && args_given(a, name);
}

static int read_ids(const struct args *a, const char *name, bool *has,
                    struct idset *ids, struct error *err)
{
    *has = given(a, name);
    return *has ? idset_parse(ids, args_str(a, name), err) : 0;
}

static int read_time(const struct args *a, const char *name, uint64_t *us,
                     struct error *err)
{
    return given(a, name) ? time_parse(args_str(a, name), clock_real_us(), us, err) : 0;
}

static int read_jobs(struct log_choice *c, const struct log_source *s,
                     const struct args *a, struct error *err)
{
    bool has = false;
    int rc = read_ids(a, "JOB", &has, &c->jobs, err);
    if (rc == 0 && !has)
        rc = read_ids(a, "job", &has, &c->jobs, err);
    if (rc == 0 && !has && s->has_job) {
        has = true;
        rc = idset_add(&c->jobs, s->job, 1, 1);
    }
    c->any_job = !has;
    return rc;
}

static void read_states(struct log_choice *c, const struct args *a)
{
    if (!given(a, "state"))
        return;
    struct args_list words = args_list(a, "state");
    for (size_t i = 0; i < words.n; i++)
        for (unsigned k = 0; k < OUTLOG_STATE_COUNT; k++)
            if (strcmp(words.items[i], outlog_state_words[k]) == 0)
                c->states |= 1u << k;
}

int log_choice_read(struct log_choice *c, const struct log_source *s,
                    const struct run *r, struct error *err)
{
    const struct args *a = r->args;
    *c = (struct log_choice){.any_job = true, .channel = -1, .until_us = UINT64_MAX};
    const char *channel = given(a, "channel")   ? args_str(a, "channel")
                          : given(a, "CHANNEL") ? args_str(a, "CHANNEL")
                                                : NULL;
    if (channel)
        c->channel = strcmp(channel, "stderr") == 0 ? OUTLOG_STDERR : OUTLOG_STDOUT;
    c->all_instances =
        args_declared(a, "all-instances") && args_flag(a, "all-instances");
    read_states(c, a);
    if (given(a, "host"))
        c->hosts = args_list(a, "host");
    int rc = read_jobs(c, s, a, err);
    if (rc == 0)
        rc = read_ids(a, "task", &c->has_tasks, &c->tasks, err);
    if (rc == 0)
        rc = read_ids(a, "rank", &c->has_ranks, &c->ranks, err);
    if (rc == 0)
        rc = read_ids(a, "worker", &c->has_workers, &c->workers, err);
    if (rc == 0)
        rc = read_time(a, "since", &c->since_us, err);
    if (rc == 0)
        rc = read_time(a, "until", &c->until_us, err);
    c->by_origin = c->hosts.n || c->has_ranks || c->has_workers;
    return rc;
}

int log_choice_settle_job(struct log_choice *c, const struct log_source *s,
                          struct error *err)
{
    struct outlog_counts counts;
    if (!c->any_job || !c->has_tasks)
        return 0;
    int rc = outlog_reader_counts(s->reader, &counts, err);
    if (rc < 0 || counts.n_jobs != 1)
        return rc;
    c->any_job = false;
    return idset_add(&c->jobs, counts.max_job, 1, 1) < 0 ? error_nomem(err) : 0;
}

void log_choice_release(struct log_choice *c)
{
    idset_release(&c->jobs);
    idset_release(&c->tasks);
    idset_release(&c->ranks);
    idset_release(&c->workers);
}

/* ---- tests ------------------------------------------------------------------------
 */

static bool has_host(const struct log_choice *c, const char *host)
{
    for (size_t i = 0; i < c->hosts.n; i++)
        if (strcmp(c->hosts.items[i], host) == 0)
            return true;
    return c->hosts.n == 0;
}

static bool has_origin(const struct log_choice *c, struct outlog_reader *r,
                       const struct outlog_ref *ref)
{
    struct outlog_origin o;
    if (!c->by_origin)
        return true;
    if (!outlog_read_origin(r, ref, &o))
        return false;
    return has_host(c, o.host) &&
           (!c->has_ranks ||
            (o.rank >= 0 && idset_contains(&c->ranks, (uint32_t)o.rank))) &&
           (!c->has_workers || idset_contains(&c->workers, o.worker));
}

bool log_choice_by_run(const struct log_choice *c)
{
    return c->states || c->by_origin;
}

bool log_choice_has_run(const struct log_choice *c, struct outlog_reader *r,
                        const struct outlog_run *run)
{
    return (!c->states || c->states & 1u << run->state) &&
           run->last_us >= c->since_us && run->first_us < c->until_us &&
           has_origin(c, r, &run->refs[0]); /* a run has one writer */
}

bool log_choice_has_id(const struct log_choice *c, const struct outlog_key *k)
{
    return (c->any_job || idset_contains(&c->jobs, k->job)) &&
           (!c->has_tasks || idset_contains(&c->tasks, k->task));
}

bool log_choice_has_task(const struct log_choice *c, struct outlog_reader *r,
                         const struct outlog_ref *ref)
{
    return log_choice_has_id(c, &ref->e.key) && has_origin(c, r, ref);
}

bool log_choice_has_block(const struct log_choice *c, const struct outlog_entry *e)
{
    if (e->type != OUTLOG_BLOCK_STDOUT && e->type != OUTLOG_BLOCK_STDERR)
        return false;
    if (c->channel >= 0 &&
        (e->type == OUTLOG_BLOCK_STDERR) != (c->channel == OUTLOG_STDERR))
        return false;
    return e->time_us >= c->since_us && e->time_us < c->until_us;
}

/* Stream files of HyperQueue tell that a run ended, but not how. */
const char *log_state_word(bool finished, enum outlog_state state)
{
    return finished && state == OUTLOG_UNFINISHED ? "ended" : outlog_state_words[state];
}

/* ---- the walk ---------------------------------------------------------------------
 */

/* The walk over one reader: the run that was read but does not belong to the part of
 * the choice just done is kept for the next part. */
struct walk {
    const struct log_source *s;
    const struct log_choice *c;
    struct outlog_runs *it;
    log_run_fn fn;
    void *arg;
    struct outlog_run run;
    bool have; /* run is valid and not used yet */
    bool end;  /* nothing is behind `from` */
    /* No run lies at or behind `from` and before the present one. */
    uint32_t from_job, from_task;
};

/* Ids that are nearer than this are reached by reading on. */
#define SEEK_DISTANCE 256u

static int walk_read(struct walk *w, struct error *err)
{
    int rc = outlog_runs_next(w->it, &w->run, err);
    w->have = rc == 1;
    w->end = rc == 0;
    return rc < 0 ? rc : 0;
}

static bool is_before(uint32_t job, uint32_t task, uint32_t than_job,
                      uint32_t than_task)
{
    return job < than_job || (job == than_job && task < than_task);
}

static bool run_is_before(const struct outlog_run *run, uint32_t job, uint32_t task)
{
    return is_before(run->job, run->task, job, task);
}

/* Makes w->run the first run at or behind (job, task), or sets w->end. */
static int walk_to(struct walk *w, uint32_t job, uint32_t task, struct error *err)
{
    bool known =
        (w->have || w->end) && !is_before(job, task, w->from_job, w->from_task);
    if (known && (w->end || !run_is_before(&w->run, job, task)))
        return 0;
    bool near = known && w->run.job == job && task - w->run.task < SEEK_DISTANCE;
    if (!near) {
        int rc = outlog_runs_seek(w->it, job, task, err);
        if (rc == 0)
            rc = walk_read(w, err);
        if (rc < 0)
            return rc;
    }
    while (w->have && run_is_before(&w->run, job, task)) {
        int rc = walk_read(w, err);
        if (rc < 0)
            return rc;
    }
    w->from_job = job;
    w->from_task = task;
    return 0;
}

/* Gives all chosen runs of the present task to fn; then w->run is the next task. */
static int walk_task(struct walk *w, struct error *err)
{
    uint32_t job = w->run.job, task = w->run.task;
    while (w->have && w->run.job == job && w->run.task == task) {
        int rc = 0;
        if ((w->run.newest || w->c->all_instances) &&
            log_choice_has_run(w->c, w->s->reader, &w->run))
            rc = w->fn(w->arg, &w->run, err);
        if (rc == 0)
            rc = walk_read(w, err);
        if (rc < 0)
            return rc;
    }
    w->from_job = job;
    w->from_task = task;
    if (task != UINT32_MAX)
        w->from_task++;
    return 0;
}

static int walk_range(struct walk *w, uint32_t job, const struct idrange *range,
                      struct error *err)
{
    uint64_t id = range->first;
    uint64_t last = id + (uint64_t)(range->count - 1) * range->step;
    while (id <= last) {
        int rc = walk_to(w, job, (uint32_t)id, err);
        if (rc < 0)
            return rc;
        if (w->have && w->run.job == job && w->run.task == id) {
            rc = walk_task(w, err);
            id += range->step;
        } else if (w->c->must_exist) {
            rc = error_set(err, ERR_NOT_FOUND, "Task %llu not found",
                           (unsigned long long)id);
        } else if (w->have && w->run.job == job) {
            /* On to the first id of the range that may exist. */
            uint64_t ahead = (w->run.task - id + range->step - 1) / range->step;
            id += ahead * range->step;
        } else {
            return 0;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The chosen tasks of one job; w->run is its first run. */
static int walk_tasks(struct walk *w, uint32_t job, struct error *err)
{
    int rc = 0;
    if (!w->c->has_tasks) {
        while (rc == 0 && w->have && w->run.job == job)
            rc = walk_task(w, err);
        return rc;
    }
    for (size_t i = 0; i < w->c->tasks.n_ranges && rc == 0; i++)
        rc = walk_range(w, job, &w->c->tasks.ranges[i], err);
    return rc;
}

static int walk_job(struct walk *w, uint32_t job, struct error *err)
{
    int rc = walk_to(w, job, 0, err);
    if (rc < 0)
        return rc;
    if (w->have && w->run.job == job)
        return walk_tasks(w, job, err);
    return w->c->must_exist ? error_set(err, ERR_NOT_FOUND, "Job %u not found", job)
                            : 0;
}

static int walk_all_jobs(struct walk *w, struct error *err)
{
    int rc = walk_to(w, 0, 0, err);
    while (rc == 0 && w->have) {
        uint32_t job = w->run.job;
        rc = walk_tasks(w, job, err);
        if (rc < 0 || job == UINT32_MAX)
            return rc;
        rc = walk_to(w, job + 1, 0, err);
    }
    return rc;
}

int log_walk(const struct log_source *s, const struct log_choice *c, log_run_fn fn,
             void *arg, struct error *err)
{
    struct walk w = {.s = s, .c = c, .fn = fn, .arg = arg};
    int rc = outlog_runs_create(&w.it, s->reader, err);
    if (rc < 0)
        return rc;
    if (c->any_job)
        rc = walk_all_jobs(&w, err);
    struct idset_iter it = IDSET_ITER(&c->jobs);
    uint32_t job;
    while (rc == 0 && !c->any_job && idset_next(&it, &job))
        rc = walk_job(&w, job, err);
    outlog_runs_destroy(w.it);
    return rc;
}
