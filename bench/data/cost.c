/* cost FILE COMMAND...: runs it and writes to FILE what it cost: user and system CPU seconds,
 * seconds, largest memory in KiB, exit status.
 * A program of its own, since the largest memory of a process begins with that of the one it was forked from. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    struct timespec begin, end;
    struct rusage used;
    int status;
    if (count < 3) return 2;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    pid_t child = fork();
    if (child < 0) return 1;
    if (!child) {
        execvp(words[2], words + 2);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) < 0) return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    FILE *file = fopen(words[1], "w");
    if (!file) return 1;
    fprintf(file, "%ld.%06ld %ld.%06ld %.6f %ld %d\n", (long)used.ru_utime.tv_sec, (long)used.ru_utime.tv_usec,
            (long)used.ru_stime.tv_sec, (long)used.ru_stime.tv_usec,
            (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9, used.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return fclose(file) != 0;
}
