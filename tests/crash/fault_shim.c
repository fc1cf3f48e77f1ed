/* fault_shim.c — a library that is loaded before the C library (LD_PRELOAD) and lets the n-th write, sync, allocation or
 * opening of a running program fail, the disk be full or the clock be wrong. What is to happen stands in a page
 * (struct control) mapped from the file that SHANHAI_FAULT names, so that a test changes it while the program runs.
 *
 * Only regular files are touched: sockets, pipes and terminals stay as they are. Nothing of it is in the product. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { FAULT_WRITE, FAULT_SYNC, FAULT_MEMORY, FAULT_ROOM, FAULT_NAME, FAULT_KINDS };

/* tests/api/fault.mjs knows these places. */
struct fault {
    _Atomic int64_t countdown; /* the call that finds it at 1 fails; 0: none */
    _Atomic int64_t number;    /* the errno */
    _Atomic int64_t forever;   /* not 0: all calls after it fail too */
    _Atomic int64_t torn;      /* FAULT_WRITE: half of the bytes are written before it fails */
    _Atomic int64_t calls;
    _Atomic int64_t fired;
};

struct control {
    struct fault faults[FAULT_KINDS];
    _Atomic int64_t disk_full;       /* what makes a file longer than there is room for fails with ENOSPC */
    _Atomic int64_t clock_offset_ms; /* added to the wall clock */
    _Atomic int64_t room;            /* bytes given back while the disk is full */
};

static struct control *control;

__attribute__((constructor)) static void fault_begin(void)
{
    const char *path = getenv("SHANHAI_FAULT");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        control = page == MAP_FAILED ? NULL : page;
        (void)close(fd);
    }
}

/* Whether this call is the one that fails; then errno is set. */
static int is_due(enum kind kind)
{
    if (control == NULL) {
        return 0;
    }
    struct fault *fault = &control->faults[kind];
    atomic_fetch_add(&fault->calls, 1);
    int64_t left = atomic_load(&fault->countdown);
    while (left > 0) {
        int64_t next = left > 1 ? left - 1 : atomic_load(&fault->forever) != 0 ? 1 : 0;
        if (atomic_compare_exchange_weak(&fault->countdown, &left, next)) {
            break;
        }
    }
    if (left != 1) {
        return 0;
    }
    atomic_fetch_add(&fault->fired, 1);
    errno = (int)atomic_load(&fault->number);
    return 1;
}

static int is_file(int fd, struct stat *state)
{
    return control != NULL && fstat(fd, state) == 0 && S_ISREG(state->st_mode);
}

/* What is allocated beforehand may still be written on a full disk. */
static int64_t room_of(const struct stat *state)
{
    int64_t allocated = (int64_t)state->st_blocks * 512;
    return allocated > state->st_size ? allocated : (int64_t)state->st_size;
}

static int lacks_room(const struct stat *state, int64_t end)
{
    int64_t growth = end - room_of(state);
    if (atomic_load(&control->disk_full) == 0 || growth <= 0) {
        return 0;
    }
    int64_t room = atomic_load(&control->room);
    while (room >= growth) {
        if (atomic_compare_exchange_weak(&control->room, &room, room - growth)) {
            return 0;
        }
    }
    return 1;
}

static void give_back(const struct stat *state, int64_t end)
{
    if (state->st_size > end) {
        atomic_fetch_add(&control->room, (int64_t)state->st_size - end);
    }
}

/* The bytes that may be written: all, half of them (*failed: then the call fails), or none. */
static size_t allowed(int fd, size_t len, int64_t end, int *failed)
{
    struct stat state;
    *failed = 0;
    if (!is_file(fd, &state)) {
        return len;
    }
    if (is_due(FAULT_WRITE)) {
        *failed = errno;
        return atomic_load(&control->faults[FAULT_WRITE].torn) != 0 ? len / 2 : 0;
    }
    if (lacks_room(&state, end)) {
        *failed = ENOSPC;
        return 0;
    }
    return len;
}

static ssize_t write_at(int fd, const void *bytes, size_t len, int64_t at)
{
    long written = at < 0 ? syscall(SYS_write, fd, bytes, len) : syscall(SYS_pwrite64, fd, bytes, len, at);
    return (ssize_t)written;
}

