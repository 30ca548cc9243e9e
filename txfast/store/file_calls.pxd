"""Calls of the system on files of a state. They need no GIL, and say by a number what has failed."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/stat.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <unistd.h>

    static inline int txfast_create(const char *path) {
        int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return descriptor < 0 ? -errno : descriptor;
    }
    static inline int txfast_open(const char *path) {
        int descriptor = open(path, O_RDONLY | O_CLOEXEC);
        return descriptor < 0 ? -errno : descriptor;
    }
    static inline int64_t txfast_size(int descriptor) {
        struct stat found;
        return fstat(descriptor, &found) < 0 ? -errno : (int64_t)found.st_size;
    }
    /* The bytes that were read: fewer than were asked for at the end of the file. */
    static inline int64_t txfast_read(int descriptor, void *out, uint64_t byte_count, uint64_t offset) {
        uint64_t done = 0;
        while (done < byte_count) {
            ssize_t count = pread(descriptor, (char *)out + done, byte_count - done, (off_t)(offset + done));
            if (count == 0) {
                break;
            }
            if (count < 0) {
                if (errno == EINTR) {
                    continue;
                }
                return -errno;
            }
            done += (uint64_t)count;
        }
        return (int64_t)done;
    }
    static inline int txfast_write(int descriptor, const void *content, uint64_t byte_count) {
        while (byte_count) {
            ssize_t count = write(descriptor, content, byte_count);
            if (count < 0) {
                if (errno == EINTR) {
                    continue;
                }
                return -errno;
            }
            content = (const char *)content + count;
            byte_count -= (uint64_t)count;
        }
        return 0;
    }
    static inline int txfast_sync(int descriptor) {
    #if defined(__linux__)
        return fdatasync(descriptor) < 0 ? -errno : 0;
    #else
        return fsync(descriptor) < 0 ? -errno : 0;
    #endif
    }
    /* What one thread has made is seen whole by another that sees its flag. */
    static inline int txfast_is_set(const int *flag) { return __atomic_load_n(flag, __ATOMIC_ACQUIRE); }
    static inline void txfast_set(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }
    static inline uint8_t *txfast_load_pointer(uint8_t *const *place) {
        return __atomic_load_n(place, __ATOMIC_ACQUIRE);
    }
    /* False where another thread has been faster. */
    static inline int txfast_publish(uint8_t **place, uint8_t *made) {
        uint8_t *none = NULL;
        return __atomic_compare_exchange_n(place, &none, made, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    static inline uint64_t txfast_add(uint64_t *sum, uint64_t added) {
        return __atomic_add_fetch(sum, added, __ATOMIC_RELAXED);
    }
    /* Advice may be refused, which does no harm. */
    static inline void txfast_advise(int descriptor, uint64_t offset, uint64_t byte_count, int is_needed) {
    #if defined(__linux__)
        (void)posix_fadvise(
            descriptor, (off_t)offset, (off_t)byte_count, is_needed ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED);
    #else
        (void)descriptor, (void)offset, (void)byte_count, (void)is_needed;
    #endif
    }
    """
    # Results below 0 are the number of an error with its sign changed.
    int create_file "txfast_create"(const char* path) noexcept
    int open_to_read "txfast_open"(const char* path) noexcept
    int64_t file_size "txfast_size"(int descriptor) noexcept
    int64_t read_file "txfast_read"(int descriptor, void* out, uint64_t byte_count, uint64_t offset) noexcept
    int write_file "txfast_write"(int descriptor, const void* content, uint64_t byte_count) noexcept
    int sync_file "txfast_sync"(int descriptor) noexcept
    void advise_file "txfast_advise"(int descriptor, uint64_t offset, uint64_t byte_count, int is_needed) noexcept
    int close_file "close"(int descriptor) noexcept
    int remove_file "unlink"(const char* path) noexcept
    bint is_set "txfast_is_set"(const int* flag) noexcept
    void set_flag "txfast_set"(int* flag) noexcept
    uint8_t* load_pointer "txfast_load_pointer"(uint8_t** place) noexcept
    bint publish "txfast_publish"(uint8_t** place, uint8_t* made) noexcept
    uint64_t atomic_add "txfast_add"(uint64_t* sum, uint64_t added) noexcept
    void* aligned_alloc(size_t alignment, size_t byte_count) noexcept
