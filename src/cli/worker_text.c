#include "cli/worker_text.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/table.h"
#include "cli/pool_json.h"
#include "cli/session.h"

static const char *const manager_labels[] = {"None", "PBS", "SLURM"};
static const char *const manager_words[] = {"None", "PBS", "Slurm"};

const char *worker_text_manager(const struct worker_config *c)
{
    return manager_labels[c->manager];
}

void worker_text_resources(const struct pool_set *pools, const char *name_end,
                           const char *between, struct buf *out)
{
    for (size_t i = 0; i < pools->n_pools; i++) {
        if (i)
            buf_puts(out, between);
        buf_printf(out, "%s%s", pools->pools[i].name, name_end);
        pool_print_summary(pools, i, out);
    }
}

static void load_text(const struct worker_info *i, struct buf *out)
{
    if (i->end != WORKER_RUNNING)
        return;
    if (i->gang) {
        buf_printf(out, "running multinode task; %s node",
                   i->gang_root ? "main" : "secondary");
        return;
    }
    buf_printf(out, "assigned tasks: %u", i->assigned);
    if (i->running)
        buf_printf(out, "; running tasks: %u", i->running);
    if (i->reserved)
        buf_puts(out, "; reserved for a multi-node task");
}

static void pair_duration(struct table *t, const char *label, uint64_t ns)
{
    struct buf b = BUF_INIT(256);
    duration_or(ns, "None", &b);
    table_pair(t, label, buf_cstr(&b));
    buf_release(&b);
}

static void last_started(const struct worker_info *i, struct buf *out)
{
    if (!i->any_started)
        return;
    buf_printf(out, "%u@%u; Time: \"", i->last_job, i->last_task);
    time_print_rfc3339(i->last_us, out);
    buf_putc(out, '"');
}

int worker_text_table(struct output *o, const struct worker_info *i, bool load,
                      struct error *err)
{
    const struct worker_config *c = &i->config;
    struct table t;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    table_init(&t, TABLE_VERTICAL, 2, o->colour);
    table_pairf(&t, "Worker", "%u", i->id);
    table_cell(&t, "State");
    table_cell_coloured(&t, i->end == WORKER_RUNNING ? TABLE_GREEN : TABLE_RED,
                        worker_state_labels[i->end]);
    table_pair(&t, "Hostname", c->hostname);
    buf_putc(&b, '"');
    time_print_rfc3339(i->started_us, &b);
    buf_putc(&b, '"');
    table_pair(&t, "Started", buf_cstr(&b));
    table_pair(&t, "Data provider", c->listen_address);
    table_pair(&t, "Working directory", c->work_dir);
    pair_duration(&t, "Heartbeat", c->heartbeat_ns);
    pair_duration(&t, "Idle timeout", c->idle_timeout_ns);
    pair_duration(&t, "Overview interval", c->overview_interval_ns);
    buf_clear(&b);
    worker_text_resources(&c->pools, ": ", "\n", &b);
    table_pair(&t, "Resources", buf_cstr(&b));
    pair_duration(&t, "Time Limit", c->time_limit_ns);
    if (c->pid)
        table_pairf(&t, "Process pid", "%u", c->pid);
    else
        table_pair(&t, "Process pid", "N/A");
    table_pair(&t, "Group", c->group);
    table_pair(&t, "Manager", manager_labels[c->manager]);
    table_pair(&t, "Manager Job ID", c->manager_job ? c->manager_job : "N/A");
    buf_clear(&b);
    last_started(i, &b);
    table_pair(&t, "Last task started", buf_cstr(&b));
    if (load && i->end == WORKER_RUNNING) {
        buf_clear(&b);
        load_text(i, &b);
        table_pair(&t, "Runtime Info", buf_cstr(&b));
    }
    if (c->mpi) {
        table_pairf(&t, "MPI rank", "%u of %u (local %u of %u)", c->rank, c->world_size,
                    c->local_rank, c->local_size);
        table_pair(&t, "Pool", c->pool_id ? c->pool_id : "N/A");
    }
    buf_release(&b);
    return output_table(o, &t, err);
}

