/* The airway is followed slice by slice: its parts must lie over one another, stay small and stay as dark as
 * free air. Both tests are needed: without the mean the walk leaks into dark lung (docs/modules/lung.md). */
#include "lung/lung_grid.h"

#include <assert.h>
#include <math.h>

enum {
    LUMEN_HU = -925,      /* a cell of the lumen */
    LUMEN_MEAN_HU = -955, /* mean of a part */
    AREA_MIN_MM2 = 60,    /* of the trachea */
    AREA_MAX_MM2 = 700,
    MIDLINE_MM = 40, /* how far from the midline a trachea may lie */
    CHAIN_MM = 12,   /* so long it must go on to be one */
    WALL_MM = 2      /* subtracted around the lumen */
};

struct part {
    double area_mm2;
    double mean_hu;
    double column;    /* centre */
    uint32_t touches; /* cells over the parts accepted in the neighbour slice */
};

struct airway {
    struct lung_grid *grid;
    struct arena *arena;
    uint8_t *lumen; /* bits: 1 candidate, 2 accepted */
};

static void mark_candidates(void *context, size_t index)
{
    struct airway *airway = context;
    const struct lung_grid *grid = airway->grid;
    size_t plane = (size_t)grid->size.columns * (size_t)grid->size.rows;
    for (size_t at = index * plane; at < (index + 1) * plane; at++) {
        airway->lumen[at] = (grid->flags[at] & LUNG_CELL_BODY) != 0 && grid->hu[at] < LUMEN_HU;
    }
}

/* Parts of one slice with their properties; `other` is the neighbour slice looked at, or -1. */
static struct part *slice_parts(struct airway *airway, int slice, int other, struct lung_runs *runs,
                                struct error *error)
{
    const struct lung_grid *grid = airway->grid;
    struct lung_size flat = { grid->size.columns, grid->size.rows, 1 };
    if (!lung_runs_find(airway->arena, flat, airway->lumen + lung_cell(grid->size, 0, 0, slice), 1, runs,
                        error)) {
        return NULL;
    }
    struct part *parts = ARENA_ARRAY(airway->arena, struct part, runs->components_count + 1);
    if (parts == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
        return NULL;
    }
    for (size_t i = 0; i < runs->count; i++) {
        struct part *part = &parts[runs->items[i].component];
        for (int x = runs->items[i].from; x < runs->items[i].to; x++) {
            part->area_mm2 += 1;
            part->mean_hu += grid->hu[lung_cell(grid->size, x, runs->items[i].row, slice)];
            part->column += x;
            part->touches +=
                other >= 0 && airway->lumen[lung_cell(grid->size, x, runs->items[i].row, other)] >= 2;
        }
    }
    for (size_t i = 0; i < runs->components_count; i++) {
        parts[i].mean_hu /= parts[i].area_mm2;
        parts[i].column /= parts[i].area_mm2;
        parts[i].area_mm2 *= grid->column_mm * grid->row_mm;
    }
    return parts;
}

static void accept(struct airway *airway, int slice, const struct lung_runs *runs, size_t component)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->items[i].component == component) {
            uint8_t *row = airway->lumen + lung_cell(airway->grid->size, 0, runs->items[i].row, slice);
            for (int x = runs->items[i].from; x < runs->items[i].to; x++) {
                row[x] |= 2;
            }
        }
    }
}

/* Goes from slice to slice in direction `step` and accepts what lies over the accepted parts before; stops at
 * the first slice without, unless `through`. *slices_count counts the slices with an accepted part. */
static bool walk(struct airway *airway, int slice, int step, bool through, int *slices_count,
                 struct error *error)
{
    double area_before = AREA_MAX_MM2 / 2.0;
    for (int z = slice + step; z >= 0 && z < airway->grid->size.slices; z += step) {
        struct lung_runs runs;
        struct part *parts = slice_parts(airway, z, z - step, &runs, error);
        if (parts == NULL) {
            return false;
        }
        double area = 0;
        for (size_t i = 0; i < runs.components_count; i++) {
            bool fits = parts[i].touches > 0 && parts[i].mean_hu < LUMEN_MEAN_HU &&
                        parts[i].area_mm2 <= AREA_MAX_MM2 && area + parts[i].area_mm2 < 2 * area_before + 60;
            if (fits) {
                accept(airway, z, &runs, i);
                area += parts[i].area_mm2;
            }
        }
        if (area <= 0 && !through) {
            return true;
        }
        area_before = area > 0 ? area : AREA_MAX_MM2 / 2.0;
        *slices_count += area > 0;
    }
    return true;
}

static void forget(struct airway *airway)
{
    size_t count = lung_size_cells(airway->grid->size);
    for (size_t at = 0; at < count; at++) {
        airway->lumen[at] &= 1;
    }
}

/* Tries the parts of the upper slices as trachea, from the top, until one goes on far enough. */
static bool find_trachea(struct airway *airway, bool *found, struct error *error)
{
    const struct lung_grid *grid = airway->grid;
    int chain = (int)ceil(CHAIN_MM / grid->slice_mm);
    *found = false;
    for (int z = grid->size.slices - 1; z > grid->size.slices / 3 && !*found; z--) {
        struct lung_runs runs;
        struct part *parts = slice_parts(airway, z, -1, &runs, error);
        if (parts == NULL) {
            return false;
        }
        for (size_t i = 0; i < runs.components_count && !*found; i++) {
            bool fits = parts[i].area_mm2 >= AREA_MIN_MM2 && parts[i].area_mm2 <= AREA_MAX_MM2 &&
                        parts[i].mean_hu < LUMEN_MEAN_HU &&
                        fabs(parts[i].column - grid->midline) * grid->column_mm < MIDLINE_MM;
            if (!fits) {
                continue;
            }
            int slices_count = 1;
            accept(airway, z, &runs, i);
            if (!walk(airway, z, -1, false, &slices_count, error) ||
                !walk(airway, z, 1, false, &slices_count, error)) {
                return false;
            }
            *found = slices_count >= chain;
            if (!*found) {
                forget(airway);
            }
        }
    }
    return true;
}

bool lung_airway_find(struct lung_grid *grid, bool *found, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    size_t count = lung_size_cells(grid->size);
    struct airway airway = { .grid = grid, .arena = &arena, .lumen = arena_alloc(&arena, count) };
    bool ok = airway.lumen != NULL || FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    if (ok) {
        lung_parallel(grid->threads, (size_t)grid->size.slices, mark_candidates, &airway);
        ok = find_trachea(&airway, found, error);
    }
    int ignored = 0; /* bronchi that rise again, and their branches that fall */
    ok = ok && (!*found || (walk(&airway, 0, 1, true, &ignored, error) &&
                            walk(&airway, grid->size.slices - 1, -1, true, &ignored, error)));
    if (ok && *found) {
        for (size_t at = 0; at < count; at++) {
            airway.lumen[at] = airway.lumen[at] >= 2;
        }
        struct lung_box box = { grid->size, grid->column_mm, grid->row_mm, grid->slice_mm, airway.lumen };
        ok = lung_box_grow(&box, WALL_MM + 0.1, grid->threads, error);
        for (size_t at = 0; ok && at < count; at++) {
            grid->flags[at] |= airway.lumen[at] != 0 ? LUNG_CELL_AIRWAY : 0;
        }
    }
    arena_deinit(&arena);
    return ok;
}
