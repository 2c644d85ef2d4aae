#include "cli/worker_start.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "args/output.h"
#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "base/xmem.h"
#include "client/access.h"
#include "cli/cmds.h"
#include "cli/manager.h"
#include "cli/session.h"
#include "cli/values.h"
#include "cli/worker_text.h"
#include "launch/scrub.h"

#define RECONNECT_NS_DEFAULT (300ULL * 1000000000ULL)

extern char **environ;

/* ---- identity ---------------------------------------------------------------------
 */

static bool env_u32(const char *name, uint32_t *out)
{
    const char *v = getenv(name);
    return v && text_to_u32(v, out);
}

/* Tasks on this node from "2(x3),1" and the node's number in the list. */
static uint32_t tasks_on_node(const char *list, uint32_t node)
{
    for (const char *p = list; p && *p;) {
        char *end;
        unsigned long n = strtoul(p, &end, 10), times = 1;
        if (end == p)
            return 0;
        if (*end == '(' && end[1] == 'x')
            times = strtoul(end + 2, &end, 10);
        if (node < times)
            return (uint32_t)n;
        node -= (uint32_t)times;
        p = strchr(end, ',');
        p = p ? p + 1 : NULL;
    }
    return 0;
}

void rank_identity_read(struct rank_identity *id)
{
    *id = (struct rank_identity){.size = 1, .local_size = 1};
    uint32_t node = 0;
    const char *job = getenv("SLURM_JOB_ID"), *step = getenv("SLURM_STEP_ID");
    const char *space = getenv("PMIX_NAMESPACE");
    if (env_u32("OMPI_COMM_WORLD_RANK", &id->rank)) {
        id->known = id->mpirun = true;
        (void)env_u32("OMPI_COMM_WORLD_SIZE", &id->size);
        (void)env_u32("OMPI_COMM_WORLD_LOCAL_RANK", &id->local_rank);
        (void)env_u32("OMPI_COMM_WORLD_LOCAL_SIZE", &id->local_size);
    } else if (step && env_u32("SLURM_PROCID", &id->rank)) {
        id->known = true;
        if (!env_u32("SLURM_STEP_NUM_TASKS", &id->size))
            (void)env_u32("SLURM_NTASKS", &id->size);
        (void)env_u32("SLURM_LOCALID", &id->local_rank);
        (void)env_u32("SLURM_NODEID", &node);
        uint32_t n = tasks_on_node(getenv("SLURM_STEP_TASKS_PER_NODE"), node);
        id->local_size = n ? n : 1;
    } else if (env_u32("PMI_RANK", &id->rank) || env_u32("PMIX_RANK", &id->rank)) {
        id->known = true;
        (void)env_u32("PMI_SIZE", &id->size);
        if (env_u32("MPI_LOCALRANKID", &id->local_rank))
            (void)env_u32("MPI_LOCALNRANKS", &id->local_size);
    }
    if (job && step && !id->mpirun)
        snprintf(id->pool, sizeof id->pool, "%s.%s", job, step);
    else if (space)
        snprintf(id->pool, sizeof id->pool, "%s", space);
    if (id->local_rank >= id->local_size)
        id->local_size = id->local_rank + 1;
}

/* mpirun binds its ranks; what its daemon may use is the limit. */
static void undo_binding(const struct rank_identity *id)
{
    struct cpu_set daemon;
    struct error err = ERROR_INIT;
    if (!id->mpirun)
        return;
    if (cpu_set_of_pid(&daemon, getppid(), &err) != 0 || cpu_set_apply(&daemon, 0) != 0)
        log_warn("The binding of mpirun could not be undone");
}

/* ---- configuration ----------------------------------------------------------------
 */

/* "no-ht" is the former spelling of --no-hyper-threading. */
bool worker_wants_no_ht(const struct args *a)
{
    const char *cpus = args_str(a, "cpus");
    return args_flag(a, "no-hyper-threading") || (cpus && strcmp(cpus, "no-ht") == 0);
}

int worker_given_pools(struct pool_set *pools, const struct args *a, struct error *err)
{
    struct args_list list = args_list(a, "resource");
    const char *cpus = args_str(a, "cpus");
    if (cpus && strcmp(cpus, "no-ht") == 0)
        cpus = NULL;
    struct pool p;
    int rc = 0;
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        rc = pool_parse(list.items[i], &p, err);
        if (rc == 0 && cpus && strcmp(p.name, "cpus") == 0) {
            pool_release(&p);
            return error_set(
                err, ERR_INVALID,
                "Parameters --cpus and --resource cpus=... cannot be combined");
        }
        if (rc == 0 && (rc = pool_set_add(pools, &p, err)) != 0)
            pool_release(&p);
    }
    if (rc == 0 && cpus) {
        rc = pool_parse_cpus(cpus, &p, err);
        if (rc == 0 && (rc = pool_set_add(pools, &p, err)) != 0)
            pool_release(&p);
    }
    return rc;
}