static void json_configuration(struct json *j, const struct worker_config *c)
{
    static const char *const policies[] = {"stop", "finish-running", "reconnect"};
    json_key(j, "configuration");
    json_begin_object(j);
    json_kstr(j, "group", c->group);
    json_seconds(j, "heartbeat_interval", c->heartbeat_ns);
    json_kstr(j, "hostname", c->hostname);
    json_seconds_or_null(j, "idle_timeout", c->idle_timeout_ns);
    json_kstr(j, "listen_address", c->listen_address);
    json_kdouble(j, "min_utilization", (double)(float)c->min_utilization);
    if (c->mpi) {
        json_key(j, "mpi");
        json_begin_object(j);
        json_kuint(j, "local_rank", c->local_rank);
        json_kuint(j, "local_size", c->local_size);
        json_kstr(j, "pool", c->pool_id);
        json_kuint(j, "rank", c->rank);
        json_kuint(j, "size", c->world_size);
        json_end_object(j);
    }
    json_kstr(j, "on_server_lost", policies[c->on_server_lost]);
    json_key(j, "resources");
    pool_json(j, &c->pools);
    json_seconds_or_null(j, "time_limit", c->time_limit_ns);
    json_kstr(j, "work_dir", c->work_dir);
    json_end_object(j);
}

static void json_load(struct json *j, const struct worker_info *i, bool load)
{
    json_key(j, "runtime_info");
    if (!load || i->end != WORKER_RUNNING) {
        json_null(j);
        return;
    }
    json_begin_object(j);
    json_key(j, i->gang ? "MultiNodeTask" : "SingleNodeTasks");
    json_begin_object(j);
    if (i->gang) {
        json_kbool(j, "main_node", i->gang_root);
    } else {
        json_kuint(j, "assigned_tasks", i->assigned);
        json_kbool(j, "is_reserved", i->reserved);
        json_kuint(j, "running_tasks", i->running);
    }
    json_end_object(j);
    json_end_object(j);
}

void worker_text_json(struct json *j, const struct worker_info *i, bool load)
{
    const struct worker_config *c = &i->config;
    json_begin_object(j);
    json_key(j, "allocation");
    if (c->manager_job && c->manager != MANAGER_NONE) {
        json_begin_object(j);
        json_kstr(j, "id", c->manager_job);
        json_kstr(j, "manager", manager_words[c->manager]);
        json_end_object(j);
    } else {
        json_null(j);
    }
    json_configuration(j, c);
    json_key(j, "ended");
    if (i->end == WORKER_RUNNING) {
        json_null(j);
    } else {
        json_begin_object(j);
        json_time(j, "at", i->ended_us);
        json_kstr(j, "reason", worker_end_words[i->end]);
        json_end_object(j);
    }
    if (load && i->load.time_us) {
        json_key(j, "hw_state");
        hw_state_json(&i->load, j);
    }
    json_kuint(j, "id", i->id);
    json_key(j, "last_task_started");
    if (i->any_started) {
        json_begin_object(j);
        json_key(j, "task_id");
        json_begin_object(j);
        json_kuint(j, "job_id", i->last_job);
        json_kuint(j, "job_task_id", i->last_task);
        json_end_object(j);
        json_time(j, "time", i->last_us);
        json_end_object(j);
    } else {
        json_null(j);
    }
    json_load(j, i, load);
    json_time(j, "started", i->started_us);
    json_end_object(j);
}

int worker_text_started(struct output *o, const struct worker_info *info,
                        struct error *err)
{
    switch (o->mode) {
    case OUTPUT_CLI:
        return worker_text_table(o, info, false, err);
    case OUTPUT_JSON: {
        struct json *j = output_json(o);
        json_begin_array(j);
        worker_text_json(j, info, false);
        json_end_array(j);
        output_end_json(o);
        break;
    }
    case OUTPUT_QUIET:
        break;
    }
    return 0;
}
