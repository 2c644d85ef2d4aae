#include "history/raw_json.h"

#include <stdio.h>
#include "base/duration.h"

void raw_duration(struct json *j, uint64_t ns)
{
    if (ns == DURATION_ZERO_NS)
        ns = 0;
    json_begin_object(j);
    json_kuint(j, "nanos", ns % NS_PER_S);
    json_kuint(j, "secs", ns / NS_PER_S);
    json_end_object(j);
}

void raw_duration_or_null(struct json *j, uint64_t ns)
{
    if (ns)
        raw_duration(j, ns);
    else
        json_null(j);
}

/* ---- resources of a worker ------------------------------------------------------- */

static void raw_labels(struct json *j, const struct pool_group *g)
{
    json_begin_array(j);
    for (size_t i = 0; i < g->n; i++)
        json_str(j, g->labels[i]);
    json_end_array(j);
}

static void raw_pool(struct json *j, const struct pool *p)
{
    static const char *const kinds[] = {[POOL_LIST] = "List",
                                        [POOL_RANGE] = "Range",
                                        [POOL_GROUPS] = "Groups",
                                        [POOL_SUM] = "Sum"};
    json_begin_object(j);
    json_key(j, "kind");
    json_begin_object(j);
    json_key(j, kinds[p->kind]);
    json_begin_object(j);
    switch (p->kind) {
    case POOL_LIST:
        json_key(j, "values");
        raw_labels(j, &p->groups[0]);
        break;
    case POOL_RANGE:
        json_kuint(j, "end", p->range_last);
        json_kuint(j, "start", p->range_first);
        break;
    case POOL_GROUPS:
        json_key(j, "groups");
        json_begin_array(j);
        for (size_t g = 0; g < p->n_groups; g++)
            raw_labels(j, &p->groups[g]);
        json_end_array(j);
        break;
    case POOL_SUM:
        json_kuint(j, "size", p->sum);
        break;
    }
    json_end_object(j);
    json_end_object(j);
    json_kstr(j, "name", p->name);
    json_end_object(j);
}

