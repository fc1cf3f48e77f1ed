/* shanhai-phantom — writes an invented chest CT as a folder of DICOM files and prints its true volumes as
 * JSON. The options that make faults are what the measurement must notice. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/parse.h"
#include "phantom_file.h"

enum { THREADS = 2, PATH_BYTES = 4096 };

struct settings {
    struct phantom_options phantom;
    struct phantom_series series;
    const char *folder;
    double top_mm;
    uint64_t gap;       /* slices left out in the middle */
    bool mixed;         /* a second reconstruction under the same series UID */
    bool second_series; /* … under its own, with a sharp kernel */
};

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_COUNT, OPTION_FLAG };

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
    const char *help;
};

#define AT(member) offsetof(struct settings, member)
static const struct option options[] = {
    { "--out", OPTION_TEXT, AT(folder), "folder to write to (made when missing)" },
    { "--seed", OPTION_COUNT, AT(phantom.seed), "same seed, same chest (1)" },
    { "--slices", OPTION_COUNT, AT(phantom.slices), "number of slices (300)" },
    { "--size", OPTION_COUNT, AT(phantom.columns), "columns and rows (512)" },
    { "--spacing", OPTION_NUMBER, AT(phantom.pixel_mm), "pixel spacing in mm (380 / size)" },
    { "--bottom", OPTION_NUMBER, AT(phantom.bottom_mm),
      "z of the lowest slice (-150); higher cuts the lung's base" },
    { "--top", OPTION_NUMBER, AT(top_mm), "z above the highest slice (150); lower cuts the apex" },
    { "--thickness", OPTION_NUMBER, AT(series.thickness_mm), "slice thickness in mm (distance of slices)" },
    { "--noise", OPTION_NUMBER, AT(phantom.noise_hu), "standard deviation in HU (20)" },
    { "--tilt", OPTION_NUMBER, AT(phantom.tilt_degrees), "gantry tilt in degrees (0)" },
    { "--kernel", OPTION_TEXT, AT(series.kernel), "convolution kernel (B31f; B70f is sharp)" },
    { "--contrast", OPTION_FLAG, AT(phantom.contrast), "contrast agent: bright vessels and the tag" },
    { "--no-lesions", OPTION_FLAG, AT(phantom.no_lesions), "healthy lungs" },
    { "--solid-apex", OPTION_FLAG, AT(phantom.solid_right_apex), "upper end of the right lung is solid" },
    { "--solid-base", OPTION_FLAG, AT(phantom.solid_right_base), "lower end of the right lung is solid" },
    { "--joined", OPTION_FLAG, AT(phantom.joined), "1 mm of tissue between the lungs" },
    { "--gap", OPTION_COUNT, AT(gap), "leave out so many slices in the middle" },
    { "--mixed", OPTION_FLAG, AT(mixed), "two reconstructions under one series UID" },
    { "--second-series", OPTION_FLAG, AT(second_series), "a further series with a sharp kernel" },
    { "--signed", OPTION_FLAG, AT(series.is_signed), "signed pixels (default unsigned 12 bit)" },
    { "--intercept", OPTION_NUMBER, AT(series.intercept), "rescale intercept (-1024)" },
    { "--padding", OPTION_FLAG, AT(series.padding), "padding value around the circle; implies --signed" },
    { "--prone", OPTION_FLAG, AT(series.prone), "orientation turned: columns run to the patient's right" },
    { "--patient-name", OPTION_TEXT, AT(series.patient_name), "invented name, UTF-8" },
    { "--patient-id", OPTION_TEXT, AT(series.patient_id), "" },
    { "--sex", OPTION_TEXT, AT(series.patient_sex), "M, F or O" },
    { "--birth", OPTION_TEXT, AT(series.patient_birth), "YYYYMMDD" },
    { "--date", OPTION_TEXT, AT(series.study_date), "study date, YYYYMMDD" },
    { "--accession", OPTION_TEXT, AT(series.accession), "accession number" },
};

