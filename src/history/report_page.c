#include "history/report.h"

#include <stdlib.h>
#include "base/clock.h"
#include "history/svg.h"

#define POINTS 480u /* of a line; about two pixels each */
#define ROWS_MAX 24u
#define US_PER_S 1e6

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>HQ Journal Report</title>\n<style>\n"
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--dim:#656d76;--grid:#e4e7eb;"
    "--card:#f6f8fa;--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#cf222e;--c4:#8250df;"
    "--c5:#9a6700;--c6:#1b7c83;--c7:#bf3989;--c8:#57606a;--c9:#4d2d00}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#8d96a0;"
    "--grid:#30363d;--card:#161b22;--c0:#4493f8;--c1:#f0883e;--c2:#3fb950;--c3:#f85149;"
    "--c4:#ab7df8;--c5:#d29922;--c6:#39c5cf;--c7:#f778ba;--c8:#9198a1;--c9:#e3b341}}\n"
    "body{margin:0 auto;padding:1.5rem;max-width:64rem;background:var(--bg);"
    "color:var(--fg);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}\n"
    "p.sub{color:var(--dim);margin:0 0 1rem}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));"
    "gap:.6rem}\n"
    ".tiles div{background:var(--card);border-radius:6px;padding:.6rem .8rem}\n"
    ".tiles b{display:block;font-size:1.25rem}.tiles span{color:var(--dim);"
    "font-size:.85rem}\n"
    "svg{display:block;width:100%;height:auto;background:var(--card);border-radius:6px}"
    "\n"
    "svg text{fill:var(--fg);font:12px system-ui,sans-serif}\n"
    ".grid{stroke:var(--grid)}.axis{stroke:var(--dim)}\n"
    ".line{fill:none;stroke:var(--c);stroke-width:1.6}.fill{fill:var(--c)}\n"
    ".whisker{stroke:var(--dim)}.box{fill:var(--c0);fill-opacity:.45;stroke:var(--c0)}"
    "\n"
    ".median{stroke:var(--fg);stroke-width:2}\n"
    ".legend{margin:.4rem 0;font-size:.9rem}.legend span{margin-right:1.2rem;"
    "display:inline-block}\n"
    ".legend small{color:var(--dim)}.legend "
    "i{display:inline-block;width:.8em;height:.8em;"
    "border-radius:2px;margin-right:.4em;background:var(--c)}\n"
    ".c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}"
    ".c4{--c:var(--c4)}.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}"
    ".c8{--c:var(--c8)}.c9{--c:var(--c9)}\n"
    "</style>\n</head>\n<body>\n<h1>HQ Journal Report</h1>\n";

struct page {
    struct buf *out;
    const struct report_view *v;
    double from_s, until_s;
    double *values; /* of up to n_lines lines, POINTS each */
    struct svg_line *lines;
    size_t n_lines;
};

/* ---- the head -------------------------------------------------------------------- */

static void put_subtitle(struct page *p)
{
    const struct report_view *v = p->v;
    buf_puts(p->out, "<p class=\"sub\">Server ");
    html_text(p->out, v->server_uid);
    buf_puts(p->out, ", started ");
    time_print_utc(v->started_us, p->out);
    buf_puts(p->out, "; events over ");
    svg_duration(p->out, (double)v->last_us / US_PER_S);
    if (v->from_us || v->until_us) {
        buf_puts(p->out, ". Shown, but for the first three numbers: from ");
        svg_duration(p->out, p->from_s);
        buf_puts(p->out, " to ");
        svg_duration(p->out, p->until_s);
    }
    buf_puts(p->out, ". Times count from the start.</p>\n");
}

static void tile(struct page *p, uint64_t n, const char *text)
{
    buf_printf(p->out, "<div><b>%llu</b><span>%s</span></div>\n", (unsigned long long)n,
               text);
}

static void put_tiles(struct page *p)
{
    uint64_t finished = 0, failed = 0, canceled = 0, aborted = 0;
    for (size_t i = 0; i < p->v->n_requests; i++) {
        finished += p->v->requests[i].finished;
        failed += p->v->requests[i].failed;
        canceled += p->v->requests[i].canceled;
        aborted += p->v->requests[i].aborted;
    }
    buf_puts(p->out, "<div class=\"tiles\">\n");
    tile(p, p->v->n_workers, "workers");
    tile(p, p->v->n_jobs, "jobs");
    tile(p, p->v->n_starts, "starts of tasks");
    tile(p, finished, "finished");
    tile(p, failed, "failed");
    tile(p, canceled, "canceled");
    tile(p, aborted, "aborted");
    buf_puts(p->out, "</div>\n");
}

/* ---- over time ------------------------------------------------------------------- */

static void begin_lines(struct page *p)
{
    p->n_lines = 0;
}

static double *add_line(struct page *p, const char *label, size_t series)
{
    double *values = p->values + p->n_lines * POINTS;
    timeline_values(p->v->timeline, series, values, POINTS);
    p->lines[p->n_lines++] = (struct svg_line){label, values};
    return values;
}

static void put_chart(struct page *p, const char *title, const char *unit)
{
    struct svg_chart chart = {.from_s = p->from_s,
                              .until_s = p->until_s,
                              .n = POINTS,
                              .lines = p->lines,
                              .n_lines = p->n_lines,
                              .unit = unit};
    buf_printf(p->out, "<h2>%s</h2>\n", title);
    svg_chart(p->out, &chart);
}

