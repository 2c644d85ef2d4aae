/* What a worker tells about itself: the checked encoding, names of ends. */
#include "model/worker.h"

#include <math.h>
#include <stdlib.h>
#include "test_main.h"

static char *copy_of(const char *s)
{
    char *p = strdup(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static void fill(struct worker_config *c)
{
    struct error err = ERROR_INIT;
    struct pool p = POOL_INIT;
    worker_config_init(c);
    c->hostname = copy_of("node1");
    c->group = copy_of("default");
    c->work_dir = copy_of("/tmp/w");
    c->listen_address = copy_of("node1:0");
    c->manager_job = copy_of("1234");
    c->version = copy_of("0.30.0");
    c->manager = MANAGER_SLURM;
    c->on_server_lost = LOST_RECONNECT;
    for (uint8_t i = 0; i < WORKER_TOKEN_BYTES; i++)
        c->token[i] = i;
    c->heartbeat_ns = 8000000000;
    c->idle_timeout_ns = UINT64_MAX;
    c->time_limit_ns = 1;
    c->overview_interval_ns = 2;
    c->min_utilization = 0.25;
    c->pid = UINT32_MAX;
    c->mpi = true;
    c->rank = 3;
    c->world_size = 4;
    c->local_rank = 5;
    c->local_size = 6;
    c->pool_id = copy_of("1234.0");
    CU_ASSERT_EQUAL(pool_parse_cpus("2x4", &p, &err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&c->pools, &p, &err), 0);
    CU_ASSERT_EQUAL(pool_parse("mem=sum(500)", &p, &err), 0);
    CU_ASSERT_EQUAL(pool_set_add(&c->pools, &p, &err), 0);
    CU_ASSERT_EQUAL(pool_set_finish(&c->pools, &err), 0);
}

static void check(const struct worker_config *c)
{
    static const uint8_t token[WORKER_TOKEN_BYTES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                      8, 9, 10, 11, 12, 13, 14, 15};
    CU_ASSERT_STRING_EQUAL(c->hostname, "node1");
    CU_ASSERT_STRING_EQUAL(c->group, "default");
    CU_ASSERT_STRING_EQUAL(c->work_dir, "/tmp/w");
    CU_ASSERT_STRING_EQUAL(c->listen_address, "node1:0");
    CU_ASSERT_STRING_EQUAL(c->manager_job, "1234");
    CU_ASSERT_STRING_EQUAL(c->version, "0.30.0");
    CU_ASSERT(c->manager == MANAGER_SLURM && c->on_server_lost == LOST_RECONNECT);
    CU_ASSERT(memcmp(c->token, token, sizeof token) == 0);
    CU_ASSERT(c->heartbeat_ns == 8000000000 && c->idle_timeout_ns == UINT64_MAX &&
              c->time_limit_ns == 1 && c->overview_interval_ns == 2);
    CU_ASSERT(c->min_utilization == 0.25 && c->pid == UINT32_MAX && c->mpi);
    CU_ASSERT(c->rank == 3 && c->world_size == 4 && c->local_rank == 5 &&
              c->local_size == 6);
    CU_ASSERT_STRING_EQUAL(c->pool_id, "1234.0");
    CU_ASSERT_EQUAL_FATAL(c->pools.n_pools, 2);
    CU_ASSERT_EQUAL(pool_size(pool_set_find(&c->pools, "cpus")), 8 * AMOUNT_ONE);
    CU_ASSERT_EQUAL(pool_size(pool_set_find(&c->pools, "mem")), 500 * AMOUNT_ONE);
}

static void test_round_trip(void)
{
    struct worker_config c, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    fill(&c);
    CU_ASSERT_EQUAL_FATAL(worker_config_copy(&got, &c), 0);
    check(&got);
    worker_config_release(&got);
    CU_ASSERT_PTR_NULL(got.hostname);
    worker_config_encode(&c, &b);
    for (size_t n = 0; n < b.len; n++) {
        struct cursor cur = cursor_make(b.data, n);
        CU_ASSERT_EQUAL(worker_config_decode(&got, &cur), ERR_CORRUPT);
        CU_ASSERT(cur.failed && !got.hostname && got.pools.n_pools == 0);
    }
    buf_release(&b);
    worker_config_release(&c);
}

static void test_optional_fields(void)
{
    struct worker_config c, got;
    fill(&c);
    free(c.manager_job);
    free(c.version);
    free(c.pool_id);
    c.manager_job = c.version = c.pool_id = NULL;
    c.mpi = false;
    CU_ASSERT_EQUAL_FATAL(worker_config_copy(&got, &c), 0);
    CU_ASSERT(!got.manager_job && !got.version && !got.pool_id && !got.mpi);
    worker_config_release(&got);
    worker_config_release(&c);
}

static void test_values_out_of_range(void)
{
    static const double utilizations[] = {-0.01, 1.01, INFINITY, -INFINITY, NAN};
    struct worker_config c, got;
    fill(&c);
    for (size_t i = 0; i < ARRAY_SIZE(utilizations); i++) {
        c.min_utilization = utilizations[i];
        CU_ASSERT_EQUAL(worker_config_copy(&got, &c), ERR_CORRUPT);
    }
    c.min_utilization = 1.0;
    c.manager = MANAGER_SLURM + 1;
    CU_ASSERT_EQUAL(worker_config_copy(&got, &c), ERR_CORRUPT);
    c.manager = MANAGER_NONE;
    c.on_server_lost = LOST_RECONNECT + 1;
    CU_ASSERT_EQUAL(worker_config_copy(&got, &c), ERR_CORRUPT);
    c.on_server_lost = LOST_STOP;
    CU_ASSERT_EQUAL(worker_config_copy(&got, &c), 0);
    worker_config_release(&got);
    worker_config_release(&c);
}

static void test_names(void)
{
    CU_ASSERT_STRING_EQUAL(worker_state_labels[WORKER_RUNNING], "RUNNING");
    CU_ASSERT_STRING_EQUAL(worker_state_labels[WORKER_TIME_LIMIT],
                           "TIME LIMIT REACHED");
    CU_ASSERT_STRING_EQUAL(worker_state_labels[WORKER_HEARTBEAT_LOST],
                           "HEARTBEAT LOST");
    CU_ASSERT_STRING_EQUAL(worker_end_words[WORKER_CONNECTION_LOST], "connection lost");
    for (size_t i = 0; i < WORKER_END_COUNT; i++)
        CU_ASSERT(worker_state_labels[i] && worker_end_words[i]);
}

TEST_MAIN("worker", TEST(test_round_trip), TEST(test_optional_fields),
          TEST(test_values_out_of_range), TEST(test_names))
