/* A wall clock that is wrong by SKEW_SECONDS, for the process that preloads this.
 *
 * What a machine with a wrong clock has, and no more: the monotonic clock is right, and a wait until
 * a time of the wall clock is as long as it was meant to be. (libfaketime 0.9.10 does not know
 * cnd_timedwait, by which the Kafka client waits, so each of its waits is longer by the offset.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static long skew(void) {
    static int known;
    static long seconds;
    if (!known) {
        const char *text = getenv("SKEW_SECONDS");
        seconds = text ? atol(text) : 0;
        known = 1;
    }
    return seconds;
}

static int is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (!result && is_wall(clock)) now->tv_sec += skew();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

/* Which clock a deadline is of cannot be asked; monotonic ones count from the start of the machine. */
static clockid_t meant(const struct timespec *deadline, struct timespec *right) {
    *right = *deadline;
    if (deadline->tv_sec < 1000000000) return CLOCK_MONOTONIC;
    right->tv_sec -= skew();
    return CLOCK_REALTIME;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    struct timespec right;
    clockid_t clock = meant(deadline, &right);
    return pthread_cond_clockwait(cond, mutex, clock, &right);
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict deadline) {
    struct timespec right;
    clockid_t clock = meant(deadline, &right);
    return sem_clockwait(sem, clock, &right);
}

/* In glibc, condition variables and mutexes of C11 are those of POSIX. */
int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict deadline) {
    int error = pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, deadline);
    return !error ? thrd_success : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}
