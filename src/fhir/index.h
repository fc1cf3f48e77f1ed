/* index.h — from a resource to the rows by which it is found: every default R4 search parameter of its type, by
 * the parameters' own FHIRPath expressions (compiled once a type, at its first use).
 *
 * What a row holds by the kind of the parameter (R4 3.1.1.4):
 * - token (Coding, CodeableConcept, Identifier, ContactPoint, code, boolean, id, uri, string): INDEX_KEY rows, one
 *   for each way to ask: code, system|code, |code (only without system), system| — each is one key look-up. Of a Coding
 *   only that of system|code (or |code) is stored; the others are derived from it by what the store knows of codings.
 *   `:of-type` has KEY rows of its own (code "identifier:of-type").
 * - reference: the key of the target (hash_resource_key), the key of the URL for an absolute or canonical one
 *   (with and without |version); `:identifier` has rows of its own ("subject:identifier").
 * - uri: INDEX_KEY, and INDEX_TEXT with the text as it is for :below and :above.
 * - string: INDEX_TEXT, normalised (NFKC, case folded, without accents, white space collapsed); names also by
 *   pinyin ("zhangsan") and initials ("zs"). Where the text is not its own normal form a mark of its exact
 *   bytes follows (index_string_text), so that `:exact` needs no row of its own.
 * - date: INDEX_DATE spans in UTC; an open end of a Period reaches INDEX_DATE_FIRST or _LAST.
 * - number, quantity: INDEX_NUMBER [low, high]: equal for a plain value, apart for a Range or a comparator; `key` is 0
 *   for "whatever unit", else the key of the code or unit alone, or of system|code (for UCUM: of the dimension, the
 *   value in base units).
 * - composite: rows of the last component under a number of its own for each key of the components before
 *   (index_composite_parameter).
 * What another parameter's rows answer for is not stored twice (index_aliases).
 * `_id` and `_lastUpdated` are columns of the store, not rows.
 *
 * struct fhir_index is made once and used by any number of threads. Rows live in the caller's arena and may point
 * into the tree. */
#ifndef SHANHAI_FHIR_INDEX_H
#define SHANHAI_FHIR_INDEX_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

enum index_kind { INDEX_KEY = 1, INDEX_TEXT = 2, INDEX_DATE = 3, INDEX_NUMBER = 4 };

/* Ends of open periods: years 1 and 10000. */
#define INDEX_DATE_FIRST (-62135596800000)
#define INDEX_DATE_LAST 253402300800000

struct index_row {
    enum index_kind kind;
    uint32_t parameter; /* hash_parameter(type, code) */
    uint64_t key;       /* KEY: the value; NUMBER: key of the unit, 0 = any */
    bool reference;     /* KEY: of what a reference points at (not of its identifier): can be followed */
    /* Not stored: the row of the whole coding answers for it. Of a KEY row that says so `whole` is that row's key: a store
     * keeps the pair (key, whole) once for all resources. Rows of composites by such a key are derived too. Of a row that
     * is not derived `whole` is the key by which programs before store version 7 stored it; 0: the same. */
    bool derived;
    uint64_t whole;
    bool words; /* KEY: of a piece of text to look into, which is `text`; the store keeps each piece once */
    struct str text; /* TEXT; KEY: the code or id as people order it, for sorting in memory, never stored */
    int64_t from_ms; /* DATE: inclusive */
    int64_t to_ms;   /* DATE: exclusive */
    double low;      /* NUMBER: equal to high for a plain value */
    double high;
};

struct index_rows {
    struct index_row *rows; /* equal rows once */
    size_t count;
};

struct fhir_index;

struct fhir_index_options {
    struct str base_url; /* "https://host/fhir": references to it are taken as relative; may be absent */
    int offset_minutes;  /* site.timezone: zone of dates written without one */
};

bool fhir_index_create(const struct fhir_index_options *options, struct fhir_index **index,
                       struct error *error) MUST_CHECK;
void fhir_index_destroy(struct fhir_index *index); /* NULL is fine */

/* Digest of all that rows are made by: the parameters and the forms of their values. When it is another than the one a
 * store was indexed by, its resources lack rows (store/upkeep.h). */
uint64_t fhir_index_digest(const struct fhir_index *index);

/* All rows of a resource. Over LIMIT_STORE_INDEX_ROWS: ERROR_TOO_LARGE. Values that are not what their type says
 * (a date that is none) give no row: the validator's work. */
bool fhir_index_rows(struct fhir_index *index, struct arena *arena, const struct json *resource,
                     struct index_rows *rows, struct error *error) MUST_CHECK;

/* ---- the same forms for both sides, the rows and the questions ---- */

/* Keys of a token: system and code, one of them STR_NONE for "whatever"; an empty system is "has none". */
uint64_t index_token_key(struct str system, struct str code);
/* Of an identifier with its system (empty: without): the upper half is that of the value alone, so that both rows lie on one
 * page; the lower half is of both. */