static int find_resources(struct worker_start *ws, const struct args *a,
                          const struct manager_info *manager, struct error *err)
{
    struct worker_config *c = &ws->setup.config;
    unsigned detect = DETECT_ALL;
    int rc = worker_given_pools(&c->pools, a, err);
    if (rc != 0)
        return rc;
    rc = topo_detect_parse(args_str(a, "detect-resources"), &detect, err);
    if (rc != 0)
        return rc;
    if (args_flag(a, "no-detect-resources"))
        detect = DETECT_NONE;
    detect = topo_detect_except(detect, &c->pools);
    rc = topo_detect_check(detect, &c->pools, err);
    if (rc != 0)
        return rc;
    struct topo_source source = {.detect = detect,
                                 .slurm = manager->manager == MANAGER_SLURM};
    rc = topo_discover(&ws->topo, &source, err);
    if (rc == 0 && ws->is_mpi && ws->id.local_size > 1) {
        struct topo_division d = {0};
        topo_division_read(&d);
        d.local_rank = ws->id.local_rank;
        d.local_size = ws->id.local_size;
        rc = topo_divide(ws->topo, &d, err);
    }
    if (rc == 0)
        rc = topo_resources(ws->topo, detect, worker_wants_no_ht(a), &c->pools, err);
    if (rc == 0)
        rc = pool_set_finish(&c->pools, err);
    if (rc == 0)
        rc = topo_locate(ws->topo, &c->pools, err);
    if (rc == 0 && args_str(a, "coupling"))
        rc = coupling_parse(args_str(a, "coupling"), &c->pools, err);
    return rc;
}

static int set_policy(struct worker_start *ws, const struct args *a, struct error *err)
{
    struct worker_config *c = &ws->setup.config;
    const char *text = args_str(a, "on-server-lost");
    enum server_lost_policy policy = ws->is_mpi ? LOST_RECONNECT : LOST_STOP;
    uint64_t ns = 0;
    int rc = text ? server_lost_parse(text, &policy, &ns, err) : 0;
    c->on_server_lost = (uint8_t)policy;
    ws->setup.reconnect_us = (ns ? ns : RECONNECT_NS_DEFAULT) / 1000;
    return rc;
}

static void set_names(struct worker_start *ws, const struct args *a,
                      const struct manager_info *manager)
{
    struct worker_config *c = &ws->setup.config;
    char host[256] = "localhost";
    (void)gethostname(host, sizeof host - 1);
    c->hostname = xstrdup(args_given(a, "hostname") ? args_str(a, "hostname") : host);
    c->manager = (uint8_t)manager->manager;
    c->manager_job = manager->job[0] ? xstrdup(manager->job) : NULL;
    c->group = xstrdup(args_given(a, "group") ? args_str(a, "group")
                       : manager->job[0]      ? manager->job
                                              : "default");
    c->listen_address = xasprintf("%s:0", c->hostname);
    c->version = xstrdup(HQ_VERSION);
    c->pid = (uint32_t)getpid();
    c->work_dir = xstrdup(args_given(a, "work-dir") ? args_str(a, "work-dir") : "");
    c->mpi = ws->is_mpi;
    c->rank = ws->id.rank;
    c->world_size = ws->id.size;
    c->local_rank = ws->id.local_rank;
    c->local_size = ws->id.local_size;
    c->pool_id = ws->id.pool[0] ? xstrdup(ws->id.pool) : NULL;
    channel_random(c->token, sizeof c->token);
}

static int configure(struct worker_start *ws, const struct args *a, struct error *err)
{
    struct worker_config *c = &ws->setup.config;
    struct manager_info manager;
    worker_config_init(c);
    int rc = manager_detect(args_str(a, "manager"), &manager, err);
    if (rc != 0)
        return rc;
    set_names(ws, a, &manager);
    c->heartbeat_ns = args_duration_ns(a, "heartbeat", 0);
    c->idle_timeout_ns = args_limit_ns(a, "idle-timeout");
    c->time_limit_ns = args_given(a, "time-limit") ? args_limit_ns(a, "time-limit")
                                                   : manager.remaining_ns;
    c->overview_interval_ns = args_duration_ns(a, "overview-interval", 0);
    c->min_utilization = strtod(args_str(a, "min-utilization"), NULL);
    ws->setup.retract_check_ns = args_duration_ns(a, "retract-check-interval", 0);
    ws->setup.no_exec = args_flag(a, "no-exec");
    ws->setup.fast_exit = ws->id.mpirun;
    const char *sync = args_str(a, "stream-sync");
    ws->setup.log_sync = strcmp(sync, "always") == 0  ? OUTLOG_SYNC_GROUP
                         : strcmp(sync, "never") == 0 ? OUTLOG_SYNC_NONE
                                                      : OUTLOG_SYNC_AUTO;
    rc = text_parse_size(args_str(a, "stream-min-free"), &ws->setup.log_min_free, err);
    if (rc == 0)
        rc = set_policy(ws, a, err);
    return rc == 0 ? find_resources(ws, a, &manager, err) : rc;
}

