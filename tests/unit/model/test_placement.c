/* Descriptions of where tasks run: bytes there and back, and what is refused. */
#include "model/placement.h"
#include "model/resource.h"
#include "test_main.h"

static struct placement_entry given[] = {
    {(char *)"cpus", (char *)"3,2", 2 * AMOUNT_ONE},
    {(char *)"mem", (char *)"", 5000},
};

static struct span bytes_of(const struct buf *b)
{
    return (struct span){b->data, b->len};
}

static struct placement some(void)
{
    return (struct placement){.binding = PLACED_EXACTLY,
                              .memory = PLACED_MEMORY_STRICT,
                              .cpus = (char *)"2-3",
                              .nodes = (char *)"0,4",
                              .entries = given,
                              .n_entries = 2};
}

static void test_there_and_back(void)
{
    struct placement p = some(), got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT), again = BUF_INIT(BUF_MAX_DEFAULT);
    placement_encode(&p, &b);
    CU_ASSERT_EQUAL_FATAL(placement_decode(&got, bytes_of(&b)), 0);
    CU_ASSERT(got.binding == PLACED_EXACTLY && got.memory == PLACED_MEMORY_STRICT);
    CU_ASSERT_STRING_EQUAL(got.cpus, "2-3");
    CU_ASSERT_STRING_EQUAL(got.nodes, "0,4");
    CU_ASSERT_EQUAL_FATAL(got.n_entries, 2);
    CU_ASSERT_STRING_EQUAL(got.entries[0].labels, "3,2");
    CU_ASSERT(got.entries[1].amount == 5000 && got.entries[1].labels[0] == 0);
    placement_encode(&got, &again);
    CU_ASSERT(b.len == again.len && memcmp(b.data, again.data, b.len) == 0);
    placement_release(&got);
    for (size_t n = 0; n < b.len; n++)
        CU_ASSERT_EQUAL(placement_decode(&got, (struct span){b.data, n}), ERR_CORRUPT);
    buf_u8(&b, 0);
    CU_ASSERT_EQUAL(placement_decode(&got, bytes_of(&b)), ERR_CORRUPT);
    buf_release(&b);
    buf_release(&again);
}

static void test_strange_bytes(void)
{
    struct placement p = some(), got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    placement_encode(&p, &b);
    for (size_t i = 0; i < b.len; i++) {
        for (unsigned v = 0; v < 256; v++) {
            uint8_t old = b.data[i];
            b.data[i] = (uint8_t)v;
            if (placement_decode(&got, bytes_of(&b)) == 0)
                placement_release(&got);
            else
                CU_ASSERT_NOT_EQUAL(v, old);
            b.data[i] = old;
        }
    }
    b.data[0] = PLACEMENT_BINDING_COUNT;
    CU_ASSERT_EQUAL(placement_decode(&got, bytes_of(&b)), ERR_CORRUPT);
    b.data[0] = PLACED_ANYWHERE;
    b.data[1] = PLACEMENT_MEMORY_COUNT;
    CU_ASSERT_EQUAL(placement_decode(&got, bytes_of(&b)), ERR_CORRUPT);
    buf_release(&b);
}

TEST_MAIN("placement", TEST(test_there_and_back), TEST(test_strange_bytes))
