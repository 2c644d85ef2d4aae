#include "base/table.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "alloc_torture.h"
#include "test_main.h"

static bool renders(struct table *t, const char *want)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL(table_render(t, &b), 0);
    bool same = strcmp(buf_cstr(&b), want) == 0;
    if (!same)
        printf("\n%s", buf_cstr(&b));
    buf_release(&b);
    table_release(t);
    return same;
}

static void test_horizontal(void)
{
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, 3, false);
    table_right(&t, 0);
    table_head(&t, "ID");
    table_head(&t, "Name");
    table_head(&t, "State");
    table_cellf(&t, "%d", 1);
    table_cell(&t, "a");
    table_cell_coloured(&t, TABLE_GREEN, "FINISHED"); /* no colours wanted */
    table_cellf(&t, "%d", 1000);
    table_cell(&t, NULL);
    table_cell(&t, "\xe6\x97\xa5\xe6\x9c\xac");
    CU_ASSERT(renders(&t, "+------+------+----------+\n"
                          "|   ID | Name | State    |\n"
                          "+------+------+----------+\n"
                          "|    1 | a    | FINISHED |\n"
                          "| 1000 |      | \xe6\x97\xa5\xe6\x9c\xac     |\n"
                          "+------+------+----------+\n"));
}

static void test_no_rows(void)
{
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, 2, false);
    table_head(&t, "ID");
    table_head(&t, "Name");
    CU_ASSERT(renders(&t, "+----+------+\n"
                          "| ID | Name |\n"
                          "+----+------+\n"));
}

static void test_vertical(void)
{
    struct table t;
    table_init(&t, TABLE_VERTICAL, 2, false);
    table_pair(&t, "ID", "1");
    table_pairf(&t, "Environment", "A=%d\nBCD=%d", 1, 22);
    table_pair(&t, "Two\nlines", "x\n");
    table_pair(&t, "Empty", "");
    CU_ASSERT(renders(&t, "+-------------+--------+\n"
                          "| ID          | 1      |\n"
                          "| Environment | A=1    |\n"
                          "|             | BCD=22 |\n"
                          "| Two         | x      |\n"
                          "| lines       |        |\n"
                          "| Empty       |        |\n"
                          "+-------------+--------+\n"));
}

#define BOLD(s) "\x1b[1m" s "\x1b[0m"

static void test_colours(void)
{
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, 2, true);
    table_right(&t, 1);
    table_head(&t, "State");
    table_head(&t, "N");
    table_cell_coloured(&t, TABLE_RED, "BAD\nWORSE");
    table_cell(&t, "10");
    table_cell(&t, "own \x1b[4mcode\x1b[0m");
    table_cell_coloured(&t, TABLE_CYAN, "7");
    CU_ASSERT(renders(&t, "+----------+----+\n"
                          "| " BOLD("State") "    |  " BOLD(
                              "N") " |\n"
                                   "+----------+----+\n"
                                   "| \x1b[31mBAD\x1b[0m      | 10 |\n"
                                   "| \x1b[31mWORSE\x1b[0m    |    |\n"
                                   "| own \x1b[4mcode\x1b[0m |  \x1b[36m7\x1b[0m |\n"
                                   "+----------+----+\n"));
    table_init(&t, TABLE_VERTICAL, 2, true);
    table_pair(&t, "a", "b");
    CU_ASSERT(renders(&t, "+---+---+\n"
                          "| " BOLD("a") " | b |\n"
                                         "+---+---+\n"));
}

static void add_rows(struct table *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        table_cellf(t, "%u", i);
        table_cell(t, i % 3 ? "short" : "somewhat longer");
        table_cell_coloured(t, TABLE_GREEN, i % 7 ? "FINISHED" : "two\nlines");
    }
}

static void add_heads(struct table *t)
{
    table_right(t, 0);
    table_head(t, "ID");
    table_head(t, "Name");
    table_head(t, "State");
}

/* Collecting, two turns and known widths give the same text. */
static void test_two_turns(void)
{
    enum { ROWS = 20000 };
    struct table kept, turns;
    struct buf want = BUF_INIT(BUF_MAX_DEFAULT), got = BUF_INIT(BUF_MAX_DEFAULT);
    table_init(&kept, TABLE_HORIZONTAL, 3, true);
    add_heads(&kept);
    add_rows(&kept, ROWS);
    size_t widths[3] = {kept.width[0], kept.width[1], kept.width[2]};
    CU_ASSERT_EQUAL(table_render(&kept, &want), 0);
    table_release(&kept);
    for (int known = 0; known < 2; known++) {
        char name[] = "/tmp/hq-test-table-XXXXXX";
        int fd = mkstemp(name);
        CU_ASSERT_FATAL(fd >= 0);
        (void)unlink(name);
        table_init(&turns, TABLE_HORIZONTAL, 3, true);
        add_heads(&turns);
        if (known) {
            for (size_t i = 0; i < 3; i++)
                table_at_least(&turns, i, widths[i]);
        } else {
            table_measure(&turns);
            add_rows(&turns, ROWS);
        }
        table_begin_print(&turns, fd);
        add_rows(&turns, ROWS);
        CU_ASSERT_EQUAL(table_finish(&turns, fd), 0);
        CU_ASSERT(turns.out.cap + turns.kept.cap + turns.row.cap < 300000);
        table_release(&turns);
        CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
        buf_clear(&got);
        CU_ASSERT_EQUAL(buf_read_fd(&got, fd), 0);
        CU_ASSERT_EQUAL(got.len, want.len);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&got), buf_cstr(&want));
        (void)close(fd);
    }
    buf_release(&want);
    buf_release(&got);
}

static void test_failures(void)
{
    struct table t;
    table_init(&t, TABLE_HORIZONTAL, 3, false);
    add_heads(&t);
    add_rows(&t, 5000);
    CU_ASSERT_EQUAL(table_finish(&t, 987654), ERR_SYSTEM);
    CU_ASSERT_EQUAL(t.sys, EBADF);
    table_release(&t);
}

static void test_out_of_memory(void)
{
    struct table t;
    if (!alloc_torture_works())
        return;
    int rc = 0;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    bool failed = true;
    for (long n = 1; failed; n++) {
        table_init(&t, TABLE_HORIZONTAL, 3, true);
        alloc_fail_at(n);
        add_heads(&t);
        add_rows(&t, 50);
        rc = table_render(&t, &b);
        failed = alloc_failed();
        CU_ASSERT_EQUAL(rc, failed ? ERR_NOMEM : 0);
        table_release(&t);
        buf_clear(&b);
        buf_release(&b);
    }
}

TEST_MAIN("table", TEST(test_horizontal), TEST(test_no_rows), TEST(test_vertical),
          TEST(test_colours), TEST(test_two_turns), TEST(test_failures),
          TEST(test_out_of_memory))
