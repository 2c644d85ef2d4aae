#include "base/error.h"

#include <errno.h>
#include "test_main.h"

static void test_set(void)
{
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL(error_set(&err, ERR_PARSE, "bad '%s' at %d", "x", 7), ERR_PARSE);
    CU_ASSERT_EQUAL(err.code, ERR_PARSE);
    CU_ASSERT_EQUAL(err.sys, 0);
    CU_ASSERT_STRING_EQUAL(err.text, "bad 'x' at 7");
    CU_ASSERT_EQUAL(error_set(NULL, ERR_BUSY, "nobody looks"), ERR_BUSY);
}

static void test_set_from_own_text(void)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_AUTH, "inner");
    error_set(&err, ERR_CLOSED, "outer: %s", err.text);
    CU_ASSERT_STRING_EQUAL(err.text, "outer: inner");
}

static void test_sys(void)
{
    struct error err = ERROR_INIT;
    errno = ENOENT;
    CU_ASSERT_EQUAL(error_sys(&err, "cannot open '%s'", "a"), ERR_SYSTEM);
    CU_ASSERT_EQUAL(errno, ENOENT);
    CU_ASSERT_EQUAL(err.sys, ENOENT);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "cannot open 'a': No such file or directory (os error 2)");
    errno = 0;
    CU_ASSERT_EQUAL(error_errno(&err, EACCES, "no"), ERR_SYSTEM);
    CU_ASSERT_EQUAL(err.sys, EACCES);
    CU_ASSERT_STRING_EQUAL(err.text, "no: Permission denied (os error 13)");
    CU_ASSERT_EQUAL(error_errno(&err, EACCES, "%s", ""), ERR_SYSTEM);
    CU_ASSERT_STRING_EQUAL(err.text, "Permission denied (os error 13)");
}

static void test_prefix(void)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_PARSE, "tail");
    CU_ASSERT_EQUAL(error_prefix(&err, "line %d: ", 3), ERR_PARSE);
    CU_ASSERT_STRING_EQUAL(err.text, "line 3: tail");
}

static void test_cause(void)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_AUTH, "no route");
    CU_ASSERT_EQUAL(error_cause(&err, "cannot connect to '%s'", "h"), ERR_AUTH);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "cannot connect to 'h'\n\nCaused by:\n    no route");
    error_cause(&err, "server is gone");
    CU_ASSERT_STRING_EQUAL(err.text, "server is gone\n\nCaused by:\n"
                                     "    0: cannot connect to 'h'\n    1: no route");
    error_cause(&err, "top");
    CU_ASSERT_STRING_EQUAL(err.text, "top\n\nCaused by:\n    0: server is gone\n"
                                     "    1: cannot connect to 'h'\n    2: no route");
}

static void test_cause_of_several_lines(void)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_PARSE, "first\n  second\n\nthird");
    error_cause(&err, "a");
    CU_ASSERT_STRING_EQUAL(err.text,
                           "a\n\nCaused by:\n    first\n      second\n\n    third");
    error_cause(&err, "b");
    CU_ASSERT_STRING_EQUAL(err.text, "b\n\nCaused by:\n    0: a\n    1: first\n"
                                     "         second\n\n       third");
    error_cause(&err, "c");
    CU_ASSERT_STRING_EQUAL(err.text,
                           "c\n\nCaused by:\n    0: b\n    1: a\n    2: first\n"
                           "         second\n\n       third");
}

static void test_more_than_ten_causes(void)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_PARSE, "last");
    for (int i = 0; i < 12; i++)
        error_cause(&err, "c%d", i);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "\n    9: c1\n   10: c0\n   11: last"));
}

/* Long texts end at a whole character and inside the array. */
static void test_cut(void)
{
    for (size_t shift = 0; shift < 4; shift++) {
        char text[ERROR_TEXT_MAX * 2];
        struct error err = ERROR_INIT;
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        error_set(&err, ERR_PARSE, "%s", text);
        size_t len = strlen(err.text);
        CU_ASSERT(len > ERROR_TEXT_MAX - 5 && len < ERROR_TEXT_MAX);
        CU_ASSERT_EQUAL((len - shift) % 3, 0);
        error_prefix(&err, "p");
        error_cause(&err, "headline");
        error_cause(&err, "headline");
        len = strlen(err.text);
        CU_ASSERT(len > ERROR_TEXT_MAX - 5 && len < ERROR_TEXT_MAX);
        CU_ASSERT_STRING_EQUAL(err.text + len - 3, "\xe2\x82\xac");
    }
}

static void test_null(void)
{
    CU_ASSERT_EQUAL(error_prefix(NULL, "p"), 0);
    CU_ASSERT_EQUAL(error_cause(NULL, "c"), 0);
    CU_ASSERT_EQUAL(error_nomem(NULL), ERR_NOMEM);
    errno = EIO;
    CU_ASSERT_EQUAL(error_sys(NULL, "s"), ERR_SYSTEM);
    CU_ASSERT_EQUAL(errno, EIO);
}

TEST_MAIN("error", TEST(test_set), TEST(test_set_from_own_text), TEST(test_sys),
          TEST(test_prefix), TEST(test_cause), TEST(test_cause_of_several_lines),
          TEST(test_more_than_ten_causes), TEST(test_cut), TEST(test_null))
