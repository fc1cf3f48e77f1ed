/* memory.h — heap memory of long-lived things with one named owner (connections, queues, caches). Requests use
 * an arena instead. Zeroed; NULL when there is none. Any thread. */
#ifndef SHANHAI_BASE_MEMORY_H
#define SHANHAI_BASE_MEMORY_H

#include <stddef.h>

void *memory_new(size_t size);
void *memory_new_array(size_t count, size_t size); /* NULL also when the product overflows */
void *memory_resize(void *memory, size_t size);    /* new bytes are not initialised; NULL leaves the old */
void memory_free(void *memory);                    /* NULL is fine */

/* Once, at the start of the program. */
void memory_setup(void);

/* Gives what is free back to the system; takes about a millisecond. */
void memory_give_back(void);

#define MEMORY_NEW(type) ((type *)memory_new(sizeof(type)))

#endif
