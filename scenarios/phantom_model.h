/* phantom_model.h — a chest of simple bodies whose tissue volumes are known exactly enough to judge a CT
 * measurement: chest wall with ribs, spine, sternum, arms and table; two lungs with heart, diaphragm domes,
 * trachea, bronchi and vessel trees; and lesions. Nothing in it is a person. The same seed gives the same
 * chest. Coordinates are DICOM's, in mm: x to the patient's left, y to the back, z to the head.
 *
 * A voxel that a border crosses gets the mix of both tissues, as in a scanner, and its share goes to the truth.
 * phantom_render_slice may be called from many threads on one const struct phantom. */
#ifndef SHANHAI_SCENARIOS_PHANTOM_MODEL_H
#define SHANHAI_SCENARIOS_PHANTOM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PHANTOM_SHAPES_MAX = 48, PHANTOM_TUBES_MAX = 400, PHANTOM_COLUMNS_MAX = 1024 };

enum phantom_tissue {
    PHANTOM_PARENCHYMA,
    PHANTOM_GROUND_GLASS,
    PHANTOM_CONSOLIDATION,
    PHANTOM_EMPHYSEMA,
    PHANTOM_VESSEL,
    PHANTOM_AIRWAY, /* lumen and wall, inside the outline of a lung */
    PHANTOM_SOLID,  /* upper end of a lung that is wholly solid (option) */
    PHANTOM_TISSUES_COUNT
};

/* Millilitres by side (0 right, 1 left). The lung of a measurement is the sum without airway and solid. */
struct phantom_truth {
    double ml[2][PHANTOM_TISSUES_COUNT];
};

struct phantom_options {
    uint64_t seed;
    size_t columns; /* = rows */
    size_t slices;
    double pixel_mm;
    double slice_mm;     /* distance of slices */
    double bottom_mm;    /* z of slice 0; the chest reaches from -150 to 150 */
    double noise_hu;     /* standard deviation */
    double tilt_degrees; /* of the gantry */
    bool contrast;       /* vessels and heart at 250 HU */
    bool no_lesions;
    bool solid_right_apex;
    bool solid_right_base;
    bool joined; /* only 1 mm of tissue between the lungs in front and behind */
};

struct phantom_shape {
    float centre[3];
    float inverse[3]; /* 1 / semi-axis; 0: endless along that axis */
    float hu;
    int tissue; /* enum phantom_tissue, or -1 for outside the lungs */
};

struct phantom_tube {
    float from[3];
    float to[3];
    float radius_from;
    float radius_to;
    int tissue; /* PHANTOM_VESSEL or PHANTOM_AIRWAY */
};

struct phantom {
    struct phantom_options options;
    struct phantom_shape lesions[PHANTOM_SHAPES_MAX];
    size_t lesions_count;
    struct phantom_tube tubes[PHANTOM_TUBES_MAX];
    size_t tubes_count;
};

/* Places bodies, lesions and trees from the seed. */
void phantom_init(struct phantom *phantom, const struct phantom_options *options);

/* Patient coordinates of the first pixel of a slice. */
void phantom_position(const struct phantom *phantom, size_t slice, double position[3]);

/* One slice: columns × columns HU with noise, clamped to -1024 … 3071; adds its share to *truth. */
void phantom_render_slice(const struct phantom *phantom, size_t slice, int16_t *hu,
                          struct phantom_truth *truth);

/* Sum of the tissues that a lung measurement counts as lung. */
double phantom_lung_ml(const struct phantom_truth *truth, int side);

#endif
