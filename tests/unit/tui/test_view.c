/* The screens and what the keys do to them. */
#include "past.h"

#include <stdlib.h>
#include <time.h>
#include "tui/view.h"

struct stage {
    struct dash d;
    struct view v;
    struct grid g;
    struct buf text; /* of the screen */
    double now;
};

static void draw(struct stage *s)
{
    view_draw(&s->v, &s->g, AT(s->now));
    buf_clear(&s->text);
    grid_print(&s->g, &s->text);
}

static void begin(struct stage *s, bool stream, bool warning)
{
    (void)setenv("TZ", "UTC0", 1);
    tzset();
    *s = (struct stage){.now = 100};
    buf_init(&s->text, BUF_MAX_DEFAULT);
    grid_resize(&s->g, 80, 24);
    dash_init(&s->d);
    past_worker(&s->d, 1, 1, "alpha", 4);
    past_worker(&s->d, 2, 2, "beta", 4);
    past_submit(&s->d, 10, 1, "first", 100, 5);
    past_start(&s->d, 11, 1, 0, 1);
    past_start(&s->d, 12, 1, 1, 2);
    past_end(&s->d, 20, 1, 0, TOLD_TASK_FINISHED);
    past_end(&s->d, 21, 1, 1, TOLD_TASK_FAILED);
    past_start(&s->d, 30, 1, 2, 2);
    past_submit(&s->d, 40, 2, "second\x1b[2J", 0, 3);
    past_lost(&s->d, 60, 1, WORKER_IDLE_TIMEOUT);
    past_load(&s->d, 99, 2, 8, 50);
    past_queue(&s->d, 70, "night");
    past_alloc(&s->d, 71, "4711", TOLD_ALLOC_QUEUED);
    past_alloc(&s->d, 75, "4711", TOLD_ALLOC_STARTED);
    past_start(&s->d, 100, 1, 3, 2);
    view_init(&s->v, &s->d, stream, warning);
    draw(s);
}

static void end(struct stage *s)
{
    view_release(&s->v);
    grid_release(&s->g);
    dash_release(&s->d);
    buf_release(&s->text);
}

static void press(struct stage *s, uint32_t key)
{
    (void)view_key(&s->v, key, AT(s->now));
    draw(s);
}

static void has_at(const struct stage *s, const char *text, bool wanted, int line)
{
    bool found = strstr(buf_cstr(&s->text), text) != NULL;
    if (found != wanted)
        (void)printf("\n    line %d: %s '%s' in\n%s", line, wanted ? "no" : "there is",
                     text, buf_cstr(&s->text));
    CU_ASSERT_EQUAL(found, wanted);
}
#define HAS(s, text) has_at(s, text, true, __LINE__)
#define HAS_NOT(s, text) has_at(s, text, false, __LINE__)

static void test_jobs(void)
{
    struct stage s;
    begin(&s, false, false);
    HAS(&s, "Jobs   AutoAllocator   Workers");
    HAS(&s, "[replay]");
    HAS(&s, "2026-02-02 02:36:40 - 02:41:40 (5m)");
    HAS(&s, "+ Job 2 -"); /* the newest */
    HAS(&s, "second?[2J");
    HAS(&s, "Max fails  -");
    press(&s, KEY_GO_DOWN);
    HAS(&s, "+ Job 1 -");
    HAS(&s, "Command    ./solve 'in put'");
    HAS(&s, "Created    02.02.2026 02:40:10");
    HAS(&s, "r=running 2  x=failed 1  f=finished 1");
    HAS(&s, "     102         2 running  02:40:30          1m 10s");
    HAS(&s, "     101         2 failed   02:40:12 02:40:21 9s");
    HAS(&s, "     104           waiting");
    press(&s, KEY_GO_UP);
    HAS(&s, "+ Job 2 -");
    press(&s, KEY_GO_UP); /* there is none above */
    HAS(&s, "+ Job 2 -");
    end(&s);
}

/* In a narrow list the time of another day than the one shown is its date. */
static void test_other_day(void)
{
    struct stage s;
    begin(&s, true, false);
    s.now = 86400 + 90;
    past_start(&s.d, 86400 + 80, 1, 4, 2);
    press(&s, KEY_GO_DOWN);
    HAS(&s, "     104         2 running  02:41:20          10s");
    HAS(&s, "     102         2 running  02-02             1day");
    HAS(&s, "     101         2 failed   02-02    02-02    9s");
    press(&s, 'a');
    press(&s, KEY_GO_DOWN);
    HAS(&s, "02-02");
    end(&s);
}

