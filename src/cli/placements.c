#include "cli/placements.h"

#include <stdlib.h>
#include "base/xmem.h"
#include "topo/cpu_set.h"

#define SLOTS_A_REQUEST 4096u

static int fetch_some(struct client *c, const struct job_view *v, const uint32_t *slots,
                      size_t n, struct placement *out, struct error *err)
{
    struct buf list = BUF_INIT(BUF_MAX_DEFAULT);
    struct msg_RSP_PLACEMENTS answer;
    struct span body;
    for (size_t i = 0; i < n; i++)
        buf_varint(&list, slots[i]);
    struct msg_REQ_PLACEMENTS req = {.job = v->detail.info.id,
                                     .slots = span_buf(&list)};
    msg_put_REQ_PLACEMENTS(client_batch(c), &req);
    buf_release(&list);
    int rc = client_call(c, MSG_RSP_PLACEMENTS, &body, err);
    if (rc == 0)
        rc = msg_get_RSP_PLACEMENTS(body, &answer, err);
    if (rc)
        return rc;
    struct cursor bytes = cursor_make(answer.list.p, answer.list.n);
    for (size_t i = 0; i < n; i++) {
        struct span one = cursor_bytes(&bytes);
        if (bytes.failed || (one.n && placement_decode(&out[i], one) != 0))
            return error_set(err, ERR_CORRUPT, "malformed list of placements");
    }
    return 0;
}

int placements_fetch(struct client *c, const struct job_view *v, const uint32_t *slots,
                     size_t n, struct placement **out, struct error *err)
{
    struct placement *made = xcalloc(n + 1, sizeof *made);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i += SLOTS_A_REQUEST)
        rc = fetch_some(c, v, slots + i, MIN(n - i, SLOTS_A_REQUEST), made + i, err);
    if (rc == 0)
        *out = made;
    else
        placements_free(made, n);
    return rc;
}

void placements_free(struct placement *p, size_t n)
{
    for (size_t i = 0; p && i < n; i++)
        placement_release(&p[i]);
    free(p);
}

bool placement_notable(const struct placement *p)
{
    return placement_known(p) &&
           (p->memory != PLACED_MEMORY_DEFAULT || strpbrk(p->nodes, ",-") ||
            (p->nodes[0] && strcmp(p->nodes, "0") != 0));
}

void placement_print(const struct placement *p, struct buf *out)
{
    static const char *const bound[PLACEMENT_BINDING_COUNT] = {
        [PLACED_IN_DOMAINS] = "NUMA domains of these CPUs",
        [PLACED_ANYWHERE] = "all CPUs of the worker",
        [PLACED_EXACTLY] = "exactly these CPUs",
    };
    for (size_t i = 0; i < p->n_entries; i++) {
        const struct placement_entry *e = &p->entries[i];
        buf_printf(out, "%s: ", e->name);
        if (e->labels[0])
            buf_puts(out, e->labels);
        else
            amount_print(e->amount, out);
        buf_putc(out, '\n');
    }
    buf_printf(out, "bound to: %s (%s)", p->cpus, bound[p->binding]);
    if (p->nodes[0])
        buf_printf(out, "\nNUMA nodes: %s", p->nodes);
    buf_printf(out, "\nmemory: %s", placement_memory_words[p->memory]);
}

void placement_json(struct json *j, const struct placement *p)
{
    struct cpu_set nodes;
    json_key(j, "placement");
    json_begin_object(j);
    json_kstr(j, "binding", placement_binding_words[p->binding]);
    json_kstr(j, "cpus", p->cpus);
    json_kstr(j, "memory", placement_memory_words[p->memory]);
    json_key(j, "nodes");
    json_begin_array(j);
    if (cpu_set_parse(&nodes, p->nodes))
        for (uint32_t id = cpu_set_next(&nodes, 0); id < CPU_SET_MAX;
             id = cpu_set_next(&nodes, id + 1))
            json_uint(j, id);
    json_end_array(j);
    json_key(j, "resources");
    json_begin_array(j);
    for (size_t i = 0; i < p->n_entries; i++) {
        json_begin_object(j);
        json_kuint(j, "amount", p->entries[i].amount);
        json_kstr(j, "resource", p->entries[i].name);
        json_kstr(j, "values", p->entries[i].labels[0] ? p->entries[i].labels : NULL);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}
