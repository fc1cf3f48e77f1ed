/* Dense lesions that touch the chest wall look like wall to a threshold. The wall is convex, so where the
 * outline of a lung is dented from outside, over enough of its length, the dent was lung (fill). Where a whole
 * upper end is solid there is no outline to go by; the other lung, mirrored, then says what may be missing
 * (excluded): that is reported, never counted. */
#include "lung/lung_grid.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    SPINE_MM = 40,      /* no posterior fill nearer to the midline: ribs' heads and vertebrae bulge there */
    SANDWICH_MM = 60,   /* lung must lie so near above and below a dent */
    SLOPE_MM = 4,       /* … looked for so far inward, because the wall slopes */
    DENT_RADIUS_MM = 4, /* thinner dents are the waves of the wall */
    DENT_MARGIN_MM = 2,
    DENT_MIN_ML = 2,
    MEDIASTINUM_MM = 25, /* nothing excluded nearer to the midline */
    BONE_FROM_MM = 40,   /* further out a bone is a rib: the chest ends there */
    BONE_REACH_MM = 10,  /* ribs this far above or below close the gap between them */
    EXCLUDED_RADIUS_MM = 5,
    EXCLUDED_MIN_ML = 5,
    DENSE_FROM_HU = -300,
    DENSE_TO_HU = 150,
    VESSEL_RADIUS_MM = 4, /* what a ball of this size cannot enter is a vessel */
    VESSEL_MARGIN_MM = 3  /* … but the rounded-off rim of a lesion belongs to it */
};

struct pleura {
    struct lung_grid *grid;
    uint8_t side;
    uint8_t *candidate; /* 1 where a fill may go */
    int *reach;         /* lateral reach [slice][row] or posterior reach [slice][column]; -1 without lung */
    int *hull;          /* the same, outlined */
};

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
}

/* Upper convex outline of values[0], values[stride] … (count of them), -1 being "none"; raises hull[] between
 * the first and the last value. `stack` has room for count items. */
static void outline(const int *values, int *hull, size_t count, size_t stride, size_t *stack)
{
    size_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        double v = values[i * stride];
        if (v < 0) {
            continue;
        }
        while (depth >= 2) {
            size_t a = stack[depth - 2];
            size_t b = stack[depth - 1];
            double va = values[a * stride];
            double vb = values[b * stride];
            if ((vb - va) * (double)(i - a) > (v - va) * (double)(b - a)) {
                break;
            }
            depth--;
        }
        stack[depth++] = i;
    }
    for (size_t k = 0; k + 1 < depth; k++) {
        size_t a = stack[k];
        size_t b = stack[k + 1];
        for (size_t i = a; i <= b; i++) {
            double t = (double)(i - a) / (double)(b - a);
            int v = (int)(values[a * stride] + t * (values[b * stride] - values[a * stride]) + 0.25);
            hull[i * stride] = v > hull[i * stride] ? v : hull[i * stride];
        }
    }
}

static int outward(const struct lung_grid *grid, uint8_t side)
{
    return (side == LUNG_SIDE_LEFT) == grid->left_high ? 1 : -1; /* which way columns lead to the wall */
}

static bool is_fillable(const struct lung_grid *grid, size_t at)
{
    return grid->side[at] == 0 && (grid->flags[at] & (LUNG_CELL_BODY | LUNG_CELL_AIRWAY)) == LUNG_CELL_BODY &&
           grid->hu[at] > DENSE_FROM_HU && grid->hu[at] < LUNG_BONE_HU;
}

static bool is_sandwiched(const struct lung_grid *grid, uint8_t side, int x, int y, int z)
{
    int steps = (int)(SANDWICH_MM / grid->slice_mm);
    bool above = false;
    bool below = false;
    if (x < 0 || x >= grid->size.columns || y < 0) {
        return false;
    }
    for (int i = 1; i <= steps && !(above && below); i++) {
        above =
            above || (z + i < grid->size.slices && grid->side[lung_cell(grid->size, x, y, z + i)] == side);
        below = below || (z - i >= 0 && grid->side[lung_cell(grid->size, x, y, z - i)] == side);
    }
    return above && below;
}

/* Cells outward of the lung's edge up to the outline, where lung lies above and below. The proof is taken a
 * little inward, because the wall slopes. Without it the place where the diaphragm meets the wall is a dent. */
