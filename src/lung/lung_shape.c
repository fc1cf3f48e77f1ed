/* Balls by squared distance, one axis after the other, cut off at the radius: each pass is a minimum over a few
 * neighbouring rows plus a constant, which the compiler turns into vector instructions. */
#include "lung/lung_grid.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    FAR = 20000,   /* "no set cell in reach"; FAR + the largest step stays below INT16_MAX */
    STEPS_MAX = 40 /* cells in a radius */
};

struct ball {
    const struct lung_box *box;
    struct lung_size part; /* only the part of the box around the set cells is worked on */
    int low[3];            /* where it begins: column, row, slice */
    int16_t *across;       /* squared distance within the row, in units of radius² / 10000 */
    int16_t *plane;        /* … within the slice */
    double scale;          /* units per mm² */
    int row_steps;
    int slice_steps;
    uint8_t value; /* distance to cells of this value */
    int16_t reach; /* radius² in units */
};

static int16_t ball_units(const struct ball *ball, double mm)
{
    double units = mm * mm * ball->scale;
    return units >= FAR ? (int16_t)FAR : (int16_t)lrint(units);
}

static uint8_t *part_row(const struct ball *ball, int row, int slice)
{
    return ball->box->cells +
           lung_cell(ball->box->size, ball->low[0], ball->low[1] + row, ball->low[2] + slice);
}

static void ball_row(const struct ball *ball, const uint8_t *cells, int16_t *out)
{
    int columns = ball->part.columns;
    int16_t table[STEPS_MAX + 2];
    for (int i = 0; i < STEPS_MAX + 2; i++) {
        table[i] = ball_units(ball, i * ball->box->column_mm);
    }
    int steps = STEPS_MAX + 1;
    for (int x = 0; x < columns; x++) {
        steps = cells[x] == ball->value ? 0 : steps <= STEPS_MAX ? steps + 1 : steps;
        out[x] = steps > STEPS_MAX ? (int16_t)FAR : table[steps];
    }
    steps = STEPS_MAX + 1;
    for (int x = columns - 1; x >= 0; x--) {
        steps = cells[x] == ball->value ? 0 : steps <= STEPS_MAX ? steps + 1 : steps;
        int16_t units = steps > STEPS_MAX ? (int16_t)FAR : table[steps];
        out[x] = units < out[x] ? units : out[x];
    }
}

LUNG_HOT static void row_minimum(int16_t *restrict out, const int16_t *restrict in, int16_t add, int count)
{
    for (int x = 0; x < count; x++) {
        int16_t other = (int16_t)(in[x] + add);
        out[x] = other < out[x] ? other : out[x];
    }
}

static void ball_slice(void *context, size_t index)
{
    struct ball *ball = context;
    struct lung_size size = ball->part;
    int z = (int)index;
    for (int y = 0; y < size.rows; y++) {
        ball_row(ball, part_row(ball, y, z), ball->across + lung_cell(size, 0, y, z));
    }
    for (int y = 0; y < size.rows; y++) {
        int16_t *out = ball->plane + lung_cell(size, 0, y, z);
        memcpy(out, ball->across + lung_cell(size, 0, y, z), (size_t)size.columns * sizeof *out);
        for (int step = 1; step <= ball->row_steps; step++) {
            int16_t add = ball_units(ball, step * ball->box->row_mm);
            if (y - step >= 0) {
                row_minimum(out, ball->across + lung_cell(size, 0, y - step, z), add, size.columns);
            }
            if (y + step < size.rows) {
                row_minimum(out, ball->across + lung_cell(size, 0, y + step, z), add, size.columns);
            }
        }
    }
}

/* The last axis, and the threshold: cells in reach of `value` become `value`. */
static void ball_depth(void *context, size_t index)
{
    struct ball *ball = context;
    struct lung_size size = ball->part;
    int16_t best[LUNG_COLUMNS_MAX];
    int y = (int)index;
    for (int z = 0; z < size.slices; z++) {
        memcpy(best, ball->plane + lung_cell(size, 0, y, z), (size_t)size.columns * sizeof best[0]);
        for (int step = 1; step <= ball->slice_steps; step++) {
            int16_t add = ball_units(ball, step * ball->box->slice_mm);
            if (z - step >= 0) {
                row_minimum(best, ball->plane + lung_cell(size, 0, y, z - step), add, size.columns);
            }
            if (z + step < size.slices) {
                row_minimum(best, ball->plane + lung_cell(size, 0, y, z + step), add, size.columns);
            }
        }
        uint8_t *cells = part_row(ball, y, z);
        for (int x = 0; x < size.columns; x++) {
            cells[x] = best[x] <= ball->reach ? ball->value : cells[x];
        }
    }
}