static ssize_t write_some(int fd, const void *bytes, size_t len, int64_t at)
{
    int failed = 0;
    int64_t begin = at < 0 ? (int64_t)lseek(fd, 0, SEEK_CUR) : at;
    size_t part = allowed(fd, len, begin + (int64_t)len, &failed);
    if (part > 0) {
        ssize_t written = write_at(fd, bytes, part, at);
        if (failed == 0) {
            return written;
        }
    }
    if (failed != 0) {
        errno = failed;
        return -1;
    }
    return len == 0 ? write_at(fd, bytes, 0, at) : -1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    return write_some(fd, bytes, len, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return write_some(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    return write_some(fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct stat state;
    if (is_file(fd, &state) && is_due(FAULT_WRITE)) {
        return -1;
    }
    return (ssize_t)syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    int failed = 0;
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        len += parts[i].iov_len;
    }
    size_t part = allowed(fd, len, at + (int64_t)len, &failed);
    if (failed == 0) {
        return (ssize_t)syscall(SYS_pwritev, fd, parts, count, at, 0);
    }
    if (part > 0 && parts[0].iov_len > 1) { /* torn: a part of the first piece */
        (void)write_at(fd, parts[0].iov_base, parts[0].iov_len / 2, at);
    }
    errno = failed;
    return -1;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

int fsync(int fd)
{
    return is_due(FAULT_SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return is_due(FAULT_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- room and names ---- */

static int no_room(int fd, int64_t end)
{
    struct stat state;
    if (!is_file(fd, &state)) {
        return 0;
    }
    if (is_due(FAULT_ROOM)) {
        return 1;
    }
    errno = ENOSPC;
    return lacks_room(&state, end);
}

int ftruncate(int fd, off_t len)
{
    struct stat state;
    if (no_room(fd, 0)) {
        return -1;
    }
    if (is_file(fd, &state)) {
        give_back(&state, len);
    }
    return (int)syscall(SYS_ftruncate, fd, len);
}

int truncate(const char *path, off_t len)
{
    struct stat state;
    if (control != NULL && stat(path, &state) == 0 && S_ISREG(state.st_mode)) {
        give_back(&state, len);
    }
    return (int)syscall(SYS_truncate, path, len);
}

int truncate64(const char *path, off64_t len)
{
    return truncate(path, len);
}

int unlink(const char *path)
{
    struct stat state;
    if (control != NULL && stat(path, &state) == 0 && S_ISREG(state.st_mode)) {
        give_back(&state, 0);
    }
    return (int)syscall(SYS_unlink, path);
}

int ftruncate64(int fd, off64_t len)
{
    return ftruncate(fd, len);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return no_room(fd, at + len) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
    return fallocate(fd, mode, at, len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    return posix_fallocate(fd, at, len);
}

int rename(const char *from, const char *to)
{
    return is_due(FAULT_NAME) ? -1 : (int)syscall(SYS_rename, from, to);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if ((flags & O_CREAT) != 0 && is_due(FAULT_NAME)) {
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return open(path, flags, mode);
}

/* The two have one shape where this is built (64 bits). */
int statvfs(const char *path, struct statvfs *state)
{
    static int (*next)(const char *, struct statvfs *);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "statvfs");
    }
    int code = next(path, state);
    if (control != NULL && atomic_load(&control->disk_full) != 0) {
        state->f_bavail = 0;
        state->f_bfree = 0;
    }
    return code;
}

int statvfs64(const char *path, struct statvfs64 *state)
{
    return statvfs(path, (struct statvfs *)state);
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    return is_due(FAULT_MEMORY) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_due(FAULT_MEMORY) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return is_due(FAULT_MEMORY) ? NULL : __libc_realloc(memory, size);
}

/* ---- time ---- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int code = (int)syscall(SYS_clock_gettime, clock, now);
    int64_t offset_ms = control == NULL ? 0 : atomic_load(&control->clock_offset_ms);
    if (code == 0 && offset_ms != 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = (int64_t)now->tv_sec * 1000 + now->tv_nsec / 1000000 + offset_ms;
        now->tv_sec = ms / 1000;
        now->tv_nsec = ms % 1000 * 1000000 + now->tv_nsec % 1000000;
    }
    return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    int code = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return code;
}

time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
