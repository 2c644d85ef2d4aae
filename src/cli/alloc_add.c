/* hq alloc add, dry-run */
#include "cli/cmds.h"

#include <stdlib.h>
#include <string.h>
#include "autoalloc/batch.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/worker_start.h"

#define IDLE_WARN_NS (600 * NS_PER_S)

/* ---- the worker's command line -----------------------------------------------------
 */

static int add_word(struct alloc_params *p, const char *word, struct error *err)
{
    return alloc_words_add(&p->worker_args, word) ? error_nomem(err) : 0;
}

/* --option value, the value as the script has it. */
static int add_pair(struct alloc_params *p, const char *option, const struct buf *value,
                    struct error *err)
{
    int rc = add_word(p, option, err);
    return rc == 0 ? add_word(p, buf_cstr(value), err) : rc;
}

static int add_quoted(struct alloc_params *p, const char *option, const char *value,
                      struct error *err)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    batch_quote(&b, value);
    int rc = add_pair(p, option, &b, err);
    buf_release(&b);
    return rc;
}

static int add_plain(struct alloc_params *p, const char *option, const char *value,
                     struct error *err)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    text_shell_quote(&b, value, strlen(value));
    int rc = add_pair(p, option, &b, err);
    buf_release(&b);
    return rc;
}

static int add_duration(struct alloc_params *p, const char *option, uint64_t ns,
                        struct error *err)
{
    struct buf b = BUF_INIT(256);
    duration_print(ns, &b);
    int rc = add_quoted(p, option, buf_cstr(&b), err);
    buf_release(&b);
    return rc;
}

static int add_resources(struct alloc_params *p, const struct args *a,
                         struct error *err)
{
    struct args_list list = args_list(a, "resource");
    const char *cpus = args_str(a, "cpus");
    int rc = 0;
    if (cpus && strcmp(cpus, "no-ht") != 0)
        rc = add_quoted(p, "--cpus", cpus, err);
    for (size_t i = 0; rc == 0 && i < list.n; i++)
        rc = add_quoted(p, "--resource", list.items[i], err);
    if (rc == 0 && args_str(a, "coupling"))
        rc = add_quoted(p, "--coupling", args_str(a, "coupling"), err);
    if (rc == 0 && args_str(a, "group"))
        rc = add_plain(p, "--group", args_str(a, "group"), err);
    if (rc == 0 && worker_wants_no_ht(a))
        rc = add_word(p, "--no-hyper-threading", err);
    if (rc == 0 && args_flag(a, "no-detect-resources"))
        rc = add_plain(p, "--detect-resources", "none", err);
    else if (rc == 0 && args_given(a, "detect-resources"))
        rc = add_plain(p, "--detect-resources", args_str(a, "detect-resources"), err);
    return rc;
}

static int add_worker_args(struct alloc_params *p, const struct args *a,
                           struct error *err)
{
    struct buf b = BUF_INIT(256);
    int rc = add_resources(p, a, err);
    if (rc == 0 && args_given(a, "overview-interval"))
        rc = add_duration(p, "--overview-interval",
                          args_duration_ns(a, "overview-interval", 0), err);
    if (rc == 0 && p->min_utilization > 0) {
        buf_printf(&b, "%g", p->min_utilization);
        rc = add_pair(p, "--min-utilization", &b, err);
    }
    buf_release(&b);
    if (rc == 0)
        rc = add_quoted(p, "--on-server-lost", args_str(a, "on-server-lost"), err);
    if (rc == 0)
        rc = add_duration(p, "--time-limit",
                          p->worker_limit_ns ? p->worker_limit_ns : p->time_limit_ns,
                          err);
    return rc;
}

/* ---- parameters -------------------------------------------------------------------
 */

static int copy_text(const struct args *a, const char *name, char **out,
                     struct error *err)
{
    const char *text = args_str(a, name);
    *out = text ? strdup(text) : NULL;
    return text && !*out ? error_nomem(err) : 0;
}

/* What a worker would refuse. */
static int check_pools(const struct alloc_params *p, const struct args *a,
                       struct error *err)
{
    struct pool_set copy;
    if (pool_set_copy(&copy, &p->pools) != 0)
        return error_nomem(err);
    int rc = pool_set_finish(&copy, err);
    /* Ends of couplings may be detected by the worker. */
    if (rc == 0 && args_str(a, "coupling") &&
        (args_flag(a, "no-detect-resources") ||
         strcmp(args_str(a, "detect-resources"), "none") == 0))
        rc = coupling_parse(args_str(a, "coupling"), &copy, err);
    pool_set_release(&copy);
    return rc;
}

