#include "phantom_model.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The chest, in mm. */
static const float BODY_X = 152, BODY_Y = 108, MUSCLE_X = 140, MUSCLE_Y = 99;
static const float CHEST_X = 122, CHEST_Y = 84;
static const float APEX_FROM_Z = 20, APEX_Z = 128; /* the chest narrows between these */
static const float FLOOR_Z = -118;
static const float SOLID_BASE_Z = -60;
static const float MEDIASTINUM_X = 32, MEDIASTINUM_Y = 76;
static const float HU_FAT = -95, HU_MUSCLE = 52, HU_BLOOD = 45, HU_CONTRAST = 250, HU_LUNG = -855;
static const float RIB_PITCH = 24, RIB_HALF = 5, RIB_SLOPE = -0.35F;

struct row {
    const struct phantom *phantom;
    int columns;
    float y;
    float z;
    float x0; /* of column 0 */
    float pixel;
    float lung[2][PHANTOM_COLUMNS_MAX]; /* share of the voxel that lies in the outline of each lung */
    float part[PHANTOM_TISSUES_COUNT][PHANTOM_COLUMNS_MAX]; /* … of the lungs' tissues, both sides */
    float hu[PHANTOM_COLUMNS_MAX];
};

/* ---- random numbers: one multiply-shift hash of a counter, so that slices need no common state ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93U;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93U;
    x ^= x >> 32;
    return x;
}

static double uniform(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U;
    return (double)(mix(*state) >> 11) / 9007199254740992.0;
}

static float spread(uint64_t *state, double around)
{
    return (float)((2 * uniform(state) - 1) * around);
}

/* Sum of four 16-bit parts of one hash: near enough to normal out to 3 standard deviations. */
static float noise_of(uint64_t counter)
{
    uint64_t x = mix(counter);
    float sum =
        (float)(x & 0xffff) + (float)(x >> 16 & 0xffff) + (float)(x >> 32 & 0xffff) + (float)(x >> 48);
    return (sum - 131070.0F) / 37837.0F; /* 65536 * sqrt(4 / 12) */
}

/* ---- placing ---- */

static void add_lesion(struct phantom *phantom, uint64_t *state, const float place[6],
                       enum phantom_tissue tissue)
{
    static const float hu[PHANTOM_TISSUES_COUNT] = { [PHANTOM_GROUND_GLASS] = -600,
                                                     [PHANTOM_CONSOLIDATION] = 35,
                                                     [PHANTOM_EMPHYSEMA] = -992,
                                                     [PHANTOM_SOLID] = 40 };
    assert(phantom->lesions_count < PHANTOM_SHAPES_MAX);
    struct phantom_shape *shape = &phantom->lesions[phantom->lesions_count++];
    float scale = 1 + spread(state, 0.15);
    for (int i = 0; i < 3; i++) {
        shape->centre[i] = place[i] + spread(state, 5);
        shape->inverse[i] = 1 / (place[3 + i] * scale);
    }
    shape->hu = hu[tissue];
    shape->tissue = (int)tissue;
}

static void place_lesions(struct phantom *phantom, uint64_t *state)
{
    static const struct {
        float place[6]; /* centre, semi-axes */
        enum phantom_tissue tissue;
    } places[] = {
        { { -82, 38, 18, 22, 20, 24 }, PHANTOM_GROUND_GLASS },
        { { 84, -18, 10, 19, 20, 22 }, PHANTOM_GROUND_GLASS },
        { { 78, 30, 62, 18, 18, 18 }, PHANTOM_GROUND_GLASS },
        { { -80, -22, 2, 17, 17, 18 }, PHANTOM_CONSOLIDATION },  /* inside */
        { { 104, 42, -2, 22, 24, 24 }, PHANTOM_CONSOLIDATION },  /* at the side wall, cut by it */
        { { -70, 70, -45, 24, 20, 24 }, PHANTOM_CONSOLIDATION }, /* at the back wall */
        { { -66, -18, 72, 16, 17, 17 }, PHANTOM_EMPHYSEMA },
        { { 66, -24, 74, 16, 16, 18 }, PHANTOM_EMPHYSEMA },
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        add_lesion(phantom, state, places[i].place, places[i].tissue);
    }
}

