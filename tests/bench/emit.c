/* emit N: prints N bytes in lines, as a task with output does. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 0;
    char block[4096];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 26);
    while (n > 0) {
        ssize_t put = write(STDOUT_FILENO, block,
                            n < (long)sizeof block ? (size_t)n : sizeof block);
        if (put <= 0)
            return 1;
        n -= put;
    }
    return 0;
}
