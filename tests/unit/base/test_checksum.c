#include "base/checksum.h"

#include <xxhash.h>
#include "test_main.h"

/* Values of the XXH3 specification's reference code; files depend on them for ever. */
static void test_vectors(void)
{
    CU_ASSERT_EQUAL(checksum64("", 0, 0), 0x2d06800538d394c2ULL);
    CU_ASSERT_EQUAL(checksum64(NULL, 0, 0), 0x2d06800538d394c2ULL);
    CU_ASSERT_EQUAL(checksum64("a", 1, 0), 0xe6c632b61e964e1fULL);
    CU_ASSERT_EQUAL(checksum64("abc", 3, 0), 0x78af5f94892f3950ULL);
}

static void test_seed(void)
{
    CU_ASSERT_NOT_EQUAL(checksum64("abc", 3, 1), checksum64("abc", 3, 0));
    CU_ASSERT_EQUAL(checksum_seed(0, 0),
                    checksum64("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 0));
    CU_ASSERT_EQUAL(checksum_seed(0x0807060504030201, 0x100f0e0d0c0b0a09),
                    checksum64("\x01\x02\x03\x04\x05\x06\x07\x08"
                               "\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
                               16, 0));
    CU_ASSERT_NOT_EQUAL(checksum_seed(1, 2), checksum_seed(2, 1));
}

/* Whatever this processor can, the values are the library's. */
static void test_sizes(void)
{
    static uint8_t bytes[300000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i >> 5);
    for (size_t n = 0; n < sizeof bytes / 2; n += 1 + n / 7)
        for (size_t from = 0; from < 70; from += 23)
            CU_ASSERT_EQUAL(checksum64(bytes + from, n, n * from),
                            XXH3_64bits_withSeed(bytes + from, n, n * from));
}

TEST_MAIN("checksum", TEST(test_vectors), TEST(test_seed), TEST(test_sizes))
