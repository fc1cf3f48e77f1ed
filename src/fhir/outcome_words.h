/* outcome_words.h — what an error is called in Chinese. A struct error carries one English text (it is for the log and
 * for the programs that call us); the person in front of a screen is told in his own language. */
#ifndef SHANHAI_FHIR_OUTCOME_WORDS_H
#define SHANHAI_FHIR_OUTCOME_WORDS_H

#include "base/arena.h"
#include "base/error.h"

/* The Chinese of an error: its own sentence where the table has one, else what the kind means with the English text
 * behind it. Never empty; in the arena or constant. */
struct str outcome_words_chinese(struct arena *arena, enum error_kind kind, struct str english);

#endif
