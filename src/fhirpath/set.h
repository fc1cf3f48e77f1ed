/* set.h — inside of src/fhirpath: items without their equals (N1 6.1.1), in order of arrival. Strings, booleans and
 * complex nodes are found by hash; numbers, times and quantities, which may equal one another across types,
 * one by one. `struct item_set set = { .run = run }` is an empty set; its memory is the run's arena. */
#ifndef SHANHAI_FHIRPATH_SET_H
#define SHANHAI_FHIRPATH_SET_H

#include "fhirpath/engine.h"

struct item_set {
    struct run *run;
    struct list items;
    uint64_t *hashes;   /* of the items; 0: has none */
    uint32_t *slots;    /* index into items plus 1, 0 is free; NULL while the set is small */
    size_t slots_count; /* a power of two */
    size_t unhashed;    /* items that have no hash */
};

bool item_set_has(struct item_set *set, const struct fhirpath_item *item, bool *has,
                  struct error *error) MUST_CHECK;
/* *added (may be NULL) is false when an equal item was there. */
bool item_set_add(struct item_set *set, const struct fhirpath_item *item, bool *added,
                  struct error *error) MUST_CHECK;
bool item_set_add_all(struct item_set *set, const struct list *more, struct error *error) MUST_CHECK;

#endif
