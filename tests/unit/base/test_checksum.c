#include "base/checksum.h"

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

TEST_MAIN("checksum", TEST(test_vectors), TEST(test_seed))
