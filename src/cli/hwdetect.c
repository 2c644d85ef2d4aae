/* hq worker hwdetect */
#include "cli/cmds.h"

#include "args/args.h"
#include "args/output.h"
#include "cli/pool_json.h"
#include "cli/worker_text.h"
#include "topo/topo.h"

static void print_hardware(struct run *r, const struct topo *t,
                           const struct pool_set *pools, bool drawing)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    buf_puts(&text, "Summary:\n");
    worker_text_resources(pools, ": ", "\n", &text);
    buf_puts(&text, "\n\nFull Description:\n");
    for (size_t i = 0; i < pools->n_pools; i++) {
        buf_printf(&text, "%s: ", pools->pools[i].name);
        pool_print_full(&pools->pools[i], &text);
        buf_putc(&text, '\n');
    }
    if (drawing) {
        buf_puts(&text, "\nDrawing:\n");
        topo_draw(t, &text);
    }
    output_write(r->out, text.data, text.len);
    buf_release(&text);
}

/* ---- JSON ------------------------------------------------------------------------ */

static void cores_json(struct json *j, const struct topo *t, uint32_t domain)
{
    json_key(j, "cores");
    json_begin_array(j);
    for (size_t i = 0; i < t->n_pus; i++) {
        bool first = t->pus[i].domain == domain;
        for (size_t k = 0; k < i && first; k++)
            first = t->pus[k].core != t->pus[i].core;
        if (!first)
            continue;
        json_begin_object(j);
        json_key(j, "cpus");
        json_begin_array(j);
        for (size_t k = i; k < t->n_pus; k++)
            if (t->pus[k].core == t->pus[i].core)
                json_uint(j, t->pus[k].id);
        json_end_array(j);
        json_kuint(j, "kind", t->pus[i].kind);
        json_kuint(j, "socket", t->pus[i].package);
        json_end_object(j);
    }
    json_end_array(j);
}

static void devices_json(struct json *j, const struct topo *t)
{
    static const char *const kinds[IO_KIND_COUNT] = {
        [IO_NVIDIA] = "gpus/nvidia",
        [IO_AMD] = "gpus/amd",
        [IO_NETWORK] = "network",
        [IO_FABRIC] = "fabric",
    };
    json_key(j, "devices");
    json_begin_array(j);
    for (size_t i = 0; i < t->n_ios; i++) {
        const struct topo_io *io = &t->ios[i];
        json_begin_object(j);
        json_kstr(j, "bus", io->bus[0] ? io->bus : NULL);
        json_kstr(j, "kind", kinds[io->kind]);
        json_kstr(j, "name", io->name[0] ? io->name : NULL);
        if (io->node == DOMAIN_NONE)
            json_knull(j, "node");
        else
            json_kuint(j, "node", io->node);
        json_end_object(j);
    }
    json_end_array(j);
}

/* Memory per node, cores of those that have some for us, devices. */
static void topology_json(struct json *j, const struct topo *t)
{
    json_begin_object(j);
    devices_json(j, t);
    json_key(j, "nodes");
    json_begin_array(j);
    for (size_t i = 0; i < t->n_nodes; i++) {
        json_begin_object(j);
        json_kbool(j, "allowed", t->nodes[i].allowed);
        for (uint32_t d = 0; d < t->n_domains; d++)
            if (t->domains[d].node == t->nodes[i].node)
                cores_json(j, t, d);
        json_kuint(j, "memory", t->nodes[i].memory_bytes);
        json_kuint(j, "node", t->nodes[i].node);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

static void print_json(struct run *r, const struct topo *t,
                       const struct pool_set *pools, bool drawing)
{
    struct json *j = output_json(r->out);
    json_begin_object(j);
    pool_json_members(j, pools);
    if (drawing) {
        json_key(j, "topology");
        topology_json(j, t);
    }
    json_end_object(j);
    output_end_json(r->out);
}

int worker_hwdetect_run(struct run *r, struct error *err)
{
    const struct topo_source source = {.detect = DETECT_ALL,
                                       .detailed = args_flag(r->args, "drawing"),
                                       .xml = args_str(r->args, "topology")};
    bool drawing = args_flag(r->args, "drawing");
    struct topo *topo = NULL;
    struct pool_set pools = POOL_SET_INIT;
    int rc = topo_discover(&topo, &source, err);
    if (rc == 0)
        rc = topo_resources(topo, DETECT_ALL, args_flag(r->args, "no-hyper-threading"),
                            &pools, err);
    if (rc == 0)
        rc = topo_locate(topo, &pools, err);
    if (rc == 0 && r->out->mode == OUTPUT_CLI)
        print_hardware(r, topo, &pools, drawing);
    else if (rc == 0 && r->out->mode == OUTPUT_JSON)
        print_json(r, topo, &pools, drawing);
    pool_set_release(&pools);
    topo_destroy(topo);
    return rc;
}
