/* hq job list, hq job summary */
#include "cli/cmds.h"

#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "cli/job_json.h"
#include "client/requests.h"

#define NAME_BYTES_MAX 50
#define NAME_HEAD 24
#define NAME_TAIL 23

static int fetch_jobs(const struct run *r, struct job_list *list, struct error *err)
{
    struct client *c = NULL;
    int rc = session_open(r, &c, err);
    if (rc == 0)
        rc = client_list_jobs(c, NULL, list, err);
    client_close(c);
    return rc;
}

static enum job_state state_of(const struct job_info *info)
{
    return job_state_of(&info->counts, info->open);
}

static bool is_shown(const struct run *r, const struct job_info *info)
{
    enum job_state state = state_of(info);
    if (args_flag(r->args, "all"))
        return true;
    if (args_given(r->args, "filter"))
        return session_states(r, "filter") & (1u << state);
    return info->open || state == JOB_WAITING || state == JOB_RUNNING;
}

/* Long names keep their head and tail, cut between characters. */
static void cell_name(struct table *t, const char *name)
{
    size_t n = strlen(name);
    if (n <= NAME_BYTES_MAX) {
        table_cell(t, name);
        return;
    }
    size_t tail = n - NAME_TAIL;
    while (tail < n && ((unsigned char)name[tail] & 0xc0) == 0x80)
        tail++;
    table_cellf(t, "%.*s...%s", (int)text_cut(name, NAME_HEAD), name, name + tail);
}

static int print_table(struct run *r, const struct job_list *rows, struct error *err)
{
    bool verbose = args_flag(r->args, "verbose"), any_open = false;
    struct table t;
    size_t shown = 0;
    table_init(&t, TABLE_HORIZONTAL, verbose ? 5 : 4, r->out->colour);
    table_right(&t, 0);
    table_head(&t, "ID");
    table_head(&t, "Name");
    table_head(&t, "State");
    table_head(&t, "Tasks");
    if (verbose)
        table_head(&t, "Cancel Reason");
    for (size_t i = 0; i < rows->n; i++) {
        const struct job_info *info = &rows->items[i];
        if (!is_shown(r, info))
            continue;
        enum job_state state = state_of(info);
        table_cellf(&t, "%s%u", info->open ? "*" : "", info->id);
        cell_name(&t, info->name);
        table_cell_coloured(&t, job_state_colour(state), job_state_labels[state]);
        table_cellf(&t, "%u", info->n_tasks);
        if (verbose)
            table_cell(&t, info->cancel_reason);
        any_open = any_open || info->open;
        shown++;
    }
    int rc = output_table(r->out, &t, err);
    if (any_open)
        output_puts(r->out, "* = Open jobs\n");
    if (shown < rows->total)
        output_printf(
            r->out, "There %s %llu job%s in total. Use `--all` to display all jobs.\n",
            rows->total == 1 ? "is" : "are", (unsigned long long)rows->total,
            rows->total == 1 ? "" : "s");
    return rc;
}

int job_list_run(struct run *r, struct error *err)
{
    struct job_list rows;
    int rc = fetch_jobs(r, &rows, err);
    if (rc)
        return rc;
    switch (r->out->mode) {
    case OUTPUT_CLI:
        rc = print_table(r, &rows, err);
        break;
    case OUTPUT_JSON: {
        struct json *j = output_json(r->out);
        json_begin_array(j);
        for (size_t i = 0; i < rows.n; i++)
            if (is_shown(r, &rows.items[i]))
                json_job_info(j, &rows.items[i]);
        json_end_array(j);
        output_end_json(r->out);
        break;
    }
    case OUTPUT_QUIET:
        for (size_t i = 0; i < rows.n; i++)
            if (is_shown(r, &rows.items[i]))
                output_printf(r->out, "%u %s\n", rows.items[i].id,
                              job_state_labels[state_of(&rows.items[i])]);
        break;
    }
    job_list_release(&rows);
    return rc;
}

/* --- summary ------------------------------------------------------------ */

static void print_summary_json(struct run *r, const uint32_t *count)
{
    struct json *j = output_json(r->out);
    json_begin_object(j);
    json_kuint(j, "Aborted", count[JOB_ABORTED]);
    json_kuint(j, "Canceled", count[JOB_CANCELED]);
    json_kuint(j, "Failed", count[JOB_FAILED]);
    json_kuint(j, "Finished", count[JOB_FINISHED]);
    if (count[JOB_OPENED])
        json_kuint(j, "Opened", count[JOB_OPENED]);
    json_kuint(j, "Running", count[JOB_RUNNING]);
    json_kuint(j, "Waiting", count[JOB_WAITING]);
    json_end_object(j);
    output_end_json(r->out);
}

static int print_summary_table(struct run *r, const enum job_state *order, size_t n,
                               const uint32_t *count, struct error *err)
{
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, 2, r->out->colour);
    table_right(&t, 1);
    table_head(&t, "Status");
    table_head(&t, "Count");
    for (size_t i = 0; i < n; i++) {
        table_cell_coloured(&t, job_state_colour(order[i]), job_state_labels[order[i]]);
        table_cellf(&t, "%u", count[order[i]]);
    }
    return output_table(r->out, &t, err);
}

int job_summary_run(struct run *r, struct error *err)
{
    static const enum job_state order[] = {JOB_RUNNING, JOB_WAITING, JOB_FINISHED,
                                           JOB_FAILED,  JOB_ABORTED, JOB_CANCELED};
    uint32_t count[JOB_STATE_COUNT] = {0};
    struct job_list rows;
    int rc = fetch_jobs(r, &rows, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < rows.n; i++)
        count[state_of(&rows.items[i])]++;
    job_list_release(&rows);
    if (r->out->mode == OUTPUT_JSON)
        print_summary_json(r, count);
    else if (r->out->mode == OUTPUT_CLI)
        return print_summary_table(r, order, ARRAY_SIZE(order), count, err);
    else
        for (size_t i = 0; i < ARRAY_SIZE(order); i++)
            output_printf(r->out, "%s %u\n", job_state_labels[order[i]],
                          count[order[i]]);
    return 0;
}
