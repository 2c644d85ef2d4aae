/*
 * struct view: the screens over a model and what the keys do to them. It knows no
 * terminal: keys come in, cells go out.
 */
#ifndef HQ_TUI_VIEW_H
#define HQ_TUI_VIEW_H

#include "tui/chart.h"
#include "tui/dash_query.h"
#include "tui/grid.h"
#include "tui/timeframe.h"

/* Keys are characters, or: */
enum view_key {
    KEY_ESC = 27,
    KEY_RETURN = '\n',
    KEY_NAMED = 0x110000, /* beyond Unicode */
    KEY_GO_UP,
    KEY_GO_DOWN,
    KEY_GO_PAGE_UP,
    KEY_GO_PAGE_DOWN,
    KEY_GO_FIRST,
    KEY_GO_LAST,
    KEY_GO_BACK
};

enum view_answer { VIEW_SAME, VIEW_CHANGED, VIEW_QUIT };

enum view_screen { SCREEN_JOBS, SCREEN_ALLOC, SCREEN_WORKERS, SCREEN_WORKER };

/* A list that the keys move in: by place or by what was chosen. */
struct view_list {
    bool chosen;
    uint32_t id; /* of what was chosen; allocations: the place */
    uint64_t top;
};

/* A list of tasks; the chosen task stays chosen when it moves. */
struct view_tasks {
    bool chosen;
    uint32_t job, slot;
    uint64_t top;
    int page; /* rows that fit, as drawn last */
};

struct view {
    const struct dash *dash;
    struct timeframe window;
    enum view_screen screen;
    bool warning; /* the history was reconstructed: shown until dismissed */
    int page;     /* rows of the list in use, as drawn last */

    bool in_tasks; /* Jobs: keys move in the task list */
    struct view_list jobs;
    struct view_tasks tasks;
    bool in_allocs; /* AutoAllocator: keys move in the list of allocations */
    struct view_list queues, allocs;
    struct view_list workers;
    enum view_screen from; /* Worker details: where Backspace leads */
    uint32_t worker;       /* Worker details */
    struct view_tasks on_worker;
    unsigned cpu_mode; /* Worker details: enum view_cpus */

    struct dash_rows rows; /* scratch of the drawing */
    VEC(uint32_t) numbers; /* likewise */
};

void view_init(struct view *v, const struct dash *d, bool stream, bool warning);
void view_release(struct view *v);
enum view_answer view_key(struct view *v, uint32_t key, uint64_t now_us);
/* `now_us`: the clock, for a live window. */
void view_draw(struct view *v, struct grid *g, uint64_t now_us);

/* ---- for the files of the view ---- */

uint64_t view_latest(const struct view *v, uint64_t now_us);
static inline uint64_t view_at(const struct view *v)
{
    return v->window.end_us;
}

/* The job that the screen is about; NULL: there is none. */
const struct dash_job *view_job(const struct view *v);

void view_draw_jobs(struct view *v, struct grid *g, struct rect r);
void view_draw_alloc(struct view *v, struct grid *g, struct rect r);
void view_draw_workers(struct view *v, struct grid *g, struct rect r);
void view_draw_worker(struct view *v, struct grid *g, struct rect r);
bool view_key_jobs(struct view *v, uint32_t key);
bool view_key_alloc(struct view *v, uint32_t key);
bool view_key_workers(struct view *v, uint32_t key);
bool view_key_worker(struct view *v, uint32_t key);
/* The keys that only this screen has, for the line at the bottom. */
const char *view_hints(const struct view *v);

/* A list of tasks: of a job with their workers, else with their jobs. */
void view_draw_tasks(struct view *v, struct grid *g, struct rect r,
                     struct view_tasks *tasks, const struct dash_filter *f,
                     const char *title, bool focused);
bool view_key_tasks(struct view *v, uint32_t key, struct view_tasks *tasks,
                    const struct dash_filter *f);
/* Where a moving key leads in a list of `total` rows; `row` is the chosen one. false:
 * it is no such key, or there are no rows. */
bool view_move(uint32_t key, bool chosen, uint64_t row, uint64_t total, int page,
               uint64_t *to);
/* Room for n numbers that are 0. */
uint32_t *view_numbers(struct view *v, size_t n);
struct dash_axis view_axis(const struct view *v, const struct grid *g, struct rect r);

/* "Label  text", the text in as many lines as it takes. */
struct view_pairs {
    struct grid *g;
    struct rect in;
    int y, label_width;
};
void view_pair(struct view_pairs *p, const char *label, const char *text);
void view_pairf(struct view_pairs *p, const char *label, const char *fmt, ...)
    PRINTF(3, 4);
void view_pair_time(struct view_pairs *p, const char *label, uint64_t us);
/* A duration in nanoseconds; 0 is `none`. */
void view_pair_limit(struct view_pairs *p, const char *label, uint64_t ns,
                     const char *none);

/* "10:00:00" of the day that is shown, "08-03" of another one; with_day: both. */
const char *view_time(const struct view *v, uint64_t us, bool with_day,
                      char out[CHART_TIME_BYTES]);

#endif
