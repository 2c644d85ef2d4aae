/* PBS: qsub, qdel, qstat -f … -F json -x. */
#include <stdio.h>
#include "autoalloc/internal.h"
#include "base/text.h"
#include "base/xmem.h"
#include "conf/conf.h"

#define UNKNOWN "Unknown Job"
#define NODES "#PBS -l select="

static void directive(struct buf *out, const char *head, const char *word)
{
    buf_printf(out, "#PBS %s ", head);
    directive_word(out, word);
    buf_putc(out, '\n');
}

static void pbs_script(const struct batch_script *s, struct buf *out)
{
    struct buf line = BUF_INIT(BUF_MAX_DEFAULT), path = BUF_INIT(BUF_MAX_DEFAULT);
    buf_printf(out, "#!/bin/bash\n" NODES "%u\n", s->workers);
    directive(out, "-N", s->name);
    buf_printf(&path, "%s/stdout", s->dir);
    directive(out, "-o", buf_cstr(&path));
    buf_clear(&path);
    buf_printf(&path, "%s/stderr", s->dir);
    directive(out, "-e", buf_cstr(&path));
    buf_puts(out, "#PBS -l walltime=");
    print_hms(out, s->params->time_limit_ns);
    buf_putc(out, '\n');
    directive_args(out, "#PBS", &s->params->additional_args);
    if (s->trial)
        buf_puts(out, "#PBS -h\n");
    buf_putc(out, '\n');
    worker_line(s, "pbs", &line);
    if (s->workers > 1) {
        buf_puts(out, "pbsdsh -- bash -l -c ");
        text_shell_quote(out, buf_cstr(&line), line.len);
    } else {
        buf_puts(out, buf_cstr(&line));
    }
    buf_release(&line);
    buf_release(&path);
}

/* The last line is the id: hooks of a site may print others before it. */
static int pbs_read_id(struct span out, char **id, struct error *err)
{
    struct span rest = span_trim(out), line = {NULL, 0};
    while (next_line(&rest, &line))
        ;
    line = span_trim(line);
    size_t word = 0;
    while (word < line.n && line.p[word] > ' ')
        word++;
    if (word == 0 || word < line.n || word > ALLOC_ID_MAX)
        return missing_id(out, "qsub", err);
    *id = xstrndup((const char *)line.p, line.n);
    return 0;
}

static void pbs_status_command(const char *const *ids, size_t n,
                               struct batch_command *out)
{
    command_add(out, "qstat");
    for (size_t i = 0; i < n; i++) {
        command_add(out, "-f");
        command_add(out, ids[i]);
    }
    command_add(out, "-F");
    command_add(out, "json");
    command_add(out, "-x");
}

/* "Wed Aug  5 10:00:00 2026" */
static struct batch_time pbs_time(const struct conf_node *job, const char *key)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const struct conf_node *node = conf_get(job, key);
    const char *text;
    char month[4];
    struct batch_time t = {0};
    if (!node || !conf_string(node, &text) ||
        sscanf(text, "%*3s %3s %2d %2d:%2d:%2d %4d", month, &t.day, &t.hour, &t.minute,
               &t.second, &t.year) != 6)
        return (struct batch_time){0};
    for (t.month = 1; t.month <= 12; t.month++)
        if (memcmp(months + (size_t)(t.month - 1) * 3, month, 3) == 0)
            break;
    return checked_time(t);
}

static void pbs_state(const struct conf_node *job, struct batch_status *st)
{
    const struct conf_node *node = conf_get(job, "job_state");
    const char *text = "";
    int64_t status;
    if (node)
        (void)conf_string(node, &text);
    switch (strlen(text) == 1 ? text[0] : '\0') {
    case 'Q':
    case 'H':
    case 'W':
    case 'T':
    case 'S':
    case 'M':
        st->state = BATCH_QUEUED;
        return;
    case 'R':
    case 'E':
    case 'B':
    case 'U':
        st->state = BATCH_RUNNING;
        return;
    case 'X':
        st->state = BATCH_FINISHED;
        return;
    case 'F':
        node = conf_get(job, "Exit_status");
        st->state = node && conf_int(node, &status) && status == 0 ? BATCH_FINISHED
                                                                   : BATCH_FAILED;
        return;
    default:
        st->state = BATCH_ERROR;
        (void)snprintf(st->why, sizeof st->why, "Unknown PBS job state %.64s", text);
    }
}

static struct batch_status pbs_status(const struct conf_node *job)
{
    struct batch_status st = {.state = BATCH_FAILED}; /* it is not in the answer */
    if (!job)
        return st;
    pbs_state(job, &st);
    st.started = pbs_time(job, "stime");
    if (st.state == BATCH_FINISHED || st.state == BATCH_FAILED)
        st.ended = pbs_time(job, "mtime");
    return st;
}

/* qstat fails when it does not know one of many jobs, and tells of the others. */
static int pbs_read_status(const struct batch_answer *a, const char *const *ids,
                           size_t n, struct batch_status *out, struct error *err)
{
    struct conf_doc *doc = NULL;
    struct error why = ERROR_INIT;
    bool unknown = span_has(a->err, UNKNOWN);
    if (!a->ok && !unknown)
        return error_set(err, ERR_PARSE, "qstat failed");
    if (conf_parse_json(NULL, a->out.p, a->out.n, &doc, &why) != 0) {
        if (a->ok)
            return error_set(err, ERR_PARSE, "cannot read what qstat prints: %s",
                             why.text);
        if (n > 1) /* which one is not known cannot be told */
            return error_set(err, ERR_PARSE, "qstat does not know one of the jobs");
    }
    const struct conf_node *jobs = doc ? conf_get(conf_root(doc), "Jobs") : NULL;
    for (size_t i = 0; i < n; i++)
        out[i] = pbs_status(jobs ? conf_get(jobs, ids[i]) : NULL);
    conf_destroy(doc);
    return 0;
}

static const char *const pbs_over[] = {UNKNOWN, "Job has finished", NULL};

const struct batch_ops batch_pbs = {
    .word = "pbs",
    .label = "PBS",
    .json = "PBS",
    .nodes = NODES,
    .submit_program = "qsub",
    .cancel_program = "qdel",
    .status_program = "qstat",
    .ids_max = 100,
    .script = pbs_script,
    .over = pbs_over,
    .read_id = pbs_read_id,
    .status_command = pbs_status_command,
    .read_status = pbs_read_status,
};
