/* xmem, the assertion of util.h, and the list. */
#include "base/xmem.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "alloc_torture.h"
#include "base/list.h"
#include "test_main.h"

static void test_results(void)
{
    char *a = xstrdup("abc"), *b = xstrndup("abcdef", 3),
         *c = xasprintf("%d-%s", 1, "x");
    char *d = xmemdup("a\0b", 3), *e = xmalloc(0), *f = xrealloc(NULL, 0);
    char *g = xcalloc(0, 8), *h = xcalloc(3, 1), *i = xstrndup("ab", 10);
    CU_ASSERT_STRING_EQUAL(a, "abc");
    CU_ASSERT_STRING_EQUAL(b, "abc");
    CU_ASSERT_STRING_EQUAL(c, "1-x");
    CU_ASSERT_EQUAL(memcmp(d, "a\0b", 3), 0);
    CU_ASSERT(e && f && g);
    CU_ASSERT(h[0] == 0 && h[2] == 0);
    CU_ASSERT_STRING_EQUAL(i, "ab");
    free(a);
    free(b);
    free(c);
    free(d);
    free(e);
    free(f);
    free(g);
    free(h);
    free(i);
}

/* The signal that ends a child which runs fn. */
static int signal_of(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void die_of_assertion(void)
{
    volatile int two = 2;
    HQ_ASSERT(two == 3);
}

static void live(void)
{
    volatile int two = 2;
    HQ_ASSERT(two == 2);
}

static void test_assert(void)
{
    CU_ASSERT_EQUAL(signal_of(die_of_assertion), SIGABRT);
    CU_ASSERT_EQUAL(signal_of(live), 0);
}

static void die_of_malloc(void)
{
    alloc_fail_at(1);
    free(xmalloc(8));
}

static void die_of_strdup(void)
{
    alloc_fail_at(1);
    free(xstrdup("x"));
}

static void die_of_realloc(void)
{
    alloc_fail_at(1);
    free(xrealloc(NULL, 8));
}

static void die_of_calloc(void)
{
    alloc_fail_at(1);
    free(xcalloc(1, 8));
}

static void test_out_of_memory(void)
{
    if (!alloc_torture_works())
        return;
    CU_ASSERT_EQUAL(signal_of(die_of_malloc), SIGABRT);
    CU_ASSERT_EQUAL(signal_of(die_of_strdup), SIGABRT);
    CU_ASSERT_EQUAL(signal_of(die_of_realloc), SIGABRT);
    CU_ASSERT_EQUAL(signal_of(die_of_calloc), SIGABRT);
}
struct thing {
    int n;
    struct list_node node;
};

static int digits_of(struct list *l)
{
    int all = 0;
    LIST_FOR_EACH(l, node)
    all = all * 10 + CONTAINER_OF(node, struct thing, node)->n;
    return all;
}

static void test_list(void)
{
    struct thing t[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
    struct list l;
    list_init(&l);
    CU_ASSERT(list_empty(&l) && !list_first(&l));
    CU_ASSERT(!list_linked(&t[0].node));
    list_push_back(&l, &t[0].node);
    list_push_back(&l, &t[1].node);
    list_push_front(&l, &t[2].node);
    list_insert_before(&t[1].node, &t[3].node);
    CU_ASSERT_EQUAL(digits_of(&l), 3142);
    CU_ASSERT_PTR_EQUAL(list_first(&l), &t[2].node);
    list_remove(&t[0].node);
    CU_ASSERT(!list_linked(&t[0].node) && list_linked(&t[1].node));
    CU_ASSERT_EQUAL(digits_of(&l), 342);
    LIST_FOR_EACH_SAFE(&l, node, next)
    list_remove(node);
    CU_ASSERT(list_empty(&l));
}

TEST_MAIN("xmem", TEST(test_results), TEST(test_assert), TEST(test_out_of_memory),
          TEST(test_list))
