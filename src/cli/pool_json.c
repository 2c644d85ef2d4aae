#include "cli/pool_json.h"

#include "history/raw_json.h"

static void labels_json(struct json *j, const struct pool_group *g)
{
    json_begin_array(j);
    for (size_t i = 0; i < g->n; i++)
        json_str(j, g->labels[i]);
    json_end_array(j);
}

static void one_json(struct json *j, const struct pool *p)
{
    json_begin_object(j);
    switch (p->kind) {
    case POOL_LIST:
        json_kstr(j, "kind", "list");
        json_kstr(j, "name", p->name);
        json_key(j, "values");
        labels_json(j, &p->groups[0]);
        break;
    case POOL_RANGE:
        json_kuint(j, "end", p->range_last);
        json_kstr(j, "kind", "range");
        json_kstr(j, "name", p->name);
        json_kuint(j, "start", p->range_first);
        break;
    case POOL_GROUPS:
        json_key(j, "groups");
        json_begin_array(j);
        for (size_t g = 0; g < p->n_groups; g++)
            labels_json(j, &p->groups[g]);
        json_end_array(j);
        json_kstr(j, "kind", "groups");
        json_kstr(j, "name", p->name);
        break;
    case POOL_SUM:
        json_kstr(j, "kind", "sum");
        json_kstr(j, "name", p->name);
        json_kuint(j, "size", p->sum);
        break;
    }
    json_end_object(j);
}

/* The indices of a pool that lie on the node, if any. */
static void node_pool_json(struct json *j, const struct pool *p, uint16_t node)
{
    bool begun = false;
    char scratch[16];
    for (size_t i = 0; p->nodes && i < pool_index_count(p); i++) {
        if (p->nodes[i] != node)
            continue;
        if (!begun) {
            json_begin_object(j);
            json_kstr(j, "name", p->name);
            json_key(j, "values");
            json_begin_array(j);
            begun = true;
        }
        json_str(j, pool_label(p, (uint32_t)i, scratch));
    }
    if (begun) {
        json_end_array(j);
        json_end_object(j);
    }
}

static bool has_node(const struct pool_set *pools, uint16_t node)
{
    for (size_t i = 0; i < pools->n_pools; i++)
        for (size_t k = 0;
             pools->pools[i].nodes && k < pool_index_count(&pools->pools[i]); k++)
            if (pools->pools[i].nodes[k] == node)
                return true;
    return false;
}

/* What lies together, node by node; nothing where the machine has one node. */
static void locality_json(struct json *j, const struct pool_set *pools)
{
    bool any = false;
    for (size_t i = 0; i < pools->n_pools; i++)
        any |= pools->pools[i].nodes != NULL;
    if (!any)
        return;
    json_key(j, "locality");
    json_begin_array(j);
    for (uint16_t node = 0; node < NODES_MAX; node++) {
        if (!has_node(pools, node))
            continue;
        json_begin_object(j);
        json_kuint(j, "node", node);
        json_key(j, "resources");
        json_begin_array(j);
        for (size_t i = 0; i < pools->n_pools; i++)
            node_pool_json(j, &pools->pools[i], node);
        json_end_array(j);
        json_end_object(j);
    }
    json_end_array(j);
}

void pool_json_members(struct json *j, const struct pool_set *pools)
{
    raw_coupling(j, pools);
    locality_json(j, pools);
    json_key(j, "resources");
    json_begin_array(j);
    for (size_t i = 0; i < pools->n_pools; i++)
        one_json(j, &pools->pools[i]);
    json_end_array(j);
}

void pool_json(struct json *j, const struct pool_set *pools)
{
    json_begin_object(j);
    pool_json_members(j, pools);
    json_end_object(j);
}
