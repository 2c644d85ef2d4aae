/* emit N: prints N bytes in lines, as a task with output does. emit N random: bytes
 * that do not pack. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void fill_random(char *block, size_t n)
{
    static uint64_t x;
    if (!x)
        x = (uint64_t)getpid() * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        block[i] = (char)(x >> 32);
    }
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 0;
    char block[4096];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 26);
    while (n > 0) {
        if (argc > 2)
            fill_random(block, sizeof block);
        ssize_t put = write(STDOUT_FILENO, block,
                            n < (long)sizeof block ? (size_t)n : sizeof block);
        if (put <= 0)
            return 1;
        n -= put;
    }
    return 0;
}
