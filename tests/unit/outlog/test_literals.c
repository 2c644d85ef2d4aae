/* What is told of a frame against its content, over contents and levels of all kinds.
 */
#include "outlog/literals.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "test_main.h"

#define CONTENT_MAX 300000u

static uint64_t random_state = UINT64_C(88172645463325252);

static uint32_t draw(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16) % below;
}

/* Few or many different bytes, evenly spread or not, with repetitions. */
static size_t make_content(uint8_t *p, uint32_t round)
{
    size_t n = draw(round % 16 ? 3000 : CONTENT_MAX);
    uint32_t alphabet = 1 + draw(round % 3 ? 60 : 256), base = draw(256);
    uint32_t skew = draw(3);
    for (size_t i = 0; i < n; i++) {
        uint32_t v = draw(alphabet);
        if (skew)
            v = skew == 2 && draw(3) ? 0 : v * draw(alphabet) / alphabet;
        p[i] = (uint8_t)(base + v * (1 + round % 7));
        for (uint32_t k = i > 50 && draw(40) == 0 ? draw(40) : 0; k > 0 && i + 1 < n;
             k--)
            i++, p[i] = p[i - 37];
    }
    return n;
}

static void check_frame(const uint8_t *content, size_t n, const uint8_t *frame,
                        size_t len)
{
    for (unsigned c = 0; c < 256; c++) {
        bool there = memchr(content, (int)c, n) != NULL;
        if (literals_may_hold(frame, len, (uint8_t)c, (uint8_t)c) != there)
            CU_FAIL(there ? "a byte is overlooked" : "a byte is not ruled out");
    }
    CU_ASSERT(n == 0 || literals_may_hold(frame, len, content[0], content[n - 1]));
}

static void test_contents(void)
{
    uint8_t *content = malloc(CONTENT_MAX),
            *frame = malloc(ZSTD_compressBound(CONTENT_MAX));
    CU_ASSERT_FATAL(content && frame);
    for (uint32_t round = 0; round < 2000; round++) {
        size_t n = make_content(content, round);
        size_t len = ZSTD_compress(frame, ZSTD_compressBound(CONTENT_MAX), content, n,
                                   (int)draw(8) - 3);
        CU_ASSERT_FATAL(!ZSTD_isError(len));
        check_frame(content, n, frame, len);
    }
    free(content);
    free(frame);
}

/* Cut or changed anywhere it may say anything, but reads nothing else. */
static void test_broken(void)
{
    static uint8_t content[CONTENT_MAX];
    for (uint32_t round = 1; round < 300; round++) {
        size_t n = make_content(content, round), room = ZSTD_compressBound(n);
        uint8_t *frame = malloc(room);
        CU_ASSERT_FATAL(frame != NULL);
        size_t len = ZSTD_compress(frame, room, content, n, 1);
        for (unsigned i = 0; i < 50; i++) {
            size_t cut = draw((uint32_t)len + 1);
            uint8_t *part = malloc(cut + 1);
            CU_ASSERT_FATAL(part != NULL);
            memcpy(part, frame, cut);
            if (cut > 0)
                part[draw((uint32_t)cut)] = (uint8_t)draw(256);
            (void)literals_may_hold(part, cut, (uint8_t)i, (uint8_t)draw(256));
            free(part);
        }
        free(frame);
    }
}

/* A dictionary could hold anything. */
static void test_not_known(void)
{
    static const uint8_t with_dictionary[] = {0x28, 0xb5, 0x2f, 0xfd, 0x21,
                                              1,    1,    1,    0,    0};
    static const uint8_t nothing[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0};
    CU_ASSERT(literals_may_hold(with_dictionary, sizeof with_dictionary, 'x', 'x'));
    CU_ASSERT(!literals_may_hold(nothing, sizeof nothing, 'x', 'x'));
    CU_ASSERT(literals_may_hold(nothing, sizeof nothing - 1, 'x', 'x'));
    CU_ASSERT(literals_may_hold(nothing, 0, 'x', 'x'));
}

TEST_MAIN("literals", TEST(test_contents), TEST(test_broken), TEST(test_not_known))