static void test_past(void)
{
    struct stage s;
    begin(&s, false, false);
    press(&s, 'k');
    press(&s, 'k'); /* 75 s, a quarter is 18.75 */
    HAS(&s, "(1m 15s)");
    press(&s, 'o');
    press(&s, 'o');
    press(&s, 'o');
    press(&s, 'o'); /* as of second 25 */
    HAS(&s, "+ Job 1 -");
    HAS_NOT(&s, "second");
    HAS(&s, "r=running 0  x=failed 1  f=finished 1");
    press(&s, 'w');
    HAS_NOT(&s, "offline");
    press(&s, 'p');
    press(&s, 'p');
    press(&s, 'p');
    HAS(&s, "offline: timeout");
    end(&s);
}

/* What was chosen stays so when its row moves. */
static void test_chosen_task(void)
{
    struct stage s;
    begin(&s, true, false);
    press(&s, KEY_GO_DOWN);
    press(&s, '2');
    press(&s, 'i'); /* no task is chosen */
    HAS(&s, "Tasks of job 1");
    press(&s, KEY_GO_DOWN);
    press(&s, KEY_GO_DOWN);
    CU_ASSERT(s.v.tasks.chosen && s.v.tasks.slot == 3);
    past_end(&s.d, 101, 1, 2, TOLD_TASK_FINISHED);
    s.now = 102;
    draw(&s);
    CU_ASSERT_EQUAL(s.v.tasks.slot, 3);
    press(&s, KEY_GO_UP); /* it is the first by now */
    CU_ASSERT_EQUAL(s.v.tasks.slot, 3);
    press(&s, KEY_GO_LAST);
    CU_ASSERT_EQUAL(s.v.tasks.slot, 4);
    press(&s, 'i'); /* it waits: there is no worker */
    HAS(&s, "Tasks of job 1");
    press(&s, KEY_GO_FIRST);
    press(&s, 'i');
    HAS(&s, "Tasks of worker 2");
    HAS(&s, "Listen address");
    press(&s, KEY_GO_BACK);
    HAS(&s, "Tasks of job 1");
    press(&s, KEY_GO_BACK);
    press(&s, KEY_GO_UP); /* the list of jobs again */
    HAS(&s, "+ Job 2 -");
    end(&s);
}

static void test_workers(void)
{
    struct stage s;
    begin(&s, false, false);
    press(&s, 'w');
    HAS(&s, "Connected workers");
    HAS(&s, "*=workers 1");
    HAS(&s, "     2 beta                online                          2      50%     "
            " 75%");
    HAS(&s, "     1 alpha               offline: timeout                0");
    press(&s, 'i'); /* none is chosen: the first one */
    HAS(&s, "c=CPU 50%  m=Mem 75%");
    press(&s, KEY_GO_BACK);
    HAS(&s, "Connected workers");
    press(&s, KEY_GO_DOWN);
    press(&s, 'i');
    HAS(&s, "c=CPU 50%  m=Mem 75%");
    HAS(&s, "4 CPUs, avg 50%  mem 0.8 of 1.0 GiB");
    HAS(&s, "CPUs managed");
    press(&s, 'c');
    HAS(&s, "CPUs assigned");
    press(&s, 'c');
    HAS(&s, "CPUs of the node"); /* which has 8 */
    HAS(&s, "8 CPUs, avg");
    press(&s, 'c');
    HAS(&s, "CPUs managed");
    HAS(&s, "     1      102 running");
    press(&s, KEY_GO_BACK);
    HAS(&s, "Connected workers");
    end(&s);
}

static void test_assigned_cpus(void)
{
    struct stage s;
    begin(&s, false, false);
    char name[] = "cpus", labels[] = "1,3";
    struct placement_entry entry = {.name = name, .labels = labels};
    struct placement placed = {.entries = &entry, .n_entries = 1};
    struct told t = {.type = TOLD_PLACEMENT, .placement = 5, .placed = &placed};
    dash_told(&s.d, &t);
    t = (struct told){.type = TOLD_TASK_STARTED,
                      .time_us = AT(110),
                      .job = 1,
                      .slot = 4,
                      .worker = 2,
                      .placement = 5};
    dash_told(&s.d, &t);
    view_release(&s.v);
    view_init(&s.v, &s.d, false, false);
    press(&s, 'w');
    press(&s, KEY_GO_DOWN);
    press(&s, 'i');
    HAS(&s, "  0.[");
    HAS(&s, "  1*[");
    HAS(&s, "  3*[");
    press(&s, 'c');
    HAS(&s, "2 CPUs, avg 50%");
    end(&s);
}

