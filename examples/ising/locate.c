/*
 * Reads the `sample` lines of ising from standard input, averages over the seeds and
 * locates the critical temperature: where the Binder cumulants
 *
 *     U = 1 - <m^4> / (3 <m^2>^2)
 *
 * of the smallest and of the largest lattice cross. Their difference is fitted by a
 * fourth-degree polynomial in the temperature; the error is a jackknife over the seeds.
 * Ends with status 1 when samples are missing or double, or when the result lies
 * further from Onsager's exact value than the tolerance.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 0.005 /* about five statistical errors, see README.md */
#define TERMS 5         /* of the polynomial */

struct sample {
    int size;
    double temperature;
    long seed;
    double m, m2, m4;
};

struct table {
    struct sample *samples; /* sorted by size, temperature, seed */
    size_t sample_count;
    size_t temperature_count;
    size_t seed_count;
    size_t size_count;
};

static int compare_samples(const void *a, const void *b)
{
    const struct sample *x = a;
    const struct sample *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    if (x->temperature < y->temperature || x->temperature > y->temperature)
        return x->temperature < y->temperature ? -1 : 1;
    return (x->seed > y->seed) - (x->seed < y->seed);
}

static const struct sample *table_at(const struct table *table, size_t size,
                                     size_t temperature, size_t seed)
{
    return &table->samples[(size * table->temperature_count + temperature) *
                               table->seed_count +
                           seed];
}

static int table_read(struct table *table, FILE *in)
{
    char line[256];
    size_t room = 0;
    while (fgets(line, sizeof line, in)) {
        struct sample s;
        if (strncmp(line, "sample ", 7) != 0)
            continue;
        if (sscanf(line, "sample %d %lf %ld %lf %lf %lf", &s.size, &s.temperature,
                   &s.seed, &s.m, &s.m2, &s.m4) != 6) {
            fprintf(stderr, "locate: broken line: %s", line);
            return -1;
        }
        if (table->sample_count == room) {
            room = room ? 2 * room : 256;
            void *grown = realloc(table->samples, room * sizeof s);
            if (!grown) {
                fprintf(stderr, "locate: out of memory\n");
                return -1;
            }
            table->samples = grown;
        }
        table->samples[table->sample_count++] = s;
    }
    if (ferror(in)) {
        fprintf(stderr, "locate: cannot read standard input\n");
        return -1;
    }
    return 0;
}

/* Every size must have every temperature with every seed, exactly once. */
static int table_check(struct table *table)
{
    const struct sample *s = table->samples;
    size_t n = table->sample_count;
    size_t i = 0;
    if (n == 0) {
        fprintf(stderr, "locate: no samples\n");
        return -1;
    }
    qsort(table->samples, n, sizeof *s, compare_samples);
    while (i < n && s[i].size == s[0].size && s[i].temperature <= s[0].temperature)
        i++;
    table->seed_count = i;
    while (i < n && s[i].size == s[0].size)
        i++;
    table->temperature_count = i / table->seed_count;
    table->size_count = n / i;
    for (size_t k = 0; k < n; k++) {
        size_t at_temperature = k / table->seed_count % table->temperature_count;
        const struct sample *twin =
            table_at(table, 0, at_temperature, k % table->seed_count);
        if (n % i || i % table->seed_count || s[k].seed != twin->seed ||
            fabs(s[k].temperature - twin->temperature) > 0 ||
            s[k].size != s[k / i * i].size ||
            (k > 0 && compare_samples(&s[k - 1], &s[k]) == 0)) {
            fprintf(stderr,
                    "locate: samples are missing or double near size %d, "
                    "temperature %g, seed %ld\n",
                    s[k].size, s[k].temperature, s[k].seed);
            return -1;
        }
    }
    if (table->size_count < 2 || table->seed_count < 2 ||
        table->temperature_count < TERMS + 1) {
        fprintf(stderr,
                "locate: needs two sizes, two seeds and %d temperatures at least\n",
                TERMS + 1);
        return -1;
    }
    return 0;
}

/* Binder cumulant over all seeds but `left_out`; -1 leaves none out. */
static double binder(const struct table *table, size_t size, size_t temperature,
                     long left_out)
{
    double m2 = 0;
    double m4 = 0;
    double count = 0;
    for (size_t i = 0; i < table->seed_count; i++) {
        if ((long)i == left_out)
            continue;
        m2 += table_at(table, size, temperature, i)->m2;
        m4 += table_at(table, size, temperature, i)->m4;
        count += 1;
    }
    return 1 - (m4 / count) / (3 * (m2 / count) * (m2 / count));
}

static double magnetisation(const struct table *table, size_t size, size_t temperature)
{
    double m = 0;
    for (size_t i = 0; i < table->seed_count; i++)
        m += table_at(table, size, temperature, i)->m;
    return m / (double)table->seed_count;
}

