#include "model/hw_state.h"

#include <stdlib.h>

void hw_state_release(struct hw_state *s)
{
    free(s->cpu_load);
    *s = (struct hw_state){0};
}

static void encode_network(const struct hw_network *n, struct buf *out)
{
    buf_varint(out, n->bytes);
    buf_varint(out, n->packets);
    buf_varint(out, n->errors);
}

static struct hw_network decode_network(struct cursor *c)
{
    struct hw_network n = {.bytes = cursor_varint(c)};
    n.packets = cursor_varint(c);
    n.errors = cursor_varint(c);
    return n;
}

void hw_state_encode(const struct hw_state *s, struct buf *out)
{
    buf_varint(out, s->time_us);
    buf_varint(out, s->n_cpus);
    for (size_t i = 0; i < s->n_cpus; i++)
        buf_varint(out, s->cpu_load[i]);
    buf_varint(out, s->memory_total);
    buf_varint(out, s->memory_free);
    encode_network(&s->received, out);
    encode_network(&s->sent, out);
}

int hw_state_decode(struct hw_state *s, struct cursor *c)
{
    *s = (struct hw_state){.time_us = cursor_varint(c)};
    uint64_t n = cursor_varint(c);
    /* Each takes a byte at least. */
    if (c->failed || n > HW_STATE_CPUS_MAX || n > cursor_left(c))
        return ERR_CORRUPT;
    s->cpu_load = calloc(n ? n : 1, sizeof *s->cpu_load);
    if (!s->cpu_load)
        return ERR_NOMEM;
    s->n_cpus = n;
    for (size_t i = 0; i < n; i++)
        s->cpu_load[i] = cursor_varint32(c);
    s->memory_total = cursor_varint(c);
    s->memory_free = cursor_varint(c);
    s->received = decode_network(c);
    s->sent = decode_network(c);
    if (!c->failed)
        return 0;
    hw_state_release(s);
    return ERR_CORRUPT;
}

void hw_state_json(const struct hw_state *s, struct json *j)
{
    json_begin_object(j);
    json_key(j, "state");
    json_begin_object(j);
    json_knull(j, "amd_gpus");
    json_key(j, "cpu_usage");
    json_begin_object(j);
    json_key(j, "cpu_per_core_percent_usage");
    json_begin_array(j);
    for (size_t i = 0; i < s->n_cpus; i++)
        json_double(j, s->cpu_load[i] / 100.0);
    json_end_array(j);
    json_end_object(j);
    json_key(j, "memory_usage");
    json_begin_object(j);
    json_kuint(j, "free", s->memory_free);
    json_kuint(j, "total", s->memory_total);
    json_end_object(j);
    json_key(j, "network_usage");
    json_begin_object(j);
    json_kuint(j, "rx_bytes", s->received.bytes);
    json_kuint(j, "rx_errors", s->received.errors);
    json_kuint(j, "rx_packets", s->received.packets);
    json_kuint(j, "tx_bytes", s->sent.bytes);
    json_kuint(j, "tx_errors", s->sent.errors);
    json_kuint(j, "tx_packets", s->sent.packets);
    json_end_object(j);
    json_knull(j, "nvidia_gpus");
    json_kuint(j, "timestamp", s->time_us / 1000000);
    json_end_object(j);
    json_end_object(j);
}
