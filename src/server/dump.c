/* hq server debug-dump: workers, groups of workers and tasks that are not over. */
#include "server/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/xmem.h"

struct dump {
    struct server *server;
    struct json json;
    struct u64map holders; /* job << 32 | slot -> worker */
    uint64_t mono_us;
};

/* A time that is kept on the monotonic clock; null for 0. */
static void put_mono(struct dump *d, const char *key, uint64_t us)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    if (us == 0) {
        json_knull(&d->json, key);
        return;
    }
    time_print_rfc3339(d->server->now_us - d->mono_us + us, &text);
    json_kstr(&d->json, key, buf_cstr(&text));
    buf_release(&text);
}

static void put_task_id(struct dump *d, struct job *job, uint32_t slot)
{
    char id[32];
    snprintf(id, sizeof id, "%u@%u", job->id, job_task_id(job, slot));
    json_str(&d->json, id);
}

/* ---- workers --------------------------------------------------------------------- */

static void put_assignment(struct dump *d, uint32_t worker,
                           const struct sched_worker_load *load)
{
    struct json *j = &d->json;
    struct server *s = d->server;
    struct job *job;
    json_key(j, "assignment");
    json_begin_object(j);
    if (load->gang) {
        json_kbool(j, "is_root", load->gang_root);
        json_key(j, "task_id");
        job = state_job(&s->state, load->gang_job);
        if (job)
            put_task_id(d, job, load->gang_slot);
        else
            json_null(j);
    } else {
        const struct sched_lost_task *tasks;
        size_t n;
        sched_worker_tasks(s->sched, worker, &tasks, &n);
        json_key(j, "assigned_tasks");
        json_begin_array(j);
        for (size_t i = 0; i < n; i++) {
            job = state_job(&s->state, tasks[i].job);
            if (job)
                put_task_id(d, job, tasks[i].slot);
        }
        json_end_array(j);
    }
    json_end_object(j);
}

static void put_configuration(struct json *j, const struct worker_config *c)
{
    json_key(j, "configuration");
    json_begin_object(j);
    json_kstr(j, "group", c->group);
    json_kuint(j, "heartbeat_interval_ms", c->heartbeat_ns / 1000000);
    json_kstr(j, "hostname", c->hostname);
    json_kuint(j, "idle_timeout_ms", c->idle_timeout_ns / 1000000);
    json_kstr(j, "listen_address", c->listen_address);
    json_kdouble(j, "min_utilization", c->min_utilization);
    json_kuint(j, "on_server_lost", c->on_server_lost);
    json_kuint(j, "pid", c->pid);
    json_key(j, "resources");
    json_begin_object(j);
    for (size_t i = 0; i < c->pools.n_pools; i++) {
        struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
        pool_print_full(&c->pools.pools[i], &text);
        json_kstr(j, c->pools.pools[i].name, buf_cstr(&text));
        buf_release(&text);
    }
    json_end_object(j);
    json_kuint(j, "time_limit_ms", c->time_limit_ns / 1000000);
    json_kstr(j, "work_dir", c->work_dir);
    json_end_object(j);
}

static void put_worker(struct dump *d, const struct worker *w)
{
    struct json *j = &d->json;
    const struct worker_link *link = worker_link_of(d->server, w->id);
    struct sched_worker_load load = {0};
    uint64_t limit_us = w->config.time_limit_ns / 1000;
    sched_worker_load(d->server->sched, w->id, &load);
    json_begin_object(j);
    put_assignment(d, w->id, &load);
    put_configuration(j, &w->config);
    json_key(j, "flags");
    json_begin_array(j);
    if (load.reserved)
        json_str(j, "reserved");
    if (link && link->stop_deadline_us)
        json_str(j, "stopping");
    json_end_array(j);
    json_kuint(j, "id", w->id);
    put_mono(d, "idle_timestamp", sched_worker_idle_since(d->server->sched, w->id));
    put_mono(d, "last_heartbeat", link ? link->last_heard_us : 0);
    put_mono(d, "termination_time",
             limit_us ? d->mono_us - (d->server->now_us - w->started_us) + limit_us
                      : 0);
    json_end_object(j);
}