static void lateral_candidates(struct pleura *pleura)
{
    struct lung_grid *grid = pleura->grid;
    int direction = outward(grid, pleura->side);
    int middle = (int)grid->midline;
    int inward = direction * (int)lrint(SLOPE_MM / grid->column_mm);
    for (int z = 0; z < grid->size.slices; z++) {
        for (int y = 0; y < grid->size.rows; y++) {
            size_t i = (size_t)z * (size_t)grid->size.rows + (size_t)y;
            if (pleura->reach[i] < 0) {
                continue;
            }
            for (int reach = pleura->reach[i] + 1; reach <= pleura->hull[i]; reach++) {
                int x = middle + direction * reach;
                if (x < 0 || x >= grid->size.columns) {
                    break;
                }
                size_t at = lung_cell(grid->size, x, y, z);
                if (is_fillable(grid, at) && is_sandwiched(grid, pleura->side, x - inward, y, z)) {
                    pleura->candidate[at] = 1;
                }
            }
        }
    }
}

static void lateral_reach(struct pleura *pleura)
{
    const struct lung_grid *grid = pleura->grid;
    int direction = outward(grid, pleura->side);
    int middle = (int)grid->midline;
    for (int z = 0; z < grid->size.slices; z++) {
        for (int y = 0; y < grid->size.rows; y++) {
            const uint8_t *row = grid->side + lung_cell(grid->size, 0, y, z);
            const uint8_t *found = direction > 0 ? memrchr(row, pleura->side, (size_t)grid->size.columns)
                                                 : memchr(row, pleura->side, (size_t)grid->size.columns);
            int reach = found == NULL ? -1 : direction * ((int)(found - row) - middle);
            size_t i = (size_t)z * (size_t)grid->size.rows + (size_t)y;
            pleura->reach[i] = reach < 0 ? -1 : reach;
            pleura->hull[i] = pleura->reach[i];
        }
    }
}

static void posterior_candidates(struct pleura *pleura)
{
    struct lung_grid *grid = pleura->grid;
    int inward = (int)lrint(SLOPE_MM / grid->row_mm);
    for (int z = 0; z < grid->size.slices; z++) {
        for (int x = 0; x < grid->size.columns; x++) {
            size_t i = (size_t)z * (size_t)grid->size.columns + (size_t)x;
            if (pleura->reach[i] < 0) {
                continue;
            }
            for (int y = pleura->reach[i] + 1; y <= pleura->hull[i] && y < grid->size.rows; y++) {
                size_t at = lung_cell(grid->size, x, y, z);
                if (is_fillable(grid, at) && is_sandwiched(grid, pleura->side, x, y - inward, z)) {
                    pleura->candidate[at] = 1;
                }
            }
        }
    }
}

static void posterior_reach(struct pleura *pleura)
{
    const struct lung_grid *grid = pleura->grid;
    int margin = (int)(SPINE_MM / grid->column_mm);
    for (int z = 0; z < grid->size.slices; z++) {
        int *reach = pleura->reach + (size_t)z * (size_t)grid->size.columns;
        int *hull = pleura->hull + (size_t)z * (size_t)grid->size.columns;
        memset(reach, 0xff, (size_t)grid->size.columns * sizeof *reach);
        for (int y = 0; y < grid->size.rows; y++) {
            const uint8_t *row = grid->side + lung_cell(grid->size, 0, y, z);
            for (int x = 0; x < grid->size.columns; x++) {
                bool lateral = fabs(x - grid->midline) > margin;
                reach[x] = row[x] == pleura->side && lateral ? y : reach[x];
            }
        }
        memcpy(hull, reach, (size_t)grid->size.columns * sizeof *reach);
    }
}

static void outline_within(struct pleura *pleura, size_t width, size_t *stack)
{
    for (size_t z = 0; z < (size_t)pleura->grid->size.slices; z++) {
        outline(pleura->reach + z * width, pleura->hull + z * width, width, 1, stack);
    }
}

static void outline_along(struct pleura *pleura, size_t width, size_t *stack)
{
    for (size_t i = 0; i < width; i++) {
        outline(pleura->reach + i, pleura->hull + i, (size_t)pleura->grid->size.slices, width, stack);
    }
}

