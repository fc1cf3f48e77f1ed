/* lung_grid.h — inside of lung/: the coarse grid on which shape is decided. A cell averages a block of voxels
 * (about 1.5-2 mm), which takes most of the noise away and makes balls and components cheap; the voxels
 * themselves are looked at once more at the end (lung_classify.c), so that volumes do not depend on the grid.
 * Everything here works on plain arrays of the caller's arena; helper threads are joined before a return. */
#ifndef SHANHAI_LUNG_LUNG_GRID_H
#define SHANHAI_LUNG_LUNG_GRID_H

#include "lung/lung.h"

#if defined(__GNUC__) && !defined(__clang__)
/* The inner loops are minima and sums over rows: worth the vector unit whatever the build type. */
#define LUNG_HOT __attribute__((optimize("O3")))
#else
#define LUNG_HOT
#endif

enum {
    LUNG_AIR_HU = -400,  /* half-way between lung and soft tissue: the border of the lung */
    LUNG_BONE_HU = 180,  /* mean of a cell */
    LUNG_SIDE_RIGHT = 1, /* values of lung_grid.side */
    LUNG_SIDE_LEFT = 2,
    LUNG_CELL_BODY = 1,   /* bits of lung_grid.flags */
    LUNG_CELL_AIRWAY = 2, /* lumen, widened by the wall */
    LUNG_CELL_DENSE = 4,  /* lung only by closing, filling or the pleural step: taken whole */
    LUNG_CELL_THICK = 8,  /* dense and thicker than a vessel */
    LUNG_CELL_EXCLUDED = 16
};

struct lung_size {
    int columns;
    int rows;
    int slices;
};

struct lung_grid {
    struct lung_size size;
    int voxels_across; /* voxels of a cell in a row and in a column */
    int voxels_deep;   /* slices of a cell */
    double column_mm;  /* of a cell */
    double row_mm;
    double slice_mm;
    double cell_ml;
    int16_t *hu;    /* mean of a cell */
    uint8_t *flags; /* LUNG_CELL_… */
    uint8_t *side;  /* LUNG_SIDE_… or 0 */
    bool left_high; /* patient's left at growing columns */
    double midline; /* column between the sides */
    unsigned threads;
    struct arena *arena; /* for working memory; freed by lung_measure_volume */
};

static inline size_t lung_size_cells(struct lung_size size)
{
    return (size_t)size.columns * (size_t)size.rows * (size_t)size.slices;
}
static inline size_t lung_cell(struct lung_size size, int column, int row, int slice)
{
    return ((size_t)slice * (size_t)size.rows + (size_t)row) * (size_t)size.columns + (size_t)column;
}
/* Side on which a column lies. */
static inline int lung_side_of_column(const struct lung_grid *grid, double column)
{
    return (column > grid->midline) == grid->left_high ? LUNG_SIDE_LEFT : LUNG_SIDE_RIGHT;
}

/* Runs `run(context, index)` for each index below count on up to `threads` threads; the order is free. */
void lung_parallel(unsigned threads, size_t count, void (*run)(void *context, size_t index), void *context);

/* Averages the volume into the grid (hu) and clears flags and sides. */
bool lung_grid_build(struct lung_grid *grid, const struct lung_volume *volume,
                     struct error *error) MUST_CHECK;

/* Marks LUNG_CELL_BODY: in each slice the largest part that outside air cannot reach from the border. */
bool lung_grid_find_body(struct lung_grid *grid, struct error *error) MUST_CHECK;

/* Sets midline: mean column of bone, else of the body. */
void lung_grid_find_midline(struct lung_grid *grid);

/* Trachea and main bronchi: marks LUNG_CELL_AIRWAY. False only for memory; *found tells the outcome. */
bool lung_airway_find(struct lung_grid *grid, bool *found, struct error *error) MUST_CHECK;

/* Air in the body becomes lung (side), right and left told apart; *joined when they had to be cut. */
bool lung_sides_find(struct lung_grid *grid, bool *joined, struct error *error) MUST_CHECK;

/* Closes each side by a ball and fills what lies wholly inside (marks LUNG_CELL_DENSE). */
bool lung_sides_close(struct lung_grid *grid, struct error *error) MUST_CHECK;

/* Pleural dense regions: fills what the shape of the chest wall proves (LUNG_CELL_DENSE), marks what it only
 * suggests (LUNG_CELL_EXCLUDED). */
bool lung_pleura_fill(struct lung_grid *grid, struct error *error) MUST_CHECK;
bool lung_pleura_mark_excluded(struct lung_grid *grid, struct error *error) MUST_CHECK;

/* Marks LUNG_CELL_THICK: dense cells of the lung that survive an opening. */
bool lung_vessels_open(struct lung_grid *grid, struct error *error) MUST_CHECK;

/* Looks at every voxel: labels, amounts, scores, key slice. */
bool lung_classify(const struct lung_grid *grid, const struct lung_volume *volume, uint8_t *labels,
                   struct lung_result *result, struct error *error) MUST_CHECK;

/* ---- lung_shape.c: balls and components on a plain box of bytes (0 or 1) ---- */

struct lung_box {
    struct lung_size size;
    double column_mm;
    double row_mm;
    double slice_mm;
    uint8_t *cells;
};

/* cells within radius_mm of a set cell become set (grow) or cells within it of a free cell become free (shrink;
 * beyond the box counts as set). */
bool lung_box_grow(struct lung_box *box, double radius_mm, unsigned threads, struct error *error) MUST_CHECK;
bool lung_box_shrink(struct lung_box *box, double radius_mm, unsigned threads,
                     struct error *error) MUST_CHECK;

/* One run of set cells in a row; runs of one component have one `component` (0 … components_count - 1). */
struct lung_run {
    int32_t from; /* column, inclusive */
    int32_t to;   /* exclusive */
    int32_t row;
    int32_t slice;
    uint32_t component;
};

struct lung_runs {
    struct lung_run *items;
    size_t count;
    size_t components_count;
};

/* Components of the cells for which (cells & bits) is not 0, joined by faces. */
bool lung_runs_find(struct arena *arena, struct lung_size size, const uint8_t *cells, uint8_t bits,
                    struct lung_runs *runs, struct error *error) MUST_CHECK;

#endif
