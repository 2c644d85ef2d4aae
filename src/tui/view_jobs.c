/* Jobs: details, tasks over time, the list of jobs, the tasks of the chosen one. */
#include "tui/view.h"

#include <stdio.h>
#include "tui/chart.h"
#include "tui/sheet.h"

/* The newest job until one is chosen. */
const struct dash_job *view_job(const struct view *v)
{
    const struct dash_job *job = v->jobs.chosen ? dash_job(v->dash, v->jobs.id) : NULL;
    size_t n = dash_jobs_at(v->dash, view_at(v));
    if (job && job->index < n)
        return job;
    return n ? v->dash->jobs.data[n - 1] : NULL;
}

static struct dash_filter tasks_of(const struct view *v, const struct dash_job *job)
{
    return (struct dash_filter){job, 0, view_at(v)};
}

/* ---- keys ------------------------------------------------------------------------ */

/* The newest one is the first row. */
static bool move_job(struct view *v, uint32_t key)
{
    const struct dash_job *job = view_job(v);
    uint64_t n = dash_jobs_at(v->dash, view_at(v)), to;
    if (!job || !view_move(key, true, n - 1 - job->index, n, v->page, &to))
        return false;
    v->jobs.chosen = true;
    v->jobs.id = v->dash->jobs.data[n - 1 - to]->id;
    v->tasks = (struct view_tasks){.page = v->tasks.page};
    return true;
}

/* Details of the worker of the chosen task. */
static bool show_worker(struct view *v, const struct dash_job *job)
{
    if (!v->tasks.chosen || v->tasks.job != job->id ||
        v->tasks.slot >= dash_slots_at(job, view_at(v)))
        return false;
    struct dash_note note = dash_note(&job->chunks.data[v->tasks.slot / DASH_CHUNK],
                                      v->tasks.slot % DASH_CHUNK);
    struct dash_seen seen = dash_seen(v->dash, job, v->tasks.slot, &note, view_at(v));
    if (!dash_worker(v->dash, seen.worker))
        return false;
    v->worker = seen.worker;
    v->from = SCREEN_JOBS;
    v->on_worker = (struct view_tasks){.page = 0};
    v->screen = SCREEN_WORKER;
    return true;
}

bool view_key_jobs(struct view *v, uint32_t key)
{
    const struct dash_job *job = view_job(v);
    bool before = v->in_tasks;
    switch (key) {
    case '1':
    case KEY_GO_BACK:
        v->in_tasks = false;
        v->tasks = (struct view_tasks){.page = v->tasks.page};
        return before;
    case '2':
        v->in_tasks = true;
        return !before;
    case 'i':
        return v->in_tasks && job && show_worker(v, job);
    default:
        if (!v->in_tasks)
            return move_job(v, key);
        if (!job)
            return false;
        /* From now on the list is about this one. */
        v->jobs.chosen = true;
        v->jobs.id = job->id;
        struct dash_filter f = tasks_of(v, job);
        return view_key_tasks(v, key, &v->tasks, &f);
    }
}

/* ---- drawing --------------------------------------------------------------------- */

static void draw_chart(struct view *v, struct grid *g, struct rect r,
                       const struct dash_job *job)
{
    struct rect in = grid_box(g, r, "Tasks over time", false);
    if (!job || in.w < 12 || in.h < 3)
        return;
    struct dash_axis axis = view_axis(v, g, in);
    uint32_t *out[TASK_STATE_COUNT], *all = view_numbers(v, axis.n * TASK_STATE_COUNT);
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        out[s] = all + s * axis.n;
    dash_task_series(v->dash, job, axis, out);
    const struct chart_line lines[] = {
        {"canceled", GRID_MAGENTA, 'c', out[TASK_CANCELED]},
        {"aborted", GRID_CYAN, 'a', out[TASK_ABORTED]},
        {"finished", GRID_GREEN, 'f', out[TASK_FINISHED]},
        {"failed", GRID_RED, 'x', out[TASK_FAILED]},
        {"running", GRID_YELLOW, 'r', out[TASK_RUNNING]}};
    /* What matters most comes first in the legend and is drawn last, on top. */
    struct chart_line used[ARRAY_SIZE(lines)];
    size_t n = 0;
    for (size_t i = ARRAY_SIZE(lines); i-- > 0;) {
        bool any = lines[i].mark == 'r' || lines[i].mark == 'f';
        for (size_t k = 0; k < axis.n && !any; k++)
            any = lines[i].values[k] != 0;
        if (any)
            used[n++] = lines[i];
    }
    struct chart c = {.lines = used,
                      .n_lines = n,
                      .n = axis.n,
                      .from_us = axis.from_us,
                      .to_us = axis.to_us,
                      .unit = ""};
    chart_draw(g, in, &c);
}

