#include "sched/ready.h"
#include <stdlib.h>
#include <string.h>
#include "base/xmem.h"

#define LEAF_RUNS_MAX 256u
#define LEAF_RUNS_MIN 4u

struct ready_leaf {
    uint32_t head, end, cap; /* valid runs: [head, end) */
    struct ready_run runs[];
};

static uint64_t ready_key(uint32_t job, uint32_t slot)
{
    return (uint64_t)job << 32 | slot;
}

static uint64_t run_key(const struct ready_run *r)
{
    return ready_key(r->job, r->slot);
}

static bool run_joins(const struct ready_run *a, const struct ready_run *b)
{
    return a->job == b->job && run_key(a) + a->count == run_key(b);
}

static struct ready_leaf *leaf_create(uint32_t cap)
{
    struct ready_leaf *leaf = xmalloc(sizeof *leaf + cap * sizeof *leaf->runs);
    leaf->head = leaf->end = 0;
    leaf->cap = cap;
    return leaf;
}

void ready_set_release(struct ready_set *s)
{
    for (uint32_t i = s->head; i < s->end; i++)
        free(s->leaves[i].leaf);
    free(s->leaves);
    *s = (struct ready_set){NULL, 0, 0, 0, 0};
}

static void entry_insert(struct ready_set *s, uint32_t at, struct ready_leaf *leaf)
{
    if (s->end == s->cap) {
        uint32_t len = s->end - s->head;
        if (s->head > len / 2) {
            memmove(s->leaves, s->leaves + s->head, len * sizeof *s->leaves);
            at -= s->head;
            s->head = 0;
            s->end = len;
        } else {
            s->cap = MAX(4u, s->cap * 2);
            s->leaves = xrealloc(s->leaves, s->cap * sizeof *s->leaves);
        }
    }
    memmove(&s->leaves[at + 1], &s->leaves[at], (s->end - at) * sizeof *s->leaves);
    s->leaves[at] = (struct ready_entry){run_key(&leaf->runs[leaf->head]), leaf};
    s->end++;
}

static void entry_remove(struct ready_set *s, uint32_t at)
{
    free(s->leaves[at].leaf);
    if (at == s->head) {
        s->head++;
    } else {
        s->end--;
        memmove(&s->leaves[at], &s->leaves[at + 1], (s->end - at) * sizeof *s->leaves);
    }
    if (s->head == s->end)
        s->head = s->end = 0;
}