static void add_tube(struct phantom *phantom, const float from[3], const float to[3], const float radius[2],
                     enum phantom_tissue tissue)
{
    if (phantom->tubes_count == PHANTOM_TUBES_MAX) {
        return;
    }
    struct phantom_tube *tube = &phantom->tubes[phantom->tubes_count++];
    memcpy(tube->from, from, sizeof tube->from);
    memcpy(tube->to, to, sizeof tube->to);
    tube->radius_from = radius[0];
    tube->radius_to = radius[1];
    tube->tissue = (int)tissue;
}

/* A tree of vessels that fork in two, breadth first: generation g of `count` tips each time. */
static void grow_vessels(struct phantom *phantom, uint64_t *state, float side)
{
    enum { TIPS_MAX = 64 };
    float tips[TIPS_MAX][3] = { { 26 * side, 12, 4 } };
    float ways[TIPS_MAX][3] = { { side, 0, 0 } };
    size_t count = 1;
    float radius = 5.5F;
    float length = 26;
    for (int generation = 0; generation < 7; generation++) {
        float next_tips[TIPS_MAX][3];
        float next_ways[TIPS_MAX][3];
        size_t next_count = 0;
        for (size_t i = 0; i < count; i++) {
            for (int fork = 0; fork < 2 && next_count < TIPS_MAX; fork++) {
                float way[3];
                float to[3];
                float norm = 0;
                for (int k = 0; k < 3; k++) {
                    way[k] = ways[i][k] + spread(state, 0.9) + (k == 2 ? (fork == 0 ? 0.5F : -0.5F) : 0);
                    norm += way[k] * way[k];
                }
                for (int k = 0; k < 3; k++) {
                    way[k] /= sqrtf(norm);
                    to[k] = tips[i][k] + way[k] * length;
                    next_tips[next_count][k] = to[k];
                    next_ways[next_count][k] = way[k];
                }
                add_tube(phantom, tips[i], to, (float[2]){ radius, radius * 0.75F }, PHANTOM_VESSEL);
                next_count++;
            }
        }
        memcpy(tips, next_tips, sizeof tips);
        memcpy(ways, next_ways, sizeof ways);
        count = next_count;
        radius *= 0.72F;
        length *= 0.86F;
    }
}

static void place_airway(struct phantom *phantom)
{
    static const float top[3] = { 0, 8, 400 };
    static const float carina[3] = { 0, 14, 38 };
    add_tube(phantom, top, carina, (float[2]){ 8.5F, 8.5F }, PHANTOM_AIRWAY);
    for (int i = 0; i < 2; i++) {
        float side = i == 0 ? -1 : 1;
        const float hilum[3] = { 34 * side, 18, 8 };
        const float lower[3] = { 50 * side, 32, -22 };
        const float upper[3] = { 52 * side, 8, 34 };
        add_tube(phantom, carina, hilum, (float[2]){ 6.5F, 5.5F }, PHANTOM_AIRWAY);
        add_tube(phantom, hilum, lower, (float[2]){ 4.5F, 3.5F }, PHANTOM_AIRWAY);
        add_tube(phantom, hilum, upper, (float[2]){ 4.0F, 3.0F }, PHANTOM_AIRWAY);
    }
}

void phantom_init(struct phantom *phantom, const struct phantom_options *options)
{
    assert(options->columns >= 32 && options->columns <= PHANTOM_COLUMNS_MAX);
    assert(options->pixel_mm > 0);
    assert(options->slice_mm > 0);
    *phantom = (struct phantom){ .options = *options };
    uint64_t state = mix(options->seed + 1);
    grow_vessels(phantom, &state, -1);
    grow_vessels(phantom, &state, 1);
    place_airway(phantom);
    if (!options->no_lesions) {
        place_lesions(phantom, &state);
    }
    if (options->solid_right_apex) {
        add_lesion(phantom, &state, (const float[6]){ -70, 0, 115, 80, 110, 55 }, PHANTOM_SOLID);
    }
}

/* ---- one row of voxels ---- */

