/* When packing is worth it. */
#include "outlog/packer.h"

#include <stdlib.h>
#include "test_main.h"

#define LEN (256u << 10)

static uint8_t data[LEN], out[LEN];

/* One block that fills data: of lines, or of bytes that nothing can be left out of. */
static void make_data(bool lines)
{
    struct outlog_block b = {.type = OUTLOG_BLOCK_STDOUT,
                             .stored = LEN - OUTLOG_BLOCK_HEADER_BYTES};
    uint64_t x = 1;
    for (size_t i = 0; i < LEN; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        data[i] = lines ? (uint8_t)("energy of step\n"[i % 15]) : (uint8_t)(x >> 56);
    }
    outlog_block_encode(&b, data);
}

static bool pack(struct packer *p)
{
    return packer_pack(p, data, LEN, out, LEN) > 0;
}

static void test_what_does_not_pay(void)
{
    struct packer *p = packer_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    static const unsigned waits[] = {1, 3, 7, 15, 15};
    make_data(false);
    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        CU_ASSERT(packer_is_hopeful(p));
        CU_ASSERT_FALSE(pack(p));
        for (unsigned k = 0; k < waits[i]; k++)
            CU_ASSERT_FALSE(packer_is_hopeful(p));
    }
    make_data(true);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(packer_is_hopeful(p));
        CU_ASSERT(pack(p));
    }
    make_data(false);
    CU_ASSERT_FALSE(pack(p));
    CU_ASSERT_FALSE(packer_is_hopeful(p)); /* from the beginning again */
    CU_ASSERT(packer_is_hopeful(p));
    packer_destroy(p);
}

static bool keeps_up(struct packer *p, bool crowded)
{
    return packer_keeps_up(p, LEN, crowded);
}

static void test_what_is_faster(void)
{
    struct packer *p = packer_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    make_data(true);
    CU_ASSERT(keeps_up(p, true)); /* nothing is known */
    CU_ASSERT(pack(p));
    /* A file that takes a second for it gains from every byte less. */
    for (int i = 0; i < 20; i++)
        packer_stored(p, LEN, 1000000);
    for (int i = 0; i < 200; i++)
        CU_ASSERT(keeps_up(p, true));
    /* One that takes no time does not, but the speed is measured now and then. */
    for (int i = 0; i < 100; i++)
        packer_stored(p, LEN, 0);
    int n = 0;
    for (int i = 0; i < 51200; i++)
        n += keeps_up(p, true);
    CU_ASSERT_EQUAL(n, 100);
    /* Few bytes are no measure. */
    for (int i = 0; i < 100; i++)
        packer_stored(p, 1000, 1000000);
    CU_ASSERT_FALSE(keeps_up(p, true));
    packer_destroy(p);
}

static void test_time_to_pack(void)
{
    struct packer *p = packer_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    make_data(true);
    CU_ASSERT(pack(p));
    for (int i = 0; i < 20; i++)
        packer_stored(p, LEN, 0);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT(keeps_up(p, false)); /* as long as nothing has to wait */
    CU_ASSERT_FALSE(keeps_up(p, true));
    /* Short waits between many groups are no time to pack. */
    for (int i = 0; i < 500; i++) {
        packer_waited(p, 1);
        CU_ASSERT_FALSE(keeps_up(p, false));
    }
    /* One long wait is, until groups have to wait again. */
    packer_waited(p, 10000000);
    for (int i = 0; i < 20; i++)
        CU_ASSERT(keeps_up(p, false));
    CU_ASSERT_FALSE(keeps_up(p, true));
    CU_ASSERT_FALSE(keeps_up(p, false)); /* the wait was before */
    packer_destroy(p);
}

/* Groups that come soon after packing began anew show that waits were no time to pack:
 * longer ones are asked for each time, until packing goes well for long. */
static void test_time_that_was_none(void)
{
    struct packer *p = packer_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    make_data(true);
    CU_ASSERT(pack(p));
    for (int i = 0; i < 20; i++)
        packer_stored(p, LEN, 0);
    uint64_t needed = 0, first = 0;
    for (int round = 0; round < 4; round++) {
        CU_ASSERT_FALSE(keeps_up(p, true));
        uint64_t waited = 0;
        do {
            packer_waited(p, waited + 1);
            waited += waited + 1;
        } while (!packer_keeps_up(p, 0, false));
        CU_ASSERT(waited > needed);
        first = round == 0 ? waited : first;
        needed = waited;
    }
    for (size_t i = 0; i < (64u << 20) / LEN + 1; i++)
        CU_ASSERT(keeps_up(p, false));
    CU_ASSERT_FALSE(keeps_up(p, true));
    packer_waited(p, first);
    CU_ASSERT(keeps_up(p, false));
    packer_destroy(p);
}

TEST_MAIN("outlog packer", TEST(test_what_does_not_pay), TEST(test_what_is_faster),
          TEST(test_time_to_pack), TEST(test_time_that_was_none))
