/* What a report gathers, and the arithmetic of its charts. */
#include <math.h>
#include "history/report.h"
#include "history/scale.h"
#include "history/svg.h"
#include "story.h"

#define NEAR(a, b) CU_ASSERT_DOUBLE_EQUAL((a), (b), 1e-6)

static void test_scale(void)
{
    for (double v = 1e-7; v < 1e12; v *= 1.37) {
        CU_ASSERT_DOUBLE_EQUAL(scale_log2(v), log2(v), 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(scale_log10(v), log10(v), 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(scale_exp2(log2(v)) / v, 1, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(scale_exp10(log10(v)) / v, 1, 1e-9);
        NEAR(scale_floor(v), floor(v));
        NEAR(scale_ceil(v), ceil(v));
        NEAR(scale_floor(-v), floor(-v));
    }
}

/* One up from 1 s to 3 s of 4 s, as averages of whole seconds; in any order. */
static void test_timeline(void)
{
    struct timeline t;
    double v[4];
    timeline_init(&t);
    size_t s = timeline_add(&t), other = timeline_add(&t);
    timeline_change(&t, s, 3000000, -1);
    timeline_change(&t, s, 1000000, 1);
    timeline_change(&t, s, 4000000, 0);
    timeline_values(&t, s, v, 4);
    NEAR(v[0], 0);
    NEAR(v[1], 1);
    NEAR(v[2], 1);
    NEAR(v[3], 0);
    timeline_change(&t, other, 2500000, 6);
    timeline_values(&t, other, v, 4);
    NEAR(v[2], 3);
    NEAR(v[3], 6);
    timeline_release(&t);
}

/* Bins are joined as time goes on: sums stay right. */
static void test_timeline_grows(void)
{
    struct timeline t;
    timeline_init(&t);
    size_t s = timeline_add(&t);
    uint64_t at = 1;
    double area = 0;
    for (int i = 0; i < 40; i++, at *= 2) {
        timeline_change(&t, s, at, 3);
        timeline_change(&t, s, at + at / 2, -3);
        area += 3.0 * (double)(at / 2);
    }
    double v[1], all[TIMELINE_BINS], sum = 0;
    timeline_values(&t, s, v, 1);
    CU_ASSERT_DOUBLE_EQUAL(v[0] * (double)t.end_us / area, 1, 0.01);
    timeline_values(&t, s, all, TIMELINE_BINS);
    for (size_t i = 0; i < TIMELINE_BINS; i++)
        sum += all[i];
    CU_ASSERT_DOUBLE_EQUAL(sum / TIMELINE_BINS / v[0], 1, 1e-6);
    timeline_release(&t);
}

static void test_spread(void)
{
    struct spread *s = calloc(1, sizeof *s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(spread_quantile(s, 0.5), 0);
    for (uint64_t i = 1; i <= 100001; i++)
        spread_add(s, i * 10);
    static const double q[] = {0.01, 0.25, 0.5, 0.75, 0.99};
    for (size_t i = 0; i < ARRAY_SIZE(q); i++)
        CU_ASSERT_DOUBLE_EQUAL(spread_quantile(s, q[i]) / (1000010 * q[i]), 1, 0.011);
    NEAR(spread_quantile(s, 0), 10);
    NEAR(spread_quantile(s, 1), 1000010);
    spread_add(s, UINT64_MAX);
    spread_add(s, 0);
    NEAR(spread_quantile(s, 0), 0);
    free(s);
}

static void test_html_text(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    html_text(&b, "<a b=\"c\">&\n\xff");
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), "&lt;a b=&quot;c&quot;&gt;&amp; \xef\xbf\xbd");
    buf_release(&b);
}

/* ---- stories --------------------------------------------------------------------- */

struct telling {
    struct story s; /* its track only */
    struct report *report;
};

static int take(void *arg, const struct told *t)
{
    struct telling *x = arg;
    return report_take(x->report, t);
}

static void begin_report(struct telling *x, uint64_t from_us, uint64_t until_us)
{
    story_begin(&x->s);
    track_destroy(x->s.track);
    x->s.track = track_create(take, x);
    x->report = report_create(from_us, until_us);
    CU_ASSERT(x->s.track && x->report);
}

static void end_report(struct telling *x)
{
    report_destroy(x->report);
    story_end(&x->s);
}

static void server_start(struct telling *x, uint64_t at_us)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, EVENT_SERVER_START, at_us);
    buf_str(&b, "aB3");
    buf_str(&b, "1.0");
    story_event(&x->s, &b);
}

