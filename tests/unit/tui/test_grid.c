/* Cells, charts, lists, frames of time: drawn without a terminal. */
#include "test_main.h"

#include <stdlib.h>
#include <time.h>
#include "tui/chart.h"
#include "tui/sheet.h"
#include "tui/timeframe.h"

static void expect(const struct grid *g, const char *expected)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    grid_print(g, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), expected);
    if (strcmp(buf_cstr(&b), expected) != 0)
        (void)printf("\n--- drawn:\n%s--- expected:\n%s", buf_cstr(&b), expected);
    buf_release(&b);
}

static void test_text(void)
{
    struct grid g = {.utf8 = true};
    grid_resize(&g, 8, 4);
    CU_ASSERT_EQUAL(grid_text(&g, 0, 0, 8, style_plain(), "abc"), 3);
    CU_ASSERT_EQUAL(grid_text(&g, 0, 1, 8, style_plain(), "12345678"), 8);
    CU_ASSERT_EQUAL(grid_text(&g, 0, 2, 8, style_plain(), "123456789"), 8);
    grid_text(&g, 6, 3, 80, style_plain(), "xyz"); /* beyond the edge */
    grid_text(&g, 0, 9, 8, style_plain(), "below");
    grid_text(&g, -1, 3, 8, style_plain(), "ab");
    expect(&g, "abc\n12345678\n1234567…\nb     x…\n");
    grid_release(&g);
}

/* Nothing that a user wrote can move the cursor. */
static void test_hostile_text(void)
{
    struct grid g = {.utf8 = true};
    grid_resize(&g, 20, 2);
    grid_text(&g, 0, 0, 20, style_plain(), "a\x1b[2J\r\n\tb\x7f\xc2\x9b!");
    grid_text(&g, 0, 1, 20, style_plain(),
              "\xff\xfe e\xcc\x81 \xe6\xbc"); /* no UTF-8 */
    expect(&g, "a?[2J???b?"
               "?!\n?? e ??\n");
    g.utf8 = false;
    grid_clear(&g);
    grid_text(&g, 0, 0, 20, style_plain(), "漢字ü");
    grid_text(&g, 0, 1, 4, style_plain(), "abcdef");
    expect(&g, "?????\nabc~\n");
    grid_release(&g);
}

static void test_wide_text(void)
{
    struct grid g = {.utf8 = true};
    grid_resize(&g, 6, 3);
    CU_ASSERT_EQUAL(grid_text(&g, 0, 0, 4, style_plain(), "漢字"), 4);
    CU_ASSERT_EQUAL(grid_text(&g, 0, 1, 4, style_plain(), "a漢字"), 4);
    grid_text(&g, 0, 2, 6, style_plain(), "漢字漢");
    grid_char(&g, 1, 2, 'x', style_plain()); /* half of it is overwritten */
    grid_char(&g, 2, 2, 'y', style_plain());
    expect(&g, "漢字\na漢…\n xy 漢\n");
    grid_release(&g);
}

static void test_box(void)
{
    struct grid g = {.utf8 = false};
    grid_resize(&g, 12, 3);
    struct rect in = grid_box(&g, (struct rect){0, 0, 12, 3}, "Title", false);
    CU_ASSERT(in.x == 1 && in.y == 1 && in.w == 10 && in.h == 1);
    expect(&g, "+ Title ---+\n|          |\n+----------+\n");
    /* Too small for anything. */
    for (int w = 0; w < 4; w++)
        for (int h = 0; h < 4; h++) {
            grid_resize(&g, w, h);
            in = grid_box(&g, (struct rect){0, 0, w, h}, "Title", true);
            CU_ASSERT(in.w >= 0 && in.h >= 0);
        }
    grid_resize(&g, -3, 5);
    expect(&g, "\n\n\n\n\n");
    grid_release(&g);
}

static void test_chart_letters(void)
{
    struct grid g = {.utf8 = false};
    grid_resize(&g, 27, 7);
    struct rect r = {0, 0, 27, 7};
    uint32_t up[20], down[20];
    CU_ASSERT_EQUAL_FATAL(chart_points(&g, r), 20);
    for (uint32_t i = 0; i < 20; i++) {
        up[i] = i < 5 ? 0 : i < 10 ? 50 : 100;
        down[i] = i < 15 ? CHART_GAP : 25;
    }
    const struct chart_line lines[] = {{"up", GRID_GREEN, 'u', up},
                                       {"down", GRID_RED, 'd', down}};
    struct chart c = {lines, 2,  20, 1770000000ull * 1000000, 1770000020ull * 1000000,
                      0,     "%"};
    chart_draw(&g, r, &c);
    expect(&g, "u=up 100%  d=down 25%\n"
               "  100%|          uuuuuuuuuu\n"
               "      |          u\n"
               "      |     uuuuu\n"
               "      |               ddddd\n"
               "     0|\n"
               "       02:40:00    02:40:20\n");
    /* A second line for the legend, and a large number at the axis. */
    up[19] = 1234567;
    down[19] = 1000000;
    c.unit = "";
    grid_clear(&g);
    chart_draw(&g, (struct rect){0, 0, 27, 6}, &c);
    expect(&g, "u=up 1234567\n"
               "d=down 1000000\n"
               "    2M|\n"
               "      |                   d\n"
               "     0|     uuuuuuuuuudddd\n"
               "       02:40:00    02:40:20\n\n");
    grid_release(&g);
}