uint64_t index_identifier_key(struct str system, struct str value);
/* Key of a URL, whole text. */
uint64_t index_uri_key(struct str uri);
/* Key of a reference's text: "Patient/1", "https://base/Patient/1", with "/_history/…" cut; absolute URLs
 * elsewhere, urn:uuid: and canonical ones by index_uri_key. 0 for "" and "#contained". */
uint64_t index_reference_key(struct str reference, struct str base_url);
/* Number of a parameter's further rows: hash_parameter(type, "code:modifier"). */
uint32_t index_parameter_with(struct str type, struct str code, struct str modifier);
/* From a UCUM unit to base units, so that 5 g and 5000 mg are one (design.md: canonical quantities), and the key of
 * its dimension. False for other systems and unknown codes: then the key is of system|code. */
struct index_scale {
    double slope;
    double offset;
    uint64_t key;
};
bool index_scale_of(struct arena *arena, struct str system, struct str code,
                    struct index_scale *scale) MUST_CHECK;
/* The value in base units, rounded to 12 digits, so that one amount is one number whatever unit it came in. */
double index_to_base(const struct index_scale *scale, double value);
/* Parameters whose rows answer for a parameter: phonetic has those of name, and Observation's combo-… are what
 * the parameter of the resource and that of its components find. Returns their number; 1 and the code itself for others. */
enum { INDEX_ALIASES_MAX = 2 };
size_t index_aliases(struct arena *arena, struct str type, struct str code,
                     struct str aliases[INDEX_ALIASES_MAX]);
/* Every resource has a KEY row under this number for each type that it contains: how a search in contained resources
 * (_contained) finds those to look into. */
uint32_t index_contained_parameter(void);
uint64_t index_contained_key(struct str type);
/* A container has the rows of what its references contain once more (R4 3.1.1.5.5: chains look inside): under numbers made of
 * the reference's parameter and the row's own; under that of index_contained_parameter() which type it is. */
uint32_t index_inside_parameter(uint32_t reference, uint32_t inner);
/* Number of a composite's rows for one key of its first component. */
uint32_t index_composite_parameter(uint32_t parameter, uint64_t key);
/* Of a composite of three, further: of its second or third component (1, 2) in a repetition. A question asks the first
 * INDEX_REPETITIONS_MAX repetitions. */
enum { INDEX_COMPONENTS_MAX = 3, INDEX_REPETITIONS_MAX = 16 };
uint32_t index_composite_part(uint32_t parameter, size_t component, size_t repetition);
/* Normalised text for INDEX_TEXT; STR_NONE when the arena is used up. */
struct str index_normalise(struct arena *arena, struct str text);
/* The row's text of a string: its normal form, cut at INDEX_STRING_BYTES, and unless that is the string itself a mark
 * made of its hash in control characters, which no question holds. Equal texts mean equal strings (`:exact`). */
enum { INDEX_STRING_BYTES = 110, INDEX_MARK_BYTES = 17 };
/* What a mark begins with: the text before it is the whole, or its beginning. */
enum { INDEX_MARK_WHOLE = 0x01, INDEX_MARK_CUT = 0x02 };
/* The end of a text that was cut, for rows under the number of "code:end"; STR_NONE when nothing was cut, or no memory. */
struct str index_string_end(struct arena *arena, struct str text);
struct str index_string_text(struct arena *arena, struct str text);
/* ---- places (Location.near) ---- */

/* A place is a point of the unit sphere, kept as three NUMBER rows under the numbers of "near:x", "near:y", "near:z": then
 * being near is a sum of three squares. False for what is no latitude and longitude. */
struct index_place {
    double at[3];
};
bool index_place_of(double latitude, double longitude, struct index_place *place) MUST_CHECK;
/* Square of the straight line between two places that are so many metres apart on the ground. */
double index_chord_squared(double metres);
uint32_t index_place_number(struct str type, struct str code, size_t axis);

/* ---- texts to look into (index_words.c) ---- */

/* Normalised, words and Chinese apart by single blanks, without marks; of at most 512 bytes. STR_NONE when the arena is
 * used up. */
struct str index_words(struct arena *arena, struct str text);
/* The value of the KEY row of a piece. */
uint64_t index_words_key(struct str text);
/* Whether the phrase is in the piece, at the beginning of a word. */
bool index_words_match(struct str text, struct str phrase);
/* What a piece is found by. Of a stored piece `first` is kept; a question looks for one within [first, last], for each
 * of its grams. */
struct index_gram {
    uint64_t first;
    uint64_t last;
};
size_t index_grams(struct str text, struct index_gram *grams, size_t max);

/* The range that the digits of a decimal cover (R4 3.1.1.4.5.1): 100 is [99.5, 100.5], 1e2 is [50, 150]. */
bool index_number_range(struct str digits, double *low, double *high) MUST_CHECK;

#endif
