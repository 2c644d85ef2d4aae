#include "base/fault.h"

#include <errno.h>
#include "base/clock.h"
#include "test_main.h"

#ifdef HQ_FAULTS

static void test_errno(void)
{
    CU_ASSERT(fault_arm("a.b:2=EIO,c:1+=ENOSPC"));
    errno = 0;
    CU_ASSERT(!FAULT("a.b"));
    CU_ASSERT_EQUAL(errno, 0);
    CU_ASSERT(FAULT("a.b"));
    CU_ASSERT_EQUAL(errno, EIO);
    CU_ASSERT(!FAULT("a.b"));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(FAULT("c"));
        CU_ASSERT_EQUAL(errno, ENOSPC);
    }
    CU_ASSERT(!FAULT("a"));
    CU_ASSERT(!FAULT("a.bc"));
}

static void test_delay(void)
{
    CU_ASSERT(fault_arm("slow:1=delay:30"));
    uint64_t start = clock_mono_us();
    errno = ENOENT;
    CU_ASSERT(!FAULT("slow"));
    CU_ASSERT_EQUAL(errno, ENOENT);
    CU_ASSERT(clock_mono_us() - start >= 30000);
}

static void test_malformed(void)
{
    static const char *const bad[] = {
        "x",          "x:1",          "x:0=EIO",  ":1=EIO",    "x:1=EWHAT",   "x:=EIO",
        "x:1=delay:", "x:1=delay:9x", "x:1-=EIO", "x:1=EIO,y", "x:1=delay:-5"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CU_ASSERT(!fault_arm(bad[i]));
        CU_ASSERT(!FAULT("x"));
    }
    CU_ASSERT(fault_arm(""));
}

TEST_MAIN("fault", TEST(test_errno), TEST(test_delay), TEST(test_malformed))

#else

static void test_off(void)
{
    CU_ASSERT(!FAULT("anything"));
}

TEST_MAIN("fault", TEST(test_off))

#endif
