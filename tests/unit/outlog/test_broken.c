#include "broken.h"

static void test_full_disk(void)
{
    full_disk(&outlog_posix_ops, NULL);
}

static void test_failing_writes(void)
{
    failing_writes(&outlog_posix_ops, NULL);
}

TEST_MAIN("outlog broken", TEST(test_full_disk), TEST(test_failing_writes))
