/*
 * Two-dimensional Ising model on a periodic square lattice, sampled with Wolff's
 * cluster algorithm. Prints one line:
 *
 *     sample SIZE TEMPERATURE SEED <|m|> <m^2> <m^4>
 *
 * m is the magnetisation per spin, averaged over the samples. The same arguments give
 * the same line on every machine with IEEE arithmetic.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lattice {
    int size;
    int spin_count;
    signed char *spins; /* +1 or -1, row by row */
    int *stack;         /* spins of the growing cluster whose neighbours are due */
    long magnetisation;
    uint64_t bond_threshold; /* a bond to an equal neighbour is taken below this */
    uint64_t random[2];
};

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* xoroshiro128+ of Blackman and Vigna. */
static uint64_t random_next(uint64_t state[2])
{
    uint64_t a = state[0];
    uint64_t b = state[1];
    uint64_t result = a + b;
    b ^= a;
    state[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
    state[1] = (b << 37) | (b >> 27);
    return result;
}

static int random_below(uint64_t state[2], int limit)
{
    return (int)(((random_next(state) >> 32) * (uint64_t)limit) >> 32);
}

static int lattice_init(struct lattice *lattice, int size, double temperature,
                        uint64_t seed)
{
    /* Neighbouring seeds and temperatures must not share a random sequence. */
    uint64_t bits;
    memcpy(&bits, &temperature, sizeof bits);
    uint64_t state = seed ^ (bits * 0x9e3779b97f4a7c15u) ^ ((uint64_t)size << 40);

    lattice->size = size;
    lattice->spin_count = size * size;
    lattice->random[0] = splitmix(&state);
    lattice->random[1] = splitmix(&state);
    lattice->bond_threshold = (uint64_t)(ldexp(-expm1(-2.0 / temperature), 53));
    lattice->spins = malloc((size_t)lattice->spin_count);
    lattice->stack = malloc((size_t)lattice->spin_count * sizeof *lattice->stack);
    if (!lattice->spins || !lattice->stack)
        return -1;
    memset(lattice->spins, 1, (size_t)lattice->spin_count);
    lattice->magnetisation = lattice->spin_count;
    return 0;
}

static void lattice_release(struct lattice *lattice)
{
    free(lattice->spins);
    free(lattice->stack);
}

/* Grows one cluster from a random spin, flips it, returns its size. */
static int lattice_flip_cluster(struct lattice *lattice)
{
    const int size = lattice->size;
    signed char *spins = lattice->spins;
    int start = random_below(lattice->random, lattice->spin_count);
    const signed char old = spins[start];
    int depth = 0;
    int flipped = 0;

    spins[start] = (signed char)-old;
    lattice->stack[depth++] = start;
    while (depth > 0) {
        int at = lattice->stack[--depth];
        int row = at / size * size;
        int column = at - row;
        int next[4] = {
            row + (column + 1 == size ? 0 : column + 1),
            row + (column == 0 ? size : column) - 1,
            row + size == lattice->spin_count ? column : at + size,
            (row == 0 ? lattice->spin_count : row) - size + column,
        };
        flipped++;
        for (int i = 0; i < 4; i++) {
            if (spins[next[i]] != old)
                continue;
            if (random_next(lattice->random) >> 11 >= lattice->bond_threshold)
                continue;
            spins[next[i]] = (signed char)-old;
            lattice->stack[depth++] = next[i];
        }
    }
    lattice->magnetisation -= 2L * old * flipped;
    return flipped;
}

/* Brings the lattice to equilibrium; returns how many clusters flip as many spins as
 * the lattice has. The number is fixed afterwards: deciding it sample by sample would
 * bias the averages. */
static int lattice_settle(struct lattice *lattice, int clusters)
{
    double flipped = 0;
    for (int i = 0; i < clusters; i++) {
        int count = lattice_flip_cluster(lattice);
        if (i >= clusters / 2)
            flipped += count;
    }
    return (int)ceil((clusters - clusters / 2) * (double)lattice->spin_count / flipped);
}

static void lattice_sample(struct lattice *lattice, int samples, double moments[3])
{
    int clusters = lattice_settle(lattice, 500 + samples / 10);
    moments[0] = moments[1] = moments[2] = 0;
    for (int i = 0; i < samples; i++) {
        for (int k = 0; k < clusters; k++)
            lattice_flip_cluster(lattice);
        double m = fabs((double)lattice->magnetisation) / lattice->spin_count;
        moments[0] += m / samples;
        moments[1] += m * m / samples;
        moments[2] += m * m * m * m / samples;
    }
}

static double number(const char *option, const char *text, double low, double high)
{
    char *end;
    errno = 0;
    double value = text ? strtod(text, &end) : NAN;
    if (!text || end == text || *end || errno || !(value >= low && value <= high)) {
        fprintf(stderr, "ising: %s wants a number from %g to %g, not '%s'\n", option,
                low, high, text ? text : "");
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    double size = 32;
    double temperature = 0;
    double seed = 1;
    double samples = 4000;
    for (int i = 1; i < argc; i += 2) {
        const char *option = argv[i];
        if (!strcmp(option, "--size"))
            size = number(option, argv[i + 1], 2, 4096);
        else if (!strcmp(option, "--temperature"))
            temperature = number(option, argv[i + 1], 0.1, 100);
        else if (!strcmp(option, "--seed"))
            seed = number(option, argv[i + 1], 0, 1e15);
        else if (!strcmp(option, "--samples"))
            samples = number(option, argv[i + 1], 1, 1e9);
        else
            temperature = 0, i = argc;
    }
    if (temperature <= 0) {
        fprintf(stderr, "usage: ising --temperature T [--size L] [--seed N] "
                        "[--samples N]\n");
        return 2;
    }

    struct lattice lattice;
    double moments[3];
    if (lattice_init(&lattice, (int)size, temperature, (uint64_t)seed) != 0) {
        fprintf(stderr, "ising: out of memory\n");
        return 1;
    }
    lattice_sample(&lattice, (int)samples, moments);
    lattice_release(&lattice);
    printf("sample %d %.6g %.0f %.12g %.12g %.12g\n", (int)size, temperature, seed,
           moments[0], moments[1], moments[2]);
    return fflush(stdout) == 0 ? 0 : 1;
}
