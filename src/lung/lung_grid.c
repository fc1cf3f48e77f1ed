#include "lung/lung_grid.h"

#include <assert.h>

struct build {
    struct lung_grid *grid;
    const struct lung_volume *volume;
};

LUNG_HOT static void row_add(int32_t *restrict sums, const int16_t *restrict hu, int columns, int across)
{
    if (across == 1) {
        for (int x = 0; x < columns; x++) {
            sums[x] += hu[x];
        }
    } else if (across == 2) {
        for (int x = 0; x < columns; x++) {
            sums[x] += hu[2 * x] + hu[2 * x + 1];
        }
    } else {
        for (int x = 0; x < columns; x++) {
            for (int i = 0; i < across; i++) {
                sums[x] += hu[across * x + i];
            }
        }
    }
}

static void build_slice(void *context, size_t index)
{
    struct build *build = context;
    struct lung_grid *grid = build->grid;
    const struct lung_volume *volume = build->volume;
    int across = grid->voxels_across;
    int32_t divisor = across * across * grid->voxels_deep;
    for (int y = 0; y < grid->size.rows; y++) {
        int32_t sums[LUNG_COLUMNS_MAX] = { 0 };
        for (int dz = 0; dz < grid->voxels_deep; dz++) {
            size_t slice = index * (size_t)grid->voxels_deep + (size_t)dz;
            for (int dy = 0; dy < across; dy++) {
                size_t row = (size_t)y * (size_t)across + (size_t)dy;
                row_add(sums, volume->hu + (slice * volume->rows + row) * volume->columns, grid->size.columns,
                        across);
            }
        }
        int16_t *out = grid->hu + lung_cell(grid->size, 0, y, (int)index);
        for (int x = 0; x < grid->size.columns; x++) {
            out[x] = (int16_t)(sums[x] / divisor);
        }
    }
}

static int voxels_in(double cell_mm, double voxel_mm)
{
    int count = (int)(cell_mm / voxel_mm);
    return count < 1 ? 1 : count;
}