void raw_coupling(struct json *j, const struct pool_set *pools)
{
    json_key(j, "coupling");
    json_begin_object(j);
    json_key(j, "weights");
    json_begin_array(j);
    for (size_t i = 0; i < pools->n_couplings; i++) {
        const struct coupling *c = &pools->couplings[i];
        json_begin_object(j);
        json_kuint(j, "group1_idx", c->group1);
        json_kuint(j, "group2_idx", c->group2);
        json_kuint(j, "resource1_idx", c->resource1);
        json_kuint(j, "resource2_idx", c->resource2);
        json_kuint(j, "weight", c->weight);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

void raw_pools(struct json *j, const struct pool_set *pools)
{
    json_begin_object(j);
    raw_coupling(j, pools);
    json_key(j, "resources");
    json_begin_array(j);
    for (size_t i = 0; i < pools->n_pools; i++)
        raw_pool(j, &pools->pools[i]);
    json_end_array(j);
    json_end_object(j);
}

/* ---- workers --------------------------------------------------------------------- */

/* A JSON text inside of a string. */
static void raw_job_manager(struct json *j, const struct worker_config *c)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct json inner;
    json_init(&inner, &text, false, -1);
    json_begin_object(&inner);
    json_kstr(&inner, "allocation_id", c->manager_job);
    json_kstr(&inner, "manager", c->manager == MANAGER_PBS ? "Pbs" : "Slurm");
    json_knull(&inner, "max_memory_mb");
    json_key(&inner, "time_limit");
    raw_duration_or_null(&inner, c->time_limit_ns);
    json_end_object(&inner);
    json_key(j, "JobManager");
    json_strn(j, (const char *)text.data, text.len);
    buf_release(&text);
}

static void raw_extra(struct json *j, const struct worker_config *c)
{
    char pid[16];
    json_begin_object(j);
    if (c->manager != MANAGER_NONE)
        raw_job_manager(j, c);
    (void)snprintf(pid, sizeof pid, "%u", c->pid);
    json_kstr(j, "ProcessPid", pid);
    json_end_object(j);
}

static void raw_gpu_families(struct json *j, const struct pool_set *pools)
{
    json_begin_array(j);
    if (pool_set_find(pools, "gpus/nvidia"))
        json_str(j, "Nvidia");
    if (pool_set_find(pools, "gpus/amd"))
        json_str(j, "Amd");
    json_end_array(j);
}

void raw_worker_config(struct json *j, const struct worker_config *c,
                       uint64_t retract_check_ns)
{
    static const char *const policies[] = {[LOST_STOP] = "Stop",
                                           [LOST_FINISH_RUNNING] = "FinishRunning",
                                           [LOST_RECONNECT] = "Reconnect"};
    json_begin_object(j);
    json_key(j, "extra");
    raw_extra(j, c);
    json_kstr(j, "group", c->group);
    json_key(j, "heartbeat_interval");
    raw_duration(j, c->heartbeat_ns);
    json_kstr(j, "hostname", c->hostname);
    json_key(j, "idle_timeout");
    raw_duration_or_null(j, c->idle_timeout_ns);
    json_kstr(j, "listen_address", c->listen_address);
    json_kdouble(j, "min_utilization", c->min_utilization);
    json_kstr(j, "on_server_lost", policies[c->on_server_lost]);
    json_key(j, "overview_configuration");
    json_begin_object(j);
    json_key(j, "gpu_families");
    raw_gpu_families(j, &c->pools);
    json_key(j, "send_interval");
    raw_duration_or_null(j, c->overview_interval_ns);
    json_end_object(j);
    json_key(j, "resources");
    raw_pools(j, &c->pools);
    if (retract_check_ns) {
        json_key(j, "retract_check_interval");
        raw_duration(j, retract_check_ns);
    }
    json_key(j, "time_limit");
    raw_duration_or_null(j, c->time_limit_ns);
    json_kstr(j, "work_dir", c->work_dir);
    json_end_object(j);
}

/* ---- submits --------------------------------------------------------------------- */

void raw_policy(struct json *j, const struct request_entry *e)
{
    if (e->policy == POLICY_ALL) {
        json_str(j, "All");
    } else {
        json_begin_object(j);
        json_kuint(j, request_policy_json(e->policy), e->amount);
        json_end_object(j);
    }
}

static void raw_entry(struct json *j, const struct request_entry *e)
{
    json_begin_object(j);
    json_key(j, "policy");
    raw_policy(j, e);
    json_kstr(j, "resource", e->name);
    json_end_object(j);
}

void raw_request(struct json *j, const struct request *r)
{
    json_begin_object(j);
    json_key(j, "variants");
    json_begin_array(j);
    for (size_t i = 0; i < r->n_variants; i++) {
        const struct request_variant *v = &r->variants[i];
        json_begin_object(j);
        json_key(j, "min_time");
        raw_duration(j, v->min_time_ns);
        json_kuint(j, "n_nodes", v->n_nodes);
        json_key(j, "resources");
        json_begin_array(j);
        for (size_t k = 0; k < v->n_entries; k++)
            raw_entry(j, &v->entries[k]);
        json_end_array(j);
        json_kuint(j, "weight", v->weight);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

static void raw_crash_limit(struct json *j, uint32_t limit)
{
    if (limit == CRASH_LIMIT_NEVER_RESTART) {
        json_str(j, "NeverRestart");
    } else if (limit == CRASH_LIMIT_UNLIMITED) {
        json_str(j, "Unlimited");
    } else {
        json_begin_object(j);
        json_kuint(j, "MaxCrashes", limit);
        json_end_object(j);
    }
}

/* "count" is that of the numbers from the first one to the bound as it was written. */
static void raw_ids(struct json *j, const struct submit *s)
{
    struct idset ids = IDSET_INIT;
    json_begin_object(j);
    json_key(j, "ranges");
    json_begin_array(j);
    for (size_t g = 0; g < s->n_groups; g++)
        if (group_ids(s, &s->groups[g], &ids) != 0)
            break;
    for (size_t i = 0; i < ids.n_ranges; i++) {
        const struct idrange *r = &ids.ranges[i];
        json_begin_object(j);
        json_kuint(j, "count", (uint64_t)(r->count - 1) * r->step + 1 + r->slack);
        json_kuint(j, "start", r->first);
        json_kuint(j, "step", r->step);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
    idset_release(&ids);
}

static void raw_tasks(struct json *j, const struct submit *s)
{
    json_begin_object(j);
    if (s->graph || s->n_bodies != 1) {
        json_kuint(j, "n_tasks", submit_task_count(s));
    } else {
        const struct task_body *b = &s->bodies[0];
        json_key(j, "crash_limit");
        raw_crash_limit(j, b->crash_limit);
        json_key(j, "ids");
        raw_ids(j, s);
        json_kint(j, "priority", b->priority);
        json_key(j, "resources");
        raw_request(j, &b->request);
        json_key(j, "time_limit");
        raw_duration_or_null(j, b->time_limit_ns);
    }
    json_end_object(j);
}

void raw_submit(struct json *j, const struct submit *s)
{
    const char *stream = NULL;
    for (size_t i = 0; i < s->n_bodies && !stream; i++)
        stream = s->bodies[i].stream;
    json_begin_object(j);
    json_kstr(j, "stream_path", stream);
    json_kstr(j, "submit_dir", s->submit_dir);
    json_key(j, "task_desc");
    raw_tasks(j, s);
    json_end_object(j);
}

/* ---- allocation queues ----------------------------------------------------------- */

static void raw_words(struct json *j, const char *key, const struct alloc_words *w)
{
    json_key(j, key);
    json_begin_array(j);
    for (size_t i = 0; i < w->n; i++)
        json_str(j, w->v[i]);
    json_end_array(j);
}

void raw_alloc_params(struct json *j, const struct alloc_params *p)
{
    json_begin_object(j);
    raw_words(j, "additional_args", &p->additional_args);
    json_kuint(j, "backlog", p->backlog);
    json_key(j, "cli_resource_descriptor");
    if (p->has_pools)
        raw_pools(j, &p->pools);
    else
        json_null(j);
    json_key(j, "idle_timeout");
    raw_duration_or_null(j, p->idle_timeout_ns);
    json_kstr(j, "manager", p->manager == MANAGER_PBS ? "Pbs" : "Slurm");
    if (p->max_worker_count)
        json_kuint(j, "max_worker_count", p->max_worker_count);
    else
        json_knull(j, "max_worker_count");
    json_kuint(j, "max_workers_per_alloc", p->max_workers_per_alloc);
    json_kdouble(j, "min_utilization", p->min_utilization);
    if (p->mpi_worker)
        json_kbool(j, "mpi_worker", true);
    json_kstr(j, "name", p->name);
    json_key(j, "timelimit");
    raw_duration(j, p->time_limit_ns);
    raw_words(j, "worker_args", &p->worker_args);
    json_kstr(j, "worker_start_cmd", p->worker_start_cmd);
    json_kstr(j, "worker_stop_cmd", p->worker_stop_cmd);
    json_kstr(j, "worker_wrap_cmd", p->worker_wrap_cmd);
    json_end_object(j);
}