static void worker(struct telling *x, uint32_t id, const char *cpus, uint64_t at_us)
{
    struct worker_config c;
    struct pool p = POOL_INIT;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    worker_config_init(&c);
    c.hostname = strdup("h");
    c.group = strdup("default");
    c.work_dir = strdup("/w");
    c.listen_address = strdup("h:0");
    CU_ASSERT_EQUAL(pool_parse_cpus(cpus, &p, &x->s.err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&c.pools, &p, &x->s.err), 0);
    CU_ASSERT_EQUAL(pool_set_finish(&c.pools, &x->s.err), 0);
    event_begin(&b, EVENT_WORKER_CONNECTED, at_us);
    buf_u32(&b, id);
    worker_config_encode(&c, &b);
    worker_config_release(&c);
    story_event(&x->s, &b);
    CU_ASSERT_EQUAL(x->s.rc, 0);
}

static void worker_lost(struct telling *x, uint32_t id, uint64_t at_us)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, EVENT_WORKER_LOST, at_us);
    buf_u32(&b, id);
    buf_u8(&b, WORKER_CONNECTION_LOST);
    story_event(&x->s, &b);
}

static void ends(struct telling *x, uint32_t slot, uint64_t from_us, uint64_t to_us,
                 enum task_state state)
{
    struct task_end e = story_finished(1, slot);
    e.state = (uint8_t)state;
    e.failure = state == TASK_FAILED ? FAILURE_EXIT : FAILURE_NONE;
    e.exit = state == TASK_FAILED ? 1 : 0;
    e.start_us = STORY_US + from_us;
    e.end_us = STORY_US + to_us;
    story_ends(&x->s, 1, &e, NULL, 1);
}

#define S 1000000u

static void series(const struct report_view *v, size_t s, double *values)
{
    timeline_values(v->timeline, s, values, 10);
}

/* Ten seconds: a worker of 2 CPUs from 1 s to 9 s, a task of one CPU from 2 s to 6 s.
 */
static void test_one_task(void)
{
    struct telling x;
    struct report_view v;
    double got[10];
    begin_report(&x, 0, 0);
    server_start(&x, STORY_US);
    worker(&x, 1, "2", STORY_US + 1 * S);
    story_submit(&x.s, 1, "a", 0, 4);
    ends(&x, 0, 2 * S, 6 * S, TASK_FINISHED);
    ends(&x, 1, 6 * S, 7 * S, TASK_FAILED);
    worker_lost(&x, 1, STORY_US + 9 * S);
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, EVENT_JOB_CANCELED, STORY_US + 10 * S);
    buf_u32(&b, 1);
    story_event(&x.s, &b);
    CU_ASSERT_EQUAL(report_view(x.report, &v, &x.s.err), 0);
    CU_ASSERT(v.n_workers == 1 && v.n_jobs == 1 && v.n_starts == 2);
    CU_ASSERT_EQUAL(v.last_us, 10 * S);
    CU_ASSERT_EQUAL_FATAL(v.n_requests, 1);
    CU_ASSERT(v.requests[0].finished == 1 && v.requests[0].failed == 1 &&
              v.requests[0].canceled == 2 && v.requests[0].aborted == 0);
    CU_ASSERT_EQUAL(v.requests[0].spread->n, 2);
    CU_ASSERT_EQUAL(v.requests[0].spread->max_us, 4 * S);
    CU_ASSERT_EQUAL_FATAL(v.n_kinds, 1);
    CU_ASSERT_EQUAL_FATAL(v.n_resources, 1);
    series(&v, v.kinds[0].series, got);
    for (int i = 0; i < 10; i++)
        NEAR(got[i], i >= 1 && i < 9 ? 1 : 0);
    series(&v, v.resources[0].offered, got);
    for (int i = 0; i < 10; i++)
        NEAR(got[i], i >= 1 && i < 9 ? 2 : 0);
    series(&v, v.resources[0].used, got);
    for (int i = 0; i < 10; i++)
        NEAR(got[i], i >= 2 && i < 7 ? 1 : 0);
    end_report(&x);
}

