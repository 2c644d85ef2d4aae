/*
 * Allocation failures on demand, for one test program: replaces malloc, calloc and
 * realloc. Include it in exactly one source of the program.
 *     for (alloc_fail_at(n = 1); ...; alloc_fail_at(++n)) { ... if (!alloc_failed())
 * break; } TORTURE(rc, call) does this: it repeats the call until no allocation fails
 * in it.
 */
#ifndef HQ_TEST_ALLOC_TORTURE_H
#define HQ_TEST_ALLOC_TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALLOC_TORTURE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ALLOC_TORTURE 0
#endif
#endif
#ifndef ALLOC_TORTURE
#define ALLOC_TORTURE 1 /* sanitizers bring allocators of their own */
#endif

static long alloc_countdown; /* 0: never fail */
static bool alloc_did_fail;

static inline void alloc_fail_at(long n)
{
    alloc_countdown = n;
    alloc_did_fail = false;
}

/* Stops failing; whether an allocation failed since alloc_fail_at. */
static inline bool alloc_failed(void)
{
    alloc_countdown = 0;
    return alloc_did_fail;
}

#if ALLOC_TORTURE
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool alloc_refuse(void)
{
    if (alloc_countdown == 0 || --alloc_countdown > 0)
        return false;
    alloc_did_fail = true;
    return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    return alloc_refuse() ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    return alloc_refuse() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
    return alloc_refuse() ? NULL : __libc_realloc(old, size);
}
#endif

/*
 * Runs `call` with the first, second, … allocation failing until one run needs no more.
 * rc must be negative whenever one failed; `after` runs behind each failed try (checks,
 * clean-up). Ends with the result of the last, untroubled run in rc.
 */
#define TORTURE(rc, call, after)                 \
    for (long nth_ = 1;; nth_++) {               \
        alloc_fail_at(ALLOC_TORTURE ? nth_ : 0); \
        rc = (call);                             \
        if (!alloc_failed()) {                   \
            break;                               \
        }                                        \
        CU_ASSERT_EQUAL(rc, ERR_NOMEM);          \
        after;                                   \
    }

#endif
