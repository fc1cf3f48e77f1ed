/* Which air is lung, and whose: components of air in the body, sorted by side, cut where the two lungs touch;
 * then each side is closed, so that vessels and dense lesions inside it come back. */
#include "lung/lung_grid.h"

#include <assert.h>
#include <math.h>

enum {
    COMPONENT_MIN_ML = 15,
    BOTH_SIDES_PERCENT = 25, /* a component with so much on each side is two lungs */
    GAS_HU = -970,           /* free gas: bowel, stomach, air between arm and chest */
    GAS_MAX_ML = 1000,       /* the darkest emphysematous lung is larger than this */
    COMPANION_PERCENT = 5,   /* further parts of a side, of its largest one */
    CUT_BAND_MM = 40,        /* the cut runs so near the midline */
    CLOSE_MM = 10,
    CELL_AIR = 0x80 /* working bit of grid->flags */
};

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
}

/* ---- components ---- */

struct component {
    size_t right;
    size_t left;
    size_t gas;
    int32_t slice_low;
    int32_t slice_high;
    int side; /* LUNG_SIDE_… or both bits */
};

static void mark_air(void *context, size_t index)
{
    struct lung_grid *grid = context;
    size_t plane = (size_t)grid->size.columns * (size_t)grid->size.rows;
    for (size_t at = index * plane; at < (index + 1) * plane; at++) {
        bool air = (grid->flags[at] & (LUNG_CELL_BODY | LUNG_CELL_AIRWAY)) == LUNG_CELL_BODY &&
                   grid->hu[at] < LUNG_AIR_HU;
        grid->flags[at] = (uint8_t)((grid->flags[at] & ~CELL_AIR) | (air ? CELL_AIR : 0));
    }
}

static void components_measure(const struct lung_grid *grid, const struct lung_runs *runs,
                               struct component *components)
{
    for (size_t i = 0; i < runs->components_count; i++) {
        components[i].slice_low = INT32_MAX;
    }
    for (size_t i = 0; i < runs->count; i++) {
        const struct lung_run *run = &runs->items[i];
        struct component *component = &components[run->component];
        const int16_t *hu = grid->hu + lung_cell(grid->size, 0, run->row, run->slice);
        for (int x = run->from; x < run->to; x++) {
            if (lung_side_of_column(grid, x) == LUNG_SIDE_LEFT) {
                component->left++;
            } else {
                component->right++;
            }
            component->gas += hu[x] < GAS_HU;
        }
        component->slice_low = run->slice < component->slice_low ? run->slice : component->slice_low;
        component->slice_high = run->slice > component->slice_high ? run->slice : component->slice_high;
    }
}

static bool is_lung_like(const struct lung_grid *grid, const struct component *component)
{
    double cells = (double)(component->left + component->right);
    bool large = cells * grid->cell_ml >= COMPONENT_MIN_ML;
    bool gas = (double)component->gas > cells / 2 && cells * grid->cell_ml < GAS_MAX_ML;
    return large && !gas;
}

