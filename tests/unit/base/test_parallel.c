#include "base/parallel.h"

#include <stdatomic.h>
#include "test_main.h"

struct element {
    unsigned in, out;
    atomic_uint *calls;
};

static void work(void *arg)
{
    struct element *e = arg;
    e->out = e->in * e->in;
    atomic_fetch_add(e->calls, 1);
}

static void test_all_are_called_once(void)
{
    for (size_t n = 0; n <= PARALLEL_MAX; n++) {
        atomic_uint calls = 0;
        struct element elements[PARALLEL_MAX];
        for (unsigned i = 0; i < n; i++)
            elements[i] = (struct element){i + 1, 0, &calls};
        parallel_run(work, elements, sizeof *elements, n);
        CU_ASSERT_EQUAL(atomic_load(&calls), n);
        for (unsigned i = 0; i < n; i++)
            CU_ASSERT_EQUAL(elements[i].out, (i + 1) * (i + 1));
    }
}

static void test_width(void)
{
    CU_ASSERT(parallel_width() >= 1);
    CU_ASSERT(parallel_width() <= PARALLEL_MAX);
}

TEST_MAIN("parallel", TEST(test_all_are_called_once), TEST(test_width))
