/* Lists of tasks: of a job, of a worker. */
#include "tui/view.h"

#include <stdio.h>
#include "base/duration.h"
#include "tui/sheet.h"

static const char *const state_words[TASK_STATE_COUNT] = {
    [TASK_WAITING] = "waiting",   [TASK_RUNNING] = "running",
    [TASK_FINISHED] = "finished", [TASK_FAILED] = "failed",
    [TASK_CANCELED] = "canceled", [TASK_ABORTED] = "aborted"};
static const enum grid_colour state_colours[TASK_STATE_COUNT] = {
    [TASK_RUNNING] = GRID_YELLOW,
    [TASK_FINISHED] = GRID_GREEN,
    [TASK_FAILED] = GRID_RED,
    [TASK_CANCELED] = GRID_MAGENTA,
    [TASK_ABORTED] = GRID_CYAN};

struct drawing {
    const struct view *v;
    uint64_t top;
    bool several; /* of several jobs, on one worker */
    bool with_day;
};

static void put_time(const struct drawing *d, uint64_t us, char out[64])
{
    char time[CHART_TIME_BYTES];
    if (us)
        (void)snprintf(out, 64, "%s", view_time(d->v, us, d->with_day, time));
}

static void fill_row(void *arg, uint64_t number, struct sheet_row *out)
{
    const struct drawing *d = arg;
    const struct dash_rows *rows = &d->v->rows;
    if (number - d->top >= rows->rows.len)
        return;
    const struct dash_row *row = &rows->rows.data[number - d->top];
    size_t i = 0;
    if (d->several)
        (void)snprintf(out->text[i++], 64, "%u", row->job->id);
    (void)snprintf(out->text[i++], 64, "%u", row->task);
    if (!d->several && row->seen.worker)
        (void)snprintf(out->text[i], 64, "%u", row->seen.worker);
    i += !d->several;
    out->colour[i] = state_colours[row->seen.state];
    (void)snprintf(out->text[i++], 64, "%s", state_words[row->seen.state]);
    put_time(d, row->seen.start_us, out->text[i++]);
    put_time(d, row->seen.end_us, out->text[i++]);
    if (row->seen.start_us) {
        uint64_t until = row->seen.end_us ? row->seen.end_us : view_at(d->v);
        struct buf b = BUF_INIT(256);
        duration_print_makespan((until - MIN(until, row->seen.start_us)) * NS_PER_US,
                                &b);
        (void)snprintf(out->text[i], 64, "%s", buf_cstr(&b));
        buf_release(&b);
    }
}

static bool rank_of(const struct view *v, const struct view_tasks *tasks,
                    const struct dash_filter *f, uint64_t *rank)
{
    return tasks->chosen && dash_rows_rank(v->dash, f, tasks->job, tasks->slot, rank);
}

void view_draw_tasks(struct view *v, struct grid *g, struct rect r,
                     struct view_tasks *tasks, const struct dash_filter *f,
                     const char *title, bool focused)
{
    struct drawing d = {.v = v, .several = !f->job, .with_day = r.w >= 76};
    int time = d.with_day ? 14 : 8;
    const struct sheet_column job = {"Job ID", 8, true}, task = {"Task ID", 8, true},
                              worker = {"Worker ID", 9, true};
    const struct sheet_column columns[] = {
        d.several ? job : task, d.several ? task : worker, {"State", 8, false},
        {"Start", time, false}, {"End", time, false},      {"Makespan", 0, false}};
    struct sheet s = {.title = title,
                      .empty = "no tasks",
                      .columns = columns,
                      .n_columns = ARRAY_SIZE(columns),
                      .focused = focused,
                      .top = tasks->top};
    dash_rows_find(&v->rows, v->dash, f, 0, 0);
    s.total = v->rows.total;
    s.has_selected = focused && rank_of(v, tasks, f, &s.selected);
    sheet_scroll(&s, r);
    dash_rows_find(&v->rows, v->dash, f, s.top, (size_t)sheet_fit(r));
    tasks->top = d.top = s.top;
    tasks->page = (int)sheet_fit(r);
    sheet_draw(g, r, &s, fill_row, &d);
}

bool view_key_tasks(struct view *v, uint32_t key, struct view_tasks *tasks,
                    const struct dash_filter *f)
{
    uint64_t row = tasks->top, to;
    bool chosen = rank_of(v, tasks, f, &row);
    dash_rows_find(&v->rows, v->dash, f, 0, 0);
    if (!view_move(key, chosen, row, v->rows.total, tasks->page, &to))
        return false;
    dash_rows_find(&v->rows, v->dash, f, to, 1);
    if (v->rows.rows.len == 0)
        return false;
    tasks->chosen = true;
    tasks->job = v->rows.rows.data[0].job->id;
    tasks->slot = v->rows.rows.data[0].slot;
    return true;
}