/* The leaf where a run with this key belongs: the last that starts at or before it. */
static uint32_t entry_find(const struct ready_set *s, uint64_t key)
{
    uint32_t low = s->head, high = s->end;
    if (s->leaves[high - 1].first <= key)
        return high - 1;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (s->leaves[middle].first <= key)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Index of the first run in the leaf that starts behind the key. */
static uint32_t leaf_find(const struct ready_leaf *leaf, uint64_t key)
{
    uint32_t low = leaf->head, high = leaf->end;
    if (run_key(&leaf->runs[high - 1]) <= key)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run_key(&leaf->runs[middle]) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void leaf_remove(struct ready_set *s, uint32_t entry, uint32_t at)
{
    struct ready_leaf *leaf = s->leaves[entry].leaf;
    if (at == leaf->head) {
        leaf->head++;
    } else {
        leaf->end--;
        memmove(&leaf->runs[at], &leaf->runs[at + 1],
                (leaf->end - at) * sizeof *leaf->runs);
    }
    if (leaf->head == leaf->end)
        entry_remove(s, entry);
    else
        s->leaves[entry].first = run_key(&leaf->runs[leaf->head]);
}

/* Makes room for a run at `at` (an index) of a full leaf. */
static void leaf_make_room(struct ready_set *s, uint32_t *entry, uint32_t *at)
{
    struct ready_leaf *leaf = s->leaves[*entry].leaf;
    uint32_t len = leaf->end - leaf->head;
    if (leaf->head > 0) {
        memmove(leaf->runs, leaf->runs + leaf->head, len * sizeof *leaf->runs);
        *at -= leaf->head;
        leaf->head = 0;
        leaf->end = len;
        return;
    }
    if (leaf->cap < LEAF_RUNS_MAX) {
        uint32_t cap = MIN(LEAF_RUNS_MAX, leaf->cap * 4);
        leaf = xrealloc(leaf, sizeof *leaf + cap * sizeof *leaf->runs);
        leaf->cap = cap;
        s->leaves[*entry].leaf = leaf;
        return;
    }
    /* Appending in order leaves full leaves behind, otherwise halves. */
    uint32_t keep = *at == leaf->end ? len - LEAF_RUNS_MIN : len / 2;
    struct ready_leaf *right = leaf_create(LEAF_RUNS_MAX);
    memcpy(right->runs, leaf->runs + keep, (len - keep) * sizeof *leaf->runs);
    right->end = len - keep;
    leaf->end = keep;
    entry_insert(s, *entry + 1, right);
    /* The directory may have moved. */
    uint32_t here =
        *entry < s->end && s->leaves[*entry].leaf == leaf ? *entry : s->head;
    while (s->leaves[here].leaf != leaf)
        here++;
    *entry = here;
    if (*at > keep) {
        *entry += 1;
        *at -= keep;
    }
}

static void leaf_insert(struct ready_set *s, uint32_t entry, uint32_t at,
                        struct ready_run run)
{
    struct ready_leaf *leaf = s->leaves[entry].leaf;
    if (at == leaf->head && leaf->head > 0) {
        leaf->runs[--leaf->head] = run;
    } else {
        if (leaf->end == leaf->cap)
            leaf_make_room(s, &entry, &at);
        leaf = s->leaves[entry].leaf;
        memmove(&leaf->runs[at + 1], &leaf->runs[at],
                (leaf->end - at) * sizeof *leaf->runs);
        leaf->runs[at] = run;
        leaf->end++;
    }
    s->leaves[entry].first = run_key(&leaf->runs[leaf->head]);
}

/* The run behind position `at`, which may be the first of the next leaf. */
static bool run_after(const struct ready_set *s, uint32_t *entry, uint32_t *at)
{
    if (*at < s->leaves[*entry].leaf->end)
        return true;
    if (*entry + 1 >= s->end)
        return false;
    *entry += 1;
    *at = s->leaves[*entry].leaf->head;
    return true;
}

void ready_set_add(struct ready_set *s, uint32_t job, uint32_t slot, uint32_t count)
{
    struct ready_run run = {job, slot, count};
    s->n_tasks += count;
    if (s->head == s->end) {
        struct ready_leaf *leaf = leaf_create(LEAF_RUNS_MIN);
        leaf->runs[leaf->end++] = run;
        entry_insert(s, s->head, leaf);
        return;
    }
    uint32_t entry = entry_find(s, run_key(&run));
    struct ready_leaf *leaf = s->leaves[entry].leaf;
    uint32_t at = leaf_find(leaf, run_key(&run));
    uint32_t next_entry = entry, next = at;
    bool has_next = run_after(s, &next_entry, &next);
    struct ready_run *after = has_next ? &s->leaves[next_entry].leaf->runs[next] : NULL;
    if (at > leaf->head && run_joins(&leaf->runs[at - 1], &run)) {
        struct ready_run *before = &leaf->runs[at - 1];
        before->count += count;
        if (after && run_joins(before, after)) {
            before->count += after->count;
            leaf_remove(s, next_entry, next);
        }
    } else if (after && run_joins(&run, after)) {
        after->slot = slot;
        after->count += count;
        if (next == s->leaves[next_entry].leaf->head)
            s->leaves[next_entry].first = run_key(after);
    } else {
        leaf_insert(s, entry, at, run);
    }
}

struct ready_run ready_set_first(const struct ready_set *s)
{
    const struct ready_leaf *leaf = s->leaves[s->head].leaf;
    return leaf->runs[leaf->head];
}

struct ready_run ready_set_pop(struct ready_set *s, uint32_t max)
{
    struct ready_leaf *leaf = s->leaves[s->head].leaf;
    struct ready_run *first = &leaf->runs[leaf->head], run = *first;
    if (run.count > max) {
        run.count = max;
        first->slot += max;
        first->count -= max;
        s->leaves[s->head].first = run_key(first);
    } else {
        leaf_remove(s, s->head, leaf->head);
    }
    s->n_tasks -= run.count;
    return run;
}

bool ready_set_remove(struct ready_set *s, uint32_t job, uint32_t slot)
{
    if (s->head == s->end)
        return false;
    uint64_t key = ready_key(job, slot);
    uint32_t entry = entry_find(s, key);
    struct ready_leaf *leaf = s->leaves[entry].leaf;
    uint32_t at = leaf_find(leaf, key);
    if (at == leaf->head)
        return false;
    struct ready_run *run = &leaf->runs[--at];
    if (run->job != job || slot - run->slot >= run->count)
        return false;
    s->n_tasks--;
    uint32_t before = slot - run->slot, after = run->count - before - 1;
    if (before == 0 && after == 0) {
        leaf_remove(s, entry, at);
    } else if (before == 0) {
        run->slot++;
        run->count--;
        if (at == leaf->head)
            s->leaves[entry].first = run_key(run);
    } else {
        run->count = before;
        if (after > 0)
            leaf_insert(s, entry, at + 1, (struct ready_run){job, slot + 1, after});
    }
    return true;
}

bool ready_set_rank(const struct ready_set *s, uint32_t job, uint32_t slot,
                    uint64_t *rank)
{
    *rank = 0;
    for (uint32_t e = s->head; e < s->end; e++) {
        const struct ready_leaf *leaf = s->leaves[e].leaf;
        for (uint32_t i = leaf->head; i < leaf->end; i++) {
            const struct ready_run *r = &leaf->runs[i];
            if (r->job == job && slot >= r->slot && slot - r->slot < r->count) {
                *rank += slot - r->slot;
                return true;
            }
            *rank += r->count;
        }
    }
    return false;
}

uint64_t ready_set_drop_job(struct ready_set *s, uint32_t job)
{
    uint64_t dropped = 0;
    if (s->head == s->end)
        return 0;
    uint32_t entry = entry_find(s, ready_key(job, 0));
    while (entry < s->end && s->leaves[entry].first >> 32 <= job) {
        struct ready_leaf *leaf = s->leaves[entry].leaf;
        uint32_t kept = leaf->head;
        for (uint32_t i = leaf->head; i < leaf->end; i++) {
            if (leaf->runs[i].job == job)
                dropped += leaf->runs[i].count;
            else
                leaf->runs[kept++] = leaf->runs[i];
        }
        leaf->end = kept;
        if (leaf->head == leaf->end) {
            /* The first entry goes by moving the head: the next one is behind it. */
            bool first = entry == s->head;
            entry_remove(s, entry);
            if (first)
                entry = s->head;
        } else {
            s->leaves[entry].first = run_key(&leaf->runs[leaf->head]);
            entry++;
        }
    }
    s->n_tasks -= dropped;
    return dropped;
}

bool ready_set_valid(const struct ready_set *s)
{
    uint64_t n = 0;
    const struct ready_run *last = NULL;
    for (uint32_t e = s->head; e < s->end; e++) {
        const struct ready_leaf *leaf = s->leaves[e].leaf;
        if (leaf->head >= leaf->end || leaf->end > leaf->cap ||
            s->leaves[e].first != run_key(&leaf->runs[leaf->head]))
            return false;
        for (uint32_t i = leaf->head; i < leaf->end; i++) {
            const struct ready_run *r = &leaf->runs[i];
            if (r->count == 0 || (uint64_t)r->slot + r->count > 1ULL << 32)
                return false;
            if (last &&
                (run_key(last) + last->count > run_key(r) || run_joins(last, r)))
                return false;
            n += r->count;
            last = r;
        }
    }
    return n == s->n_tasks && s->end <= s->cap;
}