/* Share of a voxel inside an ellipsoid: its first-order distance from the border, over the voxel's size. */
static inline float inside(const float centre[3], const float inverse[3], float x, float y, float z,
                           float pixel)
{
    float dx = (x - centre[0]) * inverse[0];
    float dy = (y - centre[1]) * inverse[1];
    float dz = (z - centre[2]) * inverse[2];
    float value = dx * dx + dy * dy + dz * dz;
    float gx = dx * inverse[0];
    float gy = dy * inverse[1];
    float gz = dz * inverse[2];
    float slope = 2 * sqrtf(gx * gx + gy * gy + gz * gz) + 1e-6F;
    float share = 0.5F + (1 - value) / (slope * pixel);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static float chest_scale(float z)
{
    float u = (z - APEX_FROM_Z) / (APEX_Z - APEX_FROM_Z);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return sqrtf(1 - u * u * u * u) + 1e-3F;
}

static void paint_wall(struct row *row)
{
    static const float centre[3] = { 0, 0, 0 };
    const float body[3] = { 1 / BODY_X, 1 / BODY_Y, 0 };
    const float muscle[3] = { 1 / MUSCLE_X, 1 / MUSCLE_Y, 0 };
    const float spine[3] = { 1 / 17.0F, 1 / 15.0F, 0 };
    const float sternum[3] = { 1 / 18.0F, 1 / 5.0F, 0 };
    float scale = chest_scale(row->z) + 0.02F;
    float rib_z = row->z - RIB_SLOPE * row->y;
    float rib = RIB_HALF + 0.5F - fabsf(rib_z - RIB_PITCH * roundf(rib_z / RIB_PITCH));
    rib = rib < 0 ? 0 : rib > 1 ? 1 : rib;
    const float rib_outer[3] = { 1 / (CHEST_X * scale + 9), 1 / (CHEST_Y * scale + 9), 0 };
    const float rib_inner[3] = { 1 / (CHEST_X * scale + 2.5F), 1 / (CHEST_Y * scale + 2.5F), 0 };
    for (int i = 0; i < row->columns; i++) {
        float x = row->x0 + row->pixel * (float)i;
        float hu = -1000;
        hu += (HU_FAT + 1000) * inside(centre, body, x, row->y, row->z, row->pixel);
        hu += (HU_MUSCLE - HU_FAT) * inside(centre, muscle, x, row->y, row->z, row->pixel);
        float bone = rib * (inside(centre, rib_outer, x, row->y, row->z, row->pixel) -
                            inside(centre, rib_inner, x, row->y, row->z, row->pixel));
        float more = inside((const float[3]){ 0, 66, 0 }, spine, x, row->y, row->z, row->pixel) +
                     inside((const float[3]){ 0, -92, 0 }, sternum, x, row->y, row->z, row->pixel);
        bone = bone > more ? bone : more;
        row->hu[i] = hu + (420 - hu) * (bone > 1 ? 1 : bone < 0 ? 0 : bone);
    }
}

static void paint_arms_and_table(struct row *row)
{
    const float arm[3] = { 1 / 17.0F, 1 / 26.0F, 0 };
    const float bone[3] = { 1 / 6.0F, 1 / 7.0F, 0 };
    const float table[3] = { 1 / 260.0F, 1 / 40.0F, 0 };
    const float hollow[3] = { 1 / 257.0F, 1 / 37.0F, 0 };
    for (int i = 0; i < row->columns; i++) {
        float x = row->x0 + row->pixel * (float)i;
        float side = x < 0 ? -1 : 1;
        const float centre[3] = { 171 * side, 20, 0 };
        row->hu[i] += (HU_MUSCLE + 1000) * inside(centre, arm, x, row->y, row->z, row->pixel);
        row->hu[i] += 500 * inside(centre, bone, x, row->y, row->z, row->pixel);
        float shell = inside((const float[3]){ 0, 152, 0 }, table, x, row->y, row->z, row->pixel) -
                      inside((const float[3]){ 0, 152, 0 }, hollow, x, row->y, row->z, row->pixel);
        row->hu[i] += (row->y > 112 ? 650 : 0) * (shell > 0 ? shell : 0);
    }
}

/* Outline of both lungs: the chest without mediastinum, heart and the domes of the diaphragm. */
static void find_lungs(struct row *row)
{
    static const float zero[3] = { 0, 0, 0 };
    float scale = chest_scale(row->z);
    const float chest[3] = { 1 / (CHEST_X * scale), 1 / (CHEST_Y * scale), 0 };
    const float mediastinum[3] = { 1 / MEDIASTINUM_X, 1 / MEDIASTINUM_Y, 0 };
    const float heart[3] = { 1 / 54.0F, 1 / 44.0F, 1 / 52.0F };
    const float dome[2][3] = { { 1 / 66.0F, 1 / 92.0F, 1 / 62.0F }, { 1 / 66.0F, 1 / 90.0F, 1 / 52.0F } };
    float half_gap = row->phantom->options.joined ? 0.5F : 3;
    float z_share = (APEX_Z - row->z) / row->pixel + 0.5F;
    float floor_share = (row->z - FLOOR_Z) / row->pixel + 0.5F;
    float limit = z_share < floor_share ? z_share : floor_share;
    limit = limit < 0 ? 0 : limit > 1 ? 1 : limit;
    for (int i = 0; i < row->columns; i++) {
        float x = row->x0 + row->pixel * (float)i;
        int side = x < 0 ? 0 : 1;
        float share = inside(zero, chest, x, row->y, row->z, row->pixel);
        share = share < limit ? share : limit;
        float out = inside(zero, mediastinum, x, row->y, row->z, row->pixel);
        float other = inside((const float[3]){ 22, -30, -72 }, heart, x, row->y, row->z, row->pixel);
        out = out > other ? out : other;
        const float centre[3] = { side == 0 ? -62.0F : 62.0F, 0, FLOOR_Z };
        other = inside(centre, dome[side], x, row->y, row->z, row->pixel);
        out = out > other ? out : other;
        float gap = (fabsf(x) - half_gap) / row->pixel + 0.5F;
        gap = gap < 0 ? 0 : gap > 1 ? 1 : gap;
        share = share < 1 - out ? share : 1 - out;
        share = share < gap ? share : gap;
        row->lung[side][i] = share;
        row->lung[1 - side][i] = 0;
        row->part[PHANTOM_PARENCHYMA][i] = share;
    }
}

static void paint_lungs(struct row *row)
{
    float lung_hu = HU_LUNG + 0.12F * row->y; /* the back of a lying patient's lung is a little denser */
    for (int i = 0; i < row->columns; i++) {
        float share = row->part[PHANTOM_PARENCHYMA][i];
        row->hu[i] += share * (lung_hu - row->hu[i]);
    }
}

/* Puts `share` of a voxel's lung under a tissue; outside the lung the HU is left alone unless `anywhere`. */
static void cover(struct row *row, int i, float share, int tissue, float hu)
{
    float lung = row->lung[0][i] + row->lung[1][i];
    float in_lung = 0;
    for (int k = 0; k < PHANTOM_TISSUES_COUNT; k++) {
        row->part[k][i] *= 1 - share;
        in_lung += row->part[k][i];
    }
    row->part[tissue][i] += lung - in_lung;
    row->hu[i] += share * lung * (hu - row->hu[i]);
}

static void paint_lesions(struct row *row)
{
    const struct phantom *phantom = row->phantom;
    for (size_t k = 0; k < phantom->lesions_count; k++) {
        const struct phantom_shape *shape = &phantom->lesions[k];
        if (fabsf((row->z - shape->centre[2]) * shape->inverse[2]) > 1.2F ||
            fabsf((row->y - shape->centre[1]) * shape->inverse[1]) > 1.2F) {
            continue;
        }
        for (int i = 0; i < row->columns; i++) {
            float x = row->x0 + row->pixel * (float)i;
            float share = inside(shape->centre, shape->inverse, x, row->y, row->z, row->pixel);
            if (share > 0 && row->lung[0][i] + row->lung[1][i] > 0) {
                cover(row, i, share, shape->tissue, shape->hu);
            }
        }
    }
}

/* Distance from the axis of a tube, and the radius there. */
static float tube_depth(const struct phantom_tube *tube, float x, float y, float z)
{
    float way[3];
    float to[3] = { x - tube->from[0], y - tube->from[1], z - tube->from[2] };
    float length2 = 0;
    float along = 0;
    for (int k = 0; k < 3; k++) {
        way[k] = tube->to[k] - tube->from[k];
        length2 += way[k] * way[k];
        along += way[k] * to[k];
    }
    float t = along / length2;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    float distance2 = 0;
    for (int k = 0; k < 3; k++) {
        float d = to[k] - t * way[k];
        distance2 += d * d;
    }
    return tube->radius_from + t * (tube->radius_to - tube->radius_from) - sqrtf(distance2);
}

static void paint_tube(struct row *row, const struct phantom_tube *tube)
{
    float wall = tube->tissue == PHANTOM_AIRWAY ? 1.2F : 0;
    float reach = tube->radius_from + wall + row->pixel;
    float low = (tube->from[0] < tube->to[0] ? tube->from[0] : tube->to[0]) - reach;
    float high = (tube->from[0] > tube->to[0] ? tube->from[0] : tube->to[0]) + reach;
    int from = (int)floorf((low - row->x0) / row->pixel);
    int to = (int)ceilf((high - row->x0) / row->pixel);
    float blood = row->phantom->options.contrast ? HU_CONTRAST : HU_BLOOD;
    for (int i = from < 0 ? 0 : from; i <= to && i < row->columns; i++) {
        float depth = tube_depth(tube, row->x0 + row->pixel * (float)i, row->y, row->z);
        float share = (depth + wall) / row->pixel + 0.5F;
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        if (share <= 0) {
            continue;
        }
        if (tube->tissue == PHANTOM_VESSEL) {
            cover(row, i, share, tube->tissue, blood);
            continue;
        }
        float lumen = depth / row->pixel + 0.5F;
        lumen = lumen < 0 ? 0 : lumen > 1 ? 1 : lumen;
        cover(row, i, share, tube->tissue, 0);
        row->hu[i] += lumen * (-1000 - row->hu[i]);
    }
}

static bool tube_meets_row(const struct phantom_tube *tube, float y, float z, float pixel)
{
    float reach = tube->radius_from + 1.2F + pixel;
    bool in_z =
        z > fminf(tube->from[2], tube->to[2]) - reach && z < fmaxf(tube->from[2], tube->to[2]) + reach;
    bool in_y =
        y > fminf(tube->from[1], tube->to[1]) - reach && y < fmaxf(tube->from[1], tube->to[1]) + reach;
    return in_z && in_y;
}

/* Everything of the right lung below a level turns solid. */
static void paint_solid_base(struct row *row)
{
    float share = (SOLID_BASE_Z - row->z) / row->pixel + 0.5F;
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    for (int i = 0; share > 0 && i < row->columns; i++) {
        if (row->lung[0][i] > 0) {
            cover(row, i, share, PHANTOM_SOLID, 40);
        }
    }
}

static void render_row(struct row *row)
{
    memset(row->part, 0, sizeof row->part);
    paint_wall(row);
    paint_arms_and_table(row);
    find_lungs(row);
    paint_lungs(row);
    paint_lesions(row);
    if (row->phantom->options.solid_right_base) {
        paint_solid_base(row);
    }
    for (size_t k = 0; k < row->phantom->tubes_count; k++) {
        if (tube_meets_row(&row->phantom->tubes[k], row->y, row->z, row->pixel)) {
            paint_tube(row, &row->phantom->tubes[k]);
        }
    }
}

void phantom_position(const struct phantom *phantom, size_t slice, double position[3])
{
    const struct phantom_options *options = &phantom->options;
    double half = options->pixel_mm * ((double)options->columns - 1) / 2;
    position[0] = -half;
    position[1] = -half;
    position[2] = options->bottom_mm + options->slice_mm * (double)slice;
}

void phantom_render_slice(const struct phantom *phantom, size_t slice, int16_t *hu,
                          struct phantom_truth *truth)
{
    const struct phantom_options *options = &phantom->options;
    double position[3];
    phantom_position(phantom, slice, position);
    double voxel_ml = options->pixel_mm * options->pixel_mm * options->slice_mm / 1000;
    double angle = options->tilt_degrees * 3.14159265358979 / 180;
    struct row row = { .phantom = phantom,
                       .columns = (int)options->columns,
                       .x0 = (float)position[0],
                       .pixel = (float)options->pixel_mm };
    for (size_t y = 0; y < options->columns; y++) {
        double down = options->pixel_mm * (double)y;
        row.y = (float)(position[1] + down * cos(angle));
        row.z = (float)(position[2] - down * sin(angle));
        render_row(&row);
        int16_t *out = hu + y * options->columns;
        uint64_t counter =
            (options->seed << 40) + ((uint64_t)slice * options->columns + y) * options->columns;
        for (size_t x = 0; x < options->columns; x++) {
            float value = row.hu[x] + (float)options->noise_hu * noise_of(counter + x);
            out[x] = (int16_t)(value < -1024 ? -1024 : value > 3071 ? 3071 : lrintf(value));
            int side = x < options->columns / 2 ? 0 : 1;
            for (int k = 0; k < PHANTOM_TISSUES_COUNT; k++) {
                truth->ml[side][k] += (double)row.part[k][x] * voxel_ml;
            }
        }
    }
}

double phantom_lung_ml(const struct phantom_truth *truth, int side)
{
    double ml = 0;
    for (int k = 0; k <= PHANTOM_VESSEL; k++) {
        ml += truth->ml[side][k];
    }
    return ml;
}
