/* Makes one chosen call of a run fail, or transfer fewer bytes. campaign.py preloads it into the command.
 *
 * From `faults_arm` on it watches system calls on files in the run's folder; allocations of txfast's extension modules,
 * and large ones of Python and of Arrow (if Arrow uses the system's allocator); and the start of Python's threads. It
 * ignores files elsewhere (Python's own modules, /proc).
 *
 *     FAULTS_FOLDER    the run's folder, as a real path
 *     FAULTS_PACKAGE   the folder of txfast's extension modules
 *     FAULTS_LOG       file that gets a line for each watched call; if a fault is chosen, only for the call that meets
 *                      it: function, file, site of the call in C, line of Python, separated by tabs
 *     FAULTS_FUNCTION  the function whose call meets the fault; empty for none
 *     FAULTS_CALL      the number of the call, from 1
 *     FAULTS_ERROR     the error's number; 0: a read or write transfers fewer bytes; -1: the process is killed
 *     FAULTS_LASTS     1: all later calls meet the fault too; for memory also those of the other allocators
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* glibc's own names: finding the functions by dlsym would allocate memory. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

enum {
    /* Smaller allocations of Python and Arrow are not buffers of the run. (Arrow aborts the process if some of its
     * allocations of eight bytes fail; txfast cannot change that.) */
    LARGE_BYTES_MIN = 1 << 16,
    RANGES_MAX = 64,
    LINE_BYTES_MAX = 256,
    LOG_DESCRIPTOR_MIN = 500, /* out of the way of the run's own */
    UNNAMED_MAX = 16,
};

typedef struct {
    uintptr_t start, end;
} Range;

/* A file without a name, and the name that it will get. */
typedef struct {
    ino_t inode;
    char name[LINE_BYTES_MAX];
} Unnamed;

static Unnamed unnamed_files[UNNAMED_MAX];
static int unnamed_count;
static const char *folder, *package, *chosen_function;
static size_t folder_length;
static unsigned long chosen_call, calls;
static int fault, lasts, has_fired, is_armed;
static int log_descriptor = -1;
static Range kernel_ranges[RANGES_MAX], python_range;
static int kernel_range_count;
static __thread char python_line[LINE_BYTES_MAX] __attribute__((tls_model("initial-exec")));

static const char *variable(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? text : "";
}

__attribute__((constructor)) static void read_variables(void) {
    folder = variable("FAULTS_FOLDER");
    folder_length = strlen(folder);
    package = variable("FAULTS_PACKAGE");
    chosen_function = variable("FAULTS_FUNCTION");
    chosen_call = strtoul(variable("FAULTS_CALL"), NULL, 10);
    fault = atoi(variable("FAULTS_ERROR"));
    lasts = atoi(variable("FAULTS_LASTS"));
}

/* ---- Arming --------------------------------------------------------------------------------------- */

static int note_module(struct dl_phdr_info *module, size_t size, void *python) {
    Range range = {UINTPTR_MAX, 0};
    (void)size;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        if (module->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t start = module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
            uintptr_t end = start + module->dlpi_phdr[i].p_memsz;
            range.start = start < range.start ? start : range.start;
            range.end = end > range.end ? end : range.end;
        }
    }
    if (range.start <= (uintptr_t)python && (uintptr_t)python < range.end) {
        python_range = range;
    } else if (strncmp(module->dlpi_name, package, strlen(package)) == 0 && kernel_range_count < RANGES_MAX) {
        kernel_ranges[kernel_range_count++] = range;
    }
    return 0;
}