static void draw_details(struct view *v, struct grid *g, struct rect r,
                         const struct dash_job *job)
{
    char title[32] = "Details";
    if (job)
        (void)snprintf(title, sizeof title, "Job %u", job->id);
    struct view_pairs p = {.g = g, .in = grid_box(g, r, title, false)};
    if (!job)
        return;
    uint64_t at = view_at(v);
    bool over = job->completed_us && job->completed_us <= at;
    p.y = p.in.y;
    p.label_width = 11;
    view_pairf(&p, "Type", "%s%s", job->kind,
               job->open && strcmp(job->kind, "open") != 0 ? ", open" : "");
    view_pair(&p, "Command", job->command ? job->command : "-");
    view_pair(&p, "Directory",
              job->directory && *job->directory ? job->directory : "-");
    view_pair(&p, "Pin", job->pin ? job->pin : "-");
    view_pair(&p, "Resources", job->resources ? job->resources : "-");
    view_pair_time(&p, "Created", job->created_us);
    view_pair_time(&p, "Completed", over ? job->completed_us : 0);
    view_pairf(&p, "Tasks", "%u", dash_slots_at(job, at));
    if (job->max_fails < 0)
        view_pair(&p, "Max fails", "-");
    else
        view_pairf(&p, "Max fails", "%lld", (long long)job->max_fails);
}

struct listing {
    const struct view *v;
    uint64_t n;
    bool wide;
};

static void fill_job(void *arg, uint64_t number, struct sheet_row *out)
{
    const struct listing *l = arg;
    const struct dash_job *job = l->v->dash->jobs.data[l->n - 1 - number];
    uint32_t counts[TASK_STATE_COUNT], total = 0;
    (void)snprintf(out->text[0], 64, "%u", job->id);
    out->long_text[1] = job->name;
    if (!l->wide)
        return;
    dash_counts(l->v->dash, job, view_at(l->v), counts);
    for (size_t s = 0; s < TASK_STATE_COUNT; s++)
        total += counts[s];
    uint32_t ended = total - counts[TASK_WAITING] - counts[TASK_RUNNING];
    out->colour[2] = counts[TASK_FAILED] || counts[TASK_ABORTED] ? GRID_RED
                     : counts[TASK_CANCELED]                     ? GRID_MAGENTA
                     : ended == total                            ? GRID_GREEN
                     : counts[TASK_RUNNING]                      ? GRID_YELLOW
                                                                 : GRID_PLAIN;
    (void)snprintf(out->text[2], 64, "%u%%",
                   total ? (uint32_t)((uint64_t)ended * 100 / total) : 100);
}

static void draw_list(struct view *v, struct grid *g, struct rect r,
                      const struct dash_job *job)
{
    struct listing l = {
        .v = v, .n = dash_jobs_at(v->dash, view_at(v)), .wide = r.w >= 22};
    const struct sheet_column columns[] = {
        {"Job ID", 6, true}, {"Name", 0, false}, {"Done", 4, true}};
    struct sheet s = {.title = "Jobs",
                      .empty = "no jobs",
                      .columns = columns,
                      .n_columns = ARRAY_SIZE(columns) - !l.wide,
                      .focused = !v->in_tasks,
                      .total = l.n,
                      .top = v->jobs.top,
                      .has_selected = job != NULL,
                      .selected = job ? l.n - 1 - job->index : 0};
    sheet_scroll(&s, r);
    v->jobs.top = s.top;
    v->page = (int)sheet_fit(r);
    sheet_draw(g, r, &s, fill_job, &l);
}

static void draw_tasks(struct view *v, struct grid *g, struct rect r,
                       const struct dash_job *job)
{
    char title[64] = "Tasks";
    struct dash_filter f = tasks_of(v, job);
    if (!job) {
        (void)grid_box(g, r, title, v->in_tasks);
        return;
    }
    (void)snprintf(title, sizeof title, "Tasks of job %u", job->id);
    view_draw_tasks(v, g, r, &v->tasks, &f, title, v->in_tasks);
}

#define UPPER 11        /* lines of the details */
#define LOW (UPPER + 6) /* below that no three rows of a list have room */
#define BESIDE 78       /* columns that both lists take beside each other */

static void draw_focused(struct view *v, struct grid *g, struct rect r,
                         const struct dash_job *job)
{
    if (v->in_tasks)
        draw_tasks(v, g, r, job);
    else
        draw_list(v, g, r, job);
}

void view_draw_jobs(struct view *v, struct grid *g, struct rect r)
{
    const struct dash_job *job = view_job(v);
    if (r.h < LOW || r.w < 60) {
        draw_focused(v, g, r, job);
        return;
    }
    int upper = MAX(r.h / 2, UPPER), left = MIN(MAX(r.w / 4, 24), 60),
        chart = r.w * 11 / 20;
    draw_chart(v, g, (struct rect){r.x, r.y, chart, upper}, job);
    draw_details(v, g, (struct rect){r.x + chart, r.y, r.w - chart, upper}, job);
    r.y += upper;
    r.h -= upper;
    if (r.w < BESIDE) {
        draw_focused(v, g, r, job);
        return;
    }
    draw_list(v, g, (struct rect){r.x, r.y, left, r.h}, job);
    draw_tasks(v, g, (struct rect){r.x + left, r.y, r.w - left, r.h}, job);
}