static void find_dents(struct pleura *pleura, size_t *stack)
{
    size_t rows = (size_t)pleura->grid->size.rows;
    size_t columns = (size_t)pleura->grid->size.columns;
    lateral_reach(pleura);
    outline_within(pleura, rows, stack);
    lateral_candidates(pleura);
    lateral_reach(pleura);
    outline_along(pleura, rows, stack);
    lateral_candidates(pleura);
    posterior_reach(pleura);
    outline_within(pleura, columns, stack);
    posterior_candidates(pleura);
    posterior_reach(pleura);
    outline_along(pleura, columns, stack);
    posterior_candidates(pleura);
}

/* Keeps of `cells` what a ball enters, with a margin, in pieces of at least min_ml. */
static bool keep_thick(const struct lung_grid *grid, uint8_t *cells, double radius_mm, double min_ml,
                       struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    size_t count = lung_size_cells(grid->size);
    struct lung_box box = { grid->size, grid->column_mm, grid->row_mm, grid->slice_mm,
                            arena_alloc(&arena, count) };
    struct lung_runs runs = { 0 };
    bool ok = box.cells != NULL || no_memory(error);
    if (ok) {
        memcpy(box.cells, cells, count);
        ok = lung_box_shrink(&box, radius_mm, grid->threads, error) &&
             lung_box_grow(&box, radius_mm + DENT_MARGIN_MM, grid->threads, error);
    }
    for (size_t at = 0; ok && at < count; at++) {
        cells[at] &= box.cells[at];
    }
    ok = ok && lung_runs_find(&arena, grid->size, cells, 1, &runs, error);
    size_t *sizes = ok ? ARENA_ARRAY(&arena, size_t, runs.components_count + 1) : NULL;
    for (size_t i = 0; sizes != NULL && i < runs.count; i++) {
        sizes[runs.items[i].component] += (size_t)(runs.items[i].to - runs.items[i].from);
    }
    for (size_t i = 0; sizes != NULL && i < runs.count; i++) {
        const struct lung_run *run = &runs.items[i];
        if ((double)sizes[run->component] * grid->cell_ml < min_ml) {
            memset(cells + lung_cell(grid->size, run->from, run->row, run->slice), 0,
                   (size_t)(run->to - run->from));
        }
    }
    ok = ok && (sizes != NULL || no_memory(error));
    arena_deinit(&arena);
    return ok;
}