/* Least squares through the normal equations; x is scaled to [-1, 1]. */
static void fit_polynomial(size_t n, const double *x, const double *y, double c[TERMS])
{
    double a[TERMS][TERMS + 1] = {{0}};
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < TERMS; i++) {
            for (int j = 0; j < TERMS; j++)
                a[i][j] += pow(x[k], i + j);
            a[i][TERMS] += y[k] * pow(x[k], i);
        }
    /* The matrix is symmetric and positive definite: no pivoting. */
    for (int i = 0; i < TERMS; i++)
        for (int row = i + 1; row < TERMS; row++) {
            double factor = a[row][i] / a[i][i];
            for (int j = i; j <= TERMS; j++)
                a[row][j] -= factor * a[i][j];
        }
    for (int i = TERMS - 1; i >= 0; i--) {
        c[i] = a[i][TERMS];
        for (int j = i + 1; j < TERMS; j++)
            c[i] -= a[i][j] * c[j];
        c[i] /= a[i][i];
    }
}

static double polynomial(const double c[TERMS], double x)
{
    double y = 0;
    for (int i = TERMS - 1; i >= 0; i--)
        y = y * x + c[i];
    return y;
}

/* NAN when the cumulants do not cross inside the temperatures of the table. */
static double crossing(const struct table *table, long left_out)
{
    size_t n = table->temperature_count;
    double low = table_at(table, 0, 0, 0)->temperature;
    double high = table_at(table, 0, n - 1, 0)->temperature;
    double middle = (low + high) / 2;
    double half = (high - low) / 2;
    double *x = malloc(2 * n * sizeof *x);
    double c[TERMS];
    if (!x)
        return NAN;
    double *y = x + n;
    for (size_t i = 0; i < n; i++) {
        x[i] = (table_at(table, 0, i, 0)->temperature - middle) / half;
        y[i] = binder(table, table->size_count - 1, i, left_out) -
               binder(table, 0, i, left_out);
    }
    fit_polynomial(n, x, y, c);
    free(x);

    /* The larger lattice has the larger cumulant below, the smaller one above. */
    double a = -1;
    double b = 1;
    if (polynomial(c, a) <= 0 || polynomial(c, b) >= 0)
        return NAN;
    for (int i = 0; i < 60; i++) {
        double at = (a + b) / 2;
        if (polynomial(c, at) > 0)
            a = at;
        else
            b = at;
    }
    return middle + half * (a + b) / 2;
}

static double jackknife_error(const struct table *table, double mean)
{
    double n = (double)table->seed_count;
    double sum = 0;
    for (size_t i = 0; i < table->seed_count; i++) {
        double deviation = crossing(table, (long)i) - mean;
        sum += deviation * deviation;
    }
    return sqrt(sum * (n - 1) / n);
}

static void print_table(const struct table *table, FILE *data)
{
    static const char bar[] = "##############################";
    size_t last = table->size_count - 1;
    int small = table->samples[0].size;
    int large = table_at(table, last, 0, 0)->size;
    printf("     T   U(%d)    U(%d)   <|m|> of size %d\n", small, large, large);
    for (size_t i = 0; i < table->temperature_count; i++) {
        double m = magnetisation(table, last, i);
        printf("%6.3f  %6.4f  %6.4f   %5.3f %.*s\n",
               table_at(table, 0, i, 0)->temperature, binder(table, 0, i, -1),
               binder(table, last, i, -1), m, (int)lround(m * (sizeof bar - 1)), bar);
        if (!data)
            continue;
        fprintf(data, "%g", table_at(table, 0, i, 0)->temperature);
        for (size_t k = 0; k <= last; k++)
            fprintf(data, " %.6f %.6f", binder(table, k, i, -1),
                    magnetisation(table, k, i));
        fprintf(data, "\n");
    }
}

int main(int argc, char **argv)
{
    struct table table = {0};
    FILE *data = NULL;
    if (argc > 2) {
        fprintf(stderr, "usage: locate [DATA-FILE] < SAMPLES\n");
        return 2;
    }
    if (table_read(&table, stdin) != 0 || table_check(&table) != 0)
        return 1;
    if (argc == 2 && !(data = fopen(argv[1], "w"))) {
        perror(argv[1]);
        return 1;
    }
    print_table(&table, data);
    if (data && fclose(data) != 0) {
        perror(argv[1]);
        return 1;
    }

    double exact = 2 / log(1 + sqrt(2));
    double found = crossing(&table, -1);
    double error = jackknife_error(&table, found);
    printf("\ncritical temperature  %.4f +- %.4f   from %zu samples\n", found, error,
           table.sample_count);
    printf("Onsager, exact        %.6f\n", exact);
    int good = fabs(found - exact) <= TOLERANCE;
    printf("difference            %+.4f   %s the tolerance of %g\n", found - exact,
           good ? "within" : "OUTSIDE", TOLERANCE);
    free(table.samples);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