/* The hq beside this program, for the variable HQ of tasks. */
static char *find_hq(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return xstrdup("hq");
    self[n] = '\0';
    if (strcmp(path_base(self), "hq") == 0)
        return xstrdup(self);
    char *slash = strrchr(self, '/');
    char *beside = xasprintf("%.*s/hq", (int)(slash - self), self);
    if (access(beside, X_OK) == 0)
        return beside;
    free(beside);
    return xstrdup("hq");
}

static int fork_launcher(struct worker_start *ws, struct error *err)
{
    char **env = scrub_environment(environ);
    if (!env)
        return error_nomem(err);
    struct launcher_config lc = {
        .env = env,
        .cpus = (const uint8_t *)ws->topo->mask.words,
        .cpus_size = ws->topo->mask.n_words * sizeof *ws->topo->mask.words,
    };
    int rc = launcher_start(&lc, &ws->setup.launcher, err);
    free(env);
    return rc;
}

int worker_start_access(struct worker_start *ws, struct access_part *out,
                        struct error *err)
{
    int rc = access_worker(ws->server_dir, out, err);
    /* The record is read again at each connection. */
    if (rc == 0 && !out->has_key && !ws->warned)
        log_warn("No worker key: Unauthenticated and unencrypted connection to server");
    ws->warned = ws->warned || rc == 0;
    return rc;
}

static int give_access(void *arg, struct access_part *out, struct error *err)
{
    struct worker_start *ws = arg;
    if (ws->has_access) {
        *out = ws->fixed_access;
        ws->has_access =
            false; /* a reconnect reads the file: the server may have moved */
        return 0;
    }
    return worker_start_access(ws, out, err);
}

static void print_registered(void *arg, uint32_t worker,
                             const struct worker_config *config, uint64_t started_us)
{
    struct worker_start *ws = arg;
    struct worker_info info = {
        .id = worker, .started_us = started_us, .config = *config};
    struct error err = ERROR_INIT;
    if (worker_text_started(ws->run->out, &info, &err) != 0)
        log_warn("%s", err.text);
    output_flush(ws->run->out);
}

int worker_start_prepare(struct worker_start *ws, struct run *r, bool is_mpi,
                         struct error *err)
{
    struct access_part access;
    *ws = (struct worker_start){.is_mpi = is_mpi, .run = r};
    log_info("HyperQueue %s", HQ_VERSION);
    signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error, not the end */
    ws->server_dir = session_server_dir(r);
    rank_identity_read(&ws->id);
    undo_binding(&ws->id);
    if (ws->id.mpirun)
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* it outlives a killed mpirun else */
    ws->hq_path = find_hq();
    ws->setup.hq_path = ws->hq_path;
    ws->setup.access = give_access;
    ws->setup.on_registered = print_registered;
    ws->setup.arg = ws;
    ws->setup.log_io = &outlog_posix_ops;
    int rc = configure(ws, r->args, err);
    if (rc == 0) {
        log_info("Starting hyperqueue worker");
        rc = worker_start_access(ws, &access, err);
    }
    if (rc == 0) {
        /* Nothing listens here: the port is the one this worker talks to. */
        free(ws->setup.config.listen_address);
        ws->setup.config.listen_address =
            xasprintf("%s:%u", ws->setup.config.hostname, access.port);
    }
    ws->setup.topo = ws->topo;
    if (rc == 0)
        rc = fork_launcher(ws, err);
    return rc;
}

int worker_start_go(struct worker_start *ws, struct error *err)
{
    int rc = worker_run(&ws->setup, err);
    ws->setup.launcher = NULL; /* worker_run took it */
    return rc;
}

void worker_start_release(struct worker_start *ws)
{
    launcher_destroy(ws->setup.launcher);
    worker_config_release(&ws->setup.config);
    topo_destroy(ws->topo);
    free(ws->hq_path);
    free(ws->server_dir);
}

int worker_start_run(struct run *r, struct error *err)
{
    struct worker_start ws;
    int rc = worker_start_prepare(&ws, r, false, err);
    if (rc == 0)
        rc = worker_start_go(&ws, err);
    worker_start_release(&ws);
    return rc;
}