bool lung_grid_build(struct lung_grid *grid, const struct lung_volume *volume, struct error *error)
{
    double across_mm = volume->column_mm > volume->row_mm ? volume->column_mm : volume->row_mm;
    grid->voxels_across = voxels_in(1.9, across_mm);
    grid->voxels_deep = voxels_in(2.1, volume->slice_mm);
    grid->size = (struct lung_size){ (int)volume->columns / grid->voxels_across,
                                     (int)volume->rows / grid->voxels_across,
                                     (int)volume->slices / grid->voxels_deep };
    grid->column_mm = volume->column_mm * grid->voxels_across;
    grid->row_mm = volume->row_mm * grid->voxels_across;
    grid->slice_mm = volume->slice_mm * grid->voxels_deep;
    grid->cell_ml = grid->column_mm * grid->row_mm * grid->slice_mm / 1000;
    grid->left_high = volume->left_at_high_columns;
    size_t count = lung_size_cells(grid->size);
    grid->hu = arena_alloc(grid->arena, count * sizeof *grid->hu);
    grid->flags = arena_calloc(grid->arena, count, 1);
    grid->side = arena_calloc(grid->arena, count, 1);
    if (grid->hu == NULL || grid->flags == NULL || grid->side == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    struct build build = { grid, volume };
    lung_parallel(grid->threads, (size_t)grid->size.slices, build_slice, &build);
    return true;
}

/* ---- body ---- */

struct body {
    struct lung_grid *grid;
    uint32_t *stack; /* room for each cell of the grid: slices do not share */
};

enum part { PART_INSIDE, PART_AIR, PART_OUTSIDE, PART_SEEN, PART_BODY };

/* Changes the cells of one slice that a walk over faces from `seed` reaches from `from` to `to`, the seed
 * included; returns how many. */
static size_t change_part(const struct lung_grid *grid, uint8_t *parts, uint32_t *stack, size_t seed,
                          enum part to)
{
    size_t columns = (size_t)grid->size.columns;
    size_t plane = columns * (size_t)grid->size.rows;
    uint8_t from = parts[seed];
    size_t depth = 0;
    size_t count = 1;
    assert(from != to);
    parts[seed] = (uint8_t)to;
    stack[depth++] = (uint32_t)seed;
    while (depth > 0) {
        size_t at = stack[--depth];
        const size_t next[4] = { at - 1, at + 1, at - columns, at + columns };
        const bool there[4] = { at % columns > 0, at % columns + 1 < columns, at >= columns,
                                at + columns < plane };
        for (int i = 0; i < 4; i++) {
            if (there[i] && parts[next[i]] == from) {
                parts[next[i]] = (uint8_t)to;
                stack[depth++] = (uint32_t)next[i];
                count++;
            }
        }
    }
    return count;
}

static void find_outside(const struct lung_grid *grid, const int16_t *hu, uint8_t *parts, uint32_t *stack)
{
    size_t columns = (size_t)grid->size.columns;
    size_t rows = (size_t)grid->size.rows;
    for (size_t at = 0; at < columns * rows; at++) {
        parts[at] = hu[at] < LUNG_AIR_HU ? PART_AIR : PART_INSIDE;
    }
    for (size_t y = 0; y < rows; y++) {
        size_t step = y == 0 || y == rows - 1 ? 1 : columns - 1;
        for (size_t x = 0; x < columns; x += step) {
            if (parts[y * columns + x] == PART_AIR) {
                (void)change_part(grid, parts, stack, y * columns + x, PART_OUTSIDE);
            }
        }
    }
    for (size_t at = 0; at < columns * rows; at++) {
        parts[at] = parts[at] == PART_AIR ? PART_INSIDE : parts[at]; /* enclosed air belongs to the body */
    }
}

/* The largest part of a slice that is not outside air, its enclosed air with it. */
static void body_slice(void *context, size_t index)
{
    struct body *body = context;
    struct lung_grid *grid = body->grid;
    size_t plane = (size_t)grid->size.columns * (size_t)grid->size.rows;
    uint32_t *stack = body->stack + index * plane;
    uint8_t *parts = grid->side + index * plane; /* lent: sides come later */
    find_outside(grid, grid->hu + index * plane, parts, stack);
    size_t best_count = 0;
    size_t best_seed = 0;
    for (size_t seed = 0; seed < plane; seed++) {
        if (parts[seed] == PART_INSIDE) {
            size_t count = change_part(grid, parts, stack, seed, PART_SEEN);
            best_seed = count > best_count ? seed : best_seed;
            best_count = count > best_count ? count : best_count;
        }
    }
    if (best_count > 0) {
        (void)change_part(grid, parts, stack, best_seed, PART_BODY);
    }
    for (size_t at = 0; at < plane; at++) {
        grid->flags[index * plane + at] = parts[at] == PART_BODY ? LUNG_CELL_BODY : 0;
        parts[at] = 0;
    }
}

bool lung_grid_find_body(struct lung_grid *grid, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    struct body body = { grid, arena_alloc(&arena, lung_size_cells(grid->size) * sizeof *body.stack) };
    bool ok = body.stack != NULL;
    if (ok) {
        lung_parallel(grid->threads, (size_t)grid->size.slices, body_slice, &body);
    } else {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    arena_deinit(&arena);
    return ok;
}

void lung_grid_find_midline(struct lung_grid *grid)
{
    double bone_sum = 0;
    double bone_count = 0;
    double body_sum = 0;
    double body_count = 0;
    size_t count = lung_size_cells(grid->size);
    size_t columns = (size_t)grid->size.columns;
    for (size_t at = 0; at < count; at++) {
        if ((grid->flags[at] & LUNG_CELL_BODY) != 0) {
            size_t column = at % columns;
            body_sum += (double)column;
            body_count += 1;
            if (grid->hu[at] > LUNG_BONE_HU) {
                bone_sum += (double)column;
                bone_count += 1;
            }
        }
    }
    bool enough_bone = bone_count * grid->cell_ml > 50;
    grid->midline = enough_bone      ? bone_sum / bone_count
                    : body_count > 0 ? body_sum / body_count
                                     : (double)columns / 2;
}
