/* Slurm: sbatch, scancel, scontrol show job. */
#include <stdio.h>
#include <strings.h>
#include "autoalloc/internal.h"
#include "base/text.h"
#include "base/xmem.h"

#define NODES "#SBATCH --nodes="
#define UNKNOWN "Invalid job id specified"
#define SUBMITTED "submitted batch job"
/* Ranks start MPI each for itself, and the end of one is not that of the others. */
#define RANKS "--mpi=none --kill-on-bad-exit=0 --no-kill --wait=0 --cpu-bind=none "

/* A '%' begins a replacement in names of output files. */
static void output_path(struct buf *out, const char *option, const char *dir,
                        const char *file)
{
    struct buf path = BUF_INIT(BUF_MAX_DEFAULT);
    for (const char *p = dir; *p; p++) {
        if (*p == '%')
            buf_putc(&path, '%');
        buf_putc(&path, *p);
    }
    buf_printf(&path, "/%s", file);
    buf_printf(out, "#SBATCH --%s=", option);
    directive_word(out, buf_cstr(&path));
    buf_putc(out, '\n');
    buf_release(&path);
}

static void slurm_script(const struct batch_script *s, struct buf *out)
{
    struct buf line = BUF_INIT(BUF_MAX_DEFAULT);
    buf_printf(out, "#!/bin/bash\n" NODES "%u\n#SBATCH --job-name=", s->workers);
    directive_word(out, s->name);
    buf_putc(out, '\n');
    output_path(out, "output", s->dir, "stdout");
    output_path(out, "error", s->dir, "stderr");
    buf_puts(out, "#SBATCH --time=");
    print_hms(out, s->params->time_limit_ns);
    buf_putc(out, '\n');
    directive_args(out, "#SBATCH", &s->params->additional_args);
    if (s->params->mpi_worker)
        buf_puts(out, "#SBATCH --no-kill\n");
    buf_putc(out, '\n');
    worker_line(s, "slurm", &line);
    bool srun = s->workers > 1 || s->params->mpi_worker;
    if (srun)
        buf_printf(out, "srun --overlap %s--ntasks=%u --nodes=%u ",
                   s->params->mpi_worker ? RANKS : "", s->workers, s->workers);
    /* srun starts one program: what is more needs a shell on each node. */
    if (srun && worker_line_needs_shell(s)) {
        buf_puts(out, "bash -c ");
        text_shell_quote(out, buf_cstr(&line), line.len);
    } else {
        buf_puts(out, buf_cstr(&line));
    }
    buf_release(&line);
}

static int slurm_read_id(struct span out, char **id, struct error *err)
{
    struct span rest = out, line;
    while (next_line(&rest, &line)) {
        line = span_trim(line);
        if (line.n < strlen(SUBMITTED) ||
            strncasecmp((const char *)line.p, SUBMITTED, strlen(SUBMITTED)) != 0)
            continue;
        line.p += strlen(SUBMITTED);
        line.n -= strlen(SUBMITTED);
        line = span_trim(line);
        size_t n = 0;
        while (n < line.n && line.p[n] > ' ')
            n++;
        if (n == 0 || n > ALLOC_ID_MAX)
            break;
        *id = xstrndup((const char *)line.p, n);
        return 0;
    }
    return missing_id(out, "sbatch", err);
}

static void slurm_status_command(const char *const *ids, size_t n,
                                 struct batch_command *out)
{
    HQ_ASSERT(n == 1);
    command_add(out, "scontrol");
    command_add(out, "show");
    command_add(out, "job");
    command_add(out, ids[0]);
}

/* The value of the first word "<key>=<value>"; empty when there is none. */
static struct span slurm_field(struct span text, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i + len < text.n; i++) {
        bool begins = i == 0 || text.p[i - 1] <= ' ';
        if (!begins || text.p[i + len] != '=' || memcmp(text.p + i, key, len) != 0)
            continue;
        struct span value = {text.p + i + len + 1, 0};
        while (value.p + value.n < text.p + text.n && value.p[value.n] > ' ')
            value.n++;
        return value;
    }
    return (struct span){NULL, 0};
}