static void usage(void)
{
    (void)puts("shanhai-phantom --out FOLDER [options]\n");
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        (void)printf("  %-16s %s\n", options[i].name, options[i].help);
    }
}

static bool set_option(struct settings *settings, const struct option *option, const char *text)
{
    char *member = (char *)settings + option->offset;
    switch (option->kind) {
    case OPTION_TEXT:
        memcpy(member, &text, sizeof text);
        return strlen(text) <= 64 || option->offset == AT(folder);
    case OPTION_NUMBER:
        return parse_double(str_from_cstr(text), (double *)(void *)member);
    case OPTION_COUNT:
        return parse_uint64(str_from_cstr(text), INT32_MAX, (uint64_t *)(void *)member);
    case OPTION_FLAG:
        break;
    }
    return false;
}

static bool read_options(int argc, char **argv, struct settings *settings)
{
    for (int i = 1; i < argc; i++) {
        const struct option *found = NULL;
        for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
            found = strcmp(argv[i], options[k].name) == 0 ? &options[k] : found;
        }
        if (found != NULL && found->kind == OPTION_FLAG) {
            *(bool *)((char *)settings + found->offset) = true;
        } else if (found == NULL || i + 1 >= argc || !set_option(settings, found, argv[++i])) {
            (void)fprintf(stderr, "shanhai-phantom: cannot use '%s'\n", argv[i]);
            return false;
        }
    }
    return true;
}

static bool settle(struct settings *settings)
{
    struct phantom_options *phantom = &settings->phantom;
    if (settings->folder == NULL || phantom->columns < 32 || phantom->columns > PHANTOM_COLUMNS_MAX ||
        phantom->slices < 1 || phantom->slices > 2000 || settings->top_mm <= phantom->bottom_mm) {
        return false;
    }
    phantom->slice_mm = (settings->top_mm - phantom->bottom_mm) / (double)phantom->slices;
    phantom->pixel_mm = phantom->pixel_mm > 0 ? phantom->pixel_mm : 380.0 / (double)phantom->columns;
    struct phantom_series *series = &settings->series;
    series->thickness_mm = series->thickness_mm > 0 ? series->thickness_mm : phantom->slice_mm;
    series->is_signed = series->is_signed || series->padding;
    series->contrast = phantom->contrast;
    return true;
}

/* ---- writing: threads take slices in turn ---- */

struct work {
    const struct settings *settings;
    struct phantom phantom;
    struct phantom_truth *truths; /* [slice] */
    atomic_size_t next;
    atomic_bool failed;
};

static bool write_file(const char *path, struct str bytes)
{
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL && fwrite(bytes.at, 1, bytes.len, file) == bytes.len;
    ok = (file == NULL || fclose(file) == 0) && ok;
    if (!ok) {
        (void)fprintf(stderr, "shanhai-phantom: cannot write '%s': %s\n", path, strerror(errno));
    }
    return ok;
}

static bool write_variant(const struct work *work, size_t slice, unsigned key, const int16_t *hu,
                          int16_t *stored, struct buf *buf)
{
    const struct settings *settings = work->settings;
    struct phantom_series series = settings->series;
    if (key > 0) {
        series.kernel = "B70f";
        series.thickness_mm *= 2;
        series.description = "Chest sharp";
        series.number += settings->mixed ? 0 : key;
    }
    char path[PATH_BYTES];
    size_t side = settings->phantom.columns;
    unsigned instance = (unsigned)(settings->phantom.slices - slice); /* scanners count from the head */
    memcpy(stored, hu, side * side * sizeof *hu);
    phantom_file_write(&work->phantom, &series, slice, key, instance, stored, buf);
    int len = snprintf(path, sizeof path, "%s/%c%05u.dcm", settings->folder, key == 0 ? 'I' : 'J', instance);
    return len > 0 && (size_t)len < sizeof path && !buf->failed && write_file(path, buf_str(buf));
}