/* Gives each component its side; small companions far below or beside the main part of a side are bowel. */
static void components_decide(const struct lung_grid *grid, struct component *components, size_t count)
{
    size_t main_cells[3] = { 0 };
    const struct component *mains[3] = { NULL };
    for (size_t i = 0; i < count; i++) {
        struct component *component = &components[i];
        size_t cells = component->left + component->right;
        if (!is_lung_like(grid, component)) {
            continue;
        }
        bool left = component->left * 100 > cells * BOTH_SIDES_PERCENT;
        bool right = component->right * 100 > cells * BOTH_SIDES_PERCENT;
        component->side = (left ? LUNG_SIDE_LEFT : 0) | (right ? LUNG_SIDE_RIGHT : 0);
        for (int side = LUNG_SIDE_RIGHT; side <= LUNG_SIDE_LEFT; side++) {
            if ((component->side & side) != 0 && cells > main_cells[side]) {
                main_cells[side] = cells;
                mains[side] = component;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct component *component = &components[i];
        if (component->side != LUNG_SIDE_LEFT && component->side != LUNG_SIDE_RIGHT) {
            continue;
        }
        const struct component *lung = mains[component->side];
        assert(lung != NULL);
        size_t cells = component->left + component->right;
        bool companion = cells * 100 >= main_cells[component->side] * COMPANION_PERCENT &&
                         component->slice_high >= lung->slice_low + (lung->slice_high - lung->slice_low) / 4;
        if (component != lung && !companion) {
            component->side = 0;
        }
    }
}

/* ---- the cut between lungs that touch ---- */

/* The cheapest way from the first row to the last through the band around the midline: tissue costs little,
 * air much. path[row] is the column where the other side begins. */
static void cut_path(const struct lung_grid *grid, int slice, int *path, int32_t *cost, int8_t *from)
{
    int half = (int)(CUT_BAND_MM / grid->column_mm);
    int low = (int)grid->midline - half < 1 ? 1 : (int)grid->midline - half;
    int high = (int)grid->midline + half > grid->size.columns - 2 ? grid->size.columns - 2
                                                                  : (int)grid->midline + half;
    size_t width = (size_t)grid->size.columns;
    for (int y = 0; y < grid->size.rows; y++) {
        const int16_t *hu = grid->hu + lung_cell(grid->size, 0, y, slice);
        for (int x = low; x <= high; x++) {
            int32_t air = hu[x] < 0 ? -hu[x] : 0;
            int32_t own = 10 + air + (int32_t)(fabs(x - grid->midline) / 4);
            int32_t best = y == 0 ? 0 : INT32_MAX;
            for (int step = -1; y > 0 && step <= 1; step++) {
                int before = x + step;
                if (before >= low && before <= high &&
                    cost[(size_t)(y - 1) * width + (size_t)before] < best) {
                    best = cost[(size_t)(y - 1) * width + (size_t)before];
                    from[(size_t)y * width + (size_t)x] = (int8_t)step;
                }
            }
            cost[(size_t)y * width + (size_t)x] = best + own;
        }
    }
    int x = low;
    for (int i = low; i <= high; i++) {
        size_t last = (size_t)(grid->size.rows - 1) * width;
        x = cost[last + (size_t)i] < cost[last + (size_t)x] ? i : x;
    }
    for (int y = grid->size.rows - 1; y >= 0; y--) {
        path[y] = x;
        x += y > 0 ? from[(size_t)y * width + (size_t)x] : 0;
    }
}

static bool paint_sides(struct lung_grid *grid, const struct lung_runs *runs,
                        const struct component *components, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 28 };
    size_t plane = (size_t)grid->size.columns * (size_t)grid->size.rows;
    int *path = ARENA_ARRAY(&arena, int, (size_t)grid->size.rows);
    int32_t *cost = ARENA_ARRAY(&arena, int32_t, plane);
    int8_t *from = ARENA_ARRAY(&arena, int8_t, plane);
    if (path == NULL || cost == NULL || from == NULL) {
        arena_deinit(&arena);
        return no_memory(error);
    }
    int path_slice = -1;
    for (size_t i = 0; i < runs->count; i++) {
        const struct lung_run *run = &runs->items[i];
        int side = components[run->component].side;
        uint8_t *row = grid->side + lung_cell(grid->size, 0, run->row, run->slice);
        if (side == (LUNG_SIDE_LEFT | LUNG_SIDE_RIGHT) && path_slice != run->slice) {
            cut_path(grid, run->slice, path, cost, from);
            path_slice = run->slice;
        }
        for (int x = run->from; x < run->to && side != 0; x++) {
            bool high = x >= path[run->row];
            int cut = high == grid->left_high ? LUNG_SIDE_LEFT : LUNG_SIDE_RIGHT;
            row[x] = (uint8_t)(side == (LUNG_SIDE_LEFT | LUNG_SIDE_RIGHT) ? cut : side);
        }
    }
    arena_deinit(&arena);
    return true;
}

bool lung_sides_find(struct lung_grid *grid, bool *joined, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    struct lung_runs runs = { 0 };
    lung_parallel(grid->threads, (size_t)grid->size.slices, mark_air, grid);
    bool ok = lung_runs_find(&arena, grid->size, grid->flags, CELL_AIR, &runs, error);
    struct component *components =
        ok ? ARENA_ARRAY(&arena, struct component, runs.components_count + 1) : NULL;
    if (ok && components == NULL) {
        ok = no_memory(error);
    }
    if (ok) {
        components_measure(grid, &runs, components);
        components_decide(grid, components, runs.components_count);
        *joined = false;
        for (size_t i = 0; i < runs.components_count; i++) {
            *joined = *joined || components[i].side == (LUNG_SIDE_LEFT | LUNG_SIDE_RIGHT);
        }
        ok = paint_sides(grid, &runs, components, error);
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- closing ---- */

/* The cells around one side, with a rim as wide as the ball, so that closing works up to the picture's edge. */
struct crop {
    struct lung_box box;
    int column; /* of the grid at box column 0; may be negative */
    int row;
    int slice;
};

static bool crop_side(const struct lung_grid *grid, uint8_t side, struct arena *arena, struct crop *crop)
{
    int low[3] = { INT32_MAX, INT32_MAX, INT32_MAX };
    int high[3] = { -1, -1, -1 };
    for (int z = 0; z < grid->size.slices; z++) {
        for (int y = 0; y < grid->size.rows; y++) {
            const uint8_t *row = grid->side + lung_cell(grid->size, 0, y, z);
            const uint8_t *first = memchr(row, side, (size_t)grid->size.columns);
            if (first == NULL) {
                continue;
            }
            const uint8_t *last = memrchr(row, side, (size_t)grid->size.columns);
            const int at[3] = { (int)(first - row), y, z };
            const int end[3] = { (int)(last - row), y, z };
            for (int i = 0; i < 3; i++) {
                low[i] = at[i] < low[i] ? at[i] : low[i];
                high[i] = end[i] > high[i] ? end[i] : high[i];
            }
        }
    }
    *crop = (struct crop){
        .box = { .column_mm = grid->column_mm, .row_mm = grid->row_mm, .slice_mm = grid->slice_mm }
    };
    if (high[0] < 0) {
        return true; /* no such lung: an empty box */
    }
    const int rim[3] = { (int)(CLOSE_MM / grid->column_mm) + 2, (int)(CLOSE_MM / grid->row_mm) + 2,
                         (int)(CLOSE_MM / grid->slice_mm) + 2 };
    crop->column = low[0] - rim[0];
    crop->row = low[1] - rim[1];
    crop->slice = low[2] - rim[2];
    crop->box.size = (struct lung_size){ high[0] - low[0] + 1 + 2 * rim[0], high[1] - low[1] + 1 + 2 * rim[1],
                                         high[2] - low[2] + 1 + 2 * rim[2] };
    crop->box.cells = arena_calloc(arena, lung_size_cells(crop->box.size), 1);
    return crop->box.cells != NULL;
}

/* Calls for each row of the box that lies in the grid: box cell i is grid cell i of the pointers given. */
struct crop_row {
    uint8_t *cells;
    uint8_t *side;
    uint8_t *flags;
    int count;
};

static bool crop_row(const struct crop *crop, const struct lung_grid *grid, int row, int slice,
                     struct crop_row *out)
{
    int y = row + crop->row;
    int z = slice + crop->slice;
    int from = crop->column < 0 ? -crop->column : 0;
    int to = crop->box.size.columns;
    if (crop->column + to > grid->size.columns) {
        to = grid->size.columns - crop->column;
    }
    if (y < 0 || y >= grid->size.rows || z < 0 || z >= grid->size.slices || to <= from) {
        return false;
    }
    size_t at = lung_cell(grid->size, from + crop->column, y, z);
    out->cells = crop->box.cells + lung_cell(crop->box.size, from, row, slice);
    out->side = grid->side + at;
    out->flags = grid->flags + at;
    out->count = to - from;
    return true;
}

/* Free cells from which no way over faces leads to the rim of the box lie inside the lung. In three dimensions
 * on purpose: in one axial slice the dome of the diaphragm is an island in the lung, too. */
static bool fill_enclosed(struct arena *arena, struct lung_box *box, struct error *error)
{
    size_t count = lung_size_cells(box->size);
    for (size_t at = 0; at < count; at++) {
        box->cells[at] ^= 1;
    }
    struct lung_runs runs;
    if (!lung_runs_find(arena, box->size, box->cells, 1, &runs, error)) {
        return false;
    }
    uint8_t *open = arena_calloc(arena, runs.components_count + 1, 1);
    if (open == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < runs.count; i++) {
        const struct lung_run *run = &runs.items[i];
        if (run->from == 0 || run->to == box->size.columns || run->row == 0 ||
            run->row == box->size.rows - 1 || run->slice == 0 || run->slice == box->size.slices - 1) {
            open[run->component] = 1;
        }
    }
    for (size_t at = 0; at < count; at++) {
        box->cells[at] ^= 1;
    }
    for (size_t i = 0; i < runs.count; i++) {
        const struct lung_run *run = &runs.items[i];
        if (open[run->component] == 0) {
            memset(box->cells + lung_cell(box->size, run->from, run->row, run->slice), 1,
                   (size_t)(run->to - run->from));
        }
    }
    return true;
}

static bool close_side(struct lung_grid *grid, uint8_t side, struct error *error)
{
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    struct crop crop;
    struct crop_row row;
    bool ok = crop_side(grid, side, &arena, &crop) || no_memory(error);
    if (!ok || crop.box.cells == NULL) {
        goto done;
    }
    for (int z = 0; z < crop.box.size.slices; z++) {
        for (int y = 0; y < crop.box.size.rows; y++) {
            if (!crop_row(&crop, grid, y, z, &row)) {
                continue;
            }
            for (int x = 0; x < row.count; x++) {
                row.cells[x] = row.side[x] == side;
            }
        }
    }
    ok = lung_box_grow(&crop.box, CLOSE_MM, grid->threads, error) &&
         lung_box_shrink(&crop.box, CLOSE_MM, grid->threads, error) &&
         fill_enclosed(&arena, &crop.box, error);
    for (int z = 0; ok && z < crop.box.size.slices; z++) {
        for (int y = 0; y < crop.box.size.rows; y++) {
            if (!crop_row(&crop, grid, y, z, &row)) {
                continue;
            }
            for (int x = 0; x < row.count; x++) {
                bool free = row.side[x] == 0 &&
                            (row.flags[x] & (LUNG_CELL_AIRWAY | LUNG_CELL_BODY)) == LUNG_CELL_BODY;
                if (row.cells[x] != 0 && free) {
                    row.side[x] = side;
                    row.flags[x] |= LUNG_CELL_DENSE;
                }
            }
        }
    }
done:
    arena_deinit(&arena);
    return ok;
}

bool lung_sides_close(struct lung_grid *grid, struct error *error)
{
    return close_side(grid, LUNG_SIDE_RIGHT, error) && close_side(grid, LUNG_SIDE_LEFT, error);
}
