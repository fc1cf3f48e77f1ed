/* outcome_words.h — what an error is called in Chinese. A struct error carries one English text (it is for the log and
 * for the programs that call us); the person in front of a screen is told in his own language. */
#ifndef SHANHAI_FHIR_OUTCOME_WORDS_H
#define SHANHAI_FHIR_OUTCOME_WORDS_H

#include "base/arena.h"
#include "base/error.h"

struct outcome_words {
    const char
        *code; /* which sentence it is, the same in both languages and in later versions; NULL for none */
    struct str chinese; /* never empty; in the arena or constant */
};

/* The words of an error: its own sentence where the table has one, else what the kind means with the English text
 * behind it. */
struct outcome_words outcome_words_of(struct arena *arena, enum error_kind kind, struct str english);

#endif
