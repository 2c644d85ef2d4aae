/* The load of a node: round trips, every cut, values out of range, JSON. */
#include "model/hw_state.h"

#include <stdlib.h>
#include "test_main.h"

static uint32_t cpus[] = {0, 10000, 5};
static struct hw_gpu gpus[] = {{"00000000:07:00.0", 2550, 10000}, {"", 0, UINT32_MAX}};

static struct hw_state some_state(void)
{
    return (struct hw_state){.time_us = 1770000000123456,
                             .cpu_load = cpus,
                             .n_cpus = ARRAY_SIZE(cpus),
                             .memory_total = UINT64_MAX,
                             .memory_free = 1,
                             .received = {2, 3, 4},
                             .sent = {5, 6, UINT64_MAX},
                             .nvidia = {true, gpus, ARRAY_SIZE(gpus)},
                             .amd = {true, NULL, 0}};
}

static bool same_gpus(const struct hw_gpus *a, const struct hw_gpus *b)
{
    bool same = a->known == b->known && a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->gpus[i].id, b->gpus[i].id) == 0 &&
               a->gpus[i].load == b->gpus[i].load &&
               a->gpus[i].memory == b->gpus[i].memory;
    return same;
}

static void check_same(const struct hw_state *a, const struct hw_state *b)
{
    CU_ASSERT(a->time_us == b->time_us && a->memory_total == b->memory_total &&
              a->memory_free == b->memory_free);
    CU_ASSERT_FATAL(a->n_cpus == b->n_cpus);
    CU_ASSERT(memcmp(a->cpu_load, b->cpu_load, a->n_cpus * sizeof *a->cpu_load) == 0);
    CU_ASSERT(memcmp(&a->received, &b->received, sizeof a->received) == 0);
    CU_ASSERT(memcmp(&a->sent, &b->sent, sizeof a->sent) == 0);
    CU_ASSERT(same_gpus(&a->nvidia, &b->nvidia) && same_gpus(&a->amd, &b->amd));
}

/* What was written before GPUs were told of is this, and means none. */
static size_t old_length(const struct hw_state *s, const struct buf *b)
{
    struct hw_state plain = *s;
    struct buf shorter = BUF_INIT(BUF_MAX_DEFAULT);
    plain.nvidia = plain.amd = (struct hw_gpus){0};
    hw_state_encode(&plain, &shorter);
    size_t n = shorter.len - 2;
    CU_ASSERT(n < b->len && memcmp(shorter.data, b->data, n) == 0);
    buf_release(&shorter);
    return n;
}

static void test_round_trip(void)
{
    struct hw_state s = some_state(), got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    hw_state_encode(&s, &b);
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT_EQUAL_FATAL(hw_state_decode(&got, &c), 0);
    CU_ASSERT(!c.failed && c.p == c.end);
    check_same(&got, &s);
    hw_state_release(&got);
    CU_ASSERT(!got.nvidia.known && !got.cpu_load);

    size_t old = old_length(&s, &b);
    for (size_t n = 0; n < b.len; n++) {
        c = cursor_make(b.data, n);
        int rc = hw_state_decode(&got, &c);
        CU_ASSERT_EQUAL(rc, n == old ? 0 : ERR_CORRUPT);
        CU_ASSERT(!got.nvidia.known && !got.amd.known);
        if (rc == 0)
            hw_state_release(&got);
    }
    buf_release(&b);
}

static int decode_with(const struct hw_gpu *gpu, const char *id, size_t n_id,
                       uint64_t count)
{
    struct hw_state plain = {0}, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    hw_state_encode(&plain, &b);
    b.len -= 2;
    buf_varint(&b, count + 1);
    for (uint64_t i = 0; i < count && i < 2 * HW_STATE_GPUS_MAX; i++) {
        buf_bytes(&b, id, n_id);
        buf_varint(&b, gpu->load);
        buf_varint(&b, gpu->memory);
    }
    buf_varint(&b, 0);
    struct cursor c = cursor_make(b.data, b.len);
    int rc = hw_state_decode(&got, &c);
    CU_ASSERT(rc != 0 || got.nvidia.n == count);
    if (rc == 0)
        hw_state_release(&got);
    buf_release(&b);
    return rc;
}

static void test_limits(void)
{
    char id[HW_GPU_ID_MAX + 1];
    memset(id, 'x', sizeof id);
    CU_ASSERT_EQUAL(decode_with(gpus, id, HW_GPU_ID_MAX, 1), 0);
    CU_ASSERT_EQUAL(decode_with(gpus, id, HW_GPU_ID_MAX + 1, 1), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_with(gpus, "a\0b", 3, 1), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_with(gpus, "a", 1, HW_STATE_GPUS_MAX), 0);
    CU_ASSERT_EQUAL(decode_with(gpus, "a", 1, HW_STATE_GPUS_MAX + 1), ERR_CORRUPT);
    CU_ASSERT_EQUAL(decode_with(gpus, "a", 1, UINT64_MAX - 1), ERR_CORRUPT);
}

static void test_json(void)
{
    struct hw_state s = some_state();
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct json j;
    s.nvidia.n = 1;
    json_init(&j, &b, false, -1);
    hw_state_json(&s, &j);
    CU_ASSERT_STRING_EQUAL(
        buf_cstr(&b),
        "{\"state\":{\"amd_gpus\":{\"gpus\":[]},"
        "\"cpu_usage\":{\"cpu_per_core_percent_usage\":[0.0,100.0,0.05]},"
        "\"memory_usage\":{\"free\":1,\"total\":18446744073709551615},"
        "\"network_usage\":{\"rx_bytes\":2,\"rx_errors\":4,\"rx_packets\":3,"
        "\"tx_bytes\":5,\"tx_errors\":18446744073709551615,\"tx_packets\":6},"
        "\"nvidia_gpus\":{\"gpus\":[{\"id\":\"00000000:07:00.0\",\"mem_usage\":100.0,"
        "\"processor_usage\":25.5}]},\"timestamp\":1770000000}}");
    buf_clear(&b);
    s.nvidia.known = s.amd.known = false;
    json_init(&j, &b, false, -1);
    hw_state_json(&s, &j);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&b), "\"amd_gpus\":null"));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&b), "\"nvidia_gpus\":null"));
    buf_release(&b);
}

TEST_MAIN("hw_state", TEST(test_round_trip), TEST(test_limits), TEST(test_json))
