/*
 * What people write about resources: pools and couplings of a worker, requests of a
 * task. What is accepted must survive printing, encoding and an allocation; what is
 * refused leaves nothing behind and says why. The bytes serve the decoders as well.
 */
#include <stdlib.h>
#include <string.h>
#include "model/placement.h"
#include "model/resource.h"
#include "topo/alloc.h"

#define INPUT_MAX 4096
#define INDICES_MAX 4096 /* of pools that are allocated from */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A grouped and a listed pool beside the one that was read. */
static void complete(struct pool_set *s, struct pool *read)
{
    static const char *const others[] = {"cpus=2x2", "zz=[a,b,c]"};
    struct error err = ERROR_INIT;
    if (pool_set_add(s, read, &err) != 0)
        pool_release(read);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct pool p = POOL_INIT;
        HQ_ASSERT(pool_parse(others[i], &p, &err) == 0);
        if (pool_set_add(s, &p, &err) != 0)
            pool_release(&p);
    }
}

static void check_bytes(const struct pool_set *s)
{
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT), again = BUF_INIT(BUF_MAX_DEFAULT);
    struct pool_set back = POOL_SET_INIT;
    pool_set_encode(s, &bytes);
    struct cursor c = cursor_make(bytes.data, bytes.len);
    HQ_ASSERT(pool_set_decode(&back, &c) == 0 && cursor_left(&c) == 0);
    pool_set_encode(&back, &again);
    HQ_ASSERT(bytes.len == again.len && memcmp(bytes.data, again.data, bytes.len) == 0);
    pool_set_release(&back);
    buf_release(&bytes);
    buf_release(&again);
}

/* Everything, then a bit: the books must agree with themselves. */
static void check_allocation(const struct pool_set *s)
{
    struct alloc_state *state;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < s->n_pools; i++)
        if (pool_index_count(&s->pools[i]) > INDICES_MAX)
            return;
    HQ_ASSERT(alloc_create(&state, s, &err) == 0);
    for (size_t i = 0; i < s->n_pools; i++) {
        struct request_variant v = REQUEST_VARIANT_INIT;
        struct allocation a;
        HQ_ASSERT(request_variant_add(&v, s->pools[i].name, POLICY_ALL, 1, &err) == 0);
        HQ_ASSERT(alloc_try(state, &v, &a) == ALLOC_OK && alloc_sane(state));
        HQ_ASSERT(alloc_free_amount(state, i) == 0);
        alloc_free(state, &a);
        HQ_ASSERT(alloc_sane(state) &&
                  alloc_free_amount(state, i) == pool_size(&s->pools[i]));
        request_variant_release(&v);
    }
    alloc_destroy(state);
}

static void fuzz_pool(const char *text, bool cpus)
{
    struct pool p = POOL_INIT;
    struct pool_set s = POOL_SET_INIT;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = cpus ? pool_parse_cpus(text, &p, &err) : pool_parse(text, &p, &err);
    if (rc < 0) {
        HQ_ASSERT(err.text[0] && !p.name && !p.groups);
        return;
    }
    complete(&s, &p);
    if (pool_set_finish(&s, &err) == 0) {
        check_bytes(&s);
        check_allocation(&s);
        for (size_t i = 0; i < s.n_pools; i++) {
            pool_print_summary(&s, i, &out);
            pool_print_full(&s.pools[i], &out);
        }
    } else {
        HQ_ASSERT(err.text[0]);
    }
    buf_release(&out);
    pool_set_release(&s);
}

static void fuzz_coupling(const char *text)
{
    struct pool first = POOL_INIT;
    struct pool_set s = POOL_SET_INIT;
    struct error err = ERROR_INIT;
    HQ_ASSERT(pool_parse("gpus=[[0,1],[2,3],[4]]", &first, &err) == 0);
    complete(&s, &first);
    HQ_ASSERT(pool_set_finish(&s, &err) == 0);
    if (coupling_parse(text, &s, &err) == 0) {
        HQ_ASSERT(s.n_couplings > 0 && coupling_check(&s, &err) == 0);
        check_bytes(&s);
    } else {
        HQ_ASSERT(err.text[0] && s.n_couplings == 0);
    }
    pool_set_release(&s);
}

static void fuzz_request(const char *text)
{
    struct error err = ERROR_INIT;
    enum request_policy policy, again;
    uint64_t amount, same;
    char *name = NULL;
    if (request_entry_parse(text, &name, &policy, &amount, &err) == 0) {
        HQ_ASSERT(resource_name_valid(name) && amount > 0);
        free(name);
    } else {
        HQ_ASSERT(err.text[0] && !name);
    }
    err = (struct error)ERROR_INIT;
    if (request_value_parse(text, &policy, &amount, &err) != 0) {
        HQ_ASSERT(err.text[0]);
        return;
    }
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    request_value_print(policy, amount, &out);
    HQ_ASSERT(request_value_parse(buf_cstr(&out), &again, &same, &err) == 0);
    HQ_ASSERT(again == policy && same == amount);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[INPUT_MAX + 1];
    struct pool_set s = POOL_SET_INIT;
    struct placement p;
    if (size > INPUT_MAX)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    fuzz_pool(text, false);
    fuzz_pool(text, true);
    fuzz_coupling(text);
    fuzz_request(text);
    struct cursor c = cursor_make(data, size);
    if (pool_set_decode(&s, &c) == 0) {
        check_bytes(&s);
        pool_set_release(&s);
    }
    if (placement_decode(&p, (struct span){data, size}) == 0)
        placement_release(&p);
    return 0;
}
