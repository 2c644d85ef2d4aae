#include "outlog/slot.h"

#define MAGIC_SLOT 0x534c5148u /* HQLS */

void outlog_slot_encode(const struct outlog_slot *s, uint64_t seed, uint64_t offset,
                        uint8_t out[OUTLOG_SLOT_BYTES])
{
    memset(out, 0, OUTLOG_SLOT_BYTES);
    put_u32(out + 8, MAGIC_SLOT);
    put_u32(out + 12, s->levels);
    put_u64(out + 16, s->generation);
    put_u64(out + 24, s->sealed_us);
    put_u64(out + 32, s->covered_end);
    put_u64(out + 40, s->index_extent);
    put_u64(out + 48, s->leaves);
    put_u64(out + 56, s->leaves_bytes);
    put_u64(out + 64, s->root);
    put_u32(out + 72, s->root_bytes);
    put_u64(out + 80, s->jobs);
    put_u64(out + 88, s->jobs_bytes);
    put_u64(out + 96, s->damaged_bytes);
    put_u64(out + 104, s->counts.n_jobs);
    put_u64(out + 112, s->counts.n_tasks);
    put_u64(out + 120, s->counts.n_instances);
    put_u64(out + 128, s->counts.n_blocks);
    put_u64(out + 136, s->counts.n_unfinished);
    put_u64(out + 144, s->counts.bytes[0]);
    put_u64(out + 152, s->counts.bytes[1]);
    put_u64(out + 160, s->counts.superseded_bytes[0]);
    put_u64(out + 168, s->counts.superseded_bytes[1]);
    put_u32(out + 176, s->counts.max_job);
    put_u32(out + 180, s->counts.max_task);
    outlog_seal_bytes(out, OUTLOG_SLOT_BYTES, seed, offset);
}

/* A span of the file that holds together. */
static bool span_ok(uint64_t offset, uint64_t bytes)
{
    uint64_t end;
    return !ADD_OVERFLOWS(offset, bytes, &end) && end <= INT64_MAX;
}

bool outlog_slot_decode(const uint8_t *p, size_t n, uint64_t seed, uint64_t offset,
                        struct outlog_slot *s)
{
    if (n < OUTLOG_SLOT_BYTES || get_u32(p + 8) != MAGIC_SLOT ||
        !outlog_bytes_ok(p, OUTLOG_SLOT_BYTES, seed, offset))
        return false;
    *s = (struct outlog_slot){
        .generation = get_u64(p + 16),
        .sealed_us = get_u64(p + 24),
        .covered_end = get_u64(p + 32),
        .index_extent = get_u64(p + 40),
        .leaves = get_u64(p + 48),
        .leaves_bytes = get_u64(p + 56),
        .root = get_u64(p + 64),
        .root_bytes = get_u32(p + 72),
        .levels = get_u32(p + 12),
        .jobs = get_u64(p + 80),
        .jobs_bytes = get_u64(p + 88),
        .damaged_bytes = get_u64(p + 96),
        .counts =
            {
                .n_jobs = get_u64(p + 104),
                .n_tasks = get_u64(p + 112),
                .n_instances = get_u64(p + 120),
                .n_blocks = get_u64(p + 128),
                .n_unfinished = get_u64(p + 136),
                .bytes = {get_u64(p + 144), get_u64(p + 152)},
                .superseded_bytes = {get_u64(p + 160), get_u64(p + 168)},
                .max_job = get_u32(p + 176),
                .max_task = get_u32(p + 180),
            },
    };
    return span_ok(s->leaves, s->leaves_bytes) && span_ok(s->root, s->root_bytes) &&
           span_ok(s->jobs, s->jobs_bytes) && s->root_bytes <= OUTLOG_PAGE_BYTES;
}

void outlog_job_row_encode(const struct outlog_job_row *j,
                           uint8_t out[OUTLOG_JOB_ROW_BYTES])
{
    memset(out, 0, OUTLOG_JOB_ROW_BYTES);
    put_u32(out, j->job);
    put_u32(out + 4, j->n_instances);
    put_u64(out + 8, j->n_blocks);
    put_u64(out + 16, j->bytes[0]);
    put_u64(out + 24, j->bytes[1]);
    for (size_t i = 0; i < OUTLOG_STATE_COUNT; i++)
        put_u32(out + 32 + 4 * i, j->n_states[i]);
}

bool page_next_job(struct page_cursor *pc, struct outlog_job_row *j)
{
    if (pc->left == 0 || pc->kind != OUTLOG_PAGE_JOBS)
        return false;
    struct span raw = cursor_take(&pc->c, OUTLOG_JOB_ROW_BYTES);
    if (pc->c.failed)
        return false;
    *j = (struct outlog_job_row){
        .job = get_u32(raw.p),
        .n_instances = get_u32(raw.p + 4),
        .n_blocks = get_u64(raw.p + 8),
        .bytes = {get_u64(raw.p + 16), get_u64(raw.p + 24)},
    };
    for (size_t i = 0; i < OUTLOG_STATE_COUNT; i++)
        j->n_states[i] = get_u32(raw.p + 32 + 4 * i);
    pc->left--;
    return true;
}
