/* throttle.c — wrong passwords make their account and their address wait: some are free, then the wait
 * doubles from 30 seconds to 15 minutes. A quiet quarter of an hour forgets them. Kept in memory: a
 * restart forgets too, which an attacker cannot cause. */
#include <assert.h>

#include "access/internal.h"

enum { THROTTLE_FIRST_S = 30, THROTTLE_LAST_S = 15 * 60, THROTTLE_FORGET_MS = 15 * 60 * 1000 };

static struct throttle *throttle_find(struct access *access, struct str key)
{
    uint64_t check = hash64(key, 2);
    struct slot *slot = slots_find(&access->throttles, hash64(key, 1));
    while (slot != NULL && ((struct throttle *)slot)->check != check) {
        slot = slots_find_next(slot);
    }
    return (struct throttle *)slot;
}

static bool is_forgotten(const struct throttle *throttle, int64_t now_ms)
{
    return now_ms >= throttle->until_ms && now_ms - throttle->first_ms > THROTTLE_FORGET_MS &&
           now_ms - throttle->until_ms > THROTTLE_FORGET_MS;
}

uint32_t throttle_wait_s(struct access *access, struct str key, int64_t now_ms)
{
    const struct throttle *throttle = throttle_find(access, key);
    if (throttle == NULL || now_ms >= throttle->until_ms) {
        return 0;
    }
    return (uint32_t)((throttle->until_ms - now_ms + 999) / 1000);
}

static void throttles_sweep(struct access *access, int64_t now_ms)
{
    struct slot *item = slots_each(&access->throttles, NULL);
    while (item != NULL) {
        struct slot *next = slots_each(&access->throttles, item);
        if (is_forgotten((struct throttle *)item, now_ms)) {
            slots_remove(&access->throttles, item);
        }
        item = next;
    }
}

void throttle_failed(struct access *access, struct str key, uint32_t failures_free, int64_t now_ms)
{
    struct throttle *throttle = throttle_find(access, key);
    if (throttle == NULL) {
        if (access->throttles.count >= access->throttles.items_max) {
            throttles_sweep(access, now_ms);
        }
        throttle = slots_add(&access->throttles, hash64(key, 1));
        if (throttle == NULL) {
            return; /* 65,536 failures within the last quarter of an hour: the password gate is the limit then */
        }
        throttle->check = hash64(key, 2);
        throttle->first_ms = now_ms;
    }
    if (is_forgotten(throttle, now_ms)) {
        throttle->failures = 0;
        throttle->first_ms = now_ms;
    }
    throttle->failures++;
    if (throttle->failures >= failures_free) {
        uint32_t doublings = throttle->failures - failures_free;
        int64_t wait_s = doublings >= 5 ? THROTTLE_LAST_S : (int64_t)THROTTLE_FIRST_S << doublings;
        throttle->until_ms = now_ms + (wait_s > THROTTLE_LAST_S ? THROTTLE_LAST_S : wait_s) * 1000;
    }
}

void throttle_succeeded(struct access *access, struct str key)
{
    struct throttle *throttle = throttle_find(access, key);
    if (throttle != NULL) {
        slots_remove(&access->throttles, &throttle->slot);
    }
}

bool access_try_allowed(struct access *access, struct str key, uint32_t *retry_after_s, struct error *error)
{
    (void)pthread_mutex_lock(&access->lock);
    uint32_t wait_s = throttle_wait_s(access, key, access_now_ms(access));
    (void)pthread_mutex_unlock(&access->lock);
    *retry_after_s = wait_s;
    return wait_s == 0 || FAIL(error, ERROR_TOO_MANY, "too many tries: wait %u seconds", wait_s);
}

void access_try_failed(struct access *access, struct str key, uint32_t failures_free)
{
    (void)pthread_mutex_lock(&access->lock);
    throttle_failed(access, key, failures_free, access_now_ms(access));
    (void)pthread_mutex_unlock(&access->lock);
}