static void test_chart_dots(void)
{
    struct grid g = {.utf8 = true, .colour = true};
    grid_resize(&g, 11, 4);
    struct rect r = {0, 0, 11, 4};
    CU_ASSERT_EQUAL_FATAL(chart_points(&g, r), 8);
    uint32_t ramp[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const struct chart_line line = {"n", GRID_GREEN, 'n', ramp};
    struct chart c = {&line, 1, 8, 0, 7000000, 7, ""};
    chart_draw(&g, r, &c);
    expect(&g, "n 7\n     7│  ⡠⠊\n     0│⠠⠊\n       00:…\n");
    /* Of any size, and with values at the ends of what there is. */
    ramp[7] = UINT32_MAX - 1;
    c.top = 0;
    for (int w = 0; w < 14; w++)
        for (int h = 0; h < 6; h++) {
            grid_resize(&g, w, h);
            chart_draw(&g, (struct rect){0, 0, w, h}, &c);
        }
    grid_release(&g);
}

static void fill(void *arg, uint64_t number, struct sheet_row *row)
{
    uint32_t *calls = arg;
    ++*calls;
    (void)snprintf(row->text[0], sizeof row->text[0], "%llu",
                   (unsigned long long)number);
    row->long_text[1] = "a name that is long";
}

static void test_sheet(void)
{
    static const struct sheet_column columns[] = {{"ID", 7, true}, {"Name", 0, false}};
    struct grid g = {.utf8 = false};
    struct rect r = {0, 0, 26, 6};
    uint32_t calls = 0;
    struct sheet s = {.title = "Rows",
                      .empty = "nothing",
                      .columns = columns,
                      .n_columns = 2,
                      .total = 1000000,
                      .has_selected = true,
                      .selected = 500000};
    grid_resize(&g, 26, 6);
    sheet_scroll(&s, r);
    CU_ASSERT_EQUAL(s.top, 499998);
    sheet_draw(&g, r, &s, fill, &calls);
    CU_ASSERT_EQUAL(calls, 3); /* of a million */
    expect(&g, "+ Rows ------------------+\n"
               "|     ID Name            |\n"
               "| 499998 a name that is ~|\n"
               "| 499999 a name that is ~|\n"
               "| 500000 a name that is ~|\n"
               "+------------------------+\n");
    s.selected = 10;
    sheet_scroll(&s, r);
    CU_ASSERT_EQUAL(s.top, 10);
    s.total = 2; /* the list became shorter */
    s.has_selected = false;
    sheet_scroll(&s, r);
    CU_ASSERT_EQUAL(s.top, 0);
    s.total = 0;
    grid_clear(&g);
    sheet_draw(&g, r, &s, fill, &calls);
    expect(&g, "+ Rows ------------------+\n|     ID Name            |\n"
               "|nothing                 |\n|                        |\n"
               "|                        |\n+------------------------+\n");
    for (int w = 0; w < 12; w++)
        for (int h = 0; h < 6; h++) {
            s.total = 5;
            grid_resize(&g, w, h);
            sheet_scroll(&s, (struct rect){0, 0, w, h});
            sheet_draw(&g, (struct rect){0, 0, w, h}, &s, fill, &calls);
        }
    grid_release(&g);
}

#define MINUTE 60000000ull
#define NOW (1770000000ull * 1000000)

static void expect_frame(const struct timeframe *w, const char *expected)
{
    struct buf b = BUF_INIT(256);
    timeframe_print(w, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), expected);
    buf_release(&b);
}

static void test_timeframe(void)
{
    struct timeframe w;
    timeframe_init(&w, true, NOW - MINUTE);
    timeframe_follow(&w, NOW);
    expect_frame(&w, "2026-02-02 02:30:00 - 02:40:00 (10m)");
    CU_ASSERT_FALSE(timeframe_key(&w, 'p', NOW)); /* forward is inert when live */
    CU_ASSERT_FALSE(timeframe_key(&w, 'r', NOW));
    CU_ASSERT(timeframe_key(&w, 'o', NOW));
    CU_ASSERT_FALSE(w.live);
    timeframe_follow(&w, NOW + MINUTE); /* it stands still */
    expect_frame(&w, "2026-02-02 02:27:30 - 02:37:30 (10m)");
    CU_ASSERT(timeframe_key(&w, 'p', NOW));
    CU_ASSERT_EQUAL(w.end_us, NOW);
    CU_ASSERT_FALSE(timeframe_key(&w, 'p', NOW)); /* there is no future */
    CU_ASSERT(timeframe_key(&w, 'r', NOW + MINUTE));
    CU_ASSERT(w.live && w.end_us == NOW + MINUTE);
    for (int i = 0; i < 20; i++)
        (void)timeframe_key(&w, 'k', NOW);
    CU_ASSERT_EQUAL(w.span_us, MINUTE);
    CU_ASSERT_FALSE(timeframe_key(&w, 'k', NOW));
    for (int i = 0; i < 20; i++)
        (void)timeframe_key(&w, 'l', NOW);
    CU_ASSERT_EQUAL(w.span_us, 7 * 24 * 60 * MINUTE);
    timeframe_init(&w, false, NOW);
    expect_frame(&w, "2026-02-02 02:35:00 - 02:40:00 (5m)");
    CU_ASSERT_FALSE(timeframe_key(&w, 'r', NOW)); /* nothing is live in a replay */
    w.end_us -= 160 * MINUTE;
    expect_frame(&w, "2026-02-01 23:55:00 - 2026-02-02 00:00:00 (5m)");
    timeframe_init(&w, false, 0); /* no event at all */
    CU_ASSERT_EQUAL(timeframe_from(&w), 0);
    CU_ASSERT(timeframe_key(&w, 'o', 0));
}

static void utc(void)
{
    (void)setenv("TZ", "UTC0", 1);
    tzset();
}

TEST_MAIN("grid", TEST(utc), TEST(test_text), TEST(test_hostile_text),
          TEST(test_wide_text), TEST(test_box), TEST(test_chart_letters),
          TEST(test_chart_dots), TEST(test_sheet), TEST(test_timeframe))