static int read_params(struct alloc_params *p, const struct args *a, struct error *err)
{
    struct args_list more = args_list(a, "ADDITIONAL_ARGS");
    alloc_params_init(p);
    p->manager = strcmp(args_cmd(a)->name, "pbs") == 0 ? MANAGER_PBS : MANAGER_SLURM;
    p->time_limit_ns = args_duration_ns(a, "time-limit", 0);
    p->backlog = args_u32(a, "backlog", 1);
    p->max_workers_per_alloc = args_u32(a, "max-workers-per-alloc", 1);
    p->max_worker_count = args_u32(a, "max-worker-count", 0);
    p->mpi_worker = args_flag(a, "mpi-worker");
    p->idle_timeout_ns = args_limit_ns(a, "idle-timeout");
    p->min_utilization = strtod(args_str(a, "min-utilization"), NULL);
    p->worker_limit_ns = args_duration_ns(a, "worker-time-limit", 0);
    if (p->worker_limit_ns > p->time_limit_ns)
        return error_set(err, ERR_INVALID,
                         "Worker time limit cannot be larger than queue time limit");
    if (more.n > ALLOC_WORDS_MAX / 2)
        return error_set(err, ERR_TOO_BIG, "too many additional arguments");
    int rc = copy_text(a, "name", &p->name, err);
    if (rc == 0)
        rc = copy_text(a, "worker-start-cmd", &p->worker_start_cmd, err);
    if (rc == 0)
        rc = copy_text(a, "worker-stop-cmd", &p->worker_stop_cmd, err);
    if (rc == 0)
        rc = copy_text(a, "worker-wrap-cmd", &p->worker_wrap_cmd, err);
    for (size_t i = 0; rc == 0 && i < more.n; i++)
        if (alloc_words_add(&p->additional_args, more.items[i]) != 0)
            rc = error_nomem(err);
    if (rc == 0)
        rc = worker_given_pools(&p->pools, a, err);
    p->has_pools = p->pools.n_pools > 0;
    if (rc == 0)
        rc = check_pools(p, a, err);
    if (rc == 0)
        rc = add_worker_args(p, a, err);
    return rc;
}

static void warn(const struct alloc_params *p)
{
    if (!p->has_pools)
        log_warn("No worker resources were provided for this queue. Before the first "
                 "worker connects from an allocation submitted by this queue, the "
                 "queue will operate in probing mode.");
    if (p->idle_timeout_ns > IDLE_WARN_NS)
        log_warn("You have set an idle timeout longer than 10 minutes. This can result "
                 "in wasted allocation duration.");
}

/* ---- commands ---------------------------------------------------------------------
 */

static int try_it(struct client *c, const struct buf *params, struct error *err)
{
    struct msg_REQ_ALLOC_TRIAL req = {.params = span_buf(params)};
    struct span body;
    msg_put_REQ_ALLOC_TRIAL(client_batch(c), &req);
    int rc = client_call(c, MSG_RSP_OK, &body, err);
    if (rc == 0)
        log_info("A trial allocation was submitted successfully. It was immediately "
                 "canceled to avoid wasting resources.");
    return rc;
}

static int create(struct client *c, const struct buf *params, struct error *err)
{
    struct msg_REQ_ALLOC_ADD req = {.params = span_buf(params)};
    struct msg_RSP_ALLOC_ADDED m;
    struct span body;
    msg_put_REQ_ALLOC_ADD(client_batch(c), &req);
    int rc = client_call(c, MSG_RSP_ALLOC_ADDED, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_ALLOC_ADDED(body, &m, err);
    if (rc == 0)
        log_info("Allocation queue %u successfully created", m.queue);
    return rc;
}

/* The parameters of the command line, encoded, and a connection. */
static int begin(const struct run *r, struct client **c, struct buf *params,
                 struct error *err)
{
    struct alloc_params p;
    int rc = read_params(&p, r->args, err);
    if (rc == 0) {
        warn(&p);
        alloc_params_encode(&p, params);
        rc = session_open(r, c, err);
    }
    alloc_params_release(&p);
    return rc;
}

int alloc_add_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct buf params = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = begin(r, &c, &params, err);
    if (rc == 0 && !args_flag(r->args, "no-dry-run")) {
        rc = try_it(c, &params, err);
        if (rc)
            log_error("Dry-run (test allocation submission) has failed");
    }
    if (rc == 0)
        rc = create(c, &params, err);
    client_close(c);
    buf_release(&params);
    return rc;
}

int alloc_dry_run_run(struct run *r, struct error *err)
{
    struct client *c = NULL;
    struct buf params = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = begin(r, &c, &params, err);
    if (rc == 0) {
        rc = try_it(c, &params, err);
        if (rc)
            (void)error_prefix(err, "Error: ");
    }
    client_close(c);
    buf_release(&params);
    return rc;
}
