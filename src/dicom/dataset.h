/* dataset.h — reading DICOM data sets (PS3.5) and Part 10 files (PS3.10) from memory. The tree lies in
 * the caller's arena and points into the caller's bytes, which must live as long as the tree. Implicit
 * and explicit little endian, explicit big endian, deflated; sequences and items of known and unknown
 * length; encapsulated pixel data as a list of fragments; files without preamble or meta information.
 *
 * Hard bounds, since the bytes come from strangers: no length is believed before it is held against the
 * bytes that remain, nothing is allocated from a declared length, depth and count are limited
 * (LIMIT_DICOM_DEPTH, LIMIT_DICOM_ELEMENTS), sums are of 64 bits. Input that is cut short or lies about a
 * length is refused (ERROR_STRUCTURE). A tree is constant once read: any thread may look. */
#ifndef SHANHAI_DICOM_DATASET_H
#define SHANHAI_DICOM_DATASET_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "dicom/dictionary.h"
#include "dicom/syntax.h"
#include "dicom/tags.h"

struct dicom_element;
struct dicom_item;

struct dicom_dataset {
    struct dicom_element *first; /* in order of the bytes */
    struct dicom_element *last;
    uint32_t count;
    bool big_endian;
    bool is_signed;               /* Pixel Representation 1 in force: tells US from SS */
    struct str charset;           /* Specific Character Set in force, inherited by items */
    const char *charset_fallback; /* iconv name for text whose declared set is wrong or missing, or NULL */
};

struct dicom_element {
    struct dicom_element *next;
    uint32_t tag; /* 0xGGGGEEEE */
    uint16_t vr;  /* never DICOM_VR_XS or DICOM_VR_OX */
    bool is_encapsulated;
    struct str value;         /* the bytes as they came (SQ: all items with their headers) */
    struct dicom_item *items; /* SQ: its items; encapsulated: offset table first, then the fragments */
};

struct dicom_item {
    struct dicom_item *next;
    struct str bytes;             /* content without the item's header */
    struct dicom_dataset dataset; /* of a sequence's item; empty in a fragment */
};

struct dicom_file {
    struct str bytes;          /* as given */
    size_t dataset_offset;     /* where the data set begins in `bytes` (after preamble and meta) */
    struct dicom_dataset meta; /* group 0002; empty when the file has none */
    struct dicom_dataset dataset;
    const struct dicom_syntax *syntax;
};

struct dicom_read_options {
    const char *charset_fallback; /* site default, for example "GB18030"; NULL: none */
    bool stop_at_pixels;          /* the bytes may end anywhere from Pixel Data's header on */
};

/* A file or stream with or without preamble and meta. Without meta the syntax is guessed from the first
 * element (implicit or explicit little endian). `options` may be NULL. */
bool dicom_read_file(struct arena *arena, struct str bytes, const struct dicom_read_options *options,
                     struct dicom_file *file, struct error *error) MUST_CHECK;

/* A bare data set in a known syntax (C-STORE). */
bool dicom_read_dataset(struct arena *arena, struct str bytes, const struct dicom_syntax *syntax,
                        const struct dicom_read_options *options, struct dicom_dataset *dataset,
                        struct error *error) MUST_CHECK;

/* Element of the data set itself (not of its items), or NULL. NULL gives NULL. */
const struct dicom_element *dicom_find(const struct dicom_dataset *dataset, uint32_t tag);

/* First item of a sequence, or NULL when there is none. */
const struct dicom_dataset *dicom_find_item(const struct dicom_dataset *dataset, uint32_t tag);

/* ---- values (values.c) ---- */

/* Value as UTF-8 text with padding cut; all values with '\' between them. STR_NONE when the element is
 * absent, empty or memory ran out. */
struct str dicom_text(struct arena *arena, const struct dicom_dataset *dataset, uint32_t tag);

/* The same for an element; `dataset` is the one it stands in (character set). */
struct str dicom_element_text(struct arena *arena, const struct dicom_dataset *dataset,
                              const struct dicom_element *element);

/* The part of a text before the first '\' or at position `index`; STR_NONE beyond the last. */
struct str dicom_value_at(struct str text, size_t index);

/* A UID that is well formed, else STR_NONE. Points into the bytes. */
struct str dicom_uid(const struct dicom_dataset *dataset, uint32_t tag);

enum { DICOM_DECIMAL_BYTES = 40 };
/* One DS or IS value as a JSON number: '+', leading zeros and a bare '.' are allowed in DICOM (PS3.5 table
 * 6.2-1) and not in JSON. Returns its length, 0 when the text is no number. */
size_t dicom_decimal(struct str text, char out[DICOM_DECIMAL_BYTES]);

/* Numbers of any VR that holds some (DS, IS, US, SS, UL, SL, FL, FD): at most `max`, returns how many. */
size_t dicom_numbers(const struct dicom_dataset *dataset, uint32_t tag, double *numbers, size_t max);

/* First number; false when there is none. */
bool dicom_number(const struct dicom_dataset *dataset, uint32_t tag, double *number);

/* A US value and nothing else: dimensions and bit depths (a UL here is how frame sizes overflow). */
bool dicom_us(const struct dicom_dataset *dataset, uint32_t tag, uint16_t *value);

/* One integer or float of a binary VR at `at`, in the byte order of the data set. */
double dicom_binary_number(uint16_t vr, const char *at, bool big_endian);

#endif