static void *work_main(void *data)
{
    struct work *work = data;
    const struct settings *settings = work->settings;
    size_t side = settings->phantom.columns;
    size_t slices = settings->phantom.slices;
    size_t gap_from = (slices - (settings->gap < slices ? settings->gap : slices)) / 2;
    int16_t *hu = calloc(2 * side * side, sizeof *hu);
    struct buf buf = { .bytes_max = 1 << 24 };
    while (hu != NULL && !atomic_load(&work->failed)) {
        size_t slice = atomic_fetch_add(&work->next, 1);
        if (slice >= slices) {
            break;
        }
        phantom_render_slice(&work->phantom, slice, hu, &work->truths[slice]);
        bool left_out = slice >= gap_from && slice < gap_from + settings->gap;
        bool ok = left_out || write_variant(work, slice, 0, hu, hu + side * side, &buf);
        if (ok && !left_out && (settings->second_series || (settings->mixed && slice % 3 == 0))) {
            ok = write_variant(work, slice, 1, hu, hu + side * side, &buf);
        }
        if (!ok) {
            atomic_store(&work->failed, true);
        }
    }
    if (hu == NULL) {
        atomic_store(&work->failed, true);
    }
    buf_deinit(&buf);
    free(hu);
    return NULL;
}

static void print_truth(const struct work *work)
{
    static const char *const names[PHANTOM_TISSUES_COUNT] = { "parenchyma_ml",    "ground_glass_ml",
                                                              "consolidation_ml", "emphysema_ml",
                                                              "vessel_ml",        "airway_ml",
                                                              "solid_ml" };
    struct phantom_truth sum = { 0 };
    for (size_t z = 0; z < work->settings->phantom.slices; z++) {
        for (int side = 0; side < 2; side++) {
            for (int k = 0; k < PHANTOM_TISSUES_COUNT; k++) {
                sum.ml[side][k] += work->truths[z].ml[side][k];
            }
        }
    }
    char study[65];
    phantom_uid(study, work->settings->phantom.seed, 1, 0);
    (void)printf("{\n  \"study_instance_uid\": \"%s\",\n", study);
    for (int side = 0; side < 2; side++) {
        (void)printf("  \"%s\": {\n    \"lung_ml\": %.1f", side == 0 ? "right" : "left",
                     phantom_lung_ml(&sum, side));
        for (int k = 0; k < PHANTOM_TISSUES_COUNT; k++) {
            (void)printf(",\n    \"%s\": %.1f", names[k], sum.ml[side][k]);
        }
        (void)printf("\n  }%s\n", side == 0 ? "," : "");
    }
    (void)puts("}");
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .phantom = { .seed = 1, .columns = 512, .slices = 300, .bottom_mm = -150, .noise_hu = 20 },
        .series = { .patient_name = "PHANTOM^CHEST",
                    .patient_id = "PHANTOM-1",
                    .patient_sex = "F",
                    .patient_birth = "19600101",
                    .study_date = "20261122",
                    .accession = "",
                    .kernel = "B31f",
                    .description = "Chest soft",
                    .number = 2,
                    .intercept = -1024 },
        .top_mm = 150,
    };
    struct error error = { 0 };
    if (!read_options(argc, argv, &settings) || !settle(&settings)) {
        usage();
        return 2;
    }
    if (!folder_create(settings.folder, &error)) {
        (void)fprintf(stderr, "shanhai-phantom: %s\n", error.text);
        return 1;
    }
    struct work work = { .settings = &settings };
    work.truths = calloc(settings.phantom.slices, sizeof *work.truths);
    if (work.truths == NULL) {
        return 1;
    }
    phantom_init(&work.phantom, &settings.phantom);
    pthread_t helpers[THREADS - 1];
    int started = 0;
    while (started < THREADS - 1 && pthread_create(&helpers[started], NULL, work_main, &work) == 0) {
        started++;
    }
    (void)work_main(&work);
    for (int i = 0; i < started; i++) {
        (void)pthread_join(helpers[i], NULL);
    }
    bool failed = atomic_load(&work.failed);
    if (!failed) {
        print_truth(&work);
    }
    free(work.truths);
    return failed ? 1 : 0;
}
