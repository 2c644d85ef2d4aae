/* Small helpers that every file may use: array sizes, min/max, attributes, checks. */
#ifndef HQ_BASE_UTIL_H
#define HQ_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#undef MIN /* <sys/param.h> has its own */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define UNUSED __attribute__((unused))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

/* An invariant of ours; stays on in release builds. Never for input. */
#define HQ_ASSERT(cond) \
    ((cond) ? (void)0 : hq_assert_failed(#cond, __FILE__, __LINE__, __func__))
_Noreturn void hq_assert_failed(const char *cond, const char *file, int line,
                                const char *func);

/* Whether a + b (a - b, a * b) overflows; the result goes to *out. */
#define ADD_OVERFLOWS(a, b, out) __builtin_add_overflow(a, b, out)
#define SUB_OVERFLOWS(a, b, out) __builtin_sub_overflow(a, b, out)
#define MUL_OVERFLOWS(a, b, out) __builtin_mul_overflow(a, b, out)

#endif
