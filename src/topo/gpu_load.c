#include "topo/gpu_load.h"

#include <stdio.h>
#include <stdlib.h>
#include "conf/conf.h"

#define USE_MAX 1000000.0 /* percent; more is no measurement */

const char *const *gpu_load_command(enum topo_family family)
{
    static const char *const nvidia[] = {
        "nvidia-smi", "--format=csv,noheader",
        "--query-gpu=pci.bus_id,utilization.gpu,memory.used,memory.total", NULL};
    static const char *const amd[] = {"rocm-smi",  "--json",       "--showuse",
                                      "--showbus", "--showmemuse", NULL};
    return family == FAMILY_NVIDIA ? nvidia : amd;
}

static int add_gpu(struct hw_gpus *g, const struct hw_gpu *gpu)
{
    if (g->n == HW_STATE_GPUS_MAX)
        return 0;
    struct hw_gpu *grown = realloc(g->gpus, (g->n + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    g->gpus = grown;
    g->gpus[g->n++] = *gpu;
    return 0;
}

/* A number that is not negative at the start of text, and the blanks behind it. */
static bool read_number(const char **text, double *out)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    *out = strtod(*text, &end);
    *text = end + strspn(end, " ");
    return true;
}

static bool to_hundredths(double percent, uint32_t *out)
{
    if (!(percent >= 0 && percent <= USE_MAX))
        return false;
    *out = (uint32_t)(percent * 100 + 0.5);
    return true;
}

/* ---- nvidia-smi: one line a GPU, "00000000:07:00.0, 12 %, 345 MiB, 40536 MiB" ---- */

/* One cell with its unit; *text moves behind the comma that follows. */
static bool read_cell(const char **text, const char *unit, double *out)
{
    *text += strspn(*text, " ");
    size_t n = strlen(unit);
    if (!read_number(text, out) || strncmp(*text, unit, n) != 0)
        return false;
    *text += n;
    *text += strspn(*text, " ");
    if (**text && **text != ',')
        return false;
    *text += **text == ',';
    return true;
}

static bool read_row(const char *row, struct hw_gpu *gpu)
{
    double load, used, total;
    size_t n = strcspn(row, ", ");
    const char *p = row + n + strspn(row + n, " ");
    if (n == 0 || n > HW_GPU_ID_MAX || *p != ',')
        return false;
    *gpu = (struct hw_gpu){0};
    memcpy(gpu->id, row, n);
    p++;
    return read_cell(&p, "%", &load) && read_cell(&p, "MiB", &used) &&
           read_cell(&p, "MiB", &total) && total > 0 &&
           to_hundredths(load, &gpu->load) &&
           to_hundredths(used / total * 100, &gpu->memory);
}

static int parse_rows(const char *text, size_t n, struct hw_gpus *out)
{
    const char *end = text + n;
    char row[256];
    for (const char *p = text, *next; p < end; p = next) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline ? newline : end) - p);
        next = newline ? newline + 1 : end;
        if (len >= sizeof row || memchr(p, '\0', len))
            continue;
        memcpy(row, p, len);
        while (len && (row[len - 1] == '\r' || row[len - 1] == ' '))
            len--;
        row[len] = '\0';
        struct hw_gpu gpu;
        if (read_row(row + strspn(row, " "), &gpu) && add_gpu(out, &gpu) != 0)
            return ERR_NOMEM;
    }
    return 0;
}

/* ---- rocm-smi: {"card0": {"GPU use (%)": "12", "PCI Bus": "0000:C1:00.0", …}, …} - */

static bool read_percent(const struct conf_node *card, const char *const *names,
                         uint32_t *out)
{
    const struct conf_node *value = NULL;
    for (; *names && !value; names++)
        value = conf_get(card, *names);
    double percent;
    if (!value || !conf_is_scalar(value))
        return false;
    const char *text = value->text;
    return read_number(&text, &percent) && *text == '\0' && to_hundredths(percent, out);
}

static bool read_card(const struct conf_node *card, struct hw_gpu *gpu)
{
    static const char *const load[] = {"GPU use (%)", NULL};
    /* The second since version 6. */
    static const char *const memory[] = {"GPU memory use (%)",
                                         "GPU Memory Allocated (VRAM%)", NULL};
    const struct conf_node *bus =
        conf_kind(card) == CONF_MAP ? conf_get(card, "PCI Bus") : NULL;
    const char *id;
    *gpu = (struct hw_gpu){0};
    if (!bus || !conf_string(bus, &id) || bus->n == 0 || bus->n > HW_GPU_ID_MAX ||
        strlen(id) != bus->n)
        return false;
    memcpy(gpu->id, id, bus->n);
    return read_percent(card, load, &gpu->load) &&
           read_percent(card, memory, &gpu->memory);
}

static int parse_cards(const char *text, size_t n, struct hw_gpus *out,
                       struct error *err)
{
    struct conf_doc *doc;
    /* It says on standard output, too, that a GPU sleeps. */
    const char *start = memchr(text, '{', n);
    if (!start)
        return 0;
    int rc = conf_parse_json(NULL, start, n - (size_t)(start - text), &doc, err);
    if (rc != 0)
        return rc;
    const struct conf_node *root = conf_root(doc);
    for (uint32_t i = 0; conf_kind(root) == CONF_MAP && i < root->n && rc == 0; i++) {
        struct hw_gpu gpu;
        if (read_card(root->pairs[i].value, &gpu) && add_gpu(out, &gpu) != 0)
            rc = error_nomem(err);
    }
    conf_destroy(doc);
    return rc;
}

int gpu_load_parse(enum topo_family family, const void *text, size_t n,
                   struct hw_gpus *out, struct error *err)
{
    *out = (struct hw_gpus){0};
    int rc = 0;
    if (n && family == FAMILY_AMD)
        rc = parse_cards(text, n, out, err);
    else if (n && parse_rows(text, n, out) != 0)
        rc = error_nomem(err);
    if (rc == 0 && out->n == 0)
        rc = error_set(err, ERR_PARSE, "it tells of no GPU");
    if (rc != 0)
        hw_gpus_release(out);
    else
        out->known = true;
    return rc;
}