/* From 4 s on: what began before is there from the beginning; until 8 s. */
static void test_window(void)
{
    struct telling x;
    struct report_view v;
    double got[10];
    begin_report(&x, 4 * S, 8 * S);
    server_start(&x, STORY_US);
    worker(&x, 1, "2", STORY_US + 1 * S);
    story_submit(&x.s, 1, "a", 0, 3);
    ends(&x, 0, 2 * S, 3 * S, TASK_FINISHED);
    ends(&x, 1, 2 * S, 6 * S, TASK_FINISHED);
    ends(&x, 2, 7 * S, 9 * S, TASK_FINISHED);
    worker_lost(&x, 1, STORY_US + 12 * S);
    CU_ASSERT_EQUAL(report_view(x.report, &v, &x.s.err), 0);
    CU_ASSERT_EQUAL(v.timeline->end_us, 4 * S);
    CU_ASSERT_EQUAL(v.requests[0].finished, 1);
    series(&v, v.kinds[0].series, got);
    for (int i = 0; i < 10; i++)
        NEAR(got[i], 1);
    series(&v, v.running_tasks, got);
    for (int i = 0; i < 10; i++)
        NEAR(got[i], i < 5 ? 1 : i == 5 || i == 6 ? 0 : i == 7 ? 0.5 : 1);
    end_report(&x);
}

/* What ran when the server was killed ends with the last thing that it told. */
static void test_restart(void)
{
    struct telling x;
    struct report_view v;
    double got[10];
    begin_report(&x, 0, 0);
    server_start(&x, STORY_US);
    worker(&x, 1, "2", STORY_US);
    story_submit(&x.s, 1, "a", 0, 2);
    struct task_start start = {.job = 1, .start_us = STORY_US + 2 * S};
    story_start(&x.s, 1, &start);
    ends(&x, 1, 3 * S, 5 * S, TASK_FINISHED);
    server_start(&x, STORY_US + 10 * S);
    CU_ASSERT_EQUAL(report_view(x.report, &v, &x.s.err), 0);
    series(&v, v.kinds[0].series, got);
    for (int i = 0; i < 10; i++)
        NEAR(got[i], i < 5 ? 1 : 0);
    series(&v, v.resources[0].used, got);
    static const double used[10] = {0, 0, 1, 2, 2};
    for (int i = 0; i < 10; i++)
        NEAR(got[i], used[i]);
    end_report(&x);
}

static void test_refusals(void)
{
    struct telling x;
    struct report_view v;
    begin_report(&x, 0, 0);
    CU_ASSERT_EQUAL(report_view(x.report, &v, &x.s.err), ERR_INVALID);
    CU_ASSERT_STRING_EQUAL(x.s.err.text, "Empty journal");
    struct told first = {.type = TOLD_SERVER_STOP};
    CU_ASSERT_EQUAL(report_take(x.report, &first), ERR_INVALID);
    CU_ASSERT_EQUAL(report_view(x.report, &v, &x.s.err), ERR_INVALID);
    CU_ASSERT_STRING_EQUAL(x.s.err.text,
                           "Journal does not start with server start event");
    end_report(&x);
}

static void test_page(void)
{
    struct telling x;
    struct report_view v;
    struct buf page = BUF_INIT(BUF_MAX_DEFAULT);
    begin_report(&x, 0, 0);
    server_start(&x, STORY_US);
    CU_ASSERT_EQUAL(report_view(x.report, &v, &x.s.err), 0);
    CU_ASSERT_EQUAL(report_page(&v, &page, &x.s.err), 0); /* of nothing at all */
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&page), "No worker connected"));
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&page), "nan"));
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&page), "inf"));
    end_report(&x);
    buf_release(&page);
}

TEST_MAIN("report", TEST(test_scale), TEST(test_timeline), TEST(test_timeline_grows),
          TEST(test_spread), TEST(test_html_text), TEST(test_one_task),
          TEST(test_window), TEST(test_restart), TEST(test_refusals), TEST(test_page))
