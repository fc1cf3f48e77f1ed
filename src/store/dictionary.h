/* dictionary.h — the first compression dictionary (number 1), in the program: trained on invented resources
 * (tools/dictionary_samples.py), copied into each store when it is made, never changed afterwards. */
#ifndef SHANHAI_STORE_DICTIONARY_H
#define SHANHAI_STORE_DICTIONARY_H

#include <stddef.h>

extern const unsigned char store_dictionary_1[];
extern const size_t store_dictionary_1_len;

#endif