/* "2026-08-05T10:00:00"; "Unknown" and the like are no time. */
static struct batch_time slurm_time(struct span value)
{
    char copy[32];
    const char *p = copy;
    struct batch_time t = {0};
    if (value.n != 19)
        return t;
    memcpy(copy, value.p, value.n);
    copy[value.n] = '\0';
    int *parts[] = {&t.year, &t.month, &t.day, &t.hour, &t.minute, &t.second};
    static const char between[] = "--T::";
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        *parts[i] = take_number(&p, i == 0 ? 4 : 2);
        if (*parts[i] < 0 || (i < 5 && *p++ != between[i]))
            return (struct batch_time){0};
    }
    return checked_time(t);
}

static const struct {
    const char *word;
    enum batch_state state;
} slurm_states[] = {
    {"PENDING", BATCH_QUEUED},       {"CONFIGURING", BATCH_QUEUED},
    {"REQUEUED", BATCH_QUEUED},      {"REQUEUE_HOLD", BATCH_QUEUED},
    {"REQUEUE_FED", BATCH_QUEUED},   {"RESV_DEL_HOLD", BATCH_QUEUED},
    {"SPECIAL_EXIT", BATCH_QUEUED},  {"RUNNING", BATCH_RUNNING},
    {"COMPLETING", BATCH_RUNNING},   {"SUSPENDED", BATCH_RUNNING},
    {"STOPPED", BATCH_RUNNING},      {"SIGNALING", BATCH_RUNNING},
    {"RESIZING", BATCH_RUNNING},     {"STAGE_OUT", BATCH_RUNNING},
    {"COMPLETED", BATCH_FINISHED},   {"TIMEOUT", BATCH_FINISHED},
    {"CANCELLED", BATCH_FAILED},     {"FAILED", BATCH_FAILED},
    {"NODE_FAIL", BATCH_FAILED},     {"OUT_OF_MEMORY", BATCH_FAILED},
    {"PREEMPTED", BATCH_FAILED},     {"DEADLINE", BATCH_FAILED},
    {"BOOT_FAIL", BATCH_FAILED},     {"REVOKED", BATCH_FAILED},
    {"LAUNCH_FAILED", BATCH_FAILED}, {"RECONFIG_FAIL", BATCH_FAILED},
};

static void slurm_state(struct span value, struct batch_status *st)
{
    for (size_t i = 0; i < ARRAY_SIZE(slurm_states); i++)
        if (value.n == strlen(slurm_states[i].word) &&
            memcmp(value.p, slurm_states[i].word, value.n) == 0) {
            st->state = slurm_states[i].state;
            return;
        }
    st->state = BATCH_ERROR;
    (void)snprintf(st->why, sizeof st->why, "Unknown Slurm job state %.*s",
                   (int)MIN(value.n, 64u), value.n ? (const char *)value.p : "");
}

static int slurm_read_status(const struct batch_answer *a, const char *const *ids,
                             size_t n, struct batch_status *out, struct error *err)
{
    HQ_ASSERT(n == 1);
    *out = (struct batch_status){.state = BATCH_GONE};
    if (!a->ok && span_has(a->err, UNKNOWN))
        return 0;
    struct span state = slurm_field(a->out, "JobState");
    if (!a->ok || state.n == 0)
        return error_set(err, ERR_PARSE, "no JobState of %.64s in what scontrol prints",
                         ids[0]);
    slurm_state(state, out);
    out->started = slurm_time(slurm_field(a->out, "StartTime"));
    out->ended = slurm_time(slurm_field(a->out, "EndTime"));
    return 0;
}

static const char *const slurm_over[] = {UNKNOWN, "already completing or completed",
                                         NULL};

const struct batch_ops batch_slurm = {
    .word = "slurm",
    .label = "SLURM",
    .json = "Slurm",
    .nodes = NODES,
    .submit_program = "sbatch",
    .cancel_program = "scancel",
    .status_program = "scontrol",
    .ids_max = 1,
    .script = slurm_script,
    .over = slurm_over,
    .read_id = slurm_read_id,
    .status_command = slurm_status_command,
    .read_status = slurm_read_status,
};