bool lung_pleura_fill(struct lung_grid *grid, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    size_t count = lung_size_cells(grid->size);
    size_t width = (size_t)(grid->size.rows > grid->size.columns ? grid->size.rows : grid->size.columns);
    size_t slices = (size_t)grid->size.slices;
    struct pleura pleura = { .grid = grid,
                             .candidate = arena_alloc(&arena, count),
                             .reach = ARENA_ARRAY(&arena, int, width *slices),
                             .hull = ARENA_ARRAY(&arena, int, width *slices) };
    size_t *stack = ARENA_ARRAY(&arena, size_t, width + slices);
    bool ok = (pleura.candidate != NULL && pleura.reach != NULL && pleura.hull != NULL && stack != NULL) ||
              no_memory(error);
    for (uint8_t side = LUNG_SIDE_RIGHT; ok && side <= LUNG_SIDE_LEFT; side++) {
        pleura.side = side;
        memset(pleura.candidate, 0, count);
        find_dents(&pleura, stack);
        ok = keep_thick(grid, pleura.candidate, DENT_RADIUS_MM, DENT_MIN_ML, error);
        for (size_t at = 0; ok && at < count; at++) {
            if (pleura.candidate[at] != 0) {
                grid->side[at] = side;
                grid->flags[at] |= LUNG_CELL_DENSE;
            }
        }
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- what may be lung and was not counted ---- */

/* A dense column of cells with lung of its own side below, none above, and lung at its mirror image: the
 * solid upper end of a lung. (The heart and the arch of the aorta have lung above; the liver has none below.) */
static void mark_upper_ends(const struct lung_grid *grid, int32_t *tops, uint8_t *candidate)
{
    int margin = (int)(MEDIASTINUM_MM / grid->column_mm);
    size_t plane = (size_t)grid->size.columns * (size_t)grid->size.rows;
    for (size_t i = 0; i < plane; i++) {
        tops[i] = -1;
    }
    for (int z = 0; z < grid->size.slices; z++) {
        for (size_t i = 0; i < plane; i++) {
            uint8_t side = grid->side[(size_t)z * plane + i];
            tops[i] = side != 0 && side == lung_side_of_column(grid, (double)(i % (size_t)grid->size.columns))
                          ? z
                          : tops[i];
        }
    }
    for (int z = 0; z < grid->size.slices; z++) {
        for (int y = 0; y < grid->size.rows; y++) {
            size_t row = lung_cell(grid->size, 0, y, z);
            for (int x = 0; x < grid->size.columns; x++) {
                int32_t top = tops[row - (size_t)z * plane + (size_t)x];
                int mirrored = (int)lrint(2 * grid->midline - x);
                if (top < 0 || z <= top || mirrored < 0 || mirrored >= grid->size.columns ||
                    abs(x - (int)grid->midline) < margin) {
                    continue;
                }
                uint8_t other = grid->side[row + (size_t)mirrored];
                candidate[row + (size_t)x] = other != 0 && other != lung_side_of_column(grid, x) &&
                                             is_fillable(grid, row + (size_t)x) &&
                                             grid->hu[row + (size_t)x] < DENSE_TO_HU;
            }
        }
    }
}

/* Takes away what lies outward of a rib: rows are walked from the midline to the wall. */
static void clip_by_ribs(const struct lung_grid *grid, int y, int z, uint8_t *candidate)
{
    int reach = (int)(BONE_REACH_MM / grid->slice_mm);
    int low = z - reach < 0 ? 0 : z - reach;
    int high = z + reach >= grid->size.slices ? grid->size.slices - 1 : z + reach;
    int start = (int)(BONE_FROM_MM / grid->column_mm);
    for (int direction = -1; direction <= 1; direction += 2) {
        bool outside = false;
        for (int x = (int)grid->midline + direction * start; x >= 0 && x < grid->size.columns;
             x += direction) {
            for (int near = low; near <= high && !outside; near++) {
                outside = grid->hu[lung_cell(grid->size, x, y, near)] > LUNG_BONE_HU;
            }
            if (outside) {
                candidate[lung_cell(grid->size, x, y, z)] = 0;
            }
        }
    }
}

bool lung_pleura_mark_excluded(struct lung_grid *grid, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    size_t count = lung_size_cells(grid->size);
    uint8_t *candidate = arena_calloc(&arena, count, 1);
    int32_t *tops = ARENA_ARRAY(&arena, int32_t, (size_t)grid->size.columns * (size_t)grid->size.rows);
    bool ok = (candidate != NULL && tops != NULL) || no_memory(error);
    if (ok) {
        mark_upper_ends(grid, tops, candidate);
    }
    for (int z = 0; ok && z < grid->size.slices; z++) {
        for (int y = 0; y < grid->size.rows; y++) {
            size_t row = lung_cell(grid->size, 0, y, z);
            if (memchr(candidate + row, 1, (size_t)grid->size.columns) != NULL) {
                clip_by_ribs(grid, y, z, candidate);
            }
        }
    }
    ok = ok && keep_thick(grid, candidate, EXCLUDED_RADIUS_MM, EXCLUDED_MIN_ML, error);
    for (size_t at = 0; ok && at < count; at++) {
        grid->flags[at] |= candidate[at] != 0 ? LUNG_CELL_EXCLUDED : 0;
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- vessels ---- */

bool lung_vessels_open(struct lung_grid *grid, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    size_t count = lung_size_cells(grid->size);
    struct lung_box box = { grid->size, grid->column_mm, grid->row_mm, grid->slice_mm,
                            arena_alloc(&arena, count) };
    bool ok = box.cells != NULL || no_memory(error);
    for (size_t at = 0; ok && at < count; at++) {
        box.cells[at] = grid->side[at] != 0 && grid->hu[at] > DENSE_FROM_HU;
    }
    ok = ok && lung_box_shrink(&box, VESSEL_RADIUS_MM, grid->threads, error) &&
         lung_box_grow(&box, VESSEL_RADIUS_MM + VESSEL_MARGIN_MM, grid->threads, error);
    for (size_t at = 0; ok && at < count; at++) {
        grid->flags[at] |= grid->side[at] != 0 && box.cells[at] != 0 ? LUNG_CELL_THICK : 0;
    }
    arena_deinit(&arena);
    return ok;
}