/* The part of the box around its set cells, with a rim; false when no cell is set. */
static bool find_part(const struct lung_box *box, const int rim[3], struct ball *ball)
{
    const int size[3] = { box->size.columns, box->size.rows, box->size.slices };
    int low[3] = { size[0], size[1], size[2] };
    int high[3] = { -1, -1, -1 };
    for (int z = 0; z < box->size.slices; z++) {
        for (int y = 0; y < box->size.rows; y++) {
            const uint8_t *row = box->cells + lung_cell(box->size, 0, y, z);
            const uint8_t *first = memchr(row, 1, (size_t)box->size.columns);
            if (first == NULL) {
                continue;
            }
            const uint8_t *last = memrchr(row, 1, (size_t)box->size.columns);
            const int from[3] = { (int)(first - row), y, z };
            const int to[3] = { (int)(last - row), y, z };
            for (int i = 0; i < 3; i++) {
                low[i] = from[i] < low[i] ? from[i] : low[i];
                high[i] = to[i] > high[i] ? to[i] : high[i];
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        low[i] = low[i] - rim[i] < 0 ? 0 : low[i] - rim[i];
        high[i] = high[i] + rim[i] >= size[i] ? size[i] - 1 : high[i] + rim[i];
        ball->low[i] = low[i];
    }
    ball->part = (struct lung_size){ high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1 };
    return ball->part.columns > 0 && ball->part.slices > 0;
}

/* Growing works on the set cells and as far as they reach; shrinking on them and one free cell around. */
static bool box_spread(struct lung_box *box, double radius_mm, uint8_t value, unsigned threads,
                       struct error *error)
{
    assert(radius_mm > 0);
    assert(box->size.columns <= LUNG_COLUMNS_MAX);
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    struct ball ball = {
        .box = box, .value = value, .reach = 10000, .scale = 10000 / (radius_mm * radius_mm)
    };
    ball.row_steps = (int)(radius_mm / box->row_mm);
    ball.slice_steps = (int)(radius_mm / box->slice_mm);
    const int grow[3] = { (int)(radius_mm / box->column_mm) + 1, ball.row_steps + 1, ball.slice_steps + 1 };
    const int shrink[3] = { 1, 1, 1 };
    if (!find_part(box, value == 1 ? grow : shrink, &ball)) {
        return true;
    }
    size_t count = lung_size_cells(ball.part);
    ball.across = arena_alloc(&arena, count * sizeof *ball.across);
    ball.plane = arena_alloc(&arena, count * sizeof *ball.plane);
    if (ball.across == NULL || ball.plane == NULL) {
        arena_deinit(&arena);
        return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    lung_parallel(threads, (size_t)ball.part.slices, ball_slice, &ball);
    lung_parallel(threads, (size_t)ball.part.rows, ball_depth, &ball);
    arena_deinit(&arena);
    return true;
}

bool lung_box_grow(struct lung_box *box, double radius_mm, unsigned threads, struct error *error)
{
    return box_spread(box, radius_mm, 1, threads, error);
}

bool lung_box_shrink(struct lung_box *box, double radius_mm, unsigned threads, struct error *error)
{
    return box_spread(box, radius_mm, 0, threads, error);
}

/* ---- components: runs of a row are joined with the runs they touch in the row before and the slice before ---- */

static uint32_t run_root(struct lung_run *runs, uint32_t at)
{
    while (runs[at].component != at) {
        runs[at].component = runs[runs[at].component].component; /* halve the path */
        at = runs[at].component;
    }
    return at;
}

static void runs_join(struct lung_run *runs, size_t a, size_t a_end, size_t b, size_t b_end)
{
    while (a < a_end && b < b_end) {
        if (runs[a].from < runs[b].to && runs[b].from < runs[a].to) {
            uint32_t root_a = run_root(runs, (uint32_t)a);
            uint32_t root_b = run_root(runs, (uint32_t)b);
            uint32_t low = root_a < root_b ? root_a : root_b;
            runs[root_a].component = low;
            runs[root_b].component = low;
        }
        if (runs[a].to < runs[b].to) {
            a++;
        } else {
            b++;
        }
    }
}

static size_t row_runs(const uint8_t *cells, int columns, uint8_t bits, struct lung_run *out,
                       struct lung_run base)
{
    size_t count = 0;
    int x = 0;
    while (x < columns) {
        while (x < columns && (cells[x] & bits) == 0) {
            x++;
        }
        int from = x;
        while (x < columns && (cells[x] & bits) != 0) {
            x++;
        }
        if (x > from) {
            if (out != NULL) {
                out[count] = base;
                out[count].from = from;
                out[count].to = x;
            }
            count++;
        }
    }
    return count;
}

bool lung_runs_find(struct arena *arena, struct lung_size size, const uint8_t *cells, uint8_t bits,
                    struct lung_runs *runs, struct error *error)
{
    size_t rows_total = (size_t)size.rows * (size_t)size.slices;
    size_t *starts = arena_alloc(arena, (rows_total + 1) * sizeof *starts);
    if (starts == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    size_t count = 0;
    for (size_t row = 0; row < rows_total; row++) {
        starts[row] = count;
        count +=
            row_runs(cells + row * (size_t)size.columns, size.columns, bits, NULL, (struct lung_run){ 0 });
    }
    starts[rows_total] = count;
    assert(count < UINT32_MAX);
    struct lung_run *items = arena_alloc(arena, (count + 1) * sizeof *items);
    if (items == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    for (size_t row = 0; row < rows_total; row++) {
        struct lung_run base = { .row = (int32_t)(row % (size_t)size.rows),
                                 .slice = (int32_t)(row / (size_t)size.rows) };
        (void)row_runs(cells + row * (size_t)size.columns, size.columns, bits, items + starts[row], base);
        for (size_t i = starts[row]; i < starts[row + 1]; i++) {
            items[i].component = (uint32_t)i;
        }
        if (base.row > 0) {
            runs_join(items, starts[row - 1], starts[row], starts[row], starts[row + 1]);
        }
        if (base.slice > 0) {
            size_t below = row - (size_t)size.rows;
            runs_join(items, starts[below], starts[below + 1], starts[row], starts[row + 1]);
        }
    }
    /* A root is the first run of its component, so that numbers can be given in one pass. */
    size_t components_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].component == i) {
            items[i].component = (uint32_t)components_count++;
        } else {
            items[i].component = items[items[i].component].component;
        }
    }
    *runs = (struct lung_runs){ items, count, components_count };
    return true;
}