static void put_workers(struct dump *d)
{
    struct state *s = &d->server->state;
    json_key(&d->json, "workers");
    json_begin_array(&d->json);
    for (uint32_t id = 1; id <= s->n_workers; id++) {
        const struct worker *w = state_worker(s, id);
        if (w && w->end == WORKER_RUNNING)
            put_worker(d, w);
    }
    json_end_array(&d->json);
}

static int by_group(const void *a, const void *b)
{
    const struct worker *const *x = a, *const *y = b;
    int order = strcmp((*x)->config.group, (*y)->config.group);
    return order ? order : ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static void put_groups(struct dump *d)
{
    struct state *s = &d->server->state;
    const struct worker **list = xcalloc(s->n_workers + 1, sizeof *list);
    size_t n = 0;
    for (uint32_t id = 1; id <= s->n_workers; id++) {
        const struct worker *w = state_worker(s, id);
        if (w && w->end == WORKER_RUNNING)
            list[n++] = w;
    }
    qsort(list, n, sizeof *list, by_group);
    json_key(&d->json, "worker_groups");
    json_begin_array(&d->json);
    for (size_t i = 0, end; i < n; i = end) {
        json_begin_object(&d->json);
        json_kstr(&d->json, "name", list[i]->config.group);
        json_key(&d->json, "workers");
        json_begin_array(&d->json);
        for (end = i;
             end < n && !strcmp(list[end]->config.group, list[i]->config.group); end++)
            json_uint(&d->json, list[end]->id);
        json_end_array(&d->json);
        json_end_object(&d->json);
    }
    json_end_array(&d->json);
    free(list);
}

/* ---- tasks ----------------------------------------------------------------------- */

/* A run of tasks as one text: what waits for an array of a million stays one item. */
static void put_run(void *arg, struct job *job, uint32_t slot, uint32_t count)
{
    struct dump *d = arg;
    char text[64];
    if (count == 1) {
        put_task_id(d, job, slot);
    } else if (count) {
        snprintf(text, sizeof text, "%u@%u-%u", job->id, job_task_id(job, slot),
                 job_task_id(job, slot + count - 1));
        json_str(&d->json, text);
    }
}

static void put_state(struct dump *d, struct job *job, uint32_t slot,
                      const struct task_record *r)
{
    struct json *j = &d->json;
    const struct gang_nodes *gang = job_gang(job, slot);
    uint64_t holder = 0;
    uint32_t needs, unfinished;
    (void)u64map_get(&d->holders, (uint64_t)job->id << 32 | slot, &holder);
    json_key(j, "state");
    json_begin_object(j);
    if (job_task_state(job, slot) == TASK_RUNNING && gang) {
        json_kstr(j, "state", "RunningMultiNode");
        json_key(j, "worker_ids");
        json_begin_array(j);
        for (uint32_t i = 0; i < gang->n; i++)
            json_uint(j, gang->ids[i]);
        json_end_array(j);
    } else if (job_task_state(job, slot) == TASK_RUNNING) {
        json_kstr(j, "state", "Running");
        json_kuint(j, "worker_id", r->worker);
    } else if (holder) {
        json_kstr(j, "state", "Assigned");
        json_kuint(j, "worker_id", holder);
    } else {
        graph_count_needs(job, slot, &needs, &unfinished);
        json_kstr(j, "state", "Waiting");
        json_kuint(j, "unfinished_deps", unfinished);
    }
    json_end_object(j);
}

static void put_limits(struct json *j, const struct task_body *body, size_t argv_bytes)
{
    json_key(j, "configuration");
    json_begin_object(j);
    json_kuint(j, "body_len", argv_bytes + body->n_input);
    json_key(j, "crash_limit");
    if (body->crash_limit == CRASH_LIMIT_NEVER_RESTART)
        json_str(j, "NeverRestart");
    else if (body->crash_limit == CRASH_LIMIT_UNLIMITED)
        json_str(j, "Unlimited");
    else
        json_uint(j, body->crash_limit);
    json_key(j, "time_limit");
    if (body->time_limit_ns)
        json_double(j, (double)body->time_limit_ns / 1e9);
    else
        json_null(j);
    json_kint(j, "user_priority", body->priority);
    json_end_object(j);
}

static size_t argv_bytes(struct job *job, const struct job_group *g)
{
    const struct submit *spec = &job->submits[g->submit].spec;
    size_t n, bytes = 0;
    char **words = submit_argv(spec, job_group_spec(job, g)->argv, &n);
    for (size_t i = 0; words && i < n; i++)
        bytes += strlen(words[i]);
    free(words);
    return bytes;
}

static void find_holders(struct dump *d)
{
    for (uint32_t id = 1; id <= d->server->state.n_workers; id++) {
        const struct sched_lost_task *tasks;
        size_t n;
        sched_worker_tasks(d->server->sched, id, &tasks, &n);
        for (size_t i = 0; i < n; i++)
            if (u64map_set(&d->holders, (uint64_t)tasks[i].job << 32 | tasks[i].slot,
                           id) != 0)
                abort();
    }
}

static void put_task(struct dump *d, struct job *job, const struct job_group *g,
                     size_t bytes, uint32_t slot)
{
    struct json *j = &d->json;
    const struct task_record *r = job_record(job, slot);
    json_begin_object(j);
    put_limits(j, job_body_of(job, g), bytes);
    json_key(j, "consumers");
    json_begin_array(j);
    graph_visit_dependants(job, slot, put_run, d);
    json_end_array(j);
    json_kuint(j, "crash_counter", r ? r->crashes : 0);
    json_key(j, "id");
    put_task_id(d, job, slot);
    json_kuint(j, "instance_id", r ? r->instance : 0);
    put_state(d, job, slot, r);
    json_key(j, "task_deps");
    json_begin_array(j);
    graph_visit_needs(job, slot, put_run, d);
    json_end_array(j);
    json_end_object(j);
}

static void put_tasks(struct dump *d)
{
    struct state *s = &d->server->state;
    json_key(&d->json, "tasks");
    json_begin_array(&d->json);
    for (uint32_t id = 1; id <= s->last_job; id++) {
        struct job *job = state_job(s, id);
        for (size_t i = 0; job && i < job->n_groups; i++) {
            const struct job_group *g = &job->groups[i];
            size_t bytes = argv_bytes(job, g);
            for (uint32_t k = 0; k < g->count; k++)
                if (!task_state_terminal(job_task_state(job, g->first_slot + k)))
                    put_task(d, job, g, bytes, g->first_slot + k);
        }
    }
    json_end_array(&d->json);
}

/* ---- the file -------------------------------------------------------------------- */

static int write_file(struct server *s, int fd, struct error *err)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct dump d = {.server = s, .holders = U64MAP_INIT, .mono_us = clock_mono_us()};
    json_init(&d.json, &b, true, fd);
    json_begin_object(&d.json);
    json_key(&d.json, "scheduler");
    json_begin_object(&d.json);
    json_kdouble(&d.json, "reserved_idle_seconds",
                 (double)sched_wasted_us(s->sched, d.mono_us) / 1e6);
    json_end_object(&d.json);
    json_key(&d.json, "tako");
    json_begin_object(&d.json);
    find_holders(&d);
    put_tasks(&d);
    put_groups(&d);
    put_workers(&d);
    json_end_object(&d.json);
    json_end_object(&d.json);
    int rc = json_flush(&d.json);
    if (rc == ERR_SYSTEM)
        rc = error_errno(err, d.json.sys, "%s", "");
    else if (rc != 0)
        rc = error_nomem(err);
    u64map_release(&d.holders);
    buf_release(&b);
    return rc;
}

int dump_write(struct server *s, const char *path, struct error *err)
{
    int fd = open(
        path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    int rc = fd < 0 ? error_sys(err, "%s", "") : write_file(s, fd, err);
    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = error_sys(err, "%s", "");
    if (rc != 0)
        error_prefix(err, "Error: Could not write debug dump: ");
    return rc;
}