static void test_allocations(void)
{
    struct stage s;
    begin(&s, false, false);
    press(&s, 'a');
    HAS(&s, "q=queued 0  r=running 1");
    HAS(&s, "choose a queue");
    press(&s, KEY_GO_DOWN);
    HAS(&s, "Parameters of queue 1");
    HAS(&s, "Name              night");
    HAS(&s, "   1            1 02:41:10      -");
    HAS(&s, "running         2 02:41:11    02:41:15    -");
    press(&s, '2');
    press(&s, KEY_GO_DOWN);
    CU_ASSERT(s.v.allocs.chosen);
    press(&s, KEY_ESC);
    CU_ASSERT_FALSE(s.v.allocs.chosen);
    HAS(&s, "Parameters of queue 1");
    press(&s, KEY_ESC);
    HAS(&s, "choose a queue");
    end(&s);
}

static void test_warning(void)
{
    struct stage s;
    begin(&s, true, true);
    HAS(&s, "reconstructed");
    HAS(&s, "[stream]");
    grid_resize(&s.g, 40, 10);
    draw(&s);
    HAS(&s,
        "past was reconstructed from what it "); /* as a whole on a narrow terminal */
    HAS(&s, "Press any key");
    grid_resize(&s.g, 80, 24);
    CU_ASSERT_EQUAL(view_key(&s.v, 'w', AT(s.now)), VIEW_CHANGED);
    draw(&s);
    HAS_NOT(&s, "reconstructed");
    HAS(&s, "Tasks over time"); /* the key only dismissed it */
    CU_ASSERT_EQUAL(view_key(&s.v, 'z', AT(s.now)), VIEW_SAME);
    CU_ASSERT_EQUAL(view_key(&s.v, 'q', AT(s.now)), VIEW_QUIT);
    end(&s);
}

static void test_nothing_known(void)
{
    static const uint32_t keys[] = {
        'j', '2',       'i',    KEY_GO_DOWN, KEY_GO_LAST, '1',     KEY_GO_PAGE_UP,
        'a', '2',       'i',    'c',         KEY_GO_DOWN, KEY_ESC, KEY_GO_BACK,
        'w', KEY_GO_UP, 'i',    'c',         'o',         'p',     'k',
        'l', 'r',       KEY_ESC};
    struct stage s = {.now = 100};
    buf_init(&s.text, BUF_MAX_DEFAULT);
    dash_init(&s.d);
    grid_resize(&s.g, 80, 24);
    for (int stream = 0; stream < 2; stream++) {
        view_init(&s.v, &s.d, stream, false);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
            press(&s, keys[i]);
        HAS(&s, "no workers");
        view_release(&s.v);
    }
    end(&s);
}

/* Every screen in every size, with and without what large ones have. */
static void test_sizes(void)
{
    static const char screens[] = {'j', '2', 'a', 'w', 'i'};
    struct stage s;
    begin(&s, true, false);
    for (size_t k = 0; k < ARRAY_SIZE(screens); k++) {
        press(&s, (uint8_t)screens[k]);
        press(&s, KEY_GO_DOWN);
        for (int w = 0; w < 200; w += w < 20 ? 1 : 13)
            for (int h = 0; h < 60; h += h < 16 ? 1 : 7) {
                s.g.utf8 = s.g.colour = (w + h) % 2;
                grid_resize(&s.g, w, h);
                draw(&s);
                press(&s, KEY_GO_PAGE_DOWN);
                press(&s, KEY_GO_PAGE_UP);
            }
        grid_resize(&s.g, 80, 24);
        draw(&s);
    }
    HAS(&s, "Tasks of worker 2");
    end(&s);
}

TEST_MAIN("view", TEST(test_jobs), TEST(test_other_day), TEST(test_past),
          TEST(test_chosen_task), TEST(test_workers), TEST(test_assigned_cpus),
          TEST(test_allocations), TEST(test_warning), TEST(test_nothing_known),
          TEST(test_sizes))
