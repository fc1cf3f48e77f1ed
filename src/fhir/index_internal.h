/* index_internal.h — inside of src/fhir: rows under construction, and what each kind of parameter makes of a value. */
#ifndef SHANHAI_FHIR_INDEX_INTERNAL_H
#define SHANHAI_FHIR_INDEX_INTERNAL_H

#include "fhir/index.h"
#include "fhirpath/fhirpath.h"
#include "model/model.h"

struct pinyin;
struct unit_cache;

enum { INDEX_TEXTS_KEPT = 24 };

/* Rows of one resource, under construction. After a failure (limit, memory) additions do nothing. */
struct row_builder {
    struct arena *arena;
    const struct fhir_index_options *options;
    struct pinyin *pinyin;
    struct unit_cache *units; /* NULL: without */
    struct fhir_index *index;
    const struct json *container; /* whose contained resources references within it lead to */
    unsigned inside;              /* contained resources around the one at hand */
    struct index_row *rows;
    size_t count;
    size_t capacity;
    size_t section; /* where the rows of the parameter at hand begin: equal ones are looked for from here */
    size_t words_count;                 /* pieces of text */
    struct str texts[INDEX_TEXTS_KEPT]; /* cut into words before, by where they stand */
    size_t texts_count;
    bool words_once; /* a piece that any parameter has is not added again */
    bool deriving;   /* rows that are added now are derived */
    bool failed;
};

/* A parameter of a type: its own number and those of its further rows. */
struct parameter_numbers {
    enum model_search_kind kind;
    uint32_t own;
    uint32_t identifier; /* reference */
    uint32_t of_type;    /* token */
    uint32_t words; /* token: of the words of its codes (:text); string: of what is too long (:contains) */
    uint32_t below; /* canonical: of the versions' parts; token: of a MIME type without parameters (:below) */
    uint32_t ends;  /* string: of the end of what was cut (_filter's ew) */
    uint32_t axes[3];   /* near */
    uint32_t valueless; /* a value is there that gives no row to ask for (:missing) */
    struct str targets; /* reference: types, blank-separated; empty: any */
};

void rows_add(struct row_builder *builder, struct index_row row);

/* The rows of one value of a parameter. Values that do not fit the kind give none. */
void index_value(struct row_builder *builder, const struct parameter_numbers *numbers,
                 const struct fhirpath_item *item);

/* The rows of a contained resource that a reference "#id" leads to, for chains (index.c). */
void index_inside(struct row_builder *builder, const struct parameter_numbers *numbers, struct str id);

/* ---- index_words.c ---- */

/* Rows of a text's pieces; exact: as normalised, else as words. Parameter 0: none. */
void index_add_words(struct row_builder *builder, uint32_t parameter, struct str text, bool exact);
/* Those of _text and _content, after all parameters. */
void index_resource_words(struct row_builder *builder, const struct json *resource);

/* Rows whose keys are those by which a value of a composite's first component is asked for, at most `max`; tokens. */
size_t index_component_keys(struct row_builder *builder, const struct fhirpath_item *item,
                            struct index_row *keys, size_t max);

/* ---- unit_cache.c ---- */

/* Scales of the units met so far, since reading a UCUM code takes some microseconds; any thread. */
struct unit_cache *unit_cache_create(struct arena *arena);
void unit_cache_destroy(struct unit_cache *cache); /* NULL is fine */
bool unit_cache_scale(struct unit_cache *cache, struct arena *arena, struct str system, struct str code,
                      struct index_scale *scale) MUST_CHECK;

/* ---- pinyin.c ---- */

/* Readings of Chinese names by ICU, made when the first is asked for; any thread. */
struct pinyin *pinyin_create(struct arena *arena);
void pinyin_destroy(struct pinyin *pinyin); /* NULL is fine */

enum { PINYIN_READINGS_MAX = 4 };

/* Readings of a text that is all Han: letters without tones and the initials, for example "zhangsan" and "zs". A
 * surname has all its readings (单: dan and shan; 尉迟: yuchi). Returns their number, 0 for other text. */
struct pinyin_reading {
    struct str letters;
    struct str initials;
};
size_t pinyin_read(struct pinyin *pinyin, struct arena *arena, struct str text,
                   struct pinyin_reading readings[PINYIN_READINGS_MAX]);

#endif