static void put_workers(struct page *p)
{
    begin_lines(p);
    if (p->v->any_queued)
        (void)add_line(p, "asked for, in queued allocations", p->v->queued);
    for (size_t i = 0; i < p->v->n_kinds; i++)
        (void)add_line(p, p->v->kinds[i].label, p->v->kinds[i].series);
    if (p->n_lines == 0)
        buf_puts(p->out, "<h2>Workers</h2>\n<p>No worker connected.</p>\n");
    else
        put_chart(p, "Workers", "");
}

/* What is used of what is offered. */
static void put_utilization(struct page *p)
{
    double offered[POINTS];
    begin_lines(p);
    for (size_t i = 0; i < p->v->n_resources && p->n_lines < REPORT_KINDS_MAX; i++) {
        const struct report_resource *r = &p->v->resources[i];
        timeline_values(p->v->timeline, r->offered, offered, POINTS);
        double most = 0;
        for (size_t k = 0; k < POINTS; k++)
            most = MAX(most, offered[k]);
        if (most <= 0)
            continue; /* asked for, but nobody has it */
        double *used = add_line(p, r->name, r->used);
        for (size_t k = 0; k < POINTS; k++)
            used[k] = offered[k] > most * 1e-9
                          ? MIN(MAX(used[k] / offered[k] * 100, 0), 100)
                          : 0;
    }
    if (p->n_lines)
        put_chart(p, "Utilization of resources", "%");
}

static void put_running(struct page *p)
{
    begin_lines(p);
    (void)add_line(p, "running tasks", p->v->running_tasks);
    put_chart(p, "Running tasks", "");
}

/* ---- by request ------------------------------------------------------------------ */

static uint64_t tasks_of(const struct report_request *r)
{
    return r->finished + r->failed + r->canceled + r->aborted;
}

static int by_tasks(const void *a, const void *b)
{
    const struct report_request *x = *(const struct report_request *const *)a;
    const struct report_request *y = *(const struct report_request *const *)b;
    uint64_t n = tasks_of(x), m = tasks_of(y);
    return n < m ? 1 : n > m ? -1 : strcmp(x->label, y->label);
}

static void put_counts(struct page *p, const struct report_request *const *sorted,
                       size_t n)
{
    static const char *const names[4] = {"finished", "failed", "canceled", "aborted"};
    struct svg_bar bars[ROWS_MAX + 1];
    size_t n_bars = 0;
    for (size_t i = 0; i < n && tasks_of(sorted[i]); i++) {
        const struct report_request *r = sorted[i];
        const uint64_t parts[4] = {r->finished, r->failed, r->canceled, r->aborted};
        if (i <= ROWS_MAX)
            bars[n_bars++] = (struct svg_bar){
                .label = i < ROWS_MAX ? r->label : "all other requests"};
        for (size_t k = 0; k < 4; k++)
            bars[n_bars - 1].parts[k] += parts[k];
    }
    buf_puts(p->out, "<h2>Tasks by request</h2>\n");
    if (n_bars)
        svg_bars(p->out, bars, n_bars, names);
    else
        buf_puts(p->out, "<p>No task ended.</p>\n");
}

static void put_durations(struct page *p, const struct report_request *const *sorted,
                          size_t n)
{
    struct svg_box boxes[ROWS_MAX];
    size_t n_boxes = 0;
    for (size_t i = 0; i < n && n_boxes < ROWS_MAX; i++) {
        const struct spread *s = sorted[i]->spread;
        if (s)
            boxes[n_boxes++] =
                (struct svg_box){.label = sorted[i]->label,
                                 .n = s->n,
                                 .min_s = (double)s->min_us / US_PER_S,
                                 .q1_s = spread_quantile(s, 0.25) / US_PER_S,
                                 .median_s = spread_quantile(s, 0.5) / US_PER_S,
                                 .q3_s = spread_quantile(s, 0.75) / US_PER_S,
                                 .max_s = (double)s->max_us / US_PER_S};
    }
    if (n_boxes == 0)
        return;
    buf_puts(p->out, "<h2>Durations of tasks</h2>\n");
    svg_boxes(p->out, boxes, n_boxes);
}

static int put_requests(struct page *p)
{
    size_t n = p->v->n_requests;
    const struct report_request **sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &p->v->requests[i];
    if (n)
        qsort(sorted, n, sizeof *sorted, by_tasks);
    put_counts(p, sorted, n);
    put_durations(p, sorted, n);
    free(sorted);
    return 0;
}

int report_page(const struct report_view *v, struct buf *out, struct error *err)
{
    size_t n_lines = REPORT_KINDS_MAX + 1;
    struct page p = {.out = out,
                     .v = v,
                     .from_s = (double)v->from_us / US_PER_S,
                     .values = malloc(n_lines * POINTS * sizeof *p.values),
                     .lines = malloc(n_lines * sizeof *p.lines)};
    p.until_s = p.from_s + (double)v->timeline->end_us / US_PER_S;
    int rc = p.values && p.lines ? 0 : ERR_NOMEM;
    if (rc == 0) {
        buf_puts(out, head);
        put_subtitle(&p);
        put_tiles(&p);
        put_workers(&p);
        put_running(&p);
        put_utilization(&p);
        rc = put_requests(&p);
        buf_puts(out, "</body>\n</html>\n");
    }
    free(p.values);
    free(p.lines);
    return rc || out->failed ? error_nomem(err) : 0;
}
