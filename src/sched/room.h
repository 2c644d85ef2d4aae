/*
 * The index of room: for every class the workers that may hold a further grant. A bit
 * goes when a worker turned out to be full for the class, and comes back for all
 * classes with the next release there. Words of one worker lie side by side, so that
 * this is one short loop; a second level has a bit for every word that is not zero.
 */
#ifndef HQ_SCHED_ROOM_H
#define HQ_SCHED_ROOM_H

#include "sched/internal.h"

static inline void room_open(struct sched *s, const struct worker *w)
{
    uint32_t word = w->index / 64;
    uint64_t bit = 1ULL << w->index % 64, sum_bit = 1ULL << word % 64;
    uint64_t *row = s->room + (size_t)word * s->room_stride;
    uint64_t *sum = s->room_sum + (size_t)(word / 64) * s->room_stride;
    for (size_t i = 0; i < s->classes.len; i++) {
        row[i] |= bit;
        sum[i] |= sum_bit;
    }
}

static inline void room_open_class(struct sched *s, const struct worker *w,
                                   uint32_t class_id)
{
    uint32_t word = w->index / 64;
    s->room[(size_t)word * s->room_stride + class_id] |= 1ULL << w->index % 64;
    s->room_sum[(size_t)(word / 64) * s->room_stride + class_id] |= 1ULL << word % 64;
}

/* For tasks of this priority. */
static inline void room_close(struct sched *s, const struct worker *w,
                              struct task_class *c, int32_t priority)
{
    c->closed_priority = MIN(c->closed_priority, priority);
    uint32_t word = w->index / 64;
    uint64_t *row = s->room + (size_t)word * s->room_stride + c->id;
    *row &= ~(1ULL << w->index % 64);
    if (!*row)
        s->room_sum[(size_t)(word / 64) * s->room_stride + c->id] &=
            ~(1ULL << word % 64);
}

/* Lowest worker index from `from` on with the bit of this class; else NO_INDEX. */
static inline uint32_t room_next(const struct sched *s, const struct task_class *c,
                                 uint32_t from)
{
    uint32_t word = from / 64;
    if (word >= s->room_words)
        return NO_INDEX;
    if (from % 64) {
        uint64_t bits = s->room[(size_t)word * s->room_stride + c->id];
        bits &= ~0ULL << from % 64;
        if (bits)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
        word++;
    }
    for (; word < s->room_words; word = (word / 64 + 1) * 64) {
        uint64_t sums = s->room_sum[(size_t)(word / 64) * s->room_stride + c->id];
        sums &= ~0ULL << word % 64;
        if (!sums)
            continue;
        word = word / 64 * 64 + (uint32_t)__builtin_ctzll(sums);
        uint64_t bits = s->room[(size_t)word * s->room_stride + c->id];
        return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return NO_INDEX;
}

#endif