/* Begin to watch calls. txfast's extension modules must be loaded. */
void faults_arm(void) {
    int descriptor = open(variable("FAULTS_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    log_descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, LOG_DESCRIPTOR_MIN);
    close(descriptor);
    dl_iterate_phdr(note_module, dlsym(RTLD_DEFAULT, "PyObject_Malloc"));
    __atomic_store_n(&is_armed, 1, __ATOMIC_SEQ_CST);
}

/* Note this thread's line of Python, for the log. */
void faults_at(const char *line) { snprintf(python_line, sizeof python_line, "%s", line); }

/* ---- Which calls meet the fault ------------------------------------------------------------------- */

static void log_call(const char *function, const char *file, const void *site) {
    char line[PATH_MAX + 4 * LINE_BYTES_MAX];
    Dl_info module;
    const char *name = "?";
    uintptr_t start = 0;
    if (dladdr(site, &module) && module.dli_fname != NULL) {
        name = strrchr(module.dli_fname, '/') != NULL ? strrchr(module.dli_fname, '/') + 1 : module.dli_fname;
        start = (uintptr_t)module.dli_fbase;
    }
    int length = snprintf(
        line, sizeof line, "%s\t%s\t%s+%zx\t%s\n", function, file, name, (size_t)((uintptr_t)site - start),
        python_line);
    (void)!syscall(SYS_write, log_descriptor, line, length);
}

static int meets_fault(const char *function, const char *file, const void *site, int is_memory) {
    static int memory_is_chosen;
    if (*chosen_function == 0) {
        log_call(function, file, site);
        return 0;
    }
    if (strcmp(function, chosen_function) == 0) {
        if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == chosen_call) {
            memory_is_chosen = is_memory;
            log_call(function, file, site);
            if (fault < 0) {
                kill(getpid(), SIGKILL);
            }
            __atomic_store_n(&has_fired, 1, __ATOMIC_SEQ_CST);
            return 1;
        }
    } else if (!is_memory) {
        return 0;
    }
    return lasts && __atomic_load_n(&has_fired, __ATOMIC_SEQ_CST) && is_memory == memory_is_chosen;
}

/* A path relative to the run's folder; NULL if it is elsewhere. */
static const char *inside(const char *path) {
    if (strncmp(path, folder, folder_length) != 0) {
        return NULL;
    }
    return path[folder_length] == '/' ? path + folder_length + 1 : path[folder_length] == 0 ? "." : NULL;
}

static const char *file_of(int descriptor, char *path) {
    char link[64];
    unsigned long inode;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    const char *file = inside(path);
    if (file != NULL && sscanf(file, "#%lu (deleted)", &inode) == 1) {
        for (int i = 0; i < unnamed_count; i++) {
            if (unnamed_files[i].inode == inode) {
                return unnamed_files[i].name;
            }
        }
    }
    return file;
}

/* Note the name that a file without a name will get: calls on it are logged under that. */
void faults_name(int descriptor, const char *name) {
    char link[64], path[PATH_MAX];
    unsigned long inode;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    const char *file = inside(path);
    if (unnamed_count < UNNAMED_MAX && file != NULL && sscanf(file, "#%lu", &inode) == 1) {
        unnamed_files[unnamed_count].inode = inode;
        snprintf(unnamed_files[unnamed_count++].name, LINE_BYTES_MAX, "%s", name);
    }
}

static const char *file_at(int start, const char *name, char *path) {
    int descriptor;
    if (name[0] == 0) {
        return file_of(start, path);
    }
    if (sscanf(name, "/dev/fd/%d", &descriptor) == 1 || sscanf(name, "/proc/self/fd/%d", &descriptor) == 1) {
        return file_of(descriptor, path);
    }
    if (name[0] == '/') {
        return inside(name);
    }
    if (start == AT_FDCWD) {
        if (syscall(SYS_getcwd, path, PATH_MAX) < 0) {
            return NULL;
        }
    } else {
        file_of(start, path);
    }
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
    return inside(path);
}

static int call_meets_fault(const char *function, const char *file, const void *site) {
    return file != NULL && meets_fault(function, file, site, 0);
}

static int memory_meets_fault(const char *function, size_t bytes, const void *site) {
    uintptr_t address = (uintptr_t)site;
    int watched = bytes >= LARGE_BYTES_MIN && python_range.start <= address && address < python_range.end;
    for (int i = 0; i < kernel_range_count; i++) {
        watched |= kernel_ranges[i].start <= address && address < kernel_ranges[i].end;
    }
    return watched && meets_fault(function, "memory", site, 1);
}

#define CALL_SITE __builtin_return_address(0)

/* Define `function` with `parameters`. `file` finds the file of a call (it may use `path`). If this call is chosen, it
 * fails by `failed`; otherwise the real function is called with `arguments`. */
#define WATCHED(kind, result, function, parameters, arguments, file, failed)            \
    result function parameters {                                                       \
        static result(*real) parameters;                                               \
        char path[PATH_MAX];                                                           \
        if (real == NULL) {                                                            \
            *(void **)&real = dlsym(RTLD_NEXT, #function);                             \
        }                                                                              \
        if (is_armed && call_meets_fault(kind, file, CALL_SITE)) {                     \
            failed;                                                                    \
        }                                                                              \
        return real arguments;                                                         \
    }

#define FAIL { errno = fault; return -1; }
#define FAIL_OR_FALL_SHORT { if (fault) FAIL count = count > 1 ? count / 2 : count; }
/* Linux releases the descriptor even if close fails. */
#define CLOSE_AND_FAIL { real(descriptor); errno = fault; return -1; }

/* ---- System calls ---------------------------------------------------------------------------------- */

WATCHED("read", ssize_t, read, (int descriptor, void *bytes, size_t count), (descriptor, bytes, count),
        file_of(descriptor, path), FAIL_OR_FALL_SHORT)
WATCHED("read", ssize_t, pread, (int descriptor, void *bytes, size_t count, off_t offset),
        (descriptor, bytes, count, offset), file_of(descriptor, path), FAIL_OR_FALL_SHORT)
WATCHED("read", ssize_t, pread64, (int descriptor, void *bytes, size_t count, off64_t offset),
        (descriptor, bytes, count, offset), file_of(descriptor, path), FAIL_OR_FALL_SHORT)
WATCHED("write", ssize_t, write, (int descriptor, const void *bytes, size_t count), (descriptor, bytes, count),
        file_of(descriptor, path), FAIL_OR_FALL_SHORT)
WATCHED("write", ssize_t, pwrite, (int descriptor, const void *bytes, size_t count, off_t offset),
        (descriptor, bytes, count, offset), file_of(descriptor, path), FAIL_OR_FALL_SHORT)
WATCHED("write", ssize_t, pwrite64, (int descriptor, const void *bytes, size_t count, off64_t offset),
        (descriptor, bytes, count, offset), file_of(descriptor, path), FAIL_OR_FALL_SHORT)
/* Never fewer bytes here: these read into several buffers. */
WATCHED("read", ssize_t, preadv, (int descriptor, const struct iovec *vectors, int count, off_t offset),
        (descriptor, vectors, count, offset), file_of(descriptor, path), if (fault) FAIL)
WATCHED("read", ssize_t, preadv64, (int descriptor, const struct iovec *vectors, int count, off64_t offset),
        (descriptor, vectors, count, offset), file_of(descriptor, path), if (fault) FAIL)
WATCHED("mkdir", int, mkdir, (const char *name, mode_t mode), (name, mode), file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, statvfs, (const char *name, struct statvfs *found), (name, found),
        file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, statvfs64, (const char *name, struct statvfs64 *found), (name, found),
        file_at(AT_FDCWD, name, path), FAIL)
WATCHED("fsync", int, fsync, (int descriptor), (descriptor), file_of(descriptor, path), FAIL)
WATCHED("fsync", int, fdatasync, (int descriptor), (descriptor), file_of(descriptor, path), FAIL)
WATCHED("close", int, close, (int descriptor), (descriptor), file_of(descriptor, path), CLOSE_AND_FAIL)
WATCHED("fchmod", int, fchmod, (int descriptor, mode_t mode), (descriptor, mode), file_of(descriptor, path), FAIL)
WATCHED("fadvise", int, posix_fadvise, (int descriptor, off_t offset, off_t length, int advice),
        (descriptor, offset, length, advice), file_of(descriptor, path), return fault)
WATCHED("fadvise", int, posix_fadvise64, (int descriptor, off64_t offset, off64_t length, int advice),
        (descriptor, offset, length, advice), file_of(descriptor, path), return fault)
WATCHED("rename", int, rename, (const char *from, const char *to), (from, to), file_at(AT_FDCWD, to, path), FAIL)
WATCHED("link", int, link, (const char *from, const char *to), (from, to), file_at(AT_FDCWD, from, path), FAIL)
WATCHED("link", int, linkat, (int start, const char *from, int end, const char *to, int flags),
        (start, from, end, to, flags), file_at(end, to, path), FAIL)
WATCHED("unlink", int, unlink, (const char *name), (name), file_at(AT_FDCWD, name, path), FAIL)
WATCHED("readlink", ssize_t, readlink, (const char *name, char *target, size_t count), (name, target, count),
        file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, stat, (const char *name, struct stat *found), (name, found), file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, stat64, (const char *name, struct stat64 *found), (name, found),
        file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, lstat, (const char *name, struct stat *found), (name, found), file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, lstat64, (const char *name, struct stat64 *found), (name, found),
        file_at(AT_FDCWD, name, path), FAIL)
WATCHED("stat", int, fstat, (int descriptor, struct stat *found), (descriptor, found), file_of(descriptor, path), FAIL)
WATCHED("stat", int, fstat64, (int descriptor, struct stat64 *found), (descriptor, found),
        file_of(descriptor, path), FAIL)
WATCHED("stat", int, fstatat64, (int start, const char *name, struct stat64 *found, int flags),
        (start, name, found, flags), file_at(start, name, path), FAIL)

/* `open` and `fcntl` have an optional last argument. Passing it on is harmless even if it was not given. */
#define WATCHED_OPEN(function)                                                                             \
    int function(const char *name, int flags, ...) {                                                       \
        static int (*real)(const char *, int, ...);                                                        \
        char path[PATH_MAX];                                                                               \
        va_list more;                                                                                      \
        va_start(more, flags);                                                                             \
        mode_t mode = va_arg(more, mode_t);                                                                \
        va_end(more);                                                                                      \
        if (real == NULL) {                                                                                \
            *(void **)&real = dlsym(RTLD_NEXT, #function);                                                 \
        }                                                                                                  \
        if (is_armed && call_meets_fault("open", file_at(AT_FDCWD, name, path), CALL_SITE)) FAIL           \
        return real(name, flags, mode);                                                                    \
    }
WATCHED_OPEN(open)
WATCHED_OPEN(open64)

#define WATCHED_FCNTL(function)                                                                            \
    int function(int descriptor, int command, ...) {                                                       \
        static int (*real)(int, int, ...);                                                                 \
        char path[PATH_MAX];                                                                               \
        va_list more;                                                                                      \
        va_start(more, command);                                                                           \
        void *argument = va_arg(more, void *);                                                             \
        va_end(more);                                                                                      \
        if (real == NULL) {                                                                                \
            *(void **)&real = dlsym(RTLD_NEXT, #function);                                                 \
        }                                                                                                  \
        if (is_armed && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)                                 \
            && call_meets_fault("dup", file_of(descriptor, path), CALL_SITE)) FAIL                         \
        return real(descriptor, command, argument);                                                        \
    }
WATCHED_FCNTL(fcntl)
WATCHED_FCNTL(fcntl64)

/* ---- Memory ---------------------------------------------------------------------------------------- */

void *malloc(size_t bytes) {
    if (is_armed && memory_meets_fault("malloc", bytes, CALL_SITE)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    if (is_armed && memory_meets_fault("calloc", count * bytes, CALL_SITE)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, bytes);
}

void *realloc(void *block, size_t bytes) {
    if (is_armed && memory_meets_fault("realloc", bytes, CALL_SITE)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(block, bytes);
}

/* Arrow's allocator, if ARROW_DEFAULT_MEMORY_POOL is `system`. */
int posix_memalign(void **block, size_t alignment, size_t bytes) {
    if (is_armed && bytes >= LARGE_BYTES_MIN && meets_fault("posix_memalign", "memory", CALL_SITE, 1)) {
        return ENOMEM;
    }
    *block = __libc_memalign(alignment, bytes);
    return *block == NULL ? ENOMEM : 0;
}

int madvise(void *start, size_t bytes, int advice) {
    if (is_armed && memory_meets_fault("madvise", 0, CALL_SITE)) {
        errno = fault;
        return -1;
    }
    return (int)syscall(SYS_madvise, start, bytes, advice);
}

/* ---- Threads --------------------------------------------------------------------------------------- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    uintptr_t address = (uintptr_t)CALL_SITE;
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    }
    int of_python = python_range.start <= address && address < python_range.end;
    if (is_armed && of_python && meets_fault("pthread_create", "threads", CALL_SITE, 0)) {
        return fault;
    }
    return real(thread, attributes, begin, argument);
}
